"""The highest of many whole numbers and where it stands first, in vector instructions.

Numba's compiler makes vectors of a loop that takes a maximum, but reduces them to one number at the loop's end; where
the maximum stands needs many short loops. Here every lane keeps its own maximum and the block it was found in, and the
lanes are compared once, at the end. Written for LLVM, which makes of it what the processor has.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from darkpose.codec.compiled import intrinsic, ir, scalar, several, spread

VECTOR, DEPTH = 64, 4  # bytes of a vector, and vectors of a block
BLOCK = VECTOR * DEPTH  # bytes
_NOWHERE = 2**31 - 1


@intrinsic
def highest(_: Any, cells: Any, blocks: Any) -> tuple[Any, Callable[..., Any]]:
    """For compiled code: the highest of the first `blocks` * BLOCK bytes of flat `cells`, of whole numbers with sign.

    Returns:
        The highest number; the highest of the numbers read without sign; and the index of the first that is the former.
        There must be a block.
    """
    bits = cells.dtype.bitwidth
    return several(cells.dtype, scalar(f"uint{bits}"), scalar("int64"))(cells, blocks), _build


def _build(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
    bits = signature.args[0].dtype.bitwidth
    lanes, index = 8 * VECTOR // bits, ir.IntType(64)
    kind, places = ir.VectorType(ir.IntType(bits), lanes), ir.VectorType(ir.IntType(32), lanes)
    cells = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    before, loop, after = builder.block, builder.append_basic_block("scan"), builder.append_basic_block("scanned")

    builder.branch(loop)
    builder.position_at_end(loop)
    block, best, widest, where = (builder.phi(each) for each in (index, kind, kind, places))
    vectors = _read(builder, cells, block, kind)
    high = reduce(lambda a, b: _higher(builder, a, b), vectors)
    found = builder.icmp_signed(">", high, best)
    following = (
        builder.add(block, index(1)),
        builder.select(found, high, best),
        reduce(lambda a, b: _higher(builder, a, b, signed=False), vectors, widest),
        builder.select(found, spread(builder, builder.trunc(block, places.element), places), where),
    )
    first = (index(0), _all(kind, -(1 << (bits - 1))), _all(kind, 0), _all(places, 0))
    for value, start, following_value in zip((block, best, widest, where), first, following, strict=True):
        value.add_incoming(start, before)
        value.add_incoming(following_value, loop)
    builder.cbranch(builder.icmp_signed("<", following[0], arguments[1]), loop, after)

    builder.position_at_end(after)
    top, widest = _over_lanes(builder, "smax", following[1]), _over_lanes(builder, "umax", following[2])
    tops, nowhere = spread(builder, top, kind), _all(places, _NOWHERE)
    holds = builder.icmp_signed("==", following[1], tops)
    block = _over_lanes(builder, "smin", builder.select(holds, following[3], nowhere))
    block = builder.sext(block, index)
    within = nowhere
    for i, vector in reversed(list(enumerate(_read(builder, cells, block, kind)))):
        numbered = ir.Constant(places, list(range(i * lanes, (i + 1) * lanes)))
        within = builder.select(builder.icmp_signed("==", vector, tops), numbered, within)
    within = builder.sext(_over_lanes(builder, "smin", within), index)
    return context.make_tuple(
        builder, signature.return_type, (top, widest, builder.add(builder.mul(block, index(lanes * DEPTH)), within))
    )


def _read(builder: Any, cells: Any, block: Any, kind: Any) -> list[Any]:
    """The vectors of a block."""
    start = builder.gep(cells, [builder.mul(block, block.type(kind.count * DEPTH))])
    vectors = []
    for i in range(DEPTH):
        place = builder.gep(start, [block.type(i * kind.count)])
        vectors.append(builder.load(builder.bitcast(place, kind.as_pointer())))
        vectors[-1].align = kind.element.width // 8
    return vectors


def _higher(builder: Any, a: Any, b: Any, *, signed: bool = True) -> Any:
    """The higher of every lane."""
    compare = builder.icmp_signed if signed else builder.icmp_unsigned
    return builder.select(compare(">", a, b), a, b)


def _all(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _over_lanes(builder: Any, which: str, vector: Any) -> Any:
    """One number of all lanes."""
    kind = vector.type
    name = f"llvm.vector.reduce.{which}.v{kind.count}i{kind.element.width}"
    return builder.call(builder.module.declare_intrinsic(name, (), ir.FunctionType(kind.element, [kind])), [vector])
