"""PyTorch, if the program has imported it: the codec never imports it by itself."""

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    import torch


def loaded_torch() -> Any:
    """The module `torch` if it is completely imported, else None."""
    module = sys.modules.get("torch")
    return module if hasattr(module, "Tensor") and hasattr(module, "get_num_threads") else None


def is_tensor(values: object) -> "TypeGuard[torch.Tensor]":
    """Whether these are a torch tensor."""
    module = loaded_torch()
    return module is not None and isinstance(values, module.Tensor)
