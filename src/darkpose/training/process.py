"""Settings of a process that trains. Programs call this before training; the library does not."""

import torch

from darkpose.image.opencv import use_one_thread
from darkpose.training.memory import keep_freed_memory


def set_up_process() -> None:
    """Make training fast in this process and in the loader processes that it forks; results do not change.

    OpenCV uses one thread, because loaders and network share the cores. Freed memory is kept. cuDNN chooses its
    algorithms by measurement, because all crops have one size.
    """
    use_one_thread()
    keep_freed_memory()
    torch.backends.cudnn.benchmark = True
