"""Settings of a process that trains, made once by whoever starts it."""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt, in glibc's malloc.h
_LARGEST = 2**31 - 1


def configure() -> None:
    """Same machine, same versions, same thread count: the same bytes; and freed memory stays with the process.

    glibc would return large tensors to the kernel and be handed zeroed pages again: a tenth of a training step.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
    torch.use_deterministic_algorithms(True)
    # it would fill every new tensor, a third of the time, to catch reads of unset memory
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _LARGEST)


def return_memory() -> None:
    """Give back what is free: of many tensors' memory, no piece may be large enough for what comes next."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
