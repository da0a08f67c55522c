"""The number format that `precision: auto` means in tests, and how much it rounds.

GENIE_LITE_TEST_PRECISION=float32 or =bfloat16 forces it, whatever the machine is quick in: every test has to hold in
both. A program that a test starts does not read conftest.py; it calls `force_precision()` itself.
"""

from __future__ import annotations

import os

import torch

from genie_lite.nn import native_bfloat16

VARIABLE = "GENIE_LITE_TEST_PRECISION"


def force_precision() -> None:
    """Obey GENIE_LITE_TEST_PRECISION in this process, if it is set; ValueError when that cannot be done."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    if wanted not in ("float32", "bfloat16"):
        raise ValueError(f"{VARIABLE}: found {wanted!r}, expected float32 or bfloat16")
    for flag in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):  # what native_bfloat16 asks
        setattr(torch.cpu, flag, lambda: wanted == "bfloat16")
    if native_bfloat16() != (wanted == "bfloat16"):
        raise ValueError(f"{VARIABLE}: found {wanted}, which cannot be forced on this processor; leave it unset")


def rounding() -> float:
    """Relative spacing of the numbers that `precision: auto` computes in on this machine's CPU."""
    return torch.finfo(torch.bfloat16 if native_bfloat16() else torch.float32).eps
