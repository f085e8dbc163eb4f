"""Predictions for annotated faces, and their error."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from darkpose.batches import cut
from darkpose.geometry import box_to_crop, heatmap_to_image
from darkpose.heatmap import Decoded
from darkpose.hrnet import STRIDE
from darkpose.image import Pixels
from darkpose.inference import CropDecoder
from darkpose.metrics import nme
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
