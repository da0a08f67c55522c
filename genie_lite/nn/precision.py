"""Which number format a machine multiplies matrices in fastest."""

from __future__ import annotations

import platform

import torch
from torch import Tensor


def native_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware; where it does not, bfloat16 is slower than float32."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    # PyTorch's own answer. The function names have changed between versions; if neither exists, assume float32.
    flags = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(flag() for flag in flags if flag is not None)


def compute_dtype(device: torch.device | str, precision: str = "auto") -> torch.dtype:
    """The number format that `precision` means: "float32", "bfloat16", or "auto" for bfloat16 where native."""
    quick = precision == "bfloat16" or (precision == "auto" and native_bfloat16(device))
    return torch.bfloat16 if quick else torch.float32


def autocast(device: torch.device | str, precision: str = "auto") -> torch.autocast:
    """A context in which models compute in `precision` (compute_dtype)."""
    device = torch.device(device)
    enabled = compute_dtype(device, precision) == torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def to_autocast_dtype(x: Tensor) -> Tensor:
    """`x` in the format that matrix products give under the current autocast; unchanged outside of one.

    Embeddings are looked up, not multiplied, so autocast alone would leave them in float32.
    """
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x
