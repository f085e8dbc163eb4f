"""Predictions for annotated faces, and their error."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from multiprocessing import get_all_start_methods
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from darkpose.codec.heatmap import Decoded, Method
from darkpose.datasets.sample import Sample, nme_normaliser
from darkpose.errors import DarkposeError
from darkpose.evaluation.crop_boxes import BoxRule
from darkpose.evaluation.metrics import nme
from darkpose.evaluation.predictions import PredictionsWriter
from darkpose.image.geometry import box_to_crop, heatmap_to_image
from darkpose.image.pixels import Pixels
from darkpose.network.hrnet import STRIDE
from darkpose.runtime.flip import CropDecoder, FlipTest
from darkpose.schema import KeypointSchema
from darkpose.training.crops import cut


def crops_of(samples: Sequence[Sample], schema: KeypointSchema, crop_size: int, padding: float) -> Iterator[Pixels]:
    """The evaluation crops of samples, one at a time."""
    return (cut(sample, schema, crop_size, padding=padding).crop for sample in samples)


def to_image(
    points: NDArray[np.floating], samples: Sequence[Sample], heatmap_size: tuple[int, int], padding: float
) -> NDArray[np.floating]:
    """Landmarks (N, K, 2) from heatmap px of the samples' evaluation crops to image px."""
    center, sides = box_to_crop(np.stack([sample.box for sample in samples]), padding=padding)
    return heatmap_to_image(points, center[:, None], sides[:, None], heatmap_size)


def predict_samples(
    decoder: CropDecoder, samples: Sequence[Sample], schema: KeypointSchema, *, crop_size: int, padding: float
) -> Decoded[NDArray[np.floating]]:
    """Landmarks (N, K, 2) in image px and scores (N, K) of annotated faces, cropped by their boxes."""
    points, scores = decoder(crops_of(samples, schema, crop_size, padding))
    size = (crop_size // STRIDE, crop_size // STRIDE)
    return Decoded(to_image(points, samples, size, padding), scores)


def samples_nme(points: NDArray[np.floating], samples: Sequence[Sample], schema: KeypointSchema) -> float:
    """NME of landmarks (N, K, 2) in image px by the markup's usual normaliser, pooled, as a fraction."""
    return nme(
        points,
        np.stack([sample.keypoints for sample in samples]),
        [nme_normaliser(sample, schema) for sample in samples],
        np.stack([sample.visible for sample in samples]),
    )


class Variant(NamedTuple):
    """One way to predict the same faces: boxes by the name of their rule, flip test, decoder."""

    boxes: str
    flip_test: FlipTest
    method: Method


class _Cut(NamedTuple):
    """A face with its box and crop; without them where no box was found, or with a problem."""

    face: int
    sample: Sample | None = None
    crop: Pixels | None = None
    problem: str = ""


class _Crops(Dataset[_Cut]):
    """The evaluation crops of samples by face number, cut by whichever process asks."""

    def __init__(
        self, samples: Sequence[Sample], schema: KeypointSchema, rule: BoxRule, crop_size: int, padding: float
    ) -> None:
        self.samples, self.schema, self.rule = samples, schema, rule
        self.crop_size, self.padding = crop_size, padding

    def __getitem__(self, face: int) -> _Cut:
        try:
            sample = self.rule(face, self.samples[face])
            if sample is None:
                return _Cut(face)
            return _Cut(face, sample, cut(sample, self.schema, self.crop_size, padding=self.padding).crop)
        except DarkposeError as error:
            return _Cut(face, problem=f"{self.samples[face].source or f'face {face}'}: {error}")


def predict_to_files(
    writers: Mapping[Variant, PredictionsWriter],
    decoder: CropDecoder,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    rules: Mapping[str, BoxRule],
    *,
    crop_size: int,
    padding: float,
    workers: int = 0,
) -> None:
    """Predict the faces that predictions files lack; every batch is written when it is done, so nothing is lost.

    Variants of the same boxes share their crops and heatmaps.

    Args:
        writers: of the files, by variant.
        decoder: of crops; its own flip test and method do not matter.
        samples: all faces of the data set, in its order.
        schema: their markup.
        rules: which box to crop a face by, by the variants' names; faces without one are written as not found.
        crop_size: in crop px.
        padding: side of the crop over side of the box.
        workers: processes that read and cut images beside this one; none where processes cannot be forked.

    Raises:
        DarkposeError: an image cannot be read, or a file not be written; faces before it are in the files.
    """
    can_fork = "fork" in get_all_start_methods()  # detectors and rules are handed over, not pickled
    for boxes, rule in rules.items():
        group = {variant: writer for variant, writer in writers.items() if variant.boxes == boxes}
        left = [face for face in range(len(samples)) if any(face not in writer.done for writer in group.values())]
        crops = _Crops(samples, schema, rule, crop_size, padding)
        loader = DataLoader(
            crops,
            decoder.batch_size,
            sampler=left,
            num_workers=workers if can_fork else 0,
            collate_fn=list,
            multiprocessing_context="fork" if workers and can_fork else None,
        )
        done = len(samples) - len(left)
        with tqdm(total=len(samples), initial=done, desc=f"{boxes} boxes", unit="face", disable=None) as bar:
            for batch in loader:
                usable = list(takewhile(lambda cut: not cut.problem, batch))
                _predict_batch(group, decoder, usable, crop_size, padding)
                bar.update(len(usable))
                done += len(usable)
                if len(usable) < len(batch):
                    raise DarkposeError(f"{batch[len(usable)].problem}; {done} faces are predicted and kept")


def _predict_batch(
    writers: Mapping[Variant, PredictionsWriter],
    decoder: CropDecoder,
    batch: Sequence[_Cut],
    crop_size: int,
    padding: float,
) -> None:
    found = [each for each in batch if each.sample is not None and each.crop is not None]
    samples = [each.sample for each in found if each.sample is not None]
    size = (crop_size // STRIDE, crop_size // STRIDE)
    ways = [(variant.flip_test, variant.method) for variant in writers]
    decoded = (
        decoder.each([each.crop for each in found if each.crop is not None], ways) if found else [None] * len(ways)
    )
    for writer, values in zip(writers.values(), decoded, strict=True):
        rows = (
            iter(())
            if values is None
            else zip(to_image(values.points, samples, size, padding), values.scores, strict=True)
        )
        lines = [_line(each, next(rows) if each.sample is not None else None) for each in batch]
        writer.write([line for line in lines if line["face"] not in writer.done])


def _line(face: _Cut, found: tuple[NDArray[np.floating], NDArray[np.floating]] | None) -> dict[str, Any]:
    """One face of a predictions file."""
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
