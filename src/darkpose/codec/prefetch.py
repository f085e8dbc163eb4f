"""Asking the processor for memory before it is read, from code that Numba compiles."""

from collections.abc import Callable, Sequence
from typing import Any

from darkpose.codec.compiled import intrinsic, ir, scalar

LINE = 64  # bytes that come at once


@intrinsic
def prefetch(_: Any, cells: Any, index: Any) -> tuple[Any, Callable[..., Any]]:
    """For compiled code: have the line of memory of `cells`'s item `index` (of the flat array) brought near."""
    return scalar("void")(cells, index), _build


def _build(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
    cells = context.make_array(signature.args[0])(context, builder, arguments[0])
    place = builder.bitcast(builder.gep(cells.data, [arguments[1]]), ir.IntType(8).as_pointer())
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
    function = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
    builder.call(function, [place, number(0), number(2), number(1)])  # to read, into the second cache, data
    return context.get_dummy_value()
