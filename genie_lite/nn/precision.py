"""Which number format a machine is quick in."""

from __future__ import annotations

import platform

import torch


def native_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware; where it does not, bfloat16 is slower than float32."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    # PyTorch's own answer, from names that have moved between versions; absent means unknown, so float32.
    flags = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(flag() for flag in flags if flag is not None)


def autocast(device: torch.device | str, precision: str = "auto") -> torch.autocast:
    """A context in which models compute in `precision`: "float32", "bfloat16", or "auto" for what is quick here."""
    device = torch.device(device)
    enabled = precision == "bfloat16" or (precision == "auto" and native_bfloat16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
