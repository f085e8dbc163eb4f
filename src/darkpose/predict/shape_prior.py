"""Landmarks drawn towards the shapes that faces have: a help where a face is hidden, blurred or lost.

A face is a Gaussian about the mean of annotated faces (Cootes, Taylor, Cooper, Graham, "Active Shape Models", CVIU
1995, section 3), its position, size and angle freer than they were. What a network finds is the face plus an error: its
variance follows from the heatmap's maximum, and its tails are Student's, so that a landmark far off weighs little
(Lange, Little, Taylor, "Robust Statistical Modeling Using the t Distribution", JASA 1989). The result is the mean of
the face given what was found.

Shapes are in shares of the longer side of the face's box, about the box's middle: the frame "box".
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema

FORMAT = "1"


@dataclass(frozen=True)
class ShapePriorConfig:
    """How free faces are, and how wrong landmarks.

    Attributes:
        position, size, angle: standard deviations of a whole face's place (in the box's frame), of its size (a share)
            and of its angle (radians), beyond what faces in their boxes vary by.
        error: variance of a landmark along x and y, in the box's frame, at the score `sure` and above.
        decline: that variance grows by exp(decline * (sure - score)) below.
        sure: a score that tells no more.
        freedom: degrees of freedom of the errors' Student distribution.
        rounds: of weighing landmarks anew.
    """

    position: float = 0.1
    size: float = 0.15
    angle: float = 0.3
    error: float = 2e-4
    decline: float = 9.0
    sure: float = 0.8
    freedom: float = 4.0
    rounds: int = 10

    def __post_init__(self) -> None:
        numbers = (self.position, self.size, self.angle, self.error, self.decline, self.sure, self.freedom)
        if not np.isfinite(numbers).all() or min(numbers) < 0 or min(self.error, self.freedom) == 0 or self.rounds < 1:
            raise DarkposeError(f"a shape prior's settings are finite and not negative, got {self}")


@dataclass(frozen=True, eq=False)
class ShapePrior:
    """A Gaussian of faces.

    Attributes:
        schema: name of the markup.
        mean: (K, 2), the box's frame.
        modes: (M, K, 2), directions that faces vary in, each times its standard deviation.
        rest: variance of every coordinate in all other directions.
        fitted: what it was fitted to, in words.
        learnt: names of test images among that.
        config: its settings.
    """

    schema: str
    mean: Floats
    modes: Floats
    rest: float
    fitted: str = ""
    learnt: tuple[str, ...] = ()
    config: ShapePriorConfig = ShapePriorConfig()

    def __post_init__(self) -> None:
        count = len(self.mean)
        if self.mean.shape != (count, 2) or self.modes.shape[1:] != (count, 2) or self.modes.ndim != 3:
            raise DarkposeError(f"a shape prior of (K, 2) and (M, K, 2), got {self.mean.shape} and {self.modes.shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.modes).all() and 0 < self.rest < np.inf):
            raise DarkposeError("a shape prior's numbers must be finite, and its rest above 0")

    def __call__(self, keypoints: ArrayLike, scores: ArrayLike, boxes: ArrayLike) -> Floats:
        """Landmarks drawn towards the prior.

        Args:
            keypoints: (N, K, 2) image px; a face with one that is not finite stays as it is.
            scores: (N, K), the heatmaps' maxima; NaN counts as 0.
            boxes: (N, 4) x0, y0, x1, y1 of the landmarks' extent as far as it is known: what crops are cut around.

        Returns:
            (N, K, 2) image px.

        Raises:
            DarkposeError: a shape does not fit the prior's, or a box has no side.
        """
        points, sure = np.asarray(keypoints, np.float64), np.asarray(scores, np.float64)
        edges, count = np.asarray(boxes, np.float64), len(self.mean)
        shapes = (points.shape, sure.shape, edges.shape)
        if shapes != ((len(points), count, 2), (len(points), count), (len(points), 4)):
            raise DarkposeError(f"expected (N, {count}, 2), (N, {count}) and (N, 4) for {self.schema}, got {shapes}")
        drawn, there = points.copy(), np.isfinite(points).all((1, 2))
        if there.any():
            shape = image_to_box(points[there], edges[there])
            drawn[there] = box_to_image(self._drawn(shape, sure[there]), edges[there])
        return drawn

    def digest(self) -> str:
        """SHA-256 of all that landmarks depend on, in hex."""
        numbers = [self.mean.astype(np.float32), self.modes.astype(np.float32), np.float64(self.rest)]
        text = json.dumps([self.schema, asdict(self.config)]).encode()
        return hashlib.sha256(text + b"".join(each.tobytes() for each in numbers)).hexdigest()

    def _drawn(self, shapes: Floats, scores: Floats) -> Floats:
        """Expected shapes (N, K, 2) given those found, with scores (N, K); the box's frame.

        With D the diagonal of rest and error and U the modes, (U U' + D)^-1 = D^-1 - D^-1 U (1 + U' D^-1 U)^-1 U' D^-1
        (Woodbury): only as many equations as modes.
        """
        its, (faces, count) = self.config, scores.shape
        modes = np.concatenate([self.modes, self._similar()]).reshape(-1, 2 * count).T
        away = (shapes - self.mean).reshape(faces, -1)
        error = its.error * np.exp(its.decline * (its.sure - np.clip(np.nan_to_num(scores), 0, its.sure)))
        weights, drawn = np.ones_like(error), shapes
        for _ in range(its.rounds):
            inverse = np.repeat(1 / (self.rest + error / weights), 2, axis=1)
            scaled = inverse[:, :, None] * modes
            system = np.eye(modes.shape[1]) + modes.T @ scaled
            inner = np.linalg.solve(system, np.einsum("nij,ni->nj", scaled, away)[:, :, None])[..., 0]
            explained = inverse * away - np.einsum("nij,nj->ni", scaled, inner)  # (C + R)^-1 away
            drawn = self.mean + (explained @ modes @ modes.T + self.rest * explained).reshape(shapes.shape)
            squares = np.square(shapes - drawn).sum(-1) / error
            weights = (its.freedom + 2) / (its.freedom + squares)
        return drawn

    def _similar(self) -> Floats:
        """(4, K, 2): how the mean moves along x and y, grows and turns, each by its standard deviation."""
        its, centred = self.config, self.mean - self.mean.mean(0)
        turned = np.stack([-centred[:, 1], centred[:, 0]], 1)
        ones, none = np.ones(len(self.mean)), np.zeros(len(self.mean))
        along = [its.position * np.stack(pair, 1) for pair in ((ones, none), (none, ones))]
        return np.stack([*along, its.size * centred, its.angle * turned])


def image_to_box(points: Floats, boxes: Floats) -> Floats:
    """Points (N, K, 2) from image px to the frame of boxes (N, 4).

    Raises:
        DarkposeError: a box has no side.
    """
    middle, side = _frame(boxes)
    return np.asarray((points - middle) / side)


def box_to_image(points: Floats, boxes: Floats) -> Floats:
    """Inverse of `image_to_box`."""
    middle, side = _frame(boxes)
    return np.asarray(points * side + middle)


def _frame(boxes: Floats) -> tuple[Floats, Floats]:
    """Middle (N, 1, 2) and longer side (N, 1, 1)."""
    corners = boxes.reshape(-1, 2, 2)
    side = (corners[:, 1] - corners[:, 0]).max(1)
    if not (side > 0).all():
        raise DarkposeError(f"a box has no side: {boxes[np.argmin(side > 0)].tolist()}")
    return corners.mean(1)[:, None], side[:, None, None]


def fit_shape_prior(
    keypoints: ArrayLike,
    boxes: ArrayLike,
    schema: KeypointSchema,
    *,
    weights: ArrayLike | None = None,
    modes: int = 80,
    fitted: str = "",
    learnt: Sequence[str] = (),
    config: ShapePriorConfig = ShapePriorConfig(),
) -> ShapePrior:
    """The Gaussian of annotated faces and their mirror images.

    Args:
        keypoints: (N, K, 2) image px, all of them annotated.
        boxes: (N, 4) of the landmarks' extent.
        schema: the markup.
        weights: (N,) how often each face counts; None: once.
        modes: how many directions are kept; fewer where there are fewer.
        fitted: what the faces are, in words.
        learnt: names of the images of test faces among them.
        config: settings of the prior.

    Raises:
        DarkposeError: shapes do not fit, numbers are not finite, or fewer than three faces.
    """
    points, edges = np.asarray(keypoints, np.float64), np.asarray(boxes, np.float64)
    count = np.ones(len(points)) if weights is None else np.asarray(weights, np.float64)
    wanted = ((len(points), len(schema), 2), (len(points), 4), (len(points),))
    got = (points.shape, edges.shape, count.shape)
    if got != wanted or len(points) < 3 or not np.isfinite(points).all() or not (count > 0).all():
        raise DarkposeError(f"a prior of {schema.name} takes three finite faces at least, {wanted}, got {got}")
    shapes = image_to_box(points, edges)
    mirrored = shapes[:, schema.flip_index] * (-1, 1)
    rows, share = np.concatenate([shapes, mirrored]).reshape(2 * len(points), -1), np.tile(count / count.sum() / 2, 2)
    mean = share @ rows
    away = rows - mean
    variances, directions = np.linalg.eigh(away.T @ (share[:, None] * away))
    variances, directions = variances[::-1], directions[:, ::-1]
    kept = min(modes, int((variances > 1e-9).sum()))
    rest = max(float(variances[kept:].mean()) if kept < len(variances) else 0.0, 1e-9)
    scaled = (directions[:, :kept] * np.sqrt(variances[:kept])).T.reshape(kept, -1, 2)
    return ShapePrior(schema.name, mean.reshape(-1, 2), scaled, rest, fitted, tuple(sorted(set(learnt))), config)


def write_shape_prior(prior: ShapePrior, path: Path) -> None:
    """Write a prior in one rename, in single precision.

    Raises:
        DarkposeError: the file cannot be written.
    """
    # safetensors writes an array's memory as it lies
    arrays = {name: np.ascontiguousarray(getattr(prior, name), np.float32) for name in ("mean", "modes")}
    words = {"schema": prior.schema, "fitted": prior.fitted, "learnt": prior.learnt}
    facts = {**words, "rest": prior.rest, "config": asdict(prior.config)}
    metadata = {"darkpose_shape_prior": FORMAT, "facts": json.dumps(facts)}
    write_atomically(path, lambda temporary: temporary.write_bytes(save(arrays, metadata)))


def read_shape_prior(path: Path) -> ShapePrior:
    """Read what `write_shape_prior` wrote.

    Raises:
        DarkposeError: the file cannot be read, or is of another make.
    """
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise DarkposeError(f"{path}: not a readable shape prior ({error}); the package's is called wflw-98") from error
    if metadata.get("darkpose_shape_prior") != FORMAT or set(arrays) != {"mean", "modes"}:
        raise DarkposeError(f"{path}: expected a shape prior of format {FORMAT}; scripts/fit_shape_prior.py writes one")
    try:
        facts: Mapping[str, Any] = json.loads(metadata["facts"])
        config = ShapePriorConfig(**facts["config"])
        mean, modes = (arrays[name].astype(np.float64) for name in ("mean", "modes"))
        words = str(facts["schema"]), str(facts["fitted"]), tuple(map(str, facts["learnt"]))
        return ShapePrior(words[0], mean, modes, float(facts["rest"]), *words[1:], config)
    except (KeyError, TypeError, ValueError) as error:  # DarkposeError included
        raise DarkposeError(f"{path}: a shape prior whose facts cannot be used ({error})") from error


def as_shape_prior(given: "str | Path | ShapePrior", schema: KeypointSchema) -> ShapePrior:
    """A prior for landmarks of a markup: by its file, by the name of one in the package ("wflw-98"), or as it is.

    Raises:
        DarkposeError: there is no such file, it cannot be read, or is of another markup.
    """
    prior = given if isinstance(given, ShapePrior) else read_shape_prior(_file_of(str(given)))
    if (prior.schema, len(prior.mean)) != (schema.name, len(schema)):
        where = "" if isinstance(given, ShapePrior) else f"{given}: "
        told = f"{where}a shape prior of {prior.schema}, the landmarks are of {schema.name}"
        raise DarkposeError(f"{told}; weights that know several markups take --schema {prior.schema} (schema=)")
    return prior


def _file_of(given: str) -> Path:
    shipped = Path(str(files("darkpose") / "weights" / "shipped" / f"{given}.prior.safetensors"))
    if Path(given).is_file() or not shipped.is_file():
        return Path(given)
    return shipped
