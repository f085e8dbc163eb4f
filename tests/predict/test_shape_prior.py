"""Shape priors: against the textbook formula, their properties, their files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.evaluation.fitting import fit_shape_prior
from darkpose.predict.shape_prior import (
    ShapePrior,
    ShapePriorConfig,
    as_shape_prior,
    read_shape_prior,
    write_shape_prior,
)
from darkpose.schema import W300_68, WFLW_98, KeypointSchema, flip_pairs_from_names

NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth", "chin")
SIX = KeypointSchema("six", NAMES, flip_pairs_from_names(NAMES))
MEAN = np.array([[60.0, 40], [100, 40], [80, 65], [66, 85], [94, 85], [80, 110]])
Floats = NDArray[np.float64]


def faces(count: int = 200, seed: int = 0) -> tuple[Floats, Floats]:
    """Different faces (N, 6, 2) of several sizes and places, and their boxes."""
    rng = np.random.default_rng(seed)
    points = MEAN + rng.normal(0, 3, (count, 6, 2)) + rng.normal(0, 6, (count, 1, 2)) * (1, 0.3)
    points = points * rng.uniform(0.5, 2, (count, 1, 1)) + rng.uniform(0, 300, (count, 1, 2))
    return points, np.concatenate([points.min(1), points.max(1)], 1)


@pytest.fixture(scope="module")
def prior() -> ShapePrior:
    return fit_shape_prior(*faces(), SIX, modes=5, fitted="drawn faces", test_images=["b.jpg", "a.jpg", "a.jpg"])


def textbook(prior: ShapePrior, points: Floats, scores: Floats, box: Floats) -> Floats:
    """The expected face, by full matrices and one weight after another."""
    its, side = prior.config, max(box[2] - box[0], box[3] - box[1])
    middle = (box[:2] + box[2:]) / 2
    found, mean = (points - middle) / side, prior.mean
    centred = mean - mean.mean(0)
    covariance = prior.rest * np.eye(mean.size)
    directions = [*prior.modes, its.size * centred, its.angle * centred @ np.array([[0.0, 1], [-1, 0]])]
    directions += [its.position * np.tile(axis, (len(mean), 1)) for axis in ([1.0, 0], [0.0, 1])]
    for direction in directions:
        covariance += np.outer(direction.ravel(), direction.ravel())
    error = np.array([its.error * np.exp(its.decline * (its.sure - min(max(s, 0), its.sure))) for s in scores])
    weights, drawn = np.ones(len(mean)), found
    for _ in range(its.rounds):
        noise = np.diag(np.repeat(error / weights, 2))
        drawn = (mean.ravel() + covariance @ np.linalg.inv(covariance + noise) @ (found - mean).ravel()).reshape(-1, 2)
        weights = np.array(
            [(its.freedom + 2) / (its.freedom + ((f - d) ** 2).sum() / e) for f, d, e in zip(found, drawn, error)]  # noqa: B905
        )
    return np.asarray(drawn * side + middle)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_prior_does_the_same_as_the_textbook_formula(prior: ShapePrior, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, boxes = faces(3, seed)
    points[0, rng.integers(6)] += rng.normal(0, 60, 2)
    scores = rng.uniform(-0.2, 1.2, (3, 6))
    expected = [textbook(prior, *each) for each in zip(points, scores, boxes, strict=True)]
    np.testing.assert_allclose(prior(points, scores, boxes), expected, rtol=0, atol=1e-6)


def test_a_lost_landmark_is_restored_and_others_stay(prior: ShapePrior) -> None:
    points, scores = MEAN[None].copy(), np.full((1, 6), 0.9)
    box = np.array([[*MEAN.min(0), *MEAN.max(0)]])
    points[0, 2] += (40, -30)
    scores[0, 2] = 0.05
    off = np.linalg.norm(prior(points, scores, box)[0] - MEAN, axis=1)
    assert off[2] < 6
    assert off[[0, 1, 3, 4, 5]].max() < 2


@given(shift=st.floats(-500, 500), factor=st.floats(0.2, 5))
@settings(max_examples=20)
def test_the_result_moves_and_grows_with_the_image(prior: ShapePrior, shift: float, factor: float) -> None:
    points, boxes = faces(2, 3)
    scores = np.random.default_rng(1).uniform(0, 1, (2, 6))
    here, there = prior(points, scores, boxes), prior(points * factor + shift, scores, boxes * factor + shift)
    np.testing.assert_allclose(there, here * factor + shift, rtol=0, atol=1e-6)


def test_a_mirrored_face_gives_mirrored_landmarks(prior: ShapePrior) -> None:
    points, boxes = faces(4, 5)
    scores = np.random.default_rng(2).uniform(0, 1, (4, 6))

    def mirrored(each: Floats) -> Floats:
        return np.asarray((each * (-1, 1) + (639, 0))[:, SIX.flip_index])

    turned = np.stack([639 - boxes[:, 2], boxes[:, 1], 639 - boxes[:, 0], boxes[:, 3]], 1)
    found = prior(mirrored(points), scores[:, SIX.flip_index], turned)
    np.testing.assert_allclose(found, mirrored(prior(points, scores, boxes)), rtol=0, atol=1e-6)


def test_a_face_that_is_not_finite_is_not_changed_and_does_not_affect_others(prior: ShapePrior) -> None:
    points, boxes = faces(3, 7)
    scores = np.full((3, 6), 0.5)
    alone = prior(points[[0, 2]], scores[[0, 2]], boxes[[0, 2]])
    points[1] = np.inf
    scores[0, 0] = np.nan
    found = prior(points, scores, boxes)
    assert np.isinf(found[1]).all()
    np.testing.assert_allclose(found[2], alone[1], rtol=0, atol=1e-9)
    assert np.isfinite(found[0]).all()
    assert prior(points[:0], scores[:0], boxes[:0]).shape == (0, 6, 2)


def test_a_fitted_covariance_is_that_of_the_faces_and_their_mirror_images() -> None:
    points, boxes = faces(50, 9)
    weights = np.random.default_rng(0).integers(1, 4, 50)
    found = fit_shape_prior(points, boxes, SIX, weights=weights, modes=12)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1)[:, None, None]
    shapes = (points - ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]) / sides
    other = shapes[:, SIX.flip_index] * (-1, 1)
    rows = np.concatenate([np.repeat(shapes, weights, 0), np.repeat(other, weights, 0)]).reshape(-1, 12)
    np.testing.assert_allclose(found.mean.ravel(), rows.mean(0), rtol=0, atol=1e-12)
    modes = found.modes.reshape(len(found.modes), -1)
    np.testing.assert_allclose(modes.T @ modes, np.cov(rows.T, bias=True), rtol=0, atol=1e-8)


def test_a_prior_is_read_as_it_was_written(prior: ShapePrior, tmp_path: Path) -> None:
    write_shape_prior(prior, tmp_path / "p.safetensors")
    found = read_shape_prior(tmp_path / "p.safetensors")
    assert (found.schema, found.fitted, found.test_images) == ("six", "drawn faces", ("a.jpg", "b.jpg"))
    assert (found.config, found.rest) == (prior.config, prior.rest)
    assert found.digest() == prior.digest()
    points, boxes = faces(2, 11)
    scores = np.full((2, 6), 0.3)
    np.testing.assert_allclose(found(points, scores, boxes), prior(points, scores, boxes), rtol=0, atol=1e-3)
    assert replace(prior, config=ShapePriorConfig(error=1e-4)).digest() != prior.digest()


def test_the_package_has_a_prior_for_98_landmarks() -> None:
    found = as_shape_prior("wflw-98", WFLW_98)
    assert len(found.test_images) == 260
    with pytest.raises(DarkposeError, match=r"wflw-98: .*schema wflw-98, .*300w-68"):
        as_shape_prior("wflw-98", W300_68)


def broken(folder: Path) -> dict[str, tuple[Path, str]]:
    (folder / "text").write_text("nothing")
    return {"none": (folder / "none", "not a readable"), "text": (folder / "text", "not a readable")}


@pytest.mark.parametrize("which", ["none", "text"])
def test_other_files_are_refused_by_name(tmp_path: Path, which: str) -> None:
    path, message = broken(tmp_path)[which]
    with pytest.raises(DarkposeError, match=message) as raised:
        as_shape_prior(str(path), SIX)
    assert str(path) in str(raised.value)


def test_a_file_of_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"mean": np.zeros((6, 2), np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(DarkposeError, match="format 1"):
        read_shape_prior(tmp_path / "w.safetensors")


def test_a_prior_of_complex_numbers_is_refused(prior: ShapePrior, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    file = tmp_path / "p.safetensors"
    write_shape_prior(prior, file)
    with safe_open(file, "numpy") as opened:
        metadata = opened.metadata()
    save_file({name: values.astype(np.complex64) for name, values in load_file(file).items()}, file, metadata)
    with pytest.raises(DarkposeError, match=r"p\.safetensors: expected a shape prior"):
        read_shape_prior(file)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (np.zeros((1, 5, 2)), np.zeros((1, 5)), np.ones((1, 4))),
            r"expected \(N, 6, 2\), \(N, 6\) and \(N, 4\) for six",
        ),
        ((np.zeros((1, 6, 2)), np.zeros((1, 6)), np.ones((1, 4))), "box has no area"),
    ],
)
def test_arrays_that_do_not_match_are_refused(prior: ShapePrior, arguments: Any, message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        prior(*arguments)


def test_unusable_settings_and_too_few_faces_are_refused() -> None:
    with pytest.raises(DarkposeError, match="from 0 to 100, with error and freedom above 0"):
        ShapePriorConfig(error=0.0)
    with pytest.raises(DarkposeError, match="at least 3 faces"):
        fit_shape_prior(*faces(2), SIX)
