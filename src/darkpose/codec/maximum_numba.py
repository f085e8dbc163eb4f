"""The maximum of a map, for code that Numba compiles.

The bits of the numbers are read as whole numbers with sign: positive floats are ordered as their bits are, all of them
above the negative ones. Numba's compiler makes vector instructions of a maximum of whole numbers, not of floats. A NaN
has bits above those of infinity; a NaN with its sign bit set, read without sign, above those of minus infinity. So
half-precision maps need no wider copy.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.compiled import part
from darkpose.codec.half_precision import Table, number

NOT_POSITIVE, NOT_A_NUMBER = -1, -2
BLOCK = 256  # cells that are compared at once

# Bits of infinity by the letter of the type; "h" is bfloat16 in int16.
_INFINITY = {"e": 0x7C00, "h": 0x7F80, "f": 0x7F80_0000, "d": 0x7FF0_0000_0000_0000}


def infinities(letter: str, size: int) -> NDArray[Any]:
    """(2,) whole numbers without sign of `size` bytes: the bits of infinity and of minus infinity."""
    return np.array([_INFINITY[letter], _INFINITY[letter] | 1 << (8 * size - 1)], f"u{size}")


@part
def find_maximum(bits: NDArray[Any], infinity: NDArray[Any]) -> int:
    """Index of the first positive maximum of a map, or NOT_POSITIVE or NOT_A_NUMBER.

    Args:
        bits: (H * W,) the bits of its numbers, with sign.
        infinity: (2,) see `infinities`.
    """
    unsigned = infinity.dtype.type
    top, widest, block, blocks = bits[0], unsigned(0), 0, len(bits) // BLOCK
    for b in range(blocks):
        start = np.uint64(b * BLOCK)  # loops become vector instructions where indices cannot be negative
        highest = bits[start]
        for i in range(BLOCK):
            value = bits[start + np.uint64(i)]
            highest = max(highest, value)
            widest = max(widest, unsigned(value))
        block = b if highest > top else block
        top = max(top, highest)
    at = -1  # in the cells after the last whole block
    for i in range(blocks * BLOCK, len(bits)):
        widest = max(widest, unsigned(bits[i]))
        at = i if bits[i] > top else at
        top = max(top, bits[i])
    if widest > infinity[1] or (top > 0 and unsigned(top) > infinity[0]):
        return NOT_A_NUMBER
    if top <= 0:
        return NOT_POSITIVE
    if at >= 0 or blocks == 0:
        return max(at, 0)
    start, first = np.uint64(block * BLOCK), np.int32(BLOCK)
    for i in range(BLOCK):
        first = min(first, np.int32(i) if bits[start + np.uint64(i)] == top else np.int32(BLOCK))
    return int(block * BLOCK + first)


@part
def maximum_below_zero(stored: NDArray[Any], table: Table) -> float:
    """The maximum of a map (H, W) without a positive number and without NaN."""
    best: float = number(stored[0, 0], table)
    for y in range(stored.shape[0]):
        for x in range(stored.shape[1]):
            if number(stored[y, x], table) > best:
                best = number(stored[y, x], table)
    return best
