"""Half-precision maps in code that Numba compiles: their bits, and a table that turns bits into numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.compiled import part

Table = NDArray[np.float32] | None


def table_of_numbers(letter: str) -> NDArray[np.float32]:
    """(65536,) the numbers of all 16-bit patterns; an index below 0 finds those with the sign bit.

    Args:
        letter: "e" for float16, "h" for bfloat16 held in int16.
    """
    bits = np.arange(1 << 16, dtype=np.uint32)
    if letter == "e":
        return bits.astype(np.uint16).view(np.float16).astype(np.float32)
    return (bits << 16).view(np.float32)


@part
def number(stored: Any, table: Table) -> Any:
    """The number of a cell: the cell itself, or what the table has for its bits."""
    if table is None:
        return stored
    return table[stored]
