"""DARK's blur around one maximum in vector instructions: Numba's compiler makes none of loops this short.

Written for LLVM, which uses the vectors that the processor has, and splits them where those are shorter. The window of
15 rows of 16 cells is held in registers: each row is converted and read once. Without this the goal of a batch, 1.3
times one pass of `torch.amax`, is missed (docs/experiments.md).
"""

from collections.abc import Callable, Sequence
from typing import Any

from darkpose.codec.compiled import AVAILABLE, scalar

try:
    from llvmlite import ir
    from numba.extending import intrinsic
except ImportError:  # the extra "fast" is not installed
    ir = None

TAPS = 11  # of the kernel for sigma 2, the usual one
ROWS, COLUMNS = 5 + TAPS - 1, 16  # that are read; the last column has no influence
LANES = 8  # of a row that is written, the first 5 of which count

_FUSED = ("contract",)  # a product and a sum may be rounded once


def _blur_stencil(_: Any, cells: Any, row: Any, column: Any, taps: Any, out: Any) -> tuple[Any, Callable[..., Any]]:
    """For compiled code: fill `out` (5, LANES) float64 with 5x5 blurred cells.

    Args:
        cells: (H, W) contiguous, float32, float64 or whole numbers. ROWS x COLUMNS of them are read, and must exist.
            The blurred cells are those in the middle of the first ROWS x ROWS.
        row: the first that is read.
        column: the first that is read.
        taps: (TAPS,) float64.
        out: contiguous.
    """
    return scalar("void")(cells, row, column, taps, out), _build


blur_stencil: Any = intrinsic(_blur_stencil) if AVAILABLE else _blur_stencil


def _build(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
    kinds = signature.args
    cells, taps, out = (context.make_array(kinds[i])(context, builder, arguments[i]) for i in (0, 3, 4))
    width = builder.extract_value(cells.shape, 1)
    first = builder.add(builder.mul(arguments[1], width), arguments[2])
    rows = []
    for j in range(ROWS):
        start = builder.gep(cells.data, [builder.add(first, builder.mul(width, width.type(j)))])
        rows.append(_read(builder, start, context.get_data_type(kinds[0].dtype), kinds[0].dtype.bitwidth))
    factors = [builder.load(builder.gep(taps.data, [width.type(k)])) for k in range(TAPS)]
    down, across = ([_spread(builder, factor, _doubles(lanes)) for factor in factors] for lanes in (COLUMNS, LANES))
    for dy in range(5):
        blurred = _weighted(builder, rows[dy : dy + TAPS], down)
        shifted = [_from_lane(builder, blurred, k) for k in range(TAPS)]
        written = _weighted(builder, shifted, across)
        place = builder.gep(out.data, [width.type(dy * LANES)])
        builder.store(written, builder.bitcast(place, written.type.as_pointer())).align = 8
    return context.get_dummy_value()


def _read(builder: Any, start: Any, kind: Any, size: int) -> Any:
    """COLUMNS numbers of `size` bits, as float64."""
    values = builder.load(builder.bitcast(start, ir.VectorType(kind, COLUMNS).as_pointer()))
    values.align = size // 8
    if isinstance(kind, ir.IntType):
        return builder.sitofp(values, _doubles(COLUMNS))
    return values if size == 64 else builder.fpext(values, _doubles(COLUMNS))


def _doubles(lanes: int) -> Any:
    return ir.VectorType(ir.DoubleType(), lanes)


def _spread(builder: Any, value: Any, kind: Any) -> Any:
    """A vector of this type that holds one value in every lane."""
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), _lanes([0] * kind.count))


def _lanes(numbers: Sequence[int]) -> Any:
    """The lanes that a shuffle takes."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


def _from_lane(builder: Any, vector: Any, first: int) -> Any:
    """LANES lanes of a vector of COLUMNS; after its end, where they do not count, the last one."""
    nothing = ir.Constant(_doubles(COLUMNS), ir.Undefined)
    return builder.shuffle_vector(vector, nothing, _lanes([min(first + i, COLUMNS - 1) for i in range(LANES)]))


def _weighted(builder: Any, vectors: Sequence[Any], factors: Sequence[Any]) -> Any:
    """The sum of products, as two independent sums."""
    sums = [builder.fmul(vectors[k], factors[k], flags=_FUSED) for k in (0, 1)]
    for k in range(2, TAPS):
        product = builder.fmul(vectors[k], factors[k], flags=_FUSED)
        sums[k % 2] = builder.fadd(sums[k % 2], product, flags=_FUSED)
    return builder.fadd(*sums)
