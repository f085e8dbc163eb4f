"""Damage to crops: each kind against its definition, and their order."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from darkpose.image.pixels import Pixels
from darkpose.training.degrade import Damage, degrade

KINDS = {
    "patch": Damage(patch=(0.25, 0.1, 0.5, 0.4), colour=(250, 3, 77)),
    "blur": Damage(blur=0.04),
    "noise": Damage(noise=9.0, seed=5),
    "compress": Damage(quality=20),
}
EVERY_KIND = pytest.mark.parametrize("damage", KINDS.values(), ids=KINDS)
TOGETHER = Damage(patch=KINDS["patch"].patch, colour=(250, 3, 77), blur=0.04, noise=9.0, quality=20, seed=5)
SHARES = st.floats(-0.6, 1.2)


@pytest.fixture
def crop() -> Pixels:
    """48x40 px of coarse random squares."""
    squares = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    return np.kron(squares, np.ones((8, 8, 1), np.uint8))


def grey(level: int, height: int = 64, width: int = 64) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


def test_without_damage_the_result_is_a_copy(crop: Pixels) -> None:
    found = degrade(crop, Damage())
    np.testing.assert_array_equal(found, crop)
    assert not np.shares_memory(found, crop)


@EVERY_KIND
def test_every_kind_changes_a_copy_of_the_same_shape_and_type(crop: Pixels, damage: Damage) -> None:
    before = crop.copy()
    crop.flags.writeable = False
    found = degrade(crop, damage)
    assert found.shape == crop.shape
    assert found.dtype == np.uint8
    assert (found != before).any()
    np.testing.assert_array_equal(crop, before)
    np.testing.assert_array_equal(degrade(crop, damage), found)


def test_the_order_is_patch_blur_noise_compression(crop: Pixels) -> None:
    expected = crop
    for kind in ("patch", "blur", "noise", "compress"):
        expected = degrade(expected, KINDS[kind])
    np.testing.assert_array_equal(degrade(crop, TOGETHER), expected)


@given(x=SHARES, y=SHARES, across=st.floats(0.01, 1), down=st.floats(0.01, 1))
def test_a_patch_covers_the_pixels_with_their_centres_in_it(x: float, y: float, across: float, down: float) -> None:
    edges = np.array([x * 40, (x + across) * 40, y * 32, (y + down) * 32])
    assume(np.abs(edges % 1 - 0.5).min() > 1e-6)  # an edge through a pixel's centre may fall on either side
    found = degrade(grey(9, 32, 40), Damage(patch=(x, y, across, down), colour=(250, 3, 77)))
    column, row = np.arange(40) + 0.5, np.arange(32)[:, None] + 0.5
    inside = (edges[0] < column) & (column < edges[1]) & (edges[2] < row) & (row < edges[3])
    np.testing.assert_array_equal(found, np.where(inside[..., None], [250, 3, 77], 9))


@pytest.mark.parametrize("extent", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)])
def test_a_patch_without_area_changes_nothing(crop: Pixels, extent: tuple[float, float]) -> None:
    np.testing.assert_array_equal(degrade(crop, Damage(patch=(0.2, 0.2, *extent), colour=(1, 2, 3))), crop)


def test_a_blur_spreads_a_line_by_its_share_of_the_side_and_keeps_the_mean(crop: Pixels) -> None:
    line = grey(0, 80, 200)
    line[:, 100] = 255
    blurred = degrade(line, Damage(blur=0.02))[40, :, 0].astype(float)
    offset = np.arange(200) - 100
    spread = np.sqrt((blurred * offset**2).sum() / blurred.sum())
    assert spread == pytest.approx(0.02 * 200, rel=0.02)  # OpenCV cuts the Gaussian off at three deviations
    assert blurred.mean() == pytest.approx(255 / 200, abs=0.05)
    np.testing.assert_allclose(
        degrade(crop, Damage(blur=0.02)).mean(axis=(0, 1)), crop.mean(axis=(0, 1)), rtol=0, atol=0.5
    )
    np.testing.assert_array_equal(degrade(grey(117), Damage(blur=0.1)), grey(117))


def test_noise_has_the_given_deviation_and_no_bias() -> None:
    noise = degrade(grey(128), Damage(noise=12.0, seed=1)).astype(float) - 128
    # Four standard errors of 12,288 draws; rounding adds a variance of 1/12.
    assert noise.mean() == pytest.approx(0, abs=0.44)
    assert noise.std() == pytest.approx(np.sqrt(144 + 1 / 12), abs=0.31)
    neighbours = [noise[1:] * noise[:-1], noise[:, 1:] * noise[:, :-1], noise[..., 1:] * noise[..., :-1]]
    assert max(abs(product.mean()) for product in neighbours) < 144 * 4 / np.sqrt(8000)  # every value is its own draw


def test_noise_is_the_same_for_the_same_seed_alone(crop: Pixels) -> None:
    first, again, other = (degrade(crop, Damage(noise=9.0, seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.8


def test_noise_is_clipped_at_black_and_white() -> None:
    for level, sign in ((0, 1), (255, -1)):
        moved = sign * (degrade(grey(level), Damage(noise=20.0)).astype(int) - level)
        assert moved.min() == 0
        assert moved.max() < 110  # nothing wraps around
        assert np.mean(moved > 0) == pytest.approx(0.49, abs=0.02)


def test_a_lower_quality_increases_the_error(crop: Pixels) -> None:
    errors = [np.abs(degrade(crop, Damage(quality=q)).astype(int) - crop).mean() for q in (100, 60, 25, 5)]
    assert all(better < worse for better, worse in pairwise(errors)), errors


def test_the_defaults_are_no_damage() -> None:
    harmless = {"colour": (9, 9, 9), "seed": 9}  # of a patch and of noise that are not there
    assert {field.name for field in fields(Damage)} == {*harmless, "patch", "blur", "noise", "quality"}
    crop = grey(50)
    np.testing.assert_array_equal(degrade(crop, replace(Damage(), colour=(9, 9, 9), seed=9)), crop)
