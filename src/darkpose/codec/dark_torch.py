"""The decoders in torch: for tensors on any device, for `torch.compile` and for `torch.export`.

The results of `dark`, without shapes that depend on values and without waiting for the device. The maximum is found in
two steps, the highest row and the highest cell in it: this is several times faster than `torch.argmax` over a map and
gives the first of equal ones. The cells around it are blurred and fitted in float64 (float32 where the device has no
float64, or where that is asked for: a graph for other runtimes).

One thing is left out, because it needs the whole blurred map: the scaling to the old maximum before the clip at 1e-10.
It matters where a blurred cell falls to the clip; `clipped` tells which maps these are, and `heatmap.decode` decodes
them again.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from darkpose.codec.dark import FLOOR, MARGIN, MAX_TRUSTED_STEP, modulation_taps
from darkpose.codec.gaussian_fit import (
    DAMPING,
    FIRST_SIGMA,
    MAX_DISTANCE,
    MAX_OUTSIDE,
    MAX_SIGMA,
    MAX_STEP,
    MIN_SIGMA,
    REACH,
    STEPS,
    TERMS,
)
from darkpose.errors import DarkposeError


class FoundTensors(NamedTuple):
    """Landmarks found in heatmaps (..., H, W), on their device.

    Attributes:
        points: (..., 2) heatmap px, float32 (float64 for float64 maps); (-1, -1) where a map has no positive maximum
            or holds a NaN.
        scores: (...) the maxima, of the points' type.
        covariance: (..., 2, 2) px^2, NaN where it is not known.
        clipped: (...) bool: a blurred cell falls to the clip, so the point may differ from that of the reference.
    """

    points: Tensor
    scores: Tensor
    covariance: Tensor
    clipped: Tensor


def decode_torch(
    heatmaps: Tensor, *, method: str = "dark", kernel_size: int = 11, fit_type: torch.dtype | None = None
) -> FoundTensors:
    """Find one landmark in every heatmap on the tensor's device.

    Args:
        heatmaps: (..., H, W) of a floating type; never modified.
        method: "argmax", "quarter", "dark" or "dark+", as in `heatmap.decode`.
        kernel_size: of DARK's blur, odd.
        fit_type: type in which cells are blurred and fitted; None: float64 where the device has it.

    Returns:
        `FoundTensors`.

    Raises:
        DarkposeError: an unknown method, an even kernel.
    """
    taps = modulation_taps(kernel_size)
    height, width = heatmaps.shape[-2:]
    maps = heatmaps.detach().reshape(-1, height, width)
    wide = fit_type or (torch.float32 if maps.device.type == "mps" else torch.float64)
    x, y, scores = _maxima(maps)
    points = torch.stack([x, y], -1)
    offset = torch.zeros(points.shape, dtype=wide, device=maps.device)
    covariance = torch.full_like(offset, torch.nan)[:, :, None].expand(-1, 2, 2)
    clipped = torch.zeros_like(x, dtype=torch.bool)
    if method == "quarter":
        offset = _quarter(maps, x, y).to(wide)
    elif method in ("dark", "dark+"):
        offset, covariance, clipped = _dark(maps, x, y, taps, wide)
        if method == "dark+":
            inside = torch.minimum(torch.minimum(x, width - 1 - x), torch.minimum(y, height - 1 - y)) >= MARGIN
            trusted = inside & covariance[:, 0, 0].isfinite() & (offset.norm(dim=1) <= MAX_TRUSTED_STEP)
            fitted, sigma = _fit(maps, x, y, scores, wide)
            variance = sum(tap * (i - len(taps) // 2) ** 2 for i, tap in enumerate(taps))
            spread = (sigma.square() + variance)[:, None, None] * torch.eye(2, dtype=sigma.dtype, device=sigma.device)
            offset = torch.where(trusted[:, None], offset, fitted)
            covariance = torch.where(trusted[:, None, None], covariance, spread)
    elif method != "argmax":
        raise DarkposeError(f'method must be "argmax", "quarter", "dark" or "dark+", got {method!r}')
    found = scores > 0
    kind = torch.float64 if maps.dtype == torch.float64 else torch.float32
    points = torch.where(found[:, None], points + offset, -1).to(kind)
    covariance = torch.where(found[:, None, None], covariance, torch.nan).to(kind)
    shape = heatmaps.shape[:-2]
    return FoundTensors(
        points.reshape(*shape, 2),
        scores.to(kind).reshape(shape),
        covariance.reshape(*shape, 2, 2),
        (clipped & found).reshape(shape),
    )


def _maxima(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(M, H, W) -> x, y, scores (M,): the first maximum, or the first NaN."""
    y = maps.amax(-1).argmax(-1)
    rows = maps.gather(1, y[:, None, None].expand(-1, 1, maps.shape[2]))[:, 0]
    x = rows.argmax(-1)
    return x, y, rows.gather(1, x[:, None])[:, 0]


def _window(maps: Tensor, x: Tensor, y: Tensor, reach: int, wide: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """(M, n, n) cells around (x, y), 0 outside the map; and which columns and rows (M, n) are inside."""
    height, width = maps.shape[1:]
    around = torch.arange(-reach, reach + 1, device=maps.device)
    columns, rows = x[:, None] + around, y[:, None] + around
    each = torch.arange(maps.shape[0], device=maps.device)[:, None, None]
    cells = maps[each, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    there_x, there_y = (columns >= 0) & (columns < width), (rows >= 0) & (rows < height)
    cells = torch.where(there_y[:, :, None] & there_x[:, None, :], cells, 0)
    return cells.to(wide), there_x, there_y


def _quarter(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(M, 2) offset of a quarter cell towards the higher neighbour on each axis."""
    height, width = maps.shape[1:]
    cells, _, _ = _window(maps, x, y, 1, maps.dtype)
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    pairs = ((cells[:, 1, 2], cells[:, 1, 0]), (cells[:, 2, 1], cells[:, 0, 1]))
    offset = torch.stack([0.25 * (after > before) - 0.25 * (after < before) for after, before in pairs], -1)
    return torch.where(inside[:, None], offset, 0)


def _dark(maps: Tensor, x: Tensor, y: Tensor, taps: list[float], wide: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """The Newton step (M, 2), the covariance (M, 2, 2), and which maps (M,) have a blurred cell at the clip."""
    height, width = maps.shape[1:]
    cells, _, _ = _window(maps, x, y, len(taps) // 2 + 2, wide)
    # Taps of the five blurred cells over the window, from numbers: a copy from the host would wait.
    distance = torch.arange(len(taps) + 4, device=maps.device) - torch.arange(5, device=maps.device)[:, None]
    bands = torch.zeros(distance.shape, dtype=cells.dtype, device=maps.device)
    for i, tap in enumerate(taps):
        bands = bands + tap * (distance == i)
    blurred = bands @ cells @ bands.T
    at = {(dx, dy): blurred[:, dy + 2, dx + 2] for dx in range(-2, 3) for dy in range(-2, 3) if abs(dx) + abs(dy) < 3}
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    clipped = inside & ~(torch.stack(list(at.values())) > FLOOR).all(0)
    at = {place: values.clamp(min=FLOOR) for place, values in at.items()}
    centre = at[0, 0]
    gx, gy = 0.5 * (at[1, 0] / at[-1, 0]).log(), 0.5 * (at[0, 1] / at[0, -1]).log()
    hxx = 0.25 * ((at[2, 0] / centre) * (at[-2, 0] / centre)).log()
    hyy = 0.25 * ((at[0, 2] / centre) * (at[0, -2] / centre)).log()
    hxy = 0.25 * ((at[1, 1] / at[1, -1]) * (at[-1, -1] / at[-1, 1])).log()
    determinant = hxx * hyy - hxy * hxy
    step = torch.stack([hxy * gy - hyy * gx, hxy * gx - hxx * gy], -1) / determinant[:, None]
    step = torch.where(inside[:, None] & step.isfinite().all(-1, keepdim=True), step, 0)
    inverse = torch.stack([-hyy, hxy, hxy, -hxx], -1).reshape(-1, 2, 2) / determinant[:, None, None]
    definite = inside & (hxx < 0) & (determinant > 0)
    return step, torch.where(definite[:, None, None], inverse, torch.nan), clipped


def _fit(maps: Tensor, x: Tensor, y: Tensor, scores: Tensor, wide: torch.dtype) -> tuple[Tensor, Tensor]:
    """`gaussian_fit.fit_gaussians`: the offset (M, 2) and sigma (M,)."""
    height, width = maps.shape[1:]
    cells, there_x, there_y = _window(maps, x, y, REACH, wide)
    cells = cells / scores.to(cells.dtype)[:, None, None]
    around = torch.arange(-REACH, REACH + 1, device=maps.device)
    amplitude, sigma = torch.ones_like(cells[:, 0, 0]), torch.full_like(cells[:, 0, 0], FIRST_SIGMA)
    centre = torch.zeros_like(cells[:, 0, :2])
    for _ in range(STEPS):
        u = (around - centre[:, :1]) / sigma[:, None]
        v = (around - centre[:, 1:]) / sigma[:, None]
        along_x, along_y = there_x * (-0.5 * u * u).exp(), there_y * (-0.5 * v * v).exp()
        sx, sy = _moments(along_x * along_x, u), _moments(along_y * along_y, v)
        powers_x = torch.stack([along_x, along_x * u, along_x * u * u], -1)
        powers_y = torch.stack([along_y, along_y * v, along_y * v * v], -1)
        residual = powers_y.mT @ cells @ powers_x - amplitude[:, None, None] * sy[:, :3, None] * sx[:, None, :3]
        right = torch.stack(
            [residual[:, 0, 0], residual[:, 0, 1], residual[:, 1, 0], residual[:, 0, 2] + residual[:, 2, 0]], -1
        )
        step = _solve(_normal_matrix(sx, sy), right / amplitude[:, None])
        move = step[:, 1:3] * sigma[:, None]
        centre = centre + move * (MAX_STEP / move.norm(dim=1).clamp(min=MAX_STEP))[:, None]
        sigma = sigma * step[:, 3].clamp(-0.5, 0.5).exp()
        amplitude = amplitude * (1 + step[:, 0]).clamp(0.3, 4.0)
    cell = torch.stack([x, y], -1)
    offset = centre * (MAX_DISTANCE / centre.norm(dim=1).clamp(min=MAX_DISTANCE))[:, None]
    across, down = (cell + offset).unbind(-1)
    bounded = [across.clamp(-MAX_OUTSIDE, width - 1 + MAX_OUTSIDE), down.clamp(-MAX_OUTSIDE, height - 1 + MAX_OUTSIDE)]
    offset = torch.stack(bounded, -1) - cell
    fits = (sigma > MIN_SIGMA) & (sigma < MAX_SIGMA) & offset.isfinite().all(-1)
    return torch.where(fits[:, None], offset, 0), torch.where(fits, sigma, torch.nan)


def _moments(weights: Tensor, values: Tensor) -> Tensor:
    """Sums (M, 5) of weights (M, n) times powers 0 .. 4 of values (M, n)."""
    return torch.stack([(weights * values**power).sum(1) for power in range(5)], 1)


def _normal_matrix(sx: Tensor, sy: Tensor) -> Tensor:
    """(M, 4, 4) products of the derivatives, damped, from moments (M, 5) along either axis."""
    rows = [
        torch.stack([torch.stack([sy[:, p] * sx[:, q] for p, q in terms]).sum(0) for terms in row], -1) for row in TERMS
    ]
    return torch.stack(rows, 1) * (1 + DAMPING * torch.eye(4, dtype=sx.dtype, device=sx.device))


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """(M, n, n) and (M, n) -> (M, n) by elimination without pivots; not finite where singular."""
    rows = list(torch.cat([matrix, right[:, :, None]], 2).unbind(1))
    for i in range(len(rows)):
        rows[i] = rows[i] / rows[i][:, i, None]
        rows = [row if j == i else row - row[:, i, None] * rows[i] for j, row in enumerate(rows)]
    return torch.stack([row[:, -1] for row in rows], 1)
