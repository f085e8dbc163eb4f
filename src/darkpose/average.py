"""The exponential average of a network's weights over its training steps."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """A copy of a network that follows it: averaged = decay * averaged + (1 - decay) * weights.

    The first update copies. The decay then grows as (1 + n) / (10 + n) over the updates up to its full value, so that
    first weights are soon forgotten. Buffers of batch norm are averaged as the weights are; its counters are copied.
    The number of updates lives on the host, so that an update on a GPU waits for nothing.

    Attributes:
        module: the averaged network.
        updates: how many there were.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module, self.decay, self.updates = deepcopy(model), decay, 0
        self.module.requires_grad_(requires_grad=False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take a step of the network in."""
        ours, theirs = self.module.state_dict(), model.state_dict()
        floating = [name for name, value in ours.items() if value.is_floating_point()]
        weight = 1.0 if self.updates == 0 else 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged, current = ([state[name] for name in floating] for state in (ours, theirs))
        torch._foreach_lerp_(averaged, current, weight)
        for name in ours.keys() - set(floating):
            ours[name].copy_(theirs[name])
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved average."""
        weights: dict[str, Tensor] = state["module"]
        self.module.load_state_dict(weights)
        self.updates = int(state["updates"])
