"""Where blocks are computed: in this process, in several of this machine, or on a Dask cluster; always in order."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import connection, get_context, parent_process

from landuse.core.errors import UserError
from landuse.inference.map.answers import Block, Task, answer

_PATIENCE = 10  # seconds to reach a scheduler


def here(task: Task, blocks: Sequence[tuple[int, int]], workers: int) -> Iterator[Block]:
    """Answer blocks with so many processes; one: this process."""
    if min(workers, len(blocks)) < 2:
        yield from map(partial(answer, task), blocks)
        return
    pool = ProcessPoolExecutor(min(workers, len(blocks)), get_context("spawn"), initializer=_start)
    try:
        yield from pool.map(partial(answer, task), blocks)
    except BrokenProcessPool:
        raise UserError(
            "a worker process was ended from outside, most likely for want of memory: give fewer --workers; "
            "the same command goes on from the finished blocks"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    """Leave Ctrl-C to the first process, and end with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def on_cluster(task: Task, blocks: Sequence[tuple[int, int]], scheduler: str) -> Iterator[Block]:
    """Answer blocks on the workers of a Dask scheduler; a block whose worker died goes to another.

    Raises:
        UserError: the package or the scheduler is not there, or the workers keep dying.
    """
    try:
        import distributed
    except ModuleNotFoundError:
        raise UserError("--scheduler needs Dask: pip install 'landuse[cluster]'") from None
    try:
        client = distributed.Client(scheduler, timeout=_PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise UserError(f"no Dask scheduler answers at {scheduler} ({error}): start one (dask scheduler)") from None
    with client:
        futures = client.map(partial(answer, task), blocks, pure=False)
        futures.reverse()
        while futures:
            try:
                yield futures.pop().result()
            except distributed.scheduler.KilledWorker as error:
                raise UserError(f"the workers of {scheduler} end before they finish a block ({error})") from None
