"""How a CPU's memory is given and taken back."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt, in glibc's malloc.h
_LARGEST = 2**31 - 1


def keep_memory() -> None:
    """Let freed memory stay with the process: a batch needs what the last one gave back.

    glibc would return each large tensor to the kernel and be handed it page by page again, zeroed: a tenth of a
    training step. Elsewhere nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _LARGEST)


def return_memory() -> None:
    """Give back what is free: of many tensors' memory, no piece may be large enough for what comes next."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
