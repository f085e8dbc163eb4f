"""Work split over threads: for functions that release Python's lock."""

import itertools
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
    numbers = itertools.count()  # the next block, for whoever is free

    def share() -> None:
        while (block := next(numbers)) < blocks:
            work(count * block // blocks, count * (block + 1) // blocks)

    helpers = [_pool(threads - 1).submit(share) for _ in range(threads - 1)]
    try:
        share()
    finally:
        for helper in helpers:
            if not helper.cancel():  # one that has not begun has nothing left to do
                helper.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="darkpose")


_forked = False


def survive_fork() -> None:
    """In a forked process let torch use one thread: it would wait for ever for those left behind in the parent."""
    if _forked and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def _in_child() -> None:
    global _forked
    _forked = True
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
