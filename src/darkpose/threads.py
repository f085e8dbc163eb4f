"""Work split over threads: for functions that release Python's lock."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

BLOCKS_PER_THREAD = 4  # so that a thread whose core is busy elsewhere does less


def in_threads(work: Callable[[int, int], object], count: int) -> None:
    """Call `work(first, last)` on consecutive ranges that cover 0 .. count, in as many threads as torch uses.

    `torch.set_num_threads` sets how many: 1 in the workers of a torch data loader.
    """
    threads = min(torch.get_num_threads(), count)
    if threads < 2:
        work(0, count)
        return
    blocks = min(count, BLOCKS_PER_THREAD * threads)
    bounds = [count * i // blocks for i in range(blocks + 1)]
    list(_pool(threads).map(work, bounds[:-1], bounds[1:]))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="darkpose")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # the threads stay behind in the parent
