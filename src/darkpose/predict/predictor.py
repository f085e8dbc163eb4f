"""A photo in, landmarks out: image -> box -> crop -> heatmaps -> DARK -> keypoints in image px."""

import threading
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union, cast, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.codec.heatmap import Method
from darkpose.detect.detector import CORRECTIONS, Detector, named_detector, smallest_face
from darkpose.detect.face_detector import FaceDetector
from darkpose.detect.tiles import Tiled
from darkpose.errors import DarkposeError, check_unmasked
from darkpose.image.geometry import whole_pixels
from darkpose.image.pixels import Pixels, as_rgb, from_pil, is_pil, read_image
from darkpose.predict.face import Face
from darkpose.predict.landmarks import LandmarkFinder, check_finite
from darkpose.predict.shape_prior import ShapePrior, as_shape_prior
from darkpose.predict.turned import CropFinder
from darkpose.runtime.flip import FlipTest
from darkpose.runtime.network import NumberType, Runtime
from darkpose.runtime.open import Engine, OpenedWeights, open_weights

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Image = Union[str, Path, NDArray[np.generic], "PilImage"]
_finding = threading.Lock()
MAX_BATCH, MAX_THREADS = 4096, 1024
FARTHEST = 1e6  # px; coordinates beyond are no boxes of photographs
Find = Literal["usual", "small"]
BoxKind = Literal["detector", "yunet", "darkpose", "haar", "landmarks", "square"]


class Region(NamedTuple):
    """Where a face is: its image, its box as given or found, and the box that the crop is cut around (image px)."""

    image: Pixels
    box: NDArray[np.float64]
    crop_box: NDArray[np.float64]
    found_by: str
    detection_score: float
    roll: float = float("nan")  # degrees, clockwise on the screen; NaN: not known
    may_turn: bool = True  # whether other directions are tried where the scores are low


class Predictor:
    """Finds landmarks in photographs.

    Threads may share one, and so may processes that `multiprocessing` forks; it can be pickled. Each process then opens
    the runtime for itself (torch uses one thread in a forked process).

    Attributes:
        schema: of the landmarks.
        config: crop, padding and other settings of the network.
        provenance: where the weights come from.
        runtime: what runs the network, for people: "onnxruntime 1.32.0 (CPUExecutionProvider)", "torch 2.13.0 (cpu,
            fp32)", ...
        calibrated: whether the covariances of the faces were asked for and are known.
        calibration: of the covariances; None where they were not asked for or are not known.
        batch_size: faces per forward pass.
    """

    def __init__(
        self,
        weights: str | Path = "default",
        device: str = "auto",
        flip_test: bool | FlipTest | None = None,
        *,
        schema: str | None = None,
        method: Method | None = None,
        detector: Detector | str = "auto",
        batch_size: int = 16,
        covariance: bool = False,
        runtime: Runtime | Literal["auto"] = "auto",
        threads: int | None = None,
        providers: Sequence[str] = (),
        numbers: NumberType = "fp32",
        compiled: bool = False,
        shape_prior: str | Path | ShapePrior | None = None,
        find: Find = "usual",
    ) -> None:
        """Load the weights; the detector is loaded with the first image without boxes.

        Args:
            weights: path or name of a checkpoint, or path of an exported `.onnx` file.
            device: of torch: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...
            flip_test: average with the mirrored crop, which takes twice the time: False, True (as published), or
                "exact", without the bias of 1/8 heatmap px of the published alignment. None: as built into an exported
                file, else False.
            schema: of weights that know several: "300w-68", "wflw-98", "aflw-19"; None: their first.
            method: decoder of the heatmaps; None: the one named in an exported file, else "dark".
            detector: of faces, or a name or path that `named_detector` takes; "auto": the one in the package.
            batch_size: faces per forward pass.
            covariance: give the covariance of every landmark (`Face.covariance`), calibrated by the `.calibration.json`
                file next to the weights; NaN where there is none for the schema.
            runtime: "torch", "onnxruntime", "openvino", or "auto": on a GPU torch, on a CPU the fastest that is
                installed, for weights outside the package onnxruntime or torch (see `runtime.open.Engine`).
            threads: CPU threads, with torch for the whole process; None: the runtime chooses.
            providers: onnxruntime's execution providers or OpenVINO's devices, best first.
            numbers: "bf16": calculate in bfloat16, by torch or OpenVINO.
            compiled: let torch compile the network, on a GPU into CUDA graphs: takes minutes, and does not pay on a
                CPU. A new number of faces per pass may be compiled again.
            shape_prior: draw landmarks towards the shapes of faces (see `shape_prior`): the file of a prior, or
                "wflw-98", the one in the package. For hidden, blurred and lost faces; unusual expressions lose a
                little. Scores and covariances remain those of the heatmaps.
            find: "small": search tiles of the image at its full size, too, by whichever detector, for small faces; time
                grows with the image.

        Raises:
            DarkposeError: the weights, their calibration, the prior, the runtime or the device cannot be used, the
                weights do not know the schema, an exported file has another flip test or method, or a covariance is
                asked of "argmax" or "quarter".
        """
        flip = flip_test if not isinstance(flip_test, bool) else "published" if flip_test else "off"
        _check_choice("flip_test", flip or "off", get_args(FlipTest))
        _check_choice("method", method or "dark", get_args(Method))
        _check_choice("runtime", runtime, ("auto", *get_args(Runtime)))
        _check_choice("numbers", numbers, get_args(NumberType))
        _check_choice("find", find, get_args(Find))
        _check_count("batch_size", batch_size, MAX_BATCH)
        _check_count("threads", threads, MAX_THREADS)
        engine = Engine(runtime, device, threads, providers, numbers, compiled)
        opened = open_weights(weights, schema, engine)
        _check_built_in(opened, str(weights), {"schema": schema, "flip_test": flip, "method": method})
        self._flip_test, self._method = opened.flip_test or flip or "off", opened.method or method or "dark"
        self._has_flip_test = opened.flip_test is not None
        if covariance and self._method in ("argmax", "quarter"):
            raise DarkposeError(f'covariance needs the method "dark" or "dark+", got {self._method!r}')
        self.schema, self.config, self.provenance = opened.schema, opened.config, opened.provenance
        self._knows_boxes_only = opened.provenance.get("boxes") == "annotation"  # trained on objects that are no faces
        self.calibration = opened.calibration() if covariance else None
        self.calibrated = self.calibration is not None
        self._prior = None if shape_prior is None else as_shape_prior(shape_prior, opened.schema)
        self.runtime, self.batch_size = opened.network.name, batch_size
        self._find = LandmarkFinder(
            opened.network,
            opened.schema,
            "off" if opened.flip_test else self._flip_test,  # an exported file averages by itself
            self._method,
            self.config.kernel_size,
            batch_size,
            covariance,
            self.calibration,
        )
        self._fingerprint, self._precision, self._numbers = opened.fingerprint, opened.precision, numbers
        self._detector_engine = Engine(opened.network.runtime, device, threads, providers)
        self._finding_small, self._detector, self._correction = find == "small", None, FaceDetector.correction
        if detector != "auto":
            self._detector = self._searching(detector)
            self._correction = self._detector.correction

    def facts(self) -> dict[str, Any]:
        """Everything the landmarks depend on except the boxes, as JSON values: the same facts, the same landmarks.

        In int8 and bf16 the runtimes round differently, so that the runtime is among the facts.
        """
        rounded = self._precision == "int8" or self._numbers == "bf16"
        config = {name: value for name, value in asdict(self.config).items() if name != "network"}  # weights tell it
        return {
            "darkpose": version("darkpose"),
            "weights": self._fingerprint(),
            **config,
            "flip_pairs": [list(pair) for pair in self.schema.flip_pairs],
            "flip_test": self._flip_test,
            "method": self._method,
            "covariance": self._find.covariance,
            "calibration": None if self.calibration is None else self.calibration.digest(),
            "precision": self._precision,
            "numbers": self._numbers,
            **({"find": "small"} if self._finding_small else {}),
            **({"runtime": self._find.network.runtime} if rounded else {}),
            **({} if self._prior is None else {"shape_prior": self._prior.digest()}),
        }

    def with_flip_test(self, flip_test: FlipTest) -> "Predictor":
        """The same predictor with another flip test; both use one network and one detector.

        Raises:
            DarkposeError: there is no such flip test, or the exported file has another one built in.
        """
        _check_choice("flip_test", flip_test, get_args(FlipTest))
        if flip_test == self._flip_test:
            return self
        if self._has_flip_test:
            raise DarkposeError(f"the exported file has flip_test {self._flip_test!r} built in, not {flip_test!r}")
        _ = self.detector  # found once for both
        other = copy(self)
        other._flip_test, other._find = flip_test, replace(self._find, flip_test=flip_test)
        return other

    @property
    def detector(self) -> Detector:
        """The face detector, looked up at the first use."""
        with _finding:  # once, whichever thread comes first
            if self._detector is None:
                self._detector = self._searching("auto")
            return self._detector

    def _searching(self, detector: Detector | str) -> Detector:
        """A detector that searches as finely as is asked for."""
        if isinstance(detector, str):
            detector = named_detector(detector, self._detector_engine)
        return Tiled(detector) if self._finding_small else detector

    def smallest_face(self, size: tuple[int, int]) -> float | None:
        """Side in px of the smallest faces mostly found in images (width, height); None: not known."""
        return smallest_face(self.detector, size)

    @overload
    def __call__(self, image: Image, boxes: ArrayLike | None = None, box_kind: BoxKind = "detector") -> list[Face]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(
        self,
        image: Sequence[Image],
        boxes: Sequence[ArrayLike | None] | None = None,
        box_kind: BoxKind = "detector",
    ) -> list[list[Face]]: ...

    def __call__(
        self,
        image: Image | Sequence[Image],
        boxes: ArrayLike | Sequence[ArrayLike | None] | None = None,
        box_kind: BoxKind = "detector",
    ) -> list[Face] | list[list[Face]]:
        """Landmarks of every face in one image or in each of several.

        Args:
            image: a path, an array (H, W, 3) uint8 RGB, a PIL image, or a list of these. The orientation that EXIF
                gives is applied to PIL images as to files; the landmarks are in px of the upright image.
            boxes: (M, 4) x0, y0, x1, y1 in image px; for a list of images, one such array (or None) per image. None:
                faces are detected.
            box_kind: what given boxes are: "yunet", "darkpose", "haar": that detector's, brought to the crop the
                network knows; "detector": those of the detector of this predictor;
                "landmarks": the tight extent of the landmarks, the published crop; "square": a data set's own square,
                cut as it is (with the padding only).

        Returns:
            A list of faces, in the order of the boxes (or best detection first); for a list of images, a list of lists.

        Raises:
            DarkposeError: an image or a box cannot be used; the message says which.
        """
        if not isinstance(image, (list, tuple)):
            return self._predict([cast(Image, image)], [cast(ArrayLike | None, boxes)], box_kind)[0]
        each = [None] * len(image) if boxes is None else list(cast(Sequence[ArrayLike | None], boxes))
        if len(each) != len(image):
            raise DarkposeError(f"expected boxes for each of {len(image)} images, got {len(each)}")
        return self._predict(image, each, box_kind)

    def _predict(
        self, images: Sequence[Image], boxes: Sequence[ArrayLike | None], box_kind: BoxKind
    ) -> list[list[Face]]:
        regions = [self.regions(image, given, box_kind) for image, given in zip(images, boxes, strict=True)]
        faces = iter(self.locate([region for per_image in regions for region in per_image]))
        return [[next(faces) for _ in per_image] for per_image in regions]

    def regions(self, image: Image, boxes: ArrayLike | None = None, box_kind: BoxKind = "detector") -> list[Region]:
        """The first half of a call: where the faces of one image are; arguments and errors as there."""
        _check_choice("box_kind", box_kind, get_args(BoxKind))
        pixels = _pixels(image)
        if boxes is None:
            if self._knows_boxes_only:
                raise DarkposeError("these weights find landmarks of objects in boxes, and no faces; give the boxes")
            detector = self.detector
            found = detector(pixels)
            crop_boxes = found.landmark_boxes(detector.correction)
            given, found_by, scores, rolls = found.boxes, detector.name, found.scores, found.rolls
        else:
            given = _checked_boxes(boxes, pixels)
            crop_boxes = self._crop_boxes(given, box_kind)
            found_by, scores, rolls = "given", np.full(len(given), np.nan), None
        rolls = np.full(len(given), np.nan) if rolls is None else rolls
        return [
            Region(pixels, box, crop_box, found_by, float(score), float(roll), boxes is None)
            for box, crop_box, score, roll in zip(given, crop_boxes, scores, rolls, strict=True)
        ]

    def _crop_boxes(self, boxes: NDArray[np.float64], box_kind: BoxKind) -> NDArray[np.float64]:
        """The boxes to cut crops around, from boxes given by the caller."""
        if box_kind == "landmarks":
            return whole_pixels(boxes)
        if box_kind == "square" or self._knows_boxes_only:
            return boxes
        return CORRECTIONS.get(box_kind, self._correction)(boxes)

    def locate(self, regions: Sequence[Region]) -> list[Face]:
        """The second half of a call: the faces of regions, of any images, through the network in batches."""
        if not regions:
            return []
        boxes = np.stack([region.crop_box for region in regions])
        images = [region.image for region in regions]
        finder, rolls = CropFinder(self._find, self.config.crop_size, self.config.padding), _rolls(regions)
        found, degrees = finder.known(images, boxes, rolls)
        check_finite(found)
        may_turn = np.array([region.may_turn for region in regions])
        if may_turn.any():
            given = np.stack([region.box for region in regions])
            found, degrees = finder.tried(found, degrees, images, given, boxes, may_turn)
        points = found.keypoints.copy()
        if self._prior is not None:
            upright = degrees == 0  # the prior knows no others
            points[upright] = self._prior(points[upright], found.scores[upright], boxes[upright])
        spreads = [None] * len(regions) if found.covariance is None else found.covariance
        return [
            Face(
                keypoints,
                scores,
                region.box,
                self.schema,
                region.found_by,
                region.detection_score,
                region.image,
                spread,
                self._find.network.runtime,
                int(turned),
            )
            for keypoints, scores, region, spread, turned in zip(
                points, found.scores, regions, spreads, degrees, strict=True
            )
        ]


def _rolls(regions: Sequence[Region]) -> NDArray[np.float64]:
    """(N,) degrees, clockwise on the screen; NaN where it is not known."""
    return np.array([region.roll for region in regions])


def _pixels(image: Image) -> Pixels:
    """An image from a caller as (H, W, 3) uint8 RGB."""
    if isinstance(image, np.ndarray):
        return as_rgb(image)
    if isinstance(image, (str, Path)):
        return read_image(Path(image))
    if is_pil(image):
        return from_pil(image)
    raise DarkposeError(f"expected a path, an array, a PIL image or a list of these, got {type(image).__name__}")


def _check_count(name: str, number: int | None, most: int) -> None:
    if number is None:
        return
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
        raise DarkposeError(f"{name} must be a whole number of at least 1, got {number!r}")
    if number > most:
        raise DarkposeError(f"{name} must be at most {most}, got {number}")


def _check_built_in(opened: OpenedWeights, file: str, asked: Mapping[str, str | None]) -> None:
    """Refuse to use an exported file for something it was not made for."""
    if opened.flip_test is None:
        return
    built_in = {"schema": opened.schema.name, "flip_test": opened.flip_test, "method": opened.method}
    for name, value in asked.items():
        if value is not None and value != built_in[name]:
            raise DarkposeError(f"{file}: it has {name} {built_in[name]!r} built in, not {value!r}; export it again")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DarkposeError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _checked_boxes(boxes: ArrayLike, image: Pixels) -> NDArray[np.float64]:
    """Boxes as (M, 4) float64; refuses what cannot be a box in this image."""
    if not isinstance(boxes, list):  # an array may have a mask
        check_unmasked("boxes", boxes)
    try:
        checked = np.asarray(boxes, np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor with a gradient
        raise DarkposeError(f"boxes must be numbers, (M, 4) as x0, y0, x1, y1: {error}") from error
    if checked.size == 0:
        return np.zeros((0, 4))
    if checked.ndim != 2 or checked.shape[1] != 4:
        raise DarkposeError(f"boxes must be (M, 4) as x0, y0, x1, y1 in image px, got the shape {checked.shape}")
    height, width = image.shape[:2]
    for i, (x0, y0, x1, y1) in enumerate(checked):
        where = f"box {i} is ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
        if not np.isfinite(checked[i]).all():
            raise DarkposeError(f"{where}: every number must be finite")
        if np.abs(checked[i]).max() > FARTHEST:
            raise DarkposeError(f"{where}: no number may exceed {FARTHEST:g} px")
        if x1 <= x0 or y1 <= y0:
            raise DarkposeError(f"{where}: expected x0 < x1 and y0 < y1")
        if x1 < 0 or y1 < 0 or x0 > width - 1 or y0 > height - 1:
            raise DarkposeError(f"{where}: it lies outside the image of {width} x {height} px")
    return checked
