"""Predictions for annotated faces: written to files, or returned with their error."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from darkpose.codec.heatmap import Method
from darkpose.datasets.sample import Sample, nme_normaliser
from darkpose.errors import DarkposeError
from darkpose.evaluation.crop_boxes import BoxRule
from darkpose.evaluation.metrics import nme
from darkpose.evaluation.predictions import PredictionsWriter
from darkpose.image.geometry import Floats, box_to_crop
from darkpose.image.pixels import Pixels, cut_crops, read_image
from darkpose.predict.landmarks import Landmarks, check_finite, find_landmarks
from darkpose.predict.stream import batched, read_ahead
from darkpose.runtime.flip import FlipTest, heatmaps_by_flip
from darkpose.runtime.network import Network
from darkpose.schema import KeypointSchema


class Variant(NamedTuple):
    """One way to predict the same faces: name of the box rule, flip test, decoder."""

    boxes: str
    flip_test: FlipTest
    method: Method


class CropSettings(NamedTuple):
    """How faces are cut and decoded.

    Attributes:
        crop_size: side of the crops, crop px.
        padding: side of a crop divided by the side of its box.
        kernel_size: of DARK's blur.
        batch_size: crops per forward pass.
    """

    crop_size: int
    padding: float
    kernel_size: int = 11
    batch_size: int = 32


def cut_samples(samples: Sequence[Sample], crop_size: int, padding: float) -> tuple[Iterator[Pixels], Floats, Floats]:
    """The crops of annotated faces, by their boxes.

    Args:
        samples: the faces.
        crop_size: side of the crops, crop px.
        padding: side of a crop divided by the side of its box.

    Returns:
        The crops, cut when they are asked for; their centres (N, 2) and sides (N, 2) in image px.
    """
    images = (read_image(sample.image) for sample in samples)
    return cut_crops(images, [sample.box for sample in samples], crop_size, padding)


def predict_samples(
    find: Callable[[Iterator[Pixels], Floats, Floats], Landmarks],
    samples: Sequence[Sample],
    *,
    crop_size: int,
    padding: float,
) -> Landmarks:
    """Landmarks (N, K, 2) in image px and scores (N, K) of annotated faces.

    Args:
        find: crops, centres and sides -> landmarks (see `predict.landmarks.LandmarkFinder`).
        samples, crop_size, padding: as for `cut_samples`.
    """
    return find(*cut_samples(samples, crop_size, padding))


def samples_nme(points: NDArray[np.floating], samples: Sequence[Sample], schema: KeypointSchema) -> float:
    """NME of landmarks (N, K, 2) in image px by the published normaliser of the schema, pooled, as a fraction."""
    return nme(
        points,
        np.stack([sample.keypoints for sample in samples]),
        [nme_normaliser(sample, schema) for sample in samples],
        np.stack([sample.visible for sample in samples]),
    )


def predict_to_files(
    writers: Mapping[Variant, PredictionsWriter],
    network: Network,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    rules: Mapping[str, BoxRule],
    settings: CropSettings,
    *,
    workers: int = 0,
) -> None:
    """Predict the faces that are missing in files of predictions; every batch is written when it is done.

    Variants with the same boxes share their crops and heatmaps.

    Args:
        writers: of the files, by variant.
        network: crops -> heatmaps.
        samples: all faces of the data set, in its order.
        schema: of the network.
        rules: box rules, by their names in the variants; faces without a box are written as not found.
        settings: how faces are cut and decoded.
        workers: threads that read and cut images ahead of the network; 0: none.

    Raises:
        DarkposeError: an image cannot be read, or a file cannot be written; faces before it are in the files.
    """
    for boxes, rule in rules.items():
        group = {variant: writer for variant, writer in writers.items() if variant.boxes == boxes}
        left = [face for face in range(len(samples)) if any(face not in writer.done for writer in group.values())]
        cut = partial(_cut, samples, rule, settings)
        faces = (face for _, face in read_ahead(cut, left, threads=workers, max_items=2 * settings.batch_size))
        done = len(samples) - len(left)
        with tqdm(total=len(samples), initial=done, desc=f"{boxes} boxes", unit="face", disable=None) as bar:
            for batch in batched(faces, settings.batch_size):
                usable = list(takewhile(lambda face: not face.problem, batch))
                _predict_batch(group, network, usable, schema, settings)
                bar.update(len(usable))
                done += len(usable)
                if len(usable) < len(batch):
                    raise DarkposeError(f"{batch[len(usable)].problem}; {done} faces are predicted and kept")


class _Face(NamedTuple):
    """A face with its box and crop; without them if no box was found, or with a problem."""

    face: int
    sample: Sample | None = None
    crop: Pixels | None = None
    problem: str = ""


def _cut(samples: Sequence[Sample], rule: BoxRule, settings: CropSettings, face: int) -> _Face:
    try:
        sample = rule(face, samples[face])
        if sample is None:
            return _Face(face)
        crops, _, _ = cut_samples([sample], settings.crop_size, settings.padding)
        return _Face(face, sample, next(crops))
    except DarkposeError as error:
        return _Face(face, problem=f"{samples[face].source or f'face {face}'}: {error}")


def _predict_batch(
    writers: Mapping[Variant, PredictionsWriter],
    network: Network,
    batch: Sequence[_Face],
    schema: KeypointSchema,
    settings: CropSettings,
) -> None:
    """Predict a batch by each variant, and write it."""
    boxes = [face.sample.box for face in batch if face.sample is not None]
    crops = [face.crop for face in batch if face.crop is not None]
    center, sides = box_to_crop(np.reshape(boxes, (-1, 4)), padding=settings.padding)
    flips: dict[FlipTest, None] = {variant.flip_test: None for variant in writers}
    heatmaps = heatmaps_by_flip(network, np.stack(crops), schema.flip_index, flips) if crops else {}
    for variant, writer in writers.items():
        rows: Iterator[tuple[Any, Any]] = iter(())
        if crops:
            maps, kernel_size = heatmaps[variant.flip_test], settings.kernel_size
            found = find_landmarks(maps, center, sides, method=variant.method, kernel_size=kernel_size)
            check_finite(found)
            rows = zip(found.keypoints, found.scores, strict=True)
        lines = [_line(face, next(rows) if face.sample is not None else None) for face in batch]
        writer.write([line for line in lines if line["face"] not in writer.done])


def _line(face: _Face, found: tuple[NDArray[np.floating], NDArray[np.floating]] | None) -> dict[str, Any]:
    """The line of a face in a file of predictions."""
    if found is None or face.sample is None:
        return {"face": face.face, "keypoints": None}
    points, scores = found
    return {
        "face": face.face,
        "keypoints": np.round(points.astype(float), 4).tolist(),
        "scores": np.round(scores.astype(float), 5).tolist(),
        "box": np.round(face.sample.box, 3).tolist(),
        "image": face.sample.image.name,
        "subsets": sorted(face.sample.subsets),
    }
