"""Errors of predictions, against plain loops."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.evaluation.report import face_nmes, measure_errors
from darkpose.schema import AFLW_19, WFLW_98
from random_faces import faces

rng = np.random.default_rng(0)


def test_nme_failures_and_percentiles_agree_with_plain_loops() -> None:
    samples = faces()
    points = np.stack([s.keypoints + rng.normal(0, 3, (98, 2)) for s in samples])
    points[3] = np.inf  # not found
    found = measure_errors(points, samples, WFLW_98, {"test": 3.98, "pose": 6.99})
    assert found.normaliser == "inter_ocular"
    assert found.published == {"test": 3.98, "pose": 6.99}
    for name, row in found.subsets.items():
        pooled, means, missed, count = [], [], 0, 0
        for sample, predicted in zip(samples, points, strict=True):
            if name != "all" and name not in sample.subsets:
                continue
            count += 1
            if np.isinf(predicted).any():
                missed += 1
                continue
            length = float(np.hypot(*(sample.keypoints[60] - sample.keypoints[72])))
            errors = [
                100 * float(np.hypot(*(predicted[k] - sample.keypoints[k]))) / length
                for k in range(98)
                if sample.visible[k]
            ]
            pooled += errors
            means.append(sum(errors) / len(errors))
        assert (row.faces, row.missed) == (count, missed)
        assert row.nme == pytest.approx(np.mean(pooled))
        assert row.nme_by_face == pytest.approx(np.mean(means))
        assert row.percentiles[50] == pytest.approx(np.median(means))
        assert row.failure_rates[8] == pytest.approx(100 * (missed + sum(m > 8 for m in means)) / count)
        assert row.aucs[10] == pytest.approx(100 * sum(max(0, 1 - m / 10) for m in means) / count)
        assert row.interval[0] <= row.nme <= row.interval[1]


def test_a_set_without_a_single_face_found_has_no_error_but_failures() -> None:
    row = measure_errors(np.full((12, 98, 2), np.inf), faces(), WFLW_98).subsets["all"]
    assert (row.missed, row.failure_rates[10], row.aucs[10]) == (12, 100, 0)
    assert np.isnan(row.nme)


def test_aflw_is_normalised_by_its_annotated_square() -> None:
    keypoints = rng.uniform(0, 100, (19, 2))
    sample = Sample(Path("a.jpg"), keypoints, np.ones(19), np.array([0.0, 0, 90, 90]), box_size=128.0)
    found = measure_errors((keypoints + np.array([3.0, 4.0]))[None], [sample], AFLW_19, {"full": 1.34})
    assert found.normaliser == "box"
    assert found.subsets["all"].nme == pytest.approx(100 * 5 / 128)
    assert found.published_line() == "published row: full 1.34, here 3.91 (+2.57)"


def test_a_normaliser_that_is_not_positive_names_the_face() -> None:
    samples = faces(3)
    samples[1].keypoints[72] = samples[1].keypoints[60]
    with pytest.raises(DarkposeError, match=r"0\.jpg: its normaliser is 0"):
        measure_errors(np.zeros((3, 98, 2)), samples, WFLW_98)


def test_the_table_has_a_line_per_subset_and_the_published_numbers() -> None:
    samples = faces()
    lines = measure_errors(np.stack([s.keypoints for s in samples]) + 1, samples, WFLW_98, {"pose": 6.99}).lines()
    assert [line.split()[0] for line in lines[2:5]] == ["all", "blur", "pose"]
    assert lines[4].endswith("6.99")
    assert "inter_pupil" in lines[-3]
    assert "mean of the faces" in lines[-2]
    assert "mouth" in lines[-1]


def test_regions_and_landmarks_are_means_over_their_points() -> None:
    samples = faces()
    points = np.stack([s.keypoints + rng.normal(0, 3, (98, 2)) for s in samples])
    points[2] = np.inf
    found = measure_errors(points, samples, WFLW_98)
    errors: dict[int, list[float]] = {k: [] for k in range(98)}
    for sample, predicted in zip(samples, points, strict=True):
        length = float(np.hypot(*(sample.keypoints[60] - sample.keypoints[72])))
        for k in range(98):
            if sample.visible[k] and np.isfinite(predicted[k]).all():
                errors[k].append(100 * float(np.hypot(*(predicted[k] - sample.keypoints[k]))) / length)
    assert list(found.nme_by_landmark.values()) == pytest.approx([float(np.mean(errors[k])) for k in range(98)])
    mouth = [error for k in range(76, 96) for error in errors[k]]
    assert found.subsets["all"].nme_by_region["mouth"] == pytest.approx(np.mean(mouth))
    assert list(found.subsets["all"].nme_by_region) == ["contour", "brows", "eyes", "nose", "mouth"]


def test_every_face_has_an_error_and_a_missed_one_an_infinite_one() -> None:
    samples = faces(3)
    points = np.stack([s.keypoints + np.array([3.0, 4.0]) for s in samples])
    points[1] = np.inf
    lengths = [np.hypot(*(s.keypoints[60] - s.keypoints[72])) for s in samples]
    assert face_nmes(points, samples, WFLW_98).tolist() == pytest.approx([500 / lengths[0], np.inf, 500 / lengths[2]])


def test_a_normaliser_of_few_faces_is_printed_with_their_number() -> None:
    samples = faces(4)
    for sample in samples:
        sample.visible[:] = 1
    for sample in samples[1:]:
        sample.visible[61] = 0  # no centre of the eye, but both corners
    points = np.stack([s.keypoints + rng.normal(0, 3, (98, 2)) for s in samples])
    row = measure_errors(points, samples, WFLW_98).subsets["all"]
    eyes = samples[0].keypoints[60:68].mean(axis=0) - samples[0].keypoints[68:76].mean(axis=0)
    alone = 100 * np.linalg.norm(points[0] - samples[0].keypoints, axis=-1).mean() / np.hypot(*eyes)
    assert row.nme_by_normaliser["inter_pupil"] == pytest.approx(alone)
    assert row.face_mean_by_normaliser["inter_pupil"] == pytest.approx(alone)
    assert row.faces_by_normaliser["inter_pupil"] == 1
    text = measure_errors(points, samples, WFLW_98).lines()[-3]
    assert f"inter_pupil {alone:.2f} (1 faces)" in text


def test_published_numbers_that_are_not_comparable_are_not_in_the_table() -> None:
    samples = faces()
    found = measure_errors(np.stack([s.keypoints for s in samples]), samples, WFLW_98, {"pose": 6.99}, ["drawn faces"])
    assert not any(line.endswith("6.99") for line in found.lines())
    assert found.published_line() == "published row: pose 6.99; not comparable: drawn faces"
