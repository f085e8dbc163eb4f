"""Choose some of the heatmaps of a network: each is a row of the head's last convolution."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkpose.network.hrnet import HRNet


def with_rows(model: HRNet, rows: Sequence[int] | NDArray[np.intp]) -> HRNet:
    """The network that gives these of a network's heatmaps, in this order; repeated ones are copies.

    Args:
        model: a network of K heatmaps; it stays as it is, but its other weights are shared with the new one.
        rows: indices below K.
    """
    chosen = torch.as_tensor(np.asarray(rows, np.int64))
    shared: dict[int, Tensor] = {id(each): nn.Parameter(each.detach(), False) for each in model.parameters()}
    found = copy.deepcopy(model, shared | {id(each): each for each in model.buffers()})
    found.config = replace(model.config, keypoints=len(chosen))
    last = cast(nn.Conv2d, model.head[-1])
    with torch.device("meta"):
        head = nn.Conv2d(last.in_channels, len(chosen), last.kernel_size, last.stride, last.padding)  # type: ignore[arg-type]
    parts = {name: value[chosen.to(value.device)].clone() for name, value in last.state_dict().items()}
    head.load_state_dict(parts, assign=True)
    found.head[-1] = head.train(last.training).requires_grad_(False)
    return found
