"""Landmarks of one schema derived from those of another.

Every derived landmark is a weighted mean of given ones, with weights that add up to 1. So derivation commutes with
affine maps: a mirrored, rotated or cropped face gives mirrored, rotated or cropped landmarks. Such labels are
*derived*, not annotated.

Sources: the points shared by 300-W and WFLW are part of the definition of WFLW (Wu et al., CVPR 2018). Contour points
between them are interpolated by cubics, and so are lid points, through the four points of a lid. The lower edge of a
brow, which 300-W does not have, is three tenths of the way from the brow to the lid. Pupils are the mean of the lids.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.schema import AFLW_19, W300_68, WFLW_98, KeypointSchema

Weights = Mapping[str, float]  # landmark of the source -> weight

BROW_HEIGHT = 0.3  # height of a brow as a fraction of the distance from its upper edge to the lid


@dataclass(frozen=True, eq=False)
class Converted:
    """Landmarks in another schema.

    Attributes:
        keypoints: (L, 2) in the frame of the given ones; NaN where a landmark cannot be had.
        exact: (L,) bool, whether a landmark is the same point as a given one; others are derived.
        schema: of these landmarks.
    """

    keypoints: Floats
    exact: NDArray[np.bool_]
    schema: KeypointSchema


def convert(keypoints: ArrayLike, source: KeypointSchema, target: KeypointSchema) -> Converted:
    """Landmarks (K, 2) of one schema as those of another; what is not finite counts as not known.

    Raises:
        DarkposeError: there is no derivation for these schemas.
    """
    points = np.asarray(keypoints, np.float64)
    found, known = derive(points, np.isfinite(points).all(axis=-1), source, target)
    exact = (known > 0) & ((weights := derivation(source, target)) == 1).any(axis=1) & ((weights != 0).sum(axis=1) == 1)
    return Converted(np.where(known[..., None] > 0, found, np.nan), exact, target)


def derive(
    keypoints: ArrayLike, visible: ArrayLike, source: KeypointSchema, target: KeypointSchema
) -> tuple[Floats, Floats]:
    """Derive the landmarks of a schema from those of another.

    Args:
        keypoints: (..., K, 2) of `source`, any frame.
        visible: (..., K), above 0 if a landmark is annotated.
        source, target: the schemas.

    Returns:
        keypoints (..., L, 2) of `target`, in the same frame, and visible (..., L): 0 if a landmark cannot be derived or
        needs one that is not visible, else 1. Keypoints that are not visible are 0.

    Raises:
        DarkposeError: there is no derivation for these schemas.
    """
    return _apply(derivation(source, target), keypoints, visible)


def derive_shared(
    keypoints: ArrayLike, visible: ArrayLike, source: KeypointSchema, target: KeypointSchema
) -> tuple[Floats, Floats]:
    """As `derive`, but only for landmarks that are the same points in both schemas; the others are not visible."""
    return _apply(shared_points(source, target), keypoints, visible)


def shared_points(source: KeypointSchema, target: KeypointSchema) -> Floats:
    """(L, K): 1 if a landmark of `target` is the same point as one of `source`, else 0.

    Raises:
        DarkposeError: there is no derivation for these schemas.
    """
    shared = []  # one matrix per direction; they must agree
    with suppress(DarkposeError):
        shared.append(derivation(source, target) == 1)
    with suppress(DarkposeError):
        shared.append(derivation(target, source).T == 1)
    if not shared:
        raise DarkposeError(f"the landmarks that {source.name} and {target.name} share are not known")
    return np.asarray(np.all(shared, axis=0), np.float64)


def _apply(weights: Floats, keypoints: ArrayLike, visible: ArrayLike) -> tuple[Floats, Floats]:
    points, seen = np.asarray(keypoints, np.float64), np.asarray(visible, np.float64) > 0
    needed = weights != 0
    known = needed.any(axis=1) & ~(~seen[..., None, :] & needed).any(axis=-1)
    derived = weights @ np.where(seen[..., None], points, 0)
    return np.where(known[..., None], derived, 0), known.astype(np.float64)


def derivation(source: KeypointSchema, target: KeypointSchema) -> Floats:
    """Weights (L, K) of the landmarks of `source` for those of `target`; a row of zeros: not derivable.

    Raises:
        DarkposeError: there is no derivation for these schemas.
    """
    if source.names == target.names:
        return np.eye(len(source))
    return _derivation(source.name, target.name).copy()


@cache
def _derivation(source: str, target: str) -> Floats:
    known = {schema.name: schema for schema in (AFLW_19, W300_68, WFLW_98)}
    derivations: dict[tuple[str, str], Callable[[], dict[str, Weights]]] = {
        (W300_68.name, WFLW_98.name): _wflw_from_300w,
        (WFLW_98.name, W300_68.name): _300w_from_wflw,
        (W300_68.name, AFLW_19.name): lambda: _aflw_from({"middle": 2, "inner": 4}, _EYE_6_LIDS),
        (WFLW_98.name, AFLW_19.name): lambda: _aflw_from({"middle": 2, "inner": 4}, _EYE_8_LIDS),
    }
    if (source, target) not in derivations:
        raise DarkposeError(f"landmarks of {target} cannot be derived from those of {source}")
    weights = np.zeros((len(known[target]), len(known[source])))
    for name, mean in derivations[source, target]().items():
        for origin, weight in mean.items():
            weights[known[target].index(name), known[source].index(origin)] += weight
    return weights


_EYE_6_LIDS = ("upper_outer", "upper_inner", "lower_inner", "lower_outer")
_EYE_8_LIDS = (*_EYE_6_LIDS, "upper_middle", "lower_middle")
_SIDES = ("left", "right")
_LIPS_AND_NOSE = frozenset(W300_68.names[27:36] + W300_68.names[48:])


def _mean(*names: str) -> Weights:
    return {name: 1 / len(names) for name in names}


def _between(names: tuple[str, ...], nodes: tuple[float, ...], at: float) -> Weights:
    """Weights for the value at `at` of the polynomial through the named points at `nodes`."""
    weights = {}
    for i, name in enumerate(names):
        others = [node for j, node in enumerate(nodes) if j != i]
        weights[name] = float(np.prod([(at - node) / (nodes[i] - node) for node in others]))
    return weights


def _moved(name: str, towards: Weights, share: float) -> Weights:
    return {name: 1 - share} | {other: share * weight for other, weight in towards.items()}


def _wflw_from_300w() -> dict[str, Weights]:
    means: dict[str, Weights] = {name: {name: 1.0} for name in _LIPS_AND_NOSE}
    for i, name in enumerate(WFLW_98.names[:33]):
        means[name] = _dense_contour(i)
    for side in _SIDES:
        means |= _brow_with_edges(side) | _lids_of_8(side)
        means[f"{side}_pupil"] = _mean(*(f"{side}_eye_{part}" for part in _EYE_6_LIDS))
    return means


def _dense_contour(i: int) -> Weights:
    """Every second contour point of WFLW is one of 300-W; the others are on cubics through the nearest four."""
    contour = W300_68.names[:17]
    if i % 2 == 0:
        return {contour[i // 2]: 1.0}
    first = int(np.clip(i // 2 - 1, 0, len(contour) - 4))
    return _between(contour[first : first + 4], (0.0, 1.0, 2.0, 3.0), i / 2 - first)


def _brow_with_edges(side: str) -> dict[str, Weights]:
    """The brow of 300-W is the upper edge of the brow of WFLW; the lower edge runs back from the inner end."""
    lids = {
        "brow_4": ("inner_corner",),
        "brow_3": ("upper_inner",),
        "brow_2": ("upper_inner", "upper_outer"),
        "brow_1": ("upper_outer",),
    }
    means: dict[str, Weights] = {f"{side}_brow_{i}": {f"{side}_brow_{i}": 1.0} for i in range(5)}
    for lower, (upper, below) in enumerate(lids.items(), 5):
        lid = _mean(*(f"{side}_eye_{part}" for part in below))
        means[f"{side}_brow_{lower}"] = _moved(f"{side}_{upper}", lid, BROW_HEIGHT)
    return means


def _lids_of_8(side: str) -> dict[str, Weights]:
    """The lid points of WFLW, at quarters of a lid, on the cubic through those of 300-W, at thirds."""
    means: dict[str, Weights] = {}
    for lid in ("upper", "lower"):
        parts = ("outer_corner", f"{lid}_outer", f"{lid}_inner", "inner_corner")
        names = tuple(f"{side}_eye_{part}" for part in parts)
        means |= {names[0]: {names[0]: 1.0}, names[-1]: {names[-1]: 1.0}}
        for part, at in (("outer", 1 / 4), ("middle", 1 / 2), ("inner", 3 / 4)):
            means[f"{side}_eye_{lid}_{part}"] = _between(names, (0.0, 1 / 3, 2 / 3, 1.0), at)
    return means


def _300w_from_wflw() -> dict[str, Weights]:
    """The shared points only: brows and lids of the two schemas are near each other but not the same."""
    means: dict[str, Weights] = {name: {name: 1.0} for name in _LIPS_AND_NOSE}
    means |= {name: {WFLW_98.names[2 * i]: 1.0} for i, name in enumerate(W300_68.names[:17])}
    corners = [f"{side}_eye_{corner}_corner" for side in _SIDES for corner in ("outer", "inner")]
    return means | {name: {name: 1.0} for name in corners}


def _aflw_from(brow: Mapping[str, int], lids: tuple[str, ...]) -> dict[str, Weights]:
    means: dict[str, Weights] = {
        "nose_tip": {"nose_bridge_3": 1.0},
        "mouth_middle": _mean("inner_upper_lip", "inner_lower_lip"),
        "chin": {"chin": 1.0},
    }
    for side in _SIDES:
        means[f"{side}_brow_outer"] = {f"{side}_brow_0": 1.0}
        means |= {f"{side}_brow_{part}": {f"{side}_brow_{i}": 1.0} for part, i in brow.items()}
        means[f"{side}_eye_middle"] = _mean(*(f"{side}_eye_{part}" for part in lids))
        for name in ("eye_outer_corner", "eye_inner_corner", "nostril_outer", "mouth_corner"):
            means[f"{side}_{name}"] = {f"{side}_{name}": 1.0}
    return means
