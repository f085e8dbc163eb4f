"""Split work over threads, for functions that release Python's lock."""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from darkpose.codec.loaded_torch import loaded_torch

BLOCKS_PER_THREAD = 4  # a thread on a busy core then does fewer of them


def thread_count() -> int:
    """How many threads to use.

    Where torch is imported, its number: `torch.set_num_threads` sets it, and it is 1 in the workers of a data loader.
    Else what OMP_NUM_THREADS says, or the number of CPUs that this process may use.
    """
    torch = loaded_torch()
    if torch is not None:
        return int(torch.get_num_threads())
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdecimal() and int(limit) > 0:
        return int(limit)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(work: Callable[[int, int], object], count: int) -> None:
    """Call `work(first, last)` on consecutive ranges that cover 0 .. count, in `thread_count()` threads."""
    threads = min(thread_count(), count)
    if threads < 2:
        work(0, count)
        return
    blocks = min(count, BLOCKS_PER_THREAD * threads)
    numbers = itertools.count()  # the next block; each thread takes one when it is free

    def take_blocks() -> None:
        while (block := next(numbers)) < blocks:
            work(count * block // blocks, count * (block + 1) // blocks)

    helpers = [_pool(threads - 1).submit(take_blocks) for _ in range(threads - 1)]
    try:
        take_blocks()
    finally:
        for helper in helpers:
            if not helper.cancel():  # a helper that has not started has nothing left to do
                helper.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="darkpose")


_is_forked = False


def survive_fork() -> None:
    """In a forked process let torch use one thread: it would wait forever for the threads of the parent process."""
    torch = loaded_torch()
    if _is_forked and torch is not None and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def _after_fork() -> None:
    global _is_forked
    _is_forked = True
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
