"""A photo in, landmarks out: image -> box -> crop -> heatmaps -> DARK -> keypoints in image px."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.codec.heatmap import Method
from darkpose.detect.detector import Detector, best_detector, named_detector
from darkpose.detect.yunet import YuNet
from darkpose.errors import DarkposeError
from darkpose.image.face_crops import cut_crops
from darkpose.image.geometry import whole_pixels
from darkpose.image.pixels import Pixels, as_rgb, read_image
from darkpose.predict.face import Face
from darkpose.predict.shape_prior import ShapePrior, as_shape_prior
from darkpose.runtime.exported import NumberType, Runtime
from darkpose.runtime.flip import FlipTest
from darkpose.runtime.open import Setup, open_locator
from darkpose.schema import KeypointSchema

Image = str | Path | NDArray[np.generic]
_finding = threading.Lock()
FARTHEST = 1e6  # px; coordinates beyond are no boxes of photographs
BoxKind = Literal["detector", "landmarks", "square"]


class Region(NamedTuple):
    """Where a face is: its image, its box as given or found, and the box that the crop is cut around (image px)."""

    image: Pixels
    box: NDArray[np.float64]
    crop_box: NDArray[np.float64]
    found_by: str
    detection_score: float


class Predictor:
    """Finds landmarks in photographs.

    Threads may share one; so may processes forked from the one that made it, in which torch then uses one thread. One
    that runs in torch can be pickled; by onnxruntime or OpenVINO, each process makes its own.

    Attributes:
        schema: the markup of the landmarks.
        config: how the network is to be used: its crop and what goes with it.
        provenance: where the weights come from.
        runtime: what runs the network, for people: "torch 2.13.0 (cpu)", "openvino 2026.4.1 (CPU, bf16)", ...
        detector_note: a sentence about the detector in use, where a better one could not be had; else empty.
        calibrated: whether the faces' covariances were asked for and are known.
        calibration: what the faces' covariances are calibrated by; None where they were not asked for or not known,
            or where an exported file has it built in.
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
        detector: Detector | str | None = None,
        batch_size: int = 16,
        covariance: bool = False,
        runtime: Runtime | Literal["auto"] = "auto",
        threads: int | None = None,
        providers: Sequence[str] = (),
        numbers: NumberType = "fp32",
        compiled: bool = False,
        shape_prior: str | Path | ShapePrior | None = None,
    ) -> None:
        """Load the weights; the detector is found when the first image without boxes comes.

        Args:
            weights: path of a checkpoint or of an exported `.onnx` file, or a known name.
            device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...; for the runtime torch.
            flip_test: average with the mirrored crop, twice the time: False, True (as published), or "exact", which
                removes the published alignment's bias of 1/8 heatmap px. None: an exported file's own, else False.
            schema: which markup, of weights that know several: "300w-68", "wflw-98", "aflw-19"; None: their first.
            method: decoder of the heatmaps; None: an exported file's own, else "dark".
            detector: of faces, itself or as `named_detector` takes it; None: YuNet where its file can be had, else
                OpenCV's Haar cascade.
            batch_size: faces per forward pass.
            covariance: say of every landmark how far it may be off (`Face.covariance`), by the calibration that lies
                beside the weights, a `.calibration.json` of the same name; NaN where there is none for the markup.
            runtime: "torch", "onnxruntime", "openvino", or "auto": torch for a checkpoint, for an exported file the
                faster one that is installed. A checkpoint for another runtime than torch is exported once, into the
                cache (about half a minute).
            threads: of the processor, with torch for the whole process; None: as many as the runtime thinks best.
            providers: onnxruntime's execution providers or OpenVINO's devices, see `runtimes.open_graph`.
            numbers: "bf16": let the network calculate in bfloat16, by torch or OpenVINO.
            compiled: let torch compile the network first, for a GPU into CUDA graphs: minutes, and on a processor it is
                not worth it. Each new number of faces per pass may be compiled for again.
            shape_prior: draw landmarks towards the shapes that faces have (see `shape_prior`): a prior's file, or
                "wflw-98", the one in the package. For hidden, blurred and lost faces; unusual expressions lose a
                little. Scores and covariances stay those of the heatmaps.

        Raises:
            DarkposeError: the weights, their calibration, the prior, the runtime or the device cannot be used, the
                weights do not know the markup, an exported file has another flip test or method built in, or a
                covariance is asked of "argmax" or "quarter".
        """
        flip = flip_test if not isinstance(flip_test, bool) else "published" if flip_test else "off"
        _check_choice("flip_test", flip or "off", get_args(FlipTest))
        _check_choice("method", method or "dark", get_args(Method))
        _check_choice("runtime", runtime, ("auto", *get_args(Runtime)))
        _check_choice("numbers", numbers, get_args(NumberType))
        for name, number in (("batch_size", batch_size), ("threads", threads)):
            whole = isinstance(number, int) and not isinstance(number, bool)
            if number is not None and not (whole and number >= 1):
                raise DarkposeError(f"{name} must be a whole number of at least 1, got {number!r}")
        if covariance and method in ("argmax", "quarter"):
            raise DarkposeError(f'covariance needs the method "dark" or "dark+", got {method!r}')
        opened = open_locator(
            weights,
            schema,
            Setup(runtime, device, threads, tuple(providers), numbers, batch_size, compiled),
            flip_test=flip,
            method=method,
            covariance=covariance,
        )
        self.schema: KeypointSchema = opened.schema
        self.config, self.provenance, self.calibration = opened.config, opened.provenance, opened.calibration
        self.calibrated = opened.calibrated
        self.runtime, self.device, self._facts = opened.runtime, opened.device, opened.facts
        self._prior = None if shape_prior is None else as_shape_prior(shape_prior, opened.schema)
        if self._prior is not None:
            self._facts = {**self._facts, "shape_prior": self._prior.digest()}
        self.detector_note = ""
        self.batch_size = batch_size
        named = named_detector(detector) if isinstance(detector, str) else detector
        self._detector, self._locator = named, opened.locator

    def facts(self) -> dict[str, Any]:
        """What its landmarks depend on, but for the boxes, as JSON values."""
        return dict(self._facts)

    @property
    def detector(self) -> Detector:
        """The face detector, looked up at the first use."""
        with _finding:  # once, whichever thread comes first
            if self._detector is None:
                self._detector, self.detector_note = best_detector()
            return self._detector

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
            image: a path, an array (H, W, 3) uint8 RGB, or a list of either.
            boxes: (M, 4) x0, y0, x1, y1 in image px; for a list of images, one such array (or None) per image. None:
                faces are detected.
            box_kind: what given boxes are: "detector": a face detector's, brought to the crop the network knows;
                "landmarks": the tight extent of the landmarks, the published crop; "square": a data set's own square,
                cut as it is (with the padding only).

        Returns:
            A list of faces, in the order of the boxes (or best detection first); for a list of images, a list of lists.

        Raises:
            DarkposeError: an image or a box cannot be used; the message says which.
        """
        if not isinstance(image, (str, Path, np.ndarray, list, tuple)):
            kind = type(image).__name__
            raise DarkposeError(f"expected a path, an array (np.asarray(image)) or a list of either, got {kind}")
        if isinstance(image, (str, Path, np.ndarray)):
            return self._predict([image], [cast(ArrayLike | None, boxes)], box_kind)[0]
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
        if not isinstance(image, (str, Path, np.ndarray)):
            raise DarkposeError(f"expected a path or an array for each image, got {type(image).__name__}")
        pixels = as_rgb(image) if isinstance(image, np.ndarray) else read_image(Path(image))
        if boxes is None:
            detector = self.detector
            found = detector(pixels)
            crop_boxes, given = detector.correction(found.boxes), found.boxes
            found_by, scores = detector.name, found.scores
        else:
            given = _checked_boxes(boxes, pixels)
            crop_boxes = _crop_boxes(given, box_kind)
            found_by, scores = "given", np.full(len(given), np.nan)
        return [
            Region(pixels, box, crop_box, found_by, float(score))
            for box, crop_box, score in zip(given, crop_boxes, scores, strict=True)
        ]

    def locate(self, regions: Sequence[Region]) -> list[Face]:
        """The second half of a call: the faces of regions, of any images, through the network in batches."""
        if not regions:
            return []
        boxes = np.stack([region.crop_box for region in regions])
        crops, center, sides = cut_crops((region.image for region in regions), boxes, self.config)
        found = self._locator(crops, center, sides)
        places = found.keypoints if self._prior is None else self._prior(found.keypoints, found.scores, boxes)
        spreads = [None] * len(regions) if found.covariance is None else found.covariance
        return [
            Face(points, score, region.box, self.schema, region.found_by, region.detection_score, region.image, spread)
            for points, score, region, spread in zip(places, found.scores, regions, spreads, strict=True)
        ]


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DarkposeError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _checked_boxes(boxes: ArrayLike, image: Pixels) -> NDArray[np.float64]:
    """Boxes as (M, 4) float64; refuses what cannot be a box in this image."""
    try:
        checked = np.asarray(boxes, np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor that is being learnt
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


def _crop_boxes(boxes: NDArray[np.float64], box_kind: BoxKind) -> NDArray[np.float64]:
    if box_kind == "landmarks":
        return whole_pixels(boxes)
    return YuNet.correction(boxes) if box_kind == "detector" else boxes
