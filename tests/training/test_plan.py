"""Plans of runs."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_recipe_run import QUICK, write_300w

from darkpose.errors import DarkposeError
from darkpose.training.plan import plan_run
from darkpose.training.recipe_run import read_task


def test_a_plan_counts_faces_steps_and_parameters_and_writes_nothing(tmp_path: Path) -> None:
    write_300w(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    config = replace(QUICK.train, batch_size=1, accumulate=2, epochs=5)
    plan = plan_run(read_task(replace(QUICK, train=config), tmp_path))
    assert (plan.faces, plan.validation, plan.validated) == (3, 1, "the test set 300w-lfpw")
    assert (plan.step_faces, plan.steps, plan.epochs) == (2, 2, 5)
    assert (plan.landmarks, plan.crop_size, plan.processes) == (68, 64, 1)
    assert plan.seconds_per_step > 0
    assert plan.memory > 50
    assert plan.hours == plan.seconds_per_step * 10 / 3600
    assert "3 to train on, 1 to validate on: the test set 300w-lfpw" in str(plan)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_plan_of_a_run_that_cannot_be_is_refused(tmp_path: Path) -> None:
    write_300w(tmp_path)
    config = replace(QUICK.train, batch_size=2, accumulate=1, crop_size=32)
    with pytest.raises(DarkposeError, match="two faces in every batch, but 3 faces in batches of 2 leave one alone"):
        plan_run(read_task(replace(QUICK, train=config), tmp_path))
