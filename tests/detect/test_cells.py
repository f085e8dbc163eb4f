"""Cells of the detector's network -> faces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.detect.cells import FoundFaces, all_strides, faces_of, without_duplicates
from darkpose.weights.face_detector import CELL_VALUES

STRIDES = [stride for stride, _ in all_strides()]
WIDTH, HEIGHT = 256, 128
COUNTS = [(WIDTH // stride) * (HEIGHT // stride) for stride in STRIDES]


def cells_with(grid: int, column: int, row: int, values: list[float]) -> NDArray[np.float32]:
    """Cells without a face but one."""
    cells = np.zeros((len(CELL_VALUES), sum(COUNTS)), np.float32)
    cells[0] = -10
    cells[:, sum(COUNTS[:grid]) + row * (WIDTH // STRIDES[grid]) + column] = values
    return cells


@given(st.integers(0, 8), st.data())
def test_a_face_lies_where_its_cell_says(grid: int, data: st.DataObject) -> None:
    stride = STRIDES[grid]
    column = data.draw(st.integers(0, WIDTH // stride - 1))
    row = data.draw(st.integers(0, HEIGHT // stride - 1))
    dx, dy = (data.draw(st.floats(-2, 2)) for _ in range(2))
    width, height = (data.draw(st.floats(-2, 2) if grid < 3 else st.floats(2.4, 4)) for _ in range(2))
    roll = data.draw(st.floats(-3.1, 3.1))
    values = [2.0, dx, dy, width, height, 3 * np.cos(roll), 3 * np.sin(roll)]
    found = faces_of(cells_with(grid, column, row, values), (WIDTH, HEIGHT), 0.5)
    np.testing.assert_allclose(found.center, [[(column + dx) * stride, (row + dy) * stride]], atol=1e-4)
    np.testing.assert_allclose(found.size, [[np.exp(width) * stride, np.exp(height) * stride]], rtol=1e-5)
    np.testing.assert_allclose(found.roll, [roll], atol=1e-5)
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-2))], rtol=1e-6)


@pytest.mark.parametrize(("grid", "least"), [(3, 160), (4, 160), (7, 320)])
def test_the_smaller_sizes_of_an_image_give_large_faces_only(grid: int, least: float) -> None:
    for side, count in ((least - 1, 0), (least + 1, 1)):
        log = np.log(side / STRIDES[grid])
        cells = cells_with(grid, 0, 0, [2, 0, 0, log, log, 1, 0])
        assert len(faces_of(cells, (WIDTH, HEIGHT), 0.5).scores) == count


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.99))
@settings(max_examples=30)
def test_any_cells_give_finite_boxes(seed: int, threshold: float) -> None:
    cells = np.random.default_rng(seed).normal(0, 50, (len(CELL_VALUES), sum(COUNTS))).astype(np.float32)
    found = without_duplicates(faces_of(cells, (WIDTH, HEIGHT), threshold))
    for boxes in (found.upright_boxes(), found.square_boxes()):
        assert np.isfinite(boxes).all()
        assert (boxes[:, 2:] >= boxes[:, :2]).all()
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores >= threshold - 1e-9).all()


def faces(rows: list[list[float]]) -> FoundFaces:
    """From rows of centre x and y, width, height, roll, score."""
    values = np.array(rows, np.float64).reshape(-1, 6)
    return FoundFaces(values[:, :2], values[:, 2:4], values[:, 4], values[:, 5])


def test_of_two_boxes_on_a_face_the_surer_one_stays_whatever_their_rolls() -> None:
    found = without_duplicates(faces([[50, 50, 20, 20, 0, 0.6], [51, 50, 20, 22, 1.5, 0.9], [90, 50, 20, 20, 0, 0.7]]))
    assert found.scores.tolist() == [0.9, 0.7]
    assert len(without_duplicates(faces([])).scores) == 0


@pytest.mark.parametrize(
    ("degrees", "expected"), [(0, [20, 10]), (90, [10, 20]), (180, [20, 10]), (45, [250**0.5] * 2)]
)
def test_an_upright_box_goes_around_the_ellipse_in_a_turned_box(degrees: float, expected: list[float]) -> None:
    (box,) = faces([[50, 40, 20, 10, np.deg2rad(degrees), 0.9]]).upright_boxes()
    np.testing.assert_allclose(box[2:] - box[:2], expected, atol=1e-9)
    np.testing.assert_allclose((box[2:] + box[:2]) / 2, [50, 40], atol=1e-9)
