"""A photo in, landmarks out: image -> box -> crop -> heatmaps -> DARK -> keypoints in image px."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from darkpose.calibration import Calibration, calibrated, carried, file_beside, read_calibration
from darkpose.detector import Detector, YuNet, best_detector
from darkpose.errors import DarkposeError
from darkpose.face import Face
from darkpose.geometry import box_to_crop, crop_to_image, heatmap_to_image, image_to_crop, whole_pixels
from darkpose.heatmap import Method
from darkpose.hrnet import STRIDE
from darkpose.image import Pixels, as_rgb, read_image, warp
from darkpose.inference import CropDecoder, FlipTest, find_device
from darkpose.schema import KeypointSchema
from darkpose.zoo import DEFAULT, SHIPPED, ZOO, default_for, downloaded_file, load_checkpoint, shipped_file

Image = str | Path | NDArray[np.generic]
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

    Attributes:
        schema: the markup of the landmarks.
        detector_note: a sentence about the detector in use, where a better one could not be had; else empty.
        calibration: what the faces' covariances are calibrated by; None where they were not asked for or not known.
    """

    def __init__(
        self,
        weights: str | Path = "default",
        device: str = "auto",
        flip_test: bool | FlipTest = False,
        *,
        schema: str | None = None,
        method: Method = "dark",
        detector: Detector | None = None,
        batch_size: int = 16,
        covariance: bool = False,
    ) -> None:
        """Load the weights; the detector is found when the first image without boxes comes.

        Args:
            weights: path of a checkpoint, or a known name.
            device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...
            flip_test: average with the mirrored crop, twice the time: False, True (as published), or "exact", which
                removes the published alignment's bias of 1/8 heatmap px.
            schema: which markup, of weights that know several: "300w-68", "wflw-98", "aflw-19"; None: their first.
            method: decoder of the heatmaps.
            detector: of faces; None: YuNet where its file can be had, else OpenCV's Haar cascade.
            batch_size: faces per forward pass.
            covariance: say of every landmark how far it may be off (`Face.covariance`), by the calibration that lies
                beside the weights, a `.calibration.json` of the same name; NaN where there is none for the markup.

        Raises:
            DarkposeError: the weights, their calibration or the device cannot be used, the weights do not know the
                markup, or a covariance is asked of "argmax" or "quarter".
        """
        flip: FlipTest = ("published" if flip_test else "off") if isinstance(flip_test, bool) else flip_test
        _check_choice("flip_test", flip, get_args(FlipTest))
        _check_choice("method", method, get_args(Method))
        if not (isinstance(batch_size, int) and batch_size >= 1):
            raise DarkposeError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
        if covariance and method not in ("dark", "dark+"):
            raise DarkposeError(f'covariance needs the method "dark" or "dark+", got {method!r}')
        checkpoint = load_checkpoint(weights, schema=schema)
        target = find_device(device)
        model = checkpoint.model.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.schema: KeypointSchema = checkpoint.schema
        self.config = checkpoint.config
        self.provenance = checkpoint.provenance
        self.detector_note = ""
        self.batch_size = batch_size
        self.calibration = _calibration(_weights_file(weights, schema), checkpoint.schema) if covariance else None
        self._detector = detector
        self._decoder = CropDecoder(
            model,
            self.config.normalisation,
            self.schema.flip_index,
            target,
            flip_test=flip,
            method=method,
            kernel_size=self.config.kernel_size,
            batch_size=batch_size,
            covariance=covariance,
        )

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._decoder.device

    @property
    def detector(self) -> Detector:
        """The face detector, looked up at the first use."""
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
            found = self.detector(pixels)
            crop_boxes, given = self.detector.correction(found.boxes), found.boxes
            found_by, scores = self.detector.name, found.scores
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
        size = (self.config.crop_size, self.config.crop_size)
        center, sides = box_to_crop(np.stack([region.crop_box for region in regions]), padding=self.config.padding)
        crops = (
            warp(region.image, image_to_crop(middle, float(side[0]), size), size)
            for region, middle, side in zip(regions, center, sides, strict=True)
        )
        decoded = self._decoder(crops)
        points, scores = decoded
        heatmap_size = (size[0] // STRIDE, size[1] // STRIDE)
        keypoints = heatmap_to_image(points, center[:, None], sides[:, None], heatmap_size)
        spreads = (
            [None] * len(regions) if decoded.covariance is None else self._to_image(decoded.covariance, center, sides)
        )
        return [
            Face(found, score, region.box, self.schema, region.found_by, region.detection_score, region.image, spread)
            for found, score, region, spread in zip(keypoints, scores, regions, spreads, strict=True)
        ]

    def _to_image(
        self, peaks: NDArray[np.floating], center: NDArray[np.float64], sides: NDArray[np.float64]
    ) -> list[NDArray[np.float32]]:
        """Calibrated covariances (K, 2, 2) in image px^2 of each face's peaks, (N, K, 2, 2) heatmap px^2."""
        if self.calibration is None:
            return list(np.full(peaks.shape, np.nan, np.float32))
        size = (self.config.crop_size, self.config.crop_size)
        return [
            carried(each, crop_to_image(middle, float(side[0]), size)[:, :2] * STRIDE).astype(np.float32)
            for each, middle, side in zip(calibrated(peaks, self.calibration), center, sides, strict=True)
        ]


def _weights_file(weights: str | Path, schema: str | None) -> Path:
    """Where the weights lie that `load_checkpoint` takes by this name or path."""
    name = default_for(schema) if str(weights) == DEFAULT else str(weights)
    if name in SHIPPED:
        return shipped_file(name)
    return downloaded_file(ZOO[name]) if name in ZOO else Path(name)


def _calibration(weights: Path, schema: KeypointSchema) -> Calibration | None:
    """The calibration beside the weights, if there is one and it is for this markup."""
    file = file_beside(weights)
    found = read_calibration(file) if file.is_file() else None
    return found if found is not None and found.schema == schema.name else None


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DarkposeError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _checked_boxes(boxes: ArrayLike, image: Pixels) -> NDArray[np.float64]:
    """Boxes as (M, 4) float64; refuses what cannot be a box in this image."""
    try:
        checked = np.asarray(boxes, np.float64)
    except (TypeError, ValueError) as error:
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
