"""Exponential moving average of a network's weights over its training steps."""

from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class _Pairs(NamedTuple):
    """Tensors of an average and of its network; collecting them at every step is slow."""

    averaged: list[Tensor]
    current: list[Tensor]
    counters: list[Tensor]
    counts: list[Tensor]

    @classmethod
    def of(cls, average: nn.Module, model: nn.Module) -> "_Pairs":
        ours, theirs = (each.state_dict(keep_vars=True) for each in (average, model))
        floating = [name for name, value in ours.items() if value.is_floating_point()]
        others = [name for name in ours if name not in set(floating)]
        return cls(*([state[name] for name in names] for names in (floating, others) for state in (ours, theirs)))


class WeightAverage:
    """Moving average of a network: averaged = decay * averaged + (1 - decay) * weights.

    The first update copies. The decay then grows with the number n of updates as (1 + n) / (10 + n), up to its full
    value, so that the first weights soon have no influence. Buffers of batch norm are averaged like weights; its
    counters are copied. The number of updates is kept on the host, so that an update on a GPU does not wait.

    Attributes:
        module: the averaged network.
        updates: number of updates.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module, self.decay, self.updates = deepcopy(model), decay, 0
        self.module.requires_grad_(requires_grad=False)
        self._followed: tuple[nn.Module, _Pairs] | None = None

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Add the network's current weights."""
        if self._followed is None or self._followed[0] is not model:
            self._followed = model, _Pairs.of(self.module, model)
        pairs = self._followed[1]
        weight = 1.0 if self.updates == 0 else 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(pairs.averaged, pairs.current, weight)
        torch._foreach_copy_(pairs.counters, pairs.counts)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """State for `load_state_dict`."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved average."""
        weights: dict[str, Tensor] = state["module"]
        self.module.load_state_dict(weights)
        self.updates = int(state["updates"])
