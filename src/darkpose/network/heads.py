"""Choose some of the heatmaps of a network: each is a row of the head's last convolution."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from darkpose.network.hrnet import HRNet


def with_rows(model: HRNet, rows: Sequence[int] | NDArray[np.intp]) -> HRNet:
    """The network that gives these of a network's heatmaps, in this order; repeated ones are copies.

    Args:
        model: a network of K heatmaps; it stays as it is, but its other weights are shared with the new one.
        rows: indices below K.
    """
    chosen = torch.as_tensor(np.asarray(rows, np.int64))
    weights = dict(model.state_dict())
    last = f"head.{len(model.head) - 1}"
    for name in (f"{last}.weight", f"{last}.bias"):
        weights[name] = weights[name][chosen.to(weights[name].device)].clone()
    with torch.device("meta"):
        chosen_model = HRNet(replace(model.config, keypoints=len(chosen)))
    chosen_model.load_state_dict(weights, assign=True)
    return chosen_model.train(model.training).requires_grad_(False)
