"""A network's training passes as CUDA graphs: the host sends a GPU one thing in place of thousands of kernels.

A step of HRNetV2-W18 on a fast GPU otherwise waits for Python, which starts its kernels one by one.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Size, Tensor, nn


class GraphedPasses:
    """In place of a network's `forward`: in training mode it is recorded once for every shape of crops, then replayed.

    The backward pass is recorded with it. Results and gradients lie where the recording has put them, until the next
    pass: whoever adds gradients up over several passes needs gradients that are there before (`zeros_like`), or else
    takes the recording's memory for the sum. In evaluation mode, and without gradients, nothing changes.

    Args:
        network: on a GPU, without hooks; its shapes and the place of its weights stay as they are from here on.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._plain: Callable[[Tensor], Tensor] = network.forward
        self._recorded: dict[Size, Callable[[Tensor], Tensor]] = {}
        self._pool: Any = None  # of memory, shared: one pass is over before the next begins

    def __call__(self, crops: Tensor) -> Tensor:
        """The network's heatmaps of crops (N, 3, H, W)."""
        if not (self._network.training and torch.is_grad_enabled()):
            return self._plain(crops)
        if crops.shape not in self._recorded:
            self._recorded[crops.shape] = self._record(crops)
        return self._recorded[crops.shape](crops)

    def _record(self, crops: Tensor) -> Callable[[Tensor], Tensor]:
        """The passes for crops of one shape; the statistics of batch norm stay what they were."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        buffers = list(self._network.buffers())
        before = [buffer.clone() for buffer in buffers]
        self._network.forward = self._with_its_own_casts
        stance = "force_eager" if self._recorded else "default"  # what an epoch ends with is not compiled for
        # Torch records within no autocast; the network's own is further in.
        with torch.autocast("cuda", enabled=False), torch.compiler.set_stance(stance):
            torch.cuda.make_graphed_callables(self._network, (crops.clone(),), pool=self._pool)
        replayed: Callable[[Tensor], Tensor] = self._network.forward
        self._network.forward = self
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        return replayed

    def _with_its_own_casts(self, crops: Tensor) -> Tensor:
        """The network's pass; autocast, which keeps what it has cast, casts the weights in it, and lets go of them."""
        torch.clear_autocast_cache()
        heatmaps = self._plain(crops)
        torch.clear_autocast_cache()
        return heatmaps


def replay_passes(network: nn.Module, *, summed: bool) -> None:
    """Have a network's training passes replayed; `summed`: gradients are added up over several."""
    if summed:
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
    network.forward = GraphedPasses(network)
