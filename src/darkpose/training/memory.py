"""Memory of the process: keep what large tensors free, and measure the peak."""

import ctypes
import sys

import torch

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Parameters of glibc's mallopt.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER, _LARGEST = -1, 2**30


def keep_freed_memory() -> None:
    """Keep freed memory in this process and in those that it forks; without glibc this does nothing.

    By default glibc gets the pages of every tensor above 32 MB from the system, which clears them first, and returns
    them at once. A training step on a CPU has dozens of such tensors.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGEST)
            mallopt(_TRIM_THRESHOLD, _NEVER)


def peak_memory(device: torch.device) -> int:
    """Peak memory in MiB: of the GPU if that is the device, else of this process; 0 where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)
