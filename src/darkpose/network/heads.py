"""One network, several markups: heatmaps are rows of the head's last convolution, so a markup is a choice of rows."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from darkpose.datasets.derive import derivation
from darkpose.errors import DarkposeError
from darkpose.network.hrnet import HRNet
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
    """For every landmark of `wanted`, the nearest landmark of `known`, by derivation one way or the other.

    That is where training may start.

    Args:
        known: the markup that a network has learnt, joined of several or not.
        wanted: the markup that it shall learn, joined of several or not.

    Returns:
        (len(wanted),) indices into `known`.

    Raises:
        DarkposeError: for a markup in `wanted`, no markup in `known` has a landmark near every one of it.
    """
    sources, targets = known.parts or (known,), wanted.parts or (wanted,)
    return np.concatenate([_rows_for(known, sources, target) for target in targets])


def _rows_for(known: KeypointSchema, sources: Sequence[KeypointSchema], target: KeypointSchema) -> NDArray[np.intp]:
    for source in sorted(sources, key=lambda source: source.names != target.names):
        near = _nearness(source, target)
        if near.any(axis=1).all():
            return np.asarray(known.rows(source.name).start + near.argmax(axis=1), np.intp)
    raise DarkposeError(f"weights for {known.name} are no start for {target.name}: not all landmarks correspond")


def _nearness(source: KeypointSchema, target: KeypointSchema) -> NDArray[np.float64]:
    """(L, K), how much each landmark of `source` says about each of `target`: its derivation's weights, or, where a
    landmark has none, its own weights in the derivation of `source`.
    """
    near = np.zeros((len(target), len(source)))
    with suppress(DarkposeError):
        near = derivation(source, target)
    with suppress(DarkposeError):
        near = np.where(near.any(axis=1, keepdims=True), near, derivation(target, source).T)
    return near
