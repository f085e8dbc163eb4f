"""Assignment of rows to columns of a table of costs."""

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats


def assign(costs: Floats) -> list[tuple[int, int]]:
    """Pairs of rows and columns, each used once: as many pairs as possible, and of these the lowest sum of costs.

    The method is that of shortest augmenting paths (Kuhn, 1955; Jonker and Volgenant, 1987), in O(n^3).

    Args:
        costs: (R, C), not negative; infinite where a pair is not allowed.

    Returns:
        (row, column) of every pair, by row.

    Raises:
        DarkposeError: a cost is negative or NaN.
    """
    if costs.ndim != 2 or not (costs >= 0).all():
        raise DarkposeError(f"expected a table of costs that are not negative, got {costs.shape}")
    rows, columns = costs.shape
    if not costs.size:
        return []
    allowed = np.isfinite(costs)
    # A pair that is not allowed costs more than all allowed ones together, so as few as possible are taken.
    forbidden = 1.0 + costs[allowed].sum()
    table = np.where(allowed, costs, forbidden)
    table = table if rows <= columns else table.T
    pairs = [(row, column) for row, column in enumerate(_assign_all(table))]
    pairs = pairs if rows <= columns else [(row, column) for column, row in pairs]
    return sorted((row, column) for row, column in pairs if allowed[row, column])


def _assign_all(costs: Floats) -> list[int]:
    """The column of every row (R, C), R <= C, with the lowest sum; row by row along a shortest augmenting path."""
    rows, columns = costs.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    row_of = np.full(columns, -1)
    for first in range(rows):
        shortest, came_from = np.full(columns, np.inf), np.full(columns, -1)
        reached = np.zeros(columns, bool)
        row, column = first, -1
        while True:
            length = (shortest[column] if column >= 0 else 0.0) + costs[row] - row_price[row] - column_price
            shorter = ~reached & (length < shortest)
            shortest[shorter], came_from[shorter] = length[shorter], column
            column = int(np.where(reached, np.inf, shortest).argmin())
            if row_of[column] < 0:
                break
            reached[column] = True
            row = row_of[column]
        total = shortest[column]
        row_price[first] += total
        row_price[row_of[reached]] += total - shortest[reached]
        column_price[reached] -= total - shortest[reached]
        while column >= 0:  # back along the path
            before = came_from[column]
            row_of[column] = row_of[before] if before >= 0 else first
            column = int(before)
    found = np.full(rows, -1)
    found[row_of[row_of >= 0]] = np.flatnonzero(row_of >= 0)
    return [int(column) for column in found]
