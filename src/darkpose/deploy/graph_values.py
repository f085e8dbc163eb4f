"""Values of an ONNX graph that calculate with the operators of Python."""

from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from darkpose.runtime.graph_builder import FLOAT, GraphBuilder

Operand = Union["Value", float, int, NDArray[Any]]


class Value:
    """A value of a graph by its name; every operation adds a node. Numbers and arrays become constants.

    Python's floats are float32 and its ints int64.
    """

    def __init__(self, graph: GraphBuilder, name: str) -> None:
        self.graph, self.name = graph, name

    def op(self, operator: str, *others: Operand, **attributes: Any) -> "Value":
        """A node with this value as its first input."""
        names = [self.name, *(self._name(other) for other in others)]
        name = f"{operator}.{len(self.graph.nodes)}"
        return Value(self.graph, self.graph.node(operator, *names, name=name, **attributes))

    def _name(self, other: Operand) -> str:
        if isinstance(other, Value):
            return other.name
        kind = np.float32 if isinstance(other, float) else np.int64 if isinstance(other, int) else other.dtype
        return self.graph.constant(f"constant.{len(self.graph.initializers)}", np.asarray(other, kind))

    def named(self, name: str) -> "Value":
        """The same under a name that is known outside."""
        return Value(self.graph, self.graph.node("Identity", self.name, name=name))

    def __add__(self, other: Operand) -> "Value":
        return self.op("Add", other)

    def __sub__(self, other: Operand) -> "Value":
        return self.op("Sub", other)

    def __mul__(self, other: Operand) -> "Value":
        return self.op("Mul", other)

    def __truediv__(self, other: Operand) -> "Value":
        return self.op("Div", other)

    def __matmul__(self, other: Operand) -> "Value":
        return self.op("MatMul", other)

    def __neg__(self) -> "Value":
        return self.op("Neg")

    def __and__(self, other: Operand) -> "Value":
        return self.op("And", other)

    def above(self, other: Operand) -> "Value":
        """Whether it is greater; false of NaN."""
        return self.op("Greater", other)

    def below(self, other: Operand) -> "Value":
        """Whether it is smaller; false of NaN."""
        return self.op("Less", other)

    def choose(self, this: Operand, other: Operand) -> "Value":
        """`this` where the value is true, else `other`."""
        return self.op("Where", this, other)

    def at(self, index: int | list[int], axis: int = 1) -> "Value":
        """Entries along an axis; one index removes the axis, a list keeps it."""
        return self.op("Gather", np.array(index, np.int64), axis=axis)

    def reshape(self, *shape: int) -> "Value":
        """The value in another shape; -1 stands for what is left."""
        return self.op("Reshape", np.array(shape, np.int64))

    def largest(self, axis: int = 1) -> "Value":
        """The maximum along an axis, which goes."""
        return self.op("ReduceMax", np.array([axis], np.int64), keepdims=0)

    def total(self, axis: int = 1) -> "Value":
        """The sum along an axis, which stays."""
        return self.op("ReduceSum", np.array([axis], np.int64), keepdims=1)

    def where_largest(self, axis: int = 1) -> "Value":
        """The index of the first maximum along an axis, which goes."""
        return self.op("ArgMax", axis=axis, keepdims=0)

    def as_float(self) -> "Value":
        """The value as float32."""
        return self.op("Cast", to=FLOAT)


def columns(*values: Value) -> Value:
    """Values (M,) side by side: (M, n)."""
    first, *others = (value.reshape(-1, 1) for value in values)
    return first.op("Concat", *others, axis=1)
