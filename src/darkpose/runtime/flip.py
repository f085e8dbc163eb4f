"""The flip test: heatmaps averaged with those of the mirrored crops."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from darkpose.image.geometry import FLIP_SHIFT
from darkpose.image.pixels import Pixels
from darkpose.runtime.network import Network

if TYPE_CHECKING:
    from torch import Tensor

FlipTest = Literal["off", "published", "exact"]
Maps = TypeVar("Maps", NDArray[np.float32], "Tensor")


def heatmaps_by_flip(
    network: Network, crops: Pixels, flip_index: NDArray[np.intp], flip_tests: Iterable[FlipTest]
) -> dict[FlipTest, "NDArray[np.float32] | Tensor"]:
    """Heatmaps of crops under several flip tests, from one pass over the crops and one over their mirror images.

    Args:
        network: crops -> heatmaps.
        crops: (N, S, S, 3) uint8 RGB.
        flip_index: (K,) of the schema.
        flip_tests: "off"; "published" and "exact" average with the mirrored crops, aligned as `mirror_back` says.

    Returns:
        flip test -> heatmaps (N, K, S/4, S/4) float32.
    """
    wanted = list(flip_tests)
    plain: Any = network(crops)
    mirrored: Any = network(np.ascontiguousarray(crops[:, :, ::-1])) if set(wanted) != {"off"} else plain
    return {each: plain if each == "off" else (plain + mirror_back(mirrored, flip_index, each)) / 2 for each in wanted}


def mirror_back(heatmaps: Maps, flip_index: NDArray[np.intp], align: Literal["published", "exact"]) -> Maps:
    """Heatmaps (N, K, H, W) of mirrored crops, aligned with the heatmaps of the crops.

    Mirrored and with left and right swapped, they are 3/4 px too far left. "published" moves them by one whole column
    (column 0 stays), as the reference does, which leaves the mean of both 1/8 px off; "exact" moves them by 3/4 px,
    linearly interpolated between columns (the first column continues at the left edge).

    Args:
        heatmaps: NumPy array or torch tensor.
        flip_index: (K,) of the schema; NumPy array, or a tensor on the device of the heatmaps.
        align: "published" or "exact".
    """
    width = heatmaps.shape[-1]
    mirrored = np.arange(width)[::-1].copy()
    swapped = heatmaps[:, flip_index]
    moved = swapped[..., np.append(mirrored[0], mirrored[:-1])]  # one column to the right
    return moved if align == "published" else moved + (1 - FLIP_SHIFT) * (swapped[..., mirrored] - moved)
