"""A prior of face shapes: pulls landmarks towards typical faces, which helps if a face is hidden, blurred or missed.

A face is a Gaussian around the mean of annotated faces (Cootes, Taylor, Cooper, Graham, "Active Shape Models", CVIU
1995, section 3) with additional freedom of position, size and angle. A prediction is a face plus errors. The variance
of an error follows from the maximum of the heatmap; its distribution is Student's t, so that outliers have little
weight (Lange, Little, Taylor, "Robust Statistical Modeling Using the t Distribution", JASA 1989). The result is the
mean of the face, given the prediction.

Shapes are in the frame "box": the origin is the centre of the face's box, the unit its longer side.
"""

import hashlib
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.files.json_text import format_json, parse_json
from darkpose.files.paths import check_regular
from darkpose.files.records import parse_record
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema

FORMAT = "1"


@dataclass(frozen=True)
class ShapePriorConfig:
    """Variances of faces and of prediction errors.

    Attributes:
        position, size, angle: standard deviations of the position of a whole face (frame of the box), of its size (as
            a fraction) and of its angle (radians), in addition to the variation of annotated faces in their boxes.
        error: variance of a landmark along x and y, frame of the box, at scores of `sure` and above.
        decline: below `sure`, the variance is multiplied by exp(decline * (sure - score)).
        sure: score above which a higher score means no smaller error.
        freedom: degrees of freedom of Student's t distribution of the errors.
        rounds: number of times that the weights of the landmarks are updated.
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
        fits = min(numbers) >= 0 and max(numbers) <= 100 and min(self.error, self.freedom) > 0
        if not fits or not 1 <= self.rounds <= 1000 or self.decline * self.sure > 100:
            raise DarkposeError(
                "the settings of a shape prior must be from 0 to 100, with error and freedom above 0, rounds from 1 to "
                f"1000, and decline times sure at most 100, got {self}"
            )


@dataclass(frozen=True, eq=False)
class ShapePrior:
    """A Gaussian of faces.

    Attributes:
        schema: name of the landmark schema.
        mean: (K, 2), frame of the box.
        modes: (M, K, 2), directions of variation, each multiplied by its standard deviation.
        rest: variance of every coordinate in all other directions.
        fitted: the faces it was fitted to, in words.
        test_images: names of images of test sets among those faces.
        config: settings.
    """

    schema: str
    mean: Floats
    modes: Floats
    rest: float
    fitted: str = ""
    test_images: tuple[str, ...] = ()
    config: ShapePriorConfig = ShapePriorConfig()

    def __post_init__(self) -> None:
        count = len(self.mean)
        if self.mean.shape != (count, 2) or self.modes.shape[1:] != (count, 2) or self.modes.ndim != 3:
            raise DarkposeError(
                f"expected a mean (K, 2) and modes (M, K, 2) of a shape prior, got {self.mean.shape} and "
                f"{self.modes.shape}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.modes).all() and 0 < self.rest < np.inf):
            raise DarkposeError("the numbers of a shape prior must be finite, and its rest above 0")

    def __call__(self, keypoints: ArrayLike, scores: ArrayLike, boxes: ArrayLike) -> Floats:
        """Pull predicted landmarks towards the prior.

        Args:
            keypoints: (N, K, 2) image px; a face with a landmark that is not finite is not changed.
            scores: (N, K), the maxima of the heatmaps; NaN counts as 0.
            boxes: (N, 4) x0, y0, x1, y1, image px: the boxes that crops are cut around.

        Returns:
            (N, K, 2) image px.

        Raises:
            DarkposeError: the shapes of the arrays do not match, or a box has no area.
        """
        points, sure = np.asarray(keypoints, np.float64), np.asarray(scores, np.float64)
        edges, count = np.asarray(boxes, np.float64), len(self.mean)
        shapes = (points.shape, sure.shape, edges.shape)
        if shapes != ((len(points), count, 2), (len(points), count), (len(points), 4)):
            raise DarkposeError(f"expected (N, {count}, 2), (N, {count}) and (N, 4) for {self.schema}, got {shapes}")
        result, known = points.copy(), np.isfinite(points).all((1, 2))
        if known.any():
            shape = image_to_box(points[known], edges[known])
            result[known] = box_to_image(self._expected(shape, sure[known]), edges[known])
        return result

    def digest(self) -> str:
        """SHA-256 of everything the landmarks depend on, in hex."""
        numbers = [self.mean.astype(np.float32), self.modes.astype(np.float32), np.float64(self.rest)]
        text = format_json([self.schema, asdict(self.config)]).encode()
        return hashlib.sha256(text + b"".join(each.tobytes() for each in numbers)).hexdigest()

    def _expected(self, shapes: Floats, scores: Floats) -> Floats:
        """Expected shapes (N, K, 2), given predicted ones with scores (N, K); frame of the box.

        With D the diagonal of rest and error and U the modes, (U U' + D)^-1 = D^-1 - D^-1 U (1 + U' D^-1 U)^-1 U' D^-1
        (Woodbury): there are only as many equations as modes.
        """
        config, (faces, count) = self.config, scores.shape
        modes = np.concatenate([self.modes, self._similarities()]).reshape(-1, 2 * count).T
        offsets = (shapes - self.mean).reshape(faces, -1)
        scores = np.clip(np.nan_to_num(scores), 0, config.sure)
        error = config.error * np.exp(config.decline * (config.sure - scores))
        weights, expected = np.ones_like(error), shapes
        for _ in range(config.rounds):
            inverse = np.repeat(1 / (self.rest + error / weights), 2, axis=1)
            scaled = inverse[:, :, None] * modes
            system = np.eye(modes.shape[1]) + modes.T @ scaled
            inner = np.linalg.solve(system, np.einsum("nij,ni->nj", scaled, offsets)[:, :, None])[..., 0]
            explained = inverse * offsets - np.einsum("nij,nj->ni", scaled, inner)  # (C + R)^-1 offsets
            expected = self.mean + (explained @ modes @ modes.T + self.rest * explained).reshape(shapes.shape)
            squares = np.square(shapes - expected).sum(-1) / error
            weights = (config.freedom + 2) / (config.freedom + squares)
        return expected

    def _similarities(self) -> Floats:
        """(4, K, 2): how the mean moves along x and y, grows and turns, by one standard deviation each."""
        config, centred = self.config, self.mean - self.mean.mean(0)
        turned = np.stack([-centred[:, 1], centred[:, 0]], 1)
        ones, zeros = np.ones(len(self.mean)), np.zeros(len(self.mean))
        moved = [config.position * np.stack(pair, 1) for pair in ((ones, zeros), (zeros, ones))]
        return np.stack([*moved, config.size * centred, config.angle * turned])


def image_to_box(points: Floats, boxes: Floats) -> Floats:
    """Points (N, K, 2) from image px to the frame of boxes (N, 4).

    Raises:
        DarkposeError: a box has no area.
    """
    center, side = _frame(boxes)
    return np.asarray((points - center) / side)


def box_to_image(points: Floats, boxes: Floats) -> Floats:
    """Inverse of `image_to_box`."""
    center, side = _frame(boxes)
    return np.asarray(points * side + center)


def _frame(boxes: Floats) -> tuple[Floats, Floats]:
    """Centre (N, 1, 2) and longer side (N, 1, 1)."""
    corners = boxes.reshape(-1, 2, 2)
    side = (corners[:, 1] - corners[:, 0]).max(1)
    if not (side > 0).all():
        raise DarkposeError(f"a box has no area: {boxes[np.argmin(side > 0)].tolist()}")
    return corners.mean(1)[:, None], side[:, None, None]


def write_shape_prior(prior: ShapePrior, path: Path) -> None:
    """Write a prior in one rename, in single precision.

    Raises:
        DarkposeError: the file cannot be written.
    """
    # safetensors writes the memory of an array, whatever its strides
    arrays = {name: np.ascontiguousarray(getattr(prior, name), np.float32) for name in ("mean", "modes")}
    words = {"schema": prior.schema, "fitted": prior.fitted, "learnt": prior.test_images}
    facts = {**words, "rest": prior.rest, "config": asdict(prior.config)}
    metadata = {"darkpose_shape_prior": FORMAT, "facts": format_json(facts)}
    write_atomically(path, lambda temporary: temporary.write_bytes(save(arrays, metadata)))


@dataclass(frozen=True)
class _Facts:
    """What a file says besides its arrays."""

    schema: str
    fitted: str
    learnt: tuple[str, ...]
    rest: float
    config: ShapePriorConfig


def read_shape_prior(path: Path) -> ShapePrior:
    """Read a file of `write_shape_prior`.

    Raises:
        DarkposeError: the file cannot be read, or is no shape prior.
    """
    try:
        check_regular(path)
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, TypeError) as error:  # TypeError: a type that NumPy lacks
        raise DarkposeError(
            f"{path}: not a readable shape prior ({error}); the one in the package is called wflw-98"
        ) from error
    known = set(arrays) == {"mean", "modes"} and all(values.dtype.kind == "f" for values in arrays.values())
    if metadata.get("darkpose_shape_prior") != FORMAT or not known:
        raise DarkposeError(f"{path}: expected a shape prior of format {FORMAT}; scripts/fit_shape_prior.py writes one")
    try:
        facts = parse_record(_Facts, parse_json(metadata.get("facts", "")))
        mean, modes = (arrays[name].astype(np.float64) for name in ("mean", "modes"))
        return ShapePrior(facts.schema, mean, modes, facts.rest, facts.fitted, facts.learnt, facts.config)
    except DarkposeError as error:
        raise DarkposeError(f"{path}: a shape prior with unusable metadata ({error})") from error


def as_shape_prior(given: "str | Path | ShapePrior", schema: KeypointSchema) -> ShapePrior:
    """A prior for the landmarks of a schema.

    Args:
        given: a prior, the path of its file, or the name of the one in the package: "wflw-98".
        schema: of the landmarks.

    Raises:
        DarkposeError: there is no such file, it cannot be read, or it has another schema.
    """
    prior = given if isinstance(given, ShapePrior) else read_shape_prior(_find_file(str(given)))
    prefix = "" if isinstance(given, ShapePrior) else f"{given}: "
    if prior.schema == schema.name and len(prior.mean) != len(schema):
        raise DarkposeError(
            f"{prefix}the shape prior has {len(prior.mean)} landmarks, expected the {len(schema)} of {schema.name}"
        )
    if prior.schema != schema.name:
        raise DarkposeError(
            f"{prefix}the shape prior has the schema {prior.schema}, the landmarks {schema.name}; weights with several "
            f"schemas take --schema {prior.schema} (schema=)"
        )
    return prior


def _find_file(given: str) -> Path:
    shipped = Path(str(files("darkpose") / "weights" / "shipped" / f"{given}.prior.safetensors"))
    return shipped if shipped.is_file() and not Path(given).is_file() else Path(given)
