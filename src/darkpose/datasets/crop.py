"""Annotated faces cut out of their images, without augmentation."""

from typing import NamedTuple

from darkpose.datasets.sample import Sample
from darkpose.image.geometry import PADDING, Floats, box_to_crop, image_to_crop, transform
from darkpose.image.pixels import Pixels, warp_image


class FaceCrop(NamedTuple):
    """One face.

    Attributes:
        crop: (size, size, 3) uint8 RGB.
        matrix: (2, 3) float64, image px to crop px.
        keypoints: (K, 2) float64 crop px.
    """

    crop: Pixels
    matrix: Floats
    keypoints: Floats


def cut_face(image: Pixels, sample: Sample, size: int, *, padding: float = PADDING) -> FaceCrop:
    """Cut an annotated face out of its image, as for evaluation.

    Args:
        image: (H, W, 3) uint8 RGB, of the sample.
        sample: the face; its box is what the crop is cut around.
        size: side of the crop in crop px.
        padding: side of the crop divided by the longer side of the box.

    Raises:
        DarkposeError: the box is not positive in size, or the crop is too large for OpenCV.
    """
    center, sides = box_to_crop(sample.box, padding=padding)
    matrix = image_to_crop(center, float(sides[0]), (size, size))
    return FaceCrop(warp_image(image, matrix, (size, size)), matrix, transform(matrix, sample.keypoints))
