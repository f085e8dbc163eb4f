"""The kernel of the blur that DARK applies to a heatmap before the logarithm.

Source: "Distribution-Aware Coordinate Representation for Human Pose Estimation" (see `heatmap`), section 3.2, eq. 10.
"""

import math

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError

# The right halves, from the centre, of OpenCV's fixed kernels for sigma = 0 and sizes up to 9.
_SMALL_KERNELS = {
    1: [1.0],
    3: [0.5, 0.25],
    5: [0.375, 0.25, 0.0625],
    7: [0.28125, 0.21875, 0.109375, 0.03125],
    9: [0.234375, 0.19921875, 0.1171875, 0.05078125, 0.015625],
}


def modulation_kernel(size: int) -> NDArray[np.float64]:
    """Taps (size,) of the blur that DARK applies before the logarithm; sum 1.

    Convention: OpenCV's `GaussianBlur(sigma=0)`: fixed tables up to size 9, then sigma = 0.3*((size-1)/2 - 1) + 0.8
    (2.0 for 11, 2.9 for 17).

    Raises:
        DarkposeError: the size is not a positive odd number.
    """
    return np.array(modulation_taps(size))


def modulation_taps(size: int) -> list[float]:
    """`modulation_kernel` as numbers, computed in Python, which `torch.compile` can follow."""
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1 or size % 2 == 0:
        raise DarkposeError(f"kernel_size must be a positive odd number, got {size!r}")
    if size in _SMALL_KERNELS:
        half = _SMALL_KERNELS[size]
        return half[:0:-1] + half
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    taps = [math.exp(-((i - size // 2) ** 2) / (2 * sigma**2)) for i in range(size)]
    return [tap / sum(taps) for tap in taps]


def blur_variance(taps: NDArray[np.float64]) -> float:
    """The variance of a kernel (size,), px^2."""
    return float(taps @ (np.arange(len(taps)) - len(taps) // 2) ** 2)
