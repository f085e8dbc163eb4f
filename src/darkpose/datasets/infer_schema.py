"""Schemas inferred from the names and the places of annotated landmarks."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.sample import Sample
from darkpose.schema import SCHEMAS, W300_68, KeypointSchema, Pairs

Complex = NDArray[np.complex128]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of a name: left, Eye and L in left_EyeL
_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
MAX_FACES, ROUNDS, DIRECTIONS = 1000, 5, 180  # faces of the mean shape, rounds of its alignment, axes that are tried
MAX_LOOSENESS = 0.5  # spread of paired landmarks around the mean shape, in shares of their distance
MAX_ASYMMETRY = 0.07  # mean distance from the mirrored shape, in shares of the shape's size
SAME_PAIRS = 0.9  # share of the pairs of 300-W that make 68 landmarks those of 300-W


def infer_schema(
    name: str,
    names: Sequence[str] | None,
    samples: Sequence[Sample],
    *,
    landmarks: int,
    outlines: Sequence[Sequence[int]] = (),
    flip_pairs: Pairs | None = None,
) -> tuple[KeypointSchema, tuple[str, ...]]:
    """The schema of annotated landmarks, and sentences that say what was inferred and from what.

    Landmarks with the names of a shipped schema have that schema. Flip pairs come from names that differ in left and
    right; if no name does, from the places of the landmarks (see `symmetric_pairs`). 68 landmarks without names, in the
    places of those of 300-W, have its schema.

    Args:
        name: of the schema.
        names: of the landmarks; None: they have none and become point_0, point_1, ...
        samples: the annotated objects.
        landmarks: K.
        outlines: lines between landmarks, if they are known.
        flip_pairs: if they are known.

    Raises:
        DarkposeError: two names are the same, or an index is not of a landmark.
    """
    texts = tuple(names) if names is not None else tuple(f"point_{i}" for i in range(landmarks))
    for shipped in SCHEMAS.values():
        if texts == shipped.names:
            return shipped, (f"the landmarks have the names of {shipped.name}: its schema is used",)
    lines = tuple(map(tuple, outlines))
    if flip_pairs is not None:
        return KeypointSchema(name, texts, flip_pairs, lines), ()
    if pairs := pairs_from_names(texts):
        how = f"flip pairs inferred from left and right in the names: {_told(texts, pairs)}"
        return KeypointSchema(name, texts, pairs, lines), (how,)
    pairs = symmetric_pairs(samples)
    if landmarks == len(W300_68) and all(re.fullmatch(r"(point_)?\d+", each) for each in texts) and _is_300w(pairs):
        return W300_68, ("the 68 landmarks lie as those of 300-W: its names, flip pairs and outlines are used",)
    if pairs:
        how = (
            f"flip pairs inferred from the places of the landmarks, as no name has left or right: "
            f"{_told(texts, pairs)}; look at them in the picture of --sheet"
        )
    else:
        how = "no flip pairs: no name has left or right, and the landmarks are not symmetric; --schema may name pairs"
    return KeypointSchema(name, texts, pairs, lines), (how,)


def _told(names: Sequence[str], pairs: Pairs, most: int = 6) -> str:
    more = f" and {len(pairs) - most} more" if len(pairs) > most else ""
    return ", ".join(f"{names[i]} <-> {names[j]}" for i, j in pairs[:most]) + more


def _is_300w(pairs: Pairs) -> bool:
    return len(set(pairs) & set(W300_68.flip_pairs)) >= SAME_PAIRS * len(W300_68.flip_pairs)


def pairs_from_names(names: Sequence[str]) -> Pairs:
    """Index pairs (i, j), i < j, of names that are equal but for one word: left and right, or l and r.

    Words end at underscores, other signs, digits and capital letters: left_eye, eye_l, LeftEye, eyeL; left and right
    may also begin or end a word: lefteye.
    """
    index, pairs, taken = {name: i for i, name in enumerate(names)}, [], set[int]()
    for i, name in enumerate(names):
        found = (index.get(other) for other in _mirrored(name))
        j = next((j for j in found if j is not None and j != i and j not in taken), None)
        if i not in taken and j is not None:
            pairs.append((min(i, j), max(i, j)))
            taken |= {i, j}
    return tuple(sorted(pairs))


def _mirrored(name: str) -> list[str]:
    """What the landmark on the other side may be called."""
    found = []
    for word in _WORD.finditer(name):
        text = word.group()
        for side, other in _SIDES.items():
            lower = text.lower()
            if lower == side or (len(side) > 1 and (lower.startswith(side) or lower.endswith(side))):
                at = word.start() + (0 if lower.startswith(side) else len(text) - len(side))
                found.append(name[:at] + _as_spelt(other, name[at : at + len(side)]) + name[at + len(side) :])
    return found


def _as_spelt(word: str, model: str) -> str:
    return word.upper() if model.isupper() else word.capitalize() if model[0].isupper() else word


def symmetric_pairs(samples: Sequence[Sample]) -> Pairs:
    """Index pairs (i, j), i < j, of landmarks that change places where the mean shape is mirrored.

    The objects are aligned by shift, size and turn (generalised Procrustes analysis: Gower, Psychometrika 1975), their
    mean is mirrored at lines through its centre in `DIRECTIONS` directions, and at each, landmarks are matched from the
    nearest pair on. None if the best mirrored mean is farther than `MAX_ASYMMETRY` from the mean, if the landmarks of
    pairs move against each other (`MAX_LOOSENESS`), or if there are fewer than four, since three are always nearly
    symmetric.
    """
    found = _mean_shape(samples)
    if found is None or len(found[0]) < 4:
        return ()
    mean, spread = found
    best: tuple[float, Pairs] = (MAX_ASYMMETRY, ())
    for direction in range(DIRECTIONS):
        away = min(direction, DIRECTIONS - direction) / DIRECTIONS  # from a mirror whose line is upright
        mirrored = -mean.conj() * np.exp(2j * np.pi * direction / DIRECTIONS)
        distances = np.abs(mirrored[:, None] - mean[None])
        partner = _matched(distances)
        pairs = tuple((i, j) for i, j in enumerate(partner) if i < j)
        error = float(distances[np.arange(len(mean)), partner].mean()) + 0.01 * away
        if pairs and error < best[0]:
            best = error, pairs
    loose = [(spread[i] + spread[j]) / 2 / max(abs(mean[i] - mean[j]), 1e-9) for i, j in best[1]]
    return best[1] if loose and np.mean(loose) <= MAX_LOOSENESS else ()


def _matched(distances: NDArray[np.float64]) -> list[int]:
    """A partner of each landmark, which may be itself; `distances` is symmetric."""
    count = len(distances)
    rows, columns = np.triu_indices(count)
    partner = [-1] * count
    for place in np.argsort(distances[rows, columns], kind="stable"):
        i, j = int(rows[place]), int(columns[place])
        if partner[i] == partner[j] == -1:
            partner[i], partner[j] = j, i
    return partner


def _mean_shape(samples: Sequence[Sample]) -> tuple[Complex, NDArray[np.float64]] | None:
    """The mean shape (K,), x + iy, its centre at 0 and its root mean square size 1, and the spread (K,) around it.

    None if a landmark has no place.
    """
    step = -(-len(samples) // MAX_FACES) or 1
    kept = [sample for sample in samples[::step] if (sample.visible > 0).sum() >= 2]
    if not kept:
        return None
    shapes = np.stack([sample.keypoints[:, 0] + 1j * sample.keypoints[:, 1] for sample in kept])
    known = np.stack([sample.visible > 0 for sample in kept])
    if not known.any(axis=0).all():
        return None
    shapes = np.where(known, shapes, 0)
    shapes = shapes - np.where(known, shapes.sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True), 0)
    shapes = np.where(known, shapes, 0)
    sizes = np.sqrt((np.abs(shapes) ** 2).sum(axis=1) / known.sum(axis=1))
    shapes, known = shapes[sizes > 0] / sizes[sizes > 0, None], known[sizes > 0]
    if not known.any(axis=0).all():
        return None
    mean = shapes.sum(axis=0) / known.sum(axis=0)
    for _ in range(ROUNDS):
        aligned = np.stack([_aligned(shape, mean, seen) for shape, seen in zip(shapes, known, strict=True)])
        mean = np.where(known, aligned, 0).sum(axis=0) / known.sum(axis=0)
        mean = mean - mean.mean()
        size = np.sqrt((np.abs(mean) ** 2).mean())
        if not size > 0:
            return None
        mean = mean / size
    away = np.where(known, np.abs(aligned / size - mean) ** 2, 0).sum(axis=0) / known.sum(axis=0)
    return np.asarray(mean, np.complex128), np.sqrt(away)


def _aligned(shape: Complex, mean: Complex, seen: NDArray[np.bool_]) -> Complex:
    """The shape moved, scaled and turned to lie on the mean where it is seen."""
    own, other = shape[seen], mean[seen]
    centre, target = own.mean(), other.mean()
    own, other = own - centre, other - target
    length = float((np.abs(own) ** 2).sum())
    factor = (own.conj() * other).sum() / length if length > 0 else 1.0
    return np.asarray((shape - centre) * factor + target, np.complex128)
