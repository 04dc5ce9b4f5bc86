"""Several processes that train as one, started by ``torchrun``; without it, each function does what one process needs.

Each process (rank) learns from its share of every batch. Rank 0 alone decides by clocks, signals and files, writes and
prints.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from landuse.core.errors import UserError

T = TypeVar("T")


@contextmanager
def group() -> Iterator[None]:
    """Join the processes that ``torchrun`` started, for as long as this lasts.

    Ranks other than 0 are silent on standard output, and leave SIGINT and SIGTERM to rank 0, which ends all in good
    order.

    Raises:
        UserError: there are more processes than GPUs on this machine, or its accelerator has no such thing.
    """
    if not distributed.is_torchelastic_launched():
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        processes, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if processes > gpus:
            raise UserError(f"{processes} processes on a machine with {gpus} GPUs: lower --nproc-per-node")
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    elif torch.backends.mps.is_available():
        raise UserError("torch cannot train with several processes on an mps device: start it without torchrun")
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        if rank() == 0:
            yield
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """This process among all: 0 is the one that writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """Processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def on_first(work: Callable[[], T]) -> T:
    """Let rank 0 do something; all ranks get what it returns, or leave when it fails."""
    if size() == 1:
        return work()
    outcome: list[Any] = [False, None]
    try:
        if rank() == 0:
            outcome = [True, work()]
    finally:
        distributed.broadcast_object_list(outcome)
    if not outcome[0]:
        sys.exit(2)  # rank 0 says why
    return outcome[1]  # type: ignore[no-any-return]


@contextmanager
def entered_by_first(context: AbstractContextManager[T]) -> Iterator[T | None]:
    """Enter a context on rank 0; the others get None, or leave when that fails."""
    with ExitStack() as stack:
        entered: list[T] = []
        on_first(lambda: entered.append(stack.enter_context(context)))
        yield entered[0] if entered else None


def share(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return this rank's part of an array, (n, ...) -> (about n / size, ...)."""
    return np.array_split(values, size())[rank()]


def joined(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Join what ``share`` dealt out: the same array on all ranks."""
    if size() == 1:
        return part
    parts: list[Any] = [None] * size()
    distributed.all_gather_object(parts, part)
    return np.concatenate(parts)


def total(part: Tensor) -> Tensor:
    """Sum a tensor over the ranks, in place."""
    if size() > 1:
        distributed.all_reduce(part)
    return part


def parallel(network: nn.Module) -> nn.Module:
    """Wrap a network so that, called thus, each backward pass leaves the mean over the ranks in the gradients."""
    if size() == 1:
        return network
    # Without find_unused_parameters the buckets of gradients are dealt anew after the first step, and sums over three
    # or more ranks rounded differently: a resumed training would not end in the same bytes.
    return DistributedDataParallel(network, find_unused_parameters=True)


def share_statistics(network: nn.Module) -> None:
    """Let BatchNorm use, and learn, the statistics of the tiles of all ranks, on GPUs; weights and names stay.

    torch has none for CPUs: each rank normalises by its own tiles, rank 0 has the learnt ones (``same_buffers``).
    """
    if size() > 1 and next(network.parameters()).device.type == "cuda":
        for name, child in network.named_children():  # timm's conversion keeps the activations that timm's norms hold
            setattr(network, name, convert_sync_batchnorm(child))  # type: ignore[no-untyped-call]


def same_buffers(*networks: nn.Module) -> None:
    """Give all ranks the buffers of rank 0, those of BatchNorm say."""
    if size() > 1:
        for network in networks:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)


def apart(network: object) -> AbstractContextManager[None]:
    """Return the context in which backward passes leave gradients to their ranks, until one outside of it."""
    if isinstance(network, DistributedDataParallel):
        return network.no_sync()
    return nullcontext()
