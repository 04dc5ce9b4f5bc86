"""Number formats of training: which one ``auto`` takes, what each device can do, and how torch is told."""

from contextlib import AbstractContextManager

import torch
from torch.nn import functional as F

from landuse.core.errors import UserError

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve(precision: str, device: torch.device) -> str:
    """Return what ``auto`` stands for on this kind of device; other words stay.

    A table, not a measurement, so that a rerun computes in the same format: docs/speed.md has it, with its reasons.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"


def check(precision: str, device: torch.device) -> None:
    """Raise UserError where the device cannot train in a precision, by training a tiny convolution in it."""
    if precision == "fp32":
        return
    refusal = f"train.precision {precision} does not work on this {device.type} device: set it to fp32"
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(refusal)
    try:
        weight = torch.ones(4, 3, 3, 3, device=device, requires_grad=True)
        with autocast(precision, device):
            output = F.conv2d(torch.ones(2, 3, 8, 8, device=device), weight)
        output.float().sum().backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, TypeError) as error:
        raise UserError(f"{refusal} ({str(error).splitlines()[0]})") from None


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which the network runs forward."""
    enabled = precision != "fp32"
    return torch.autocast(device.type, dtype=_DTYPES.get(precision), enabled=enabled)


def scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Return the gradient scaler: fp16 gradients would vanish without one; for the others it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
