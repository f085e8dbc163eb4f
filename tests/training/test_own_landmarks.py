"""Training on landmarks of your own: boxes, initial heatmaps, epochs, and a small run."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.pixels import write_image
from darkpose.network.hrnet import HRNet
from darkpose.network.load import load_checkpoint
from darkpose.predict.landmarks import Landmarks
from darkpose.predict.predictor import BoxKind, Predictor
from darkpose.schema import KeypointSchema
from darkpose.training import own_landmarks
from darkpose.training.config import RunOptions, TrainConfig
from darkpose.training.own_landmarks import nearest_heatmaps, own_task, plan_own, train_own, with_epochs
from darkpose.training.own_report import report_own
from darkpose.training.recipe_run import run_task
from darkpose.weights.checkpoint import HRNetConfig, open_checkpoint

TINY = HRNetConfig(1, widths=(4, 4, 4, 4), modules=(1, 1, 1), blocks=1, stem=4)
SCHEMA = KeypointSchema("mine", ("top", "left", "right"), ((1, 2),))
HERE = RunOptions(workers=0)
KINDS: tuple[BoxKind, BoxKind] = ("detector", "square")


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Twenty-four objects in noise, which are no faces."""
    rng, found = np.random.default_rng(0), []
    (tmp_path / "images").mkdir()
    for number in range(24):
        image = tmp_path / "images" / f"{number}.png"
        write_image(image, rng.integers(0, 255, (70, 70, 3), np.uint8))
        keypoints = rng.uniform(15, 25, 2) + np.array([[10.0, 0], [0, 20], [20, 20]])
        box = np.array([*keypoints.min(axis=0), *keypoints.max(axis=0)])
        found.append(Sample(image, keypoints, np.ones(3), box))
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network and crops that take no time."""
    usual = own_landmarks._config

    def small(known: object, count: int, held_out: float) -> TrainConfig:
        config = usual(known, count, held_out)  # type: ignore[arg-type]
        return replace(config, network=TINY, crop_size=64, precision="no", batch_size=8)

    monkeypatch.setattr(own_landmarks, "_config", small)


def test_a_landmark_takes_the_heatmap_that_is_found_near_it(
    samples: list[Sample], small_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = load_checkpoint(small_weights, whole=True)

    def found(find: object, probed: Sequence[Sample], **_: object) -> Landmarks:
        points = np.full((len(probed), 68, 2), 500.0)
        for points_of_one, sample in zip(points, probed, strict=True):
            points_of_one[[7, 40]] = sample.keypoints[[0, 2]] + 0.5  # of two landmarks; the third has none near
            points_of_one[9] = sample.keypoints[0] + 1
        return Landmarks(points, np.ones(points.shape[:2]))

    monkeypatch.setattr(own_landmarks, "predict_samples", found)
    np.testing.assert_array_equal(nearest_heatmaps(known, samples, 3), [7, -1, 40])
    hidden = [replace(sample, visible=np.array([0.0, 1, 1])) for sample in samples]
    np.testing.assert_array_equal(nearest_heatmaps(known, hidden, 3), [-1, -1, 40])  # nothing is known of the first


def test_too_few_samples_are_refused(samples: list[Sample]) -> None:
    with pytest.raises(DarkposeError, match="mine: expected at least 20 annotated faces or objects, got 19"):
        own_task("mine", samples[:19], SCHEMA)


@pytest.mark.usefixtures("quick")
def test_epochs_come_with_a_warm_up_and_validations_that_suit_them(samples: list[Sample]) -> None:
    own = own_task("mine", samples, SCHEMA, start="nothing")
    assert (len(own.task.samples), len(own.task.validation), own.new) == (22, 2, 3)
    few, many = (with_epochs(own, epochs).task.recipe.train for epochs in (1, 200))
    assert (few.epochs, few.schedule.warmup, few.validate_every, few.patience) == (1, 0, 1, 6)
    assert (many.epochs, many.schedule.warmup, many.validate_every, many.patience) == (200, 50, 10, 60)
    assert (few.frozen, many.frozen) == (0, 0)  # nothing to keep
    started = replace(own, initial=HRNet(TINY))
    assert with_epochs(started, 200).task.recipe.train.frozen == 60
    assert with_epochs(replace(started, new=0), 200).task.recipe.train.frozen == 0


@pytest.mark.usefixtures("quick")
def test_a_run_on_objects_gives_weights_report_and_card_and_goes_on(samples: list[Sample], tmp_path: Path) -> None:
    own = own_task("mine", samples, SCHEMA, start="nothing")
    planned, plan = plan_own(own, 1e-6, HERE)
    assert (plan.epochs, planned.task.recipe.train.epochs) == (1, 1)
    out = tmp_path / "run"
    trained = train_own(own, out, 1e-6, HERE)
    assert (trained.epoch, json.loads((out / "plan.json").read_text())["epochs"]) == (1, 1)
    assert train_own(own, out, 1e9, HERE).epoch == 1  # the plan is kept
    found = report_own(own, out)
    assert found.report.subsets["all"].faces == 2
    text = (out / "card.md").read_text()
    assert "3 landmarks, trained by darkpose on 22 samples" in text
    assert "`predict` needs `--boxes`" in text
    assert "| epochs; the best, which is kept | 1; 1 |" in text
    assert open_checkpoint(out / "weights.safetensors").provenance["boxes"] == "annotation"

    predictor = Predictor(out, detector="haar")
    assert predictor.schema == SCHEMA
    with pytest.raises(DarkposeError, match="landmarks of objects in boxes, and no faces; give the boxes"):
        predictor(samples[0].image)
    boxes = samples[0].box[None]
    (here,), (square,) = (predictor(samples[0].image, boxes, kind) for kind in KINDS)
    np.testing.assert_array_equal(here.keypoints, square.keypoints)


@pytest.mark.parametrize("text", ["{}", '{"epochs": "many"}', '{"epochs": 0}', "[3]"])
@pytest.mark.usefixtures("quick")
def test_a_plan_of_something_else_is_refused(samples: list[Sample], tmp_path: Path, text: str) -> None:
    own = own_task("mine", samples, SCHEMA, start="nothing")
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(DarkposeError, match=r"plan\.json: not the plan of a run; choose another folder"):
        train_own(own, tmp_path, 60, HERE)


@pytest.mark.usefixtures("quick")
def test_frozen_steps_change_the_last_layer_alone(samples: list[Sample], tmp_path: Path) -> None:
    own = own_task("mine", samples, SCHEMA, start="nothing")
    first = train_own(own, tmp_path / "first", 1e-6, HERE).model
    recipe = own.task.recipe
    still = replace(recipe.train, frozen=100, ema=0.0, schedule=replace(recipe.train.schedule, warmup=0))
    task = own.task._replace(recipe=replace(recipe, train=still))
    trained = run_task(task, tmp_path / "second", start="nothing", initial=first, options=HERE).model
    before = dict(first.named_parameters())
    changed = {name for name, value in trained.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {"head.3.weight", "head.3.bias"}
