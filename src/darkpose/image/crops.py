"""Cutting the crops that a network takes."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from darkpose.image.geometry import Floats, box_to_crop, image_to_crop
from darkpose.image.pixels import Pixels, warp_image


def cut_crops(
    images: Iterable[Pixels], boxes: ArrayLike, crop_size: int, padding: float
) -> tuple[Iterator[Pixels], Floats, Floats]:
    """Cut the crops (S, S, 3) around boxes.

    Args:
        images: (H, W, 3) uint8 RGB, one for each box.
        boxes: (N, 4) x0, y0, x1, y1 in image px: landmark boxes.
        crop_size: side of the crops, crop px.
        padding: side of a crop divided by the side of its box.

    Returns:
        The crops, cut when they are asked for; their centres (N, 2) and sides (N, 2) in image px.
    """
    size = (crop_size, crop_size)
    center, sides = box_to_crop(np.reshape(boxes, (-1, 4)), padding=padding)
    crops = (
        warp_image(image, image_to_crop(middle, float(side[0]), size), size)
        for image, middle, side in zip(images, center, sides, strict=True)
    )
    return crops, center, sides
