"""The decoders on a GPU in one pass over the maps, written in Triton: one program finds the landmark of one map.

A program reads its map once for the first maximum, reads the cells around it again (from the cache), blurs the 13 that
the derivatives use, and writes one point. It computes in float32 for maps of every type. Triton comes with PyTorch for
CUDA.

Maps with a blurred cell that falls to the clip before the logarithm are marked, as in `dark_torch`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from darkpose.codec.dark import FLOOR, modulation_taps
from darkpose.codec.dark_torch import FoundTensors
from darkpose.errors import DarkposeError

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

AVAILABLE = triton is not None
CELLS_AT_ONCE = 4096  # a map of 64x64
MAX_SIDE = 256  # cells
WARPS = 4  # per map
TRIAL_TOLERANCE = 0.01  # px; the borders of the map move the peak of the trial by 0.0003
TYPES = (torch.float32, torch.float16, torch.bfloat16)
METHODS = {"argmax": 0, "quarter": 1, "dark": 2}


def fits(heatmaps: Tensor, method: str) -> bool:
    """Whether `decode_gpu` takes these heatmaps, and works on their device."""
    height, width = heatmaps.shape[-2:]
    known = method in METHODS and heatmaps.dtype in TYPES and max(height, width) <= MAX_SIDE
    return known and heatmaps.is_cuda and not trouble(heatmaps.device)


@cache
def trouble(device: torch.device) -> str:
    """Why the kernel cannot be used on a device; empty if it can. It is tried once, on a map with a known peak.

    Triton needs a C compiler for its launcher, and a GPU of a kind that it knows.
    """
    if triton is None:
        return "Triton is not installed"
    x, y = 7.3, 8.6
    cells = torch.arange(16.0)
    distances = (cells - x)[None, :] ** 2 + (cells - y)[:, None] ** 2
    try:
        (point,) = decode_gpu(torch.exp(-distances / 8)[None].to(device)).points.tolist()
    except Exception as error:  # of Triton, its compilers or the driver
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    right = abs(point[0] - x) < TRIAL_TOLERANCE > abs(point[1] - y)
    return "" if right else f"a peak at ({x}, {y}) was found at ({point[0]:.3f}, {point[1]:.3f})"


def decode_gpu(heatmaps: Tensor, *, method: str = "dark", kernel_size: int = 11, warps: int = WARPS) -> FoundTensors:
    """Find one landmark in every heatmap, on the GPU where they are, without waiting for it.

    Args:
        heatmaps: (..., H, W) float32, float16 or bfloat16, H and W at most 256; never modified, copied only where not
            contiguous.
        method: "argmax", "quarter" or "dark", as in `heatmap.decode`.
        kernel_size: of DARK's blur, odd.
        warps: per map; they only change the speed.

    Returns:
        `FoundTensors`, float32; `clipped` tells which points may differ from those of the reference.

    Raises:
        DarkposeError: Triton is not installed, or it is another method, type or size, or an even kernel.
    """
    if triton is None:
        raise DarkposeError("decoding in one pass on a GPU needs Triton, which comes with PyTorch for CUDA")
    if method not in METHODS:
        raise DarkposeError(f'method must be "argmax", "quarter" or "dark", got {method!r}')
    height, width = heatmaps.shape[-2:]
    if heatmaps.dtype not in TYPES or not 0 < height <= MAX_SIDE >= width > 0:
        raise DarkposeError(
            f"heatmaps must be float32, float16 or bfloat16 of up to 256x256, got {heatmaps.dtype} {width}x{height}"
        )
    maps = heatmaps.detach().reshape(-1, height, width).contiguous()
    taps = _taps(kernel_size, maps.device)
    points, scores = maps.new_empty((len(maps), 2), dtype=torch.float32), maps.new_empty(len(maps), dtype=torch.float32)
    spread = maps.new_full((len(maps), 2, 2), torch.nan, dtype=torch.float32)
    clipped = maps.new_zeros(len(maps), dtype=torch.bool)
    if len(maps):
        with torch.cuda.device_of(maps):  # type: ignore[no-untyped-call]  # Triton launches on the current one
            _decode_one[(len(maps),)](
                *(maps, taps, points, scores, spread, clipped, height, width, METHODS[method], kernel_size, FLOOR),
                cells=min(CELLS_AT_ONCE, triton.next_power_of_2(height * width)),
                side=triton.next_power_of_2(kernel_size + 4),
                num_warps=warps,
            )
    shape = heatmaps.shape[:-2]
    return FoundTensors(
        points.reshape(*shape, 2), scores.reshape(shape), spread.reshape(*shape, 2, 2), clipped.reshape(shape)
    )


_kept: dict[tuple[int, torch.device], Tensor] = {}


def _taps(kernel_size: int, device: torch.device) -> Tensor:
    """The kernel of the blur on a device; copied there once, because a copy waits for it."""
    if (kernel_size, device) not in _kept:
        _kept[kernel_size, device] = torch.tensor(modulation_taps(kernel_size), dtype=torch.float32, device=device)
    return _kept[kernel_size, device]


if triton is not None:

    def _jit(function: Callable[..., Any]) -> Any:
        return triton.jit(function)

    @_jit
    def _blurred(rows, taps, at, column, size):  # type: ignore[no-untyped-def]
        """The cell `column` of 5 along x, from the window's columns (side,) blurred along y."""
        tap = tl.load(taps + at - column, mask=(at >= column) & (at < column + size), other=0.0)
        return tl.sum(rows * tap, axis=0)

    @_jit
    def _blurred_row(window, taps, at, row, size):  # type: ignore[no-untyped-def]
        """The row `row` of 5, blurred along y: (side, side) -> (side,)."""
        tap = tl.load(taps + at - row, mask=(at >= row) & (at < row + size), other=0.0)
        return tl.sum(window * tap[:, None], axis=0)

    @_jit
    def _decode_one(  # type: ignore[no-untyped-def]
        maps,
        taps,
        points,
        scores,
        spread,
        clipped,
        height,
        width,
        method,
        size,
        floor,
        cells: tl.constexpr,
        side: tl.constexpr,
    ):
        m = tl.program_id(0)
        one = maps + m.to(tl.int64) * height * width
        best, top, broken = 0, float("-inf"), 0
        for start in range(0, height * width, cells):
            place = start + tl.arange(0, cells)
            value = tl.load(one + place, mask=place < height * width, other=float("-inf")).to(tl.float32)
            broken = tl.maximum(broken, tl.max((value != value).to(tl.int32), axis=0))
            value = tl.where(value != value, float("-inf"), value)
            highest = tl.max(value, axis=0)
            first = tl.min(tl.where(value == highest, place, height * width), axis=0)
            best = tl.where(highest > top, first, best)
            top = tl.maximum(highest, top)
        x, y = best % width, best // width
        px, py = x.to(tl.float32), y.to(tl.float32)
        inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
        found = (broken == 0) & (top > 0)
        if (method == 1) & found & (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1):
            right, left = tl.load(one + best + 1).to(tl.float32), tl.load(one + best - 1).to(tl.float32)
            below, above = tl.load(one + best + width).to(tl.float32), tl.load(one + best - width).to(tl.float32)
            px += 0.25 * (right > left).to(tl.float32) - 0.25 * (right < left).to(tl.float32)
            py += 0.25 * (below > above).to(tl.float32) - 0.25 * (below < above).to(tl.float32)
        if (method == 2) & found & inside:
            at = tl.arange(0, side)
            i, j = x - 2 - size // 2 + at, y - 2 - size // 2 + at
            there = (at < size + 4)[None, :] & (i >= 0)[None, :] & (i < width)[None, :]
            there = there & (at < size + 4)[:, None] & (j >= 0)[:, None] & (j < height)[:, None]
            window = tl.load(one + j[:, None] * width + i[None, :], mask=there, other=0.0).to(tl.float32)
            row = _blurred_row(window, taps, at, 0, size)
            up2 = _blurred(row, taps, at, 2, size)
            row = _blurred_row(window, taps, at, 1, size)
            up_left, up = _blurred(row, taps, at, 1, size), _blurred(row, taps, at, 2, size)
            up_right = _blurred(row, taps, at, 3, size)
            row = _blurred_row(window, taps, at, 2, size)
            left2, left1 = _blurred(row, taps, at, 0, size), _blurred(row, taps, at, 1, size)
            centre = _blurred(row, taps, at, 2, size)
            right1, right2 = _blurred(row, taps, at, 3, size), _blurred(row, taps, at, 4, size)
            row = _blurred_row(window, taps, at, 3, size)
            down_left, down = _blurred(row, taps, at, 1, size), _blurred(row, taps, at, 2, size)
            down_right = _blurred(row, taps, at, 3, size)
            row = _blurred_row(window, taps, at, 4, size)
            down2 = _blurred(row, taps, at, 2, size)
            above_floor = (up2 > floor) & (up_left > floor) & (up > floor) & (up_right > floor) & (left2 > floor)
            above_floor = above_floor & (left1 > floor) & (centre > floor) & (right1 > floor) & (right2 > floor)
            above_floor = above_floor & (down_left > floor) & (down > floor) & (down_right > floor) & (down2 > floor)
            if above_floor:
                gx, gy = 0.5 * tl.log(right1 / left1), 0.5 * tl.log(down / up)
                hxx = 0.25 * tl.log((right2 / centre) * (left2 / centre))
                hyy = 0.25 * tl.log((down2 / centre) * (up2 / centre))
                hxy = 0.25 * tl.log((down_right / up_right) * (up_left / down_left))
                determinant = hxx * hyy - hxy * hxy
                dx, dy = (hxy * gy - hyy * gx) / determinant, (hxy * gx - hxx * gy) / determinant
                finite = (tl.abs(dx) < float("inf")) & (tl.abs(dy) < float("inf"))
                px += tl.where(finite, dx, 0.0)
                py += tl.where(finite, dy, 0.0)
                if (hxx < 0) & (determinant > 0):
                    tl.store(spread + 4 * m, -hyy / determinant)
                    tl.store(spread + 4 * m + 1, hxy / determinant)
                    tl.store(spread + 4 * m + 2, hxy / determinant)
                    tl.store(spread + 4 * m + 3, -hxx / determinant)
            else:
                tl.store(clipped + m, True)
        tl.store(points + 2 * m, tl.where(found, px, -1.0))
        tl.store(points + 2 * m + 1, tl.where(found, py, -1.0))
        tl.store(scores + m, tl.where(broken == 1, float("nan"), top))
