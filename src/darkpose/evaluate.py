"""Predictions for annotated faces, and their error."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from darkpose.batches import cut
from darkpose.boxrule import BoxRule
from darkpose.geometry import box_to_crop, heatmap_to_image
from darkpose.heatmap import Decoded
from darkpose.hrnet import STRIDE
from darkpose.image import Pixels
from darkpose.inference import CropDecoder, batched
from darkpose.metrics import nme
from darkpose.predictions import PredictionsWriter
from darkpose.sample import Sample, nme_normaliser
from darkpose.schema import KeypointSchema


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


def predict_to_file(
    writer: PredictionsWriter,
    decoder: CropDecoder,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    rule: BoxRule,
    *,
    crop_size: int,
    padding: float,
) -> None:
    """Predict the faces that a predictions file lacks, one batch at a time; every batch is written when it is done.

    Args:
        writer: of the file.
        decoder: of crops.
        samples: all faces of the data set, in its order.
        schema: their markup.
        rule: which box to crop a face by; faces without one are written as not found.
        crop_size: in crop px.
        padding: side of the crop over side of the box.

    Raises:
        DarkposeError: an image cannot be read, or the file not be written.
    """
    left = [face for face in range(len(samples)) if face not in writer.done]
    bar = tqdm(total=len(samples), initial=len(writer.done), unit="face", disable=None)
    for batch in batched(left, decoder.batch_size):
        boxed = {face: rule(face, samples[face]) for face in batch}
        found = [sample for sample in boxed.values() if sample is not None]
        decoded = predict_samples(decoder, found, schema, crop_size=crop_size, padding=padding) if found else None
        rows = iter(zip(found, *decoded, strict=True)) if decoded else iter(())
        writer.write([_line(face, next(rows) if sample else None) for face, sample in boxed.items()])
        bar.update(len(batch))
    bar.close()


def _line(face: int, found: tuple[Sample, NDArray[np.floating], NDArray[np.floating]] | None) -> dict[str, Any]:
    """One face of a predictions file."""
    if found is None:
        return {"face": face, "keypoints": None}
    sample, points, scores = found
    return {
        "face": face,
        "keypoints": np.round(points.astype(float), 4).tolist(),
        "scores": np.round(scores.astype(float), 5).tolist(),
        "box": np.round(sample.box, 3).tolist(),
        "image": sample.image.name,
        "subsets": sorted(sample.subsets),
    }
