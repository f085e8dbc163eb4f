"""One network, several markups: heatmaps are rows of the head's last convolution, so a markup is a choice of rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from darkpose.derive import derivation
from darkpose.errors import DarkposeError
from darkpose.hrnet import HRNet
from darkpose.schema import KeypointSchema


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


def nearest_rows(known: KeypointSchema, wanted: KeypointSchema) -> NDArray[np.intp]:
    """For every landmark of `wanted`, the landmark of `known` that is nearest by derivation: where training may start.

    Args:
        known: the markup that a network has learnt, joined of several or not.
        wanted: the markup that it shall learn, joined of several or not.

    Returns:
        (len(wanted),) indices into `known`.

    Raises:
        DarkposeError: no markup in `known` says anything about one in `wanted`.
    """
    sources, targets = known.parts or (known,), wanted.parts or (wanted,)
    return np.concatenate([_rows_for(known, sources, target) for target in targets])


def _rows_for(known: KeypointSchema, sources: Sequence[KeypointSchema], target: KeypointSchema) -> NDArray[np.intp]:
    for source in sorted(sources, key=lambda source: source.names != target.names):
        if source.names == target.names:
            weights = np.eye(len(target))
        else:
            try:
                weights = derivation(source, target)
            except DarkposeError:
                continue
        if weights.any(axis=1).all():
            return np.asarray(known.rows(source.name).start + weights.argmax(axis=1), np.intp)
    raise DarkposeError(f"weights for {known.name} are no start for {target.name}: no landmarks correspond")
