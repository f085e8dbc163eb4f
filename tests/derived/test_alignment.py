"""Aligned crops: the least-squares similarity to the published points."""

import numpy as np
import pytest

from darkpose.derived.alignment import TEMPLATES, align, template_points
from darkpose.errors import DarkposeError
from darkpose.image.geometry import transform


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Umeyama 1991, equations 38 to 43, by singular values."""
    p, q = source - source.mean(axis=0), target - target.mean(axis=0)
    u, d, vt = np.linalg.svd(q.T @ p / len(p))
    signs = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    turn = u @ signs @ vt
    scale = np.trace(np.diag(d) @ signs) / p.var(axis=0).sum()
    return np.column_stack([scale * turn, target.mean(axis=0) - scale * turn @ source.mean(axis=0)])


@pytest.mark.parametrize("template", ["arcface-112", "ffhq-512", "arcface-224", "ffhq", "arcface"])
def test_the_matrix_is_the_least_squares_similarity(template: str) -> None:
    rng = np.random.default_rng(0)
    points, size = template_points(template)
    for _ in range(20):
        angle, scale = rng.uniform(-3, 3), rng.uniform(0.2, 5)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        five = points @ turn.T + rng.uniform(0, 500, 2) + rng.normal(size=(5, 2)) * 3
        found = align(five, template)
        expected = transform(umeyama(five, points), five)
        assert np.abs(transform(found.matrix, five) - expected).max() < 0.01
        assert found.size == size


def test_templates_scale_with_their_size() -> None:
    assert (template_points("arcface-112")[0] == TEMPLATES["arcface"][1]).all()
    assert template_points("arcface-224")[0] == pytest.approx(2 * np.array(TEMPLATES["arcface"][1]))
    assert template_points("ffhq")[1] == 512


def test_a_margin_shows_more_around_at_the_same_size() -> None:
    five = np.array(TEMPLATES["arcface"][1])  # as the template is, so the crop is the image
    corners = np.array([[-0.5, -0.5], [111.5, 111.5]])
    assert transform(align(five, "arcface-112").matrix, corners) == pytest.approx(corners, abs=1e-6)
    around = corners + np.array([[-28, -28], [28, 28]])
    found = align(five, "arcface-112", margin=0.25)
    inner = transform(found.matrix, around)
    assert found.size == 112
    assert inner == pytest.approx(np.array([[0, 0], [111, 111]]), abs=0.5)


@pytest.mark.parametrize("template", ["arcface-", "arcface-0", "arcface-99999", "arcface-12.5", "dlib", "", "ffhq-5"])
def test_an_unknown_template_is_refused(template: str) -> None:
    with pytest.raises(DarkposeError, match="expected a template arcface or ffhq"):
        template_points(template)


def test_unknown_points_and_margins_are_refused() -> None:
    five = np.array(TEMPLATES["arcface"][1])
    for wrong in (np.full((5, 2), np.nan), np.ones((5, 2))):
        with pytest.raises(DarkposeError, match="cannot be aligned"):
            align(wrong, "arcface-112")
    for margin in (-0.1, 5, np.nan, True, "1"):
        with pytest.raises(DarkposeError, match="margin must be a number from 0 to 4"):
            align(five, "arcface-112", margin)  # type: ignore[arg-type]
