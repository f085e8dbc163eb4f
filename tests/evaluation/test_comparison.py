"""Comparison of two predictions."""

import numpy as np
import pytest

from darkpose.evaluation.comparison import compare_predictions
from darkpose.evaluation.report import measure_errors
from darkpose.schema import WFLW_98
from random_faces import faces

rng = np.random.default_rng(0)


def test_a_comparison_is_the_difference_of_both_errors_on_the_faces_that_both_found() -> None:
    samples = faces(40)
    truth = np.stack([sample.keypoints for sample in samples])
    first, second = truth + rng.normal(0, 2, truth.shape), truth + rng.normal(0, 3, truth.shape)
    first[4], second[7] = np.inf, np.inf
    kept = [i for i in range(40) if i not in (4, 7)]
    alone = [
        measure_errors(points[kept], [samples[i] for i in kept], WFLW_98).subsets["all"].nme
        for points in (first, second)
    ]
    found = compare_predictions(first, second, samples, WFLW_98)
    assert found.faces == 38
    assert found.difference == pytest.approx(alone[0] - alone[1])
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.found_by_one == 2
    assert found.line().endswith("38 faces that both found")  # no verdict: each missed one that the other found
    assert "the first is better" in compare_predictions(truth + 0.1, truth + 1, samples, WFLW_98).line()
    assert compare_predictions(second, first, samples, WFLW_98).difference == pytest.approx(-found.difference)
    assert "no difference shown" in compare_predictions(first, first, samples, WFLW_98).line()
    nothing = compare_predictions(np.full_like(first, np.inf), second, samples, WFLW_98)
    assert (nothing.faces, nothing.missed, nothing.line()) == (0, (40, 1), "no face was found in both")
    assert nothing.to_dict()["difference"] is None


def test_there_is_no_verdict_on_few_images_or_where_one_missed_more() -> None:
    samples = faces(12)  # six images
    truth = np.stack([sample.keypoints for sample in samples])
    assert compare_predictions(truth, truth + 1, samples, WFLW_98).line().endswith("too few images for a verdict")
    samples = faces(40)
    truth = np.stack([sample.keypoints for sample in samples])
    missed = truth + 1
    missed[3] = np.inf
    assert compare_predictions(truth, missed, samples, WFLW_98).line().endswith("39 faces that both found")
