"""A network's training passes as CUDA graphs: the host launches one graph instead of thousands of kernels.

Without them, a step of HRNetV2-W18 on a fast GPU waits for Python to launch its kernels.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Size, Tensor, nn


class GraphedPasses:
    """Replacement for a network's `forward`: in training mode it is recorded once per shape of crops, then replayed.

    The backward pass is recorded with it. Outputs and gradients are in the recording's memory, until the next pass: to
    sum gradients over several passes, gradients must exist before (`zeros_like`). In evaluation mode and without
    gradients nothing changes.

    Args:
        network: on a GPU, without hooks; the shapes and addresses of its weights must not change afterwards.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._plain: Callable[[Tensor], Tensor] = network.forward
        self._recorded: dict[Size, Callable[[Tensor], Tensor]] = {}
        self._pool: Any = None  # shared memory: one pass ends before the next begins

    def __call__(self, crops: Tensor) -> Tensor:
        """The network's heatmaps of crops (N, 3, H, W)."""
        if not (self._network.training and torch.is_grad_enabled()):
            return self._plain(crops)
        if crops.shape not in self._recorded:
            self._recorded[crops.shape] = self._record(crops)
        return self._recorded[crops.shape](crops)

    def _record(self, crops: Tensor) -> Callable[[Tensor], Tensor]:
        """Record the passes for crops of one shape; the statistics of batch norm are restored."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        buffers = list(self._network.buffers())
        before = [buffer.clone() for buffer in buffers]
        self._network.forward = self._forward_with_casts
        stance = (
            "force_eager" if self._recorded else "default"
        )  # the last, smaller batch of an epoch is not compiled for
        # Torch cannot record within autocast; the network has its own, further in.
        with torch.autocast("cuda", enabled=False), torch.compiler.set_stance(stance):
            torch.cuda.make_graphed_callables(self._network, (crops.clone(),), pool=self._pool)
        replayed: Callable[[Tensor], Tensor] = self._network.forward
        self._network.forward = self
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        return replayed

    def _forward_with_casts(self, crops: Tensor) -> Tensor:
        """The network's pass, with autocast's cache of weights emptied before and after."""
        torch.clear_autocast_cache()
        heatmaps = self._plain(crops)
        torch.clear_autocast_cache()
        return heatmaps


def replay_passes(network: nn.Module, *, accumulates: bool) -> None:
    """Replay a network's training passes as CUDA graphs; `accumulates`: gradients are summed over several passes."""
    if accumulates:
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
    network.forward = GraphedPasses(network)
