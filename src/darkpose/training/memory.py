"""Memory that large tensors have given back, kept for those that follow."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # mallopt's parameters
NEVER, LARGEST = -1, 2**30


def keep_freed_memory() -> None:
    """Have this process, and those it starts by fork, keep what is freed; where the allocator is not glibc's, nothing.

    Of itself glibc asks the system for the pages of every tensor above 32 MB, which the system clears first, and gives
    them back at once. Training on a processor has dozens such tensors a step.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(MMAP_THRESHOLD, LARGEST)
            mallopt(TRIM_THRESHOLD, NEVER)
