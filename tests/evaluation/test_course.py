"""The steps and validations in the log of a training run."""

from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.evaluation.course import Course, Step, course_of

STEP = {"mode": "train", "epoch": 1, "iter": 0, "lr": 0.1, "loss": 2, "time": 0.5}
VALIDATION = {"mode": "val", "epoch": 1, "NME": 0.04}


def test_steps_and_validations_are_told_apart_and_other_fields_left_out() -> None:
    course = course_of("run", [STEP, VALIDATION, {"mode": "other", "epoch": 3}])
    assert course == Course([Step(1, 0, 0.1, 2.0)], [(1, 0.04)])


def test_a_validation_without_a_number_is_left_out() -> None:
    assert course_of("run", [STEP, {**VALIDATION, "NME": None}]).validations == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({**STEP, "loss": "2"}, 'loss: expected a number, got "2"'),
        ({**STEP, "loss": -1}, "loss: expected a number from 0"),
        ({**STEP, "epoch": 0}, "epoch: expected a number from 1"),
        ({**STEP, "iter": 1.5}, "iter: expected a whole number"),
        ({**STEP, "lr": 10**300}, "lr: expected a number from 0 to 1e"),
        ({"mode": "train", "epoch": 1}, "misses iter, loss, lr"),
        ({**VALIDATION, "NME": [1]}, "NME: expected a number"),
    ],
)
def test_a_field_of_another_type_or_range_is_one_sentence(line: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=f"^run: a line of its log cannot be used: .*{message}"):
        course_of("run", [STEP, line])


def test_an_epoch_that_has_only_begun_does_not_stretch_those_before() -> None:
    def per_epoch(*steps: tuple[int, int]) -> float:
        return Course([Step(epoch, iteration, 0.1, 1.0) for epoch, iteration in steps], []).steps_per_epoch

    whole = [(1, number) for number in range(100)]
    assert per_epoch(*whole) == 100
    assert per_epoch(*whole, (2, 100)) == 100
    assert per_epoch(*whole[::30], (2, 100), (3, 299)) == 100
