"""Assignment, against all permutations."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.errors import DarkposeError
from darkpose.evaluation.assignment import assign

COSTS = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1), st.floats(0, 1))


def best(costs: np.ndarray) -> tuple[int, float]:
    """Number of pairs and their sum, by trying all."""
    rows, columns = costs.shape
    if rows > columns:
        return best(costs.T)
    tried = []
    for chosen in itertools.permutations(range(columns), rows):
        found = [costs[i, j] for i, j in enumerate(chosen) if math.isfinite(costs[i, j])]
        tried.append((-len(found), sum(found)))
    count, total = min(tried)
    return -count, total


@given(case=COSTS)
def test_as_many_pairs_as_possible_have_the_lowest_sum(case: tuple[int, int, int, float]) -> None:
    rows, columns, seed, share = case
    rng = np.random.default_rng(seed)
    costs = rng.uniform(0, 9, (rows, columns))
    costs[rng.uniform(size=costs.shape) < share] = np.inf
    pairs = assign(costs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    count, total = best(costs)
    assert len(pairs) == count
    assert sum(costs[pair] for pair in pairs) == pytest.approx(total, abs=1e-9)


def test_the_nearest_pair_first_is_not_the_best() -> None:
    assert assign(np.array([[1.0, 2.0], [1.5, 9.0]])) == [(0, 1), (1, 0)]


def test_equal_costs_and_many_rows_are_assigned() -> None:
    assert sorted(column for _, column in assign(np.ones((60, 60)))) == list(range(60))
    rng = np.random.default_rng(0)
    order = rng.permutation(40)
    assert assign(np.abs(order[:, None] - np.arange(40)[None]).astype(float)) == list(enumerate(order.tolist()))


@pytest.mark.parametrize("costs", [np.array([[-1.0]]), np.array([[np.nan]]), np.zeros(3)])
def test_other_tables_are_refused(costs: np.ndarray) -> None:
    with pytest.raises(DarkposeError, match="table of costs"):
        assign(costs)
