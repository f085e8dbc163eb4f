"""DARK by its definition, map by map, written apart from the package: for the tests of the decoders."""

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]


def reference_taps(size: int) -> Map:
    """The taps of OpenCV's fixed tables."""
    tables = {
        3: [0.25, 0.5, 0.25],
        5: [0.0625, 0.25, 0.375, 0.25, 0.0625],
        7: [0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125],
        9: [0.015625, 0.05078125, 0.1171875, 0.19921875, 0.234375, 0.19921875, 0.1171875, 0.05078125, 0.015625],
    }
    if size in tables:
        return np.array(tables[size])
    sigma = 0.3 * ((size - 1) / 2 - 1) + 0.8
    taps = np.array([np.exp(-((i - size // 2) ** 2) / (2 * sigma**2)) for i in range(size)])
    return np.asarray(taps / taps.sum())


def reference_blur(heatmap: Map, taps: Map) -> Map:
    """The whole map, padded with zeros, blurred along y, then along x."""
    height, width = heatmap.shape
    padded = np.pad(heatmap, len(taps) // 2)
    rows = sum((tap * padded[i : i + height] for i, tap in enumerate(taps)), np.zeros(()))
    return sum((tap * rows[:, i : i + width] for i, tap in enumerate(taps)), np.zeros(()))


def reference_modulation(heatmap: Map, taps: Map) -> Map:
    """The blurred map, scaled to the maximum it had before."""
    blurred = reference_blur(heatmap, taps)
    return np.asarray(blurred * (heatmap.max() / blurred.max()))


def reference_dark(heatmap: Map, kernel: int, eps: float) -> tuple[Map, float]:
    """The landmark of one map, and how far rounding to `eps` may move it (inf where the Hessian is nearly singular)."""
    height, width = heatmap.shape
    y, x = divmod(int(heatmap.argmax()), width)
    if heatmap[y, x] <= 0:
        return np.array([-1.0, -1.0]), 0.0
    if not (1 < x < width - 2 and 1 < y < height - 2):
        return np.array([float(x), float(y)]), 0.0
    taps = reference_taps(kernel)
    modulated = reference_modulation(heatmap, taps)
    log = np.log(np.maximum(modulated, 1e-10))
    gradient = np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]) / 2
    hxx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
    hyy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
    hxy = (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]) / 4
    hessian = np.array([[hxx, hxy], [hxy, hyy]])
    around = (slice(y - 2, y + 3), slice(x - 2, x + 3))
    if (modulated[around] < 0.5e-10).all():
        return np.array([float(x), float(y)]), 0.0  # all clipped: no step, whatever the rounding
    inverse = np.linalg.pinv(hessian)
    step = -inverse @ gradient
    # Rounding of a logarithm: that of its argument, larger where positive and negative values cancelled.
    rounding = reference_blur(np.abs(heatmap), taps) * abs(heatmap.max() / reference_blur(heatmap, taps).max())
    log_error = 32 * eps * (1 + (rounding / np.maximum(modulated, 1e-10))[around].max())
    sensitivity = np.linalg.norm(inverse) * log_error
    singular = abs(hxx * hyy - hxy * hxy) < 1e-30 or sensitivity > 1e-3
    slack = np.inf if singular else 4 * sensitivity * (1 + np.linalg.norm(step))
    return np.array([x, y]) + step, float(slack)
