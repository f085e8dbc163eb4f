"""Train on landmarks of your own: boxes, initial heatmaps, and a recipe for 50 to 5,000 faces or objects."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from darkpose.datasets.sample import Sample
from darkpose.detect.face_detector import FaceDetector
from darkpose.errors import DarkposeError
from darkpose.evaluation.crop_boxes import face_boxes
from darkpose.evaluation.own_data import own_benchmark
from darkpose.evaluation.predict_samples import predict_samples
from darkpose.files.atomic import make_folder, write_text
from darkpose.files.json_text import format_json, read_json
from darkpose.network.checkpoint import Checkpoint
from darkpose.network.hrnet import HRNet
from darkpose.network.load import load_checkpoint
from darkpose.predict.landmarks import LandmarkFinder
from darkpose.runtime.torch import TorchNetwork
from darkpose.schema import KeypointSchema
from darkpose.training.augment import AugmentConfig
from darkpose.training.config import DEFAULT_OPTIONS, RunOptions, TrainConfig
from darkpose.training.initial_weights import NOTHING, with_new_rows
from darkpose.training.loop import Trained
from darkpose.training.plan import Plan, plan_run
from darkpose.training.recipe_run import Task, read_task, run_task
from darkpose.training.recipes import FACES_300W, SMALL_SHAPE, Recipe
from darkpose.training.schedule import Cosine, Schedule

Boxes = Literal["auto", "faces", "annotation"]
FEWEST = 20  # samples
PROBED, NEAR = 100, 0.06  # samples that show which heatmaps are near; median distance, in shares of the crop
VALIDATIONS, MOST_EPOCHS = 20, 300
SPARE = 0.85  # share of the time for steps; validations and the report take the rest
PLAN = "plan.json"


@dataclass(frozen=True, eq=False)
class OwnTask:
    """What to train, before the number of epochs is known.

    Attributes:
        task: samples to train on and to validate on, with a recipe of one epoch.
        start: name of the initial weights.
        initial: the network to start from; None: random weights.
        new: number of landmarks whose heatmaps start from random weights.
    """

    task: Task
    start: str
    initial: HRNet | None
    new: int


def own_task(
    name: str,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    *,
    start: str = "default",
    held_out: float = 0.1,
    boxes: Boxes = "auto",
) -> OwnTask:
    """A task for annotated faces or objects.

    Crops are cut around the faces that are found, as `Predictor` cuts them, or around the annotated boxes; the weights
    then need boxes to predict.

    Args:
        name: of the data.
        samples: with the landmarks of `schema`.
        schema: of the landmarks.
        start: initial weights: "default", a name or path; "nothing": random weights of a small network.
        held_out: share of the images to validate on.
        boxes: "faces", "annotation", or "auto": faces if they are found around four in five of the samples.

    Raises:
        DarkposeError: there are too few samples, or the weights or an image cannot be read.
    """
    if len(samples) < FEWEST:
        raise DarkposeError(f"{name}: expected at least {FEWEST} annotated faces or objects, got {len(samples)}")
    around_faces = None if boxes == "annotation" else face_boxes(samples, FaceDetector())
    if boxes == "faces" and around_faces is None:
        raise DarkposeError(f"{name}: faces are found around few of the samples; crop around the annotated boxes")
    known = None if start == NOTHING else load_checkpoint(start, whole=True)
    cut = list(samples) if around_faces is None else around_faces
    benchmark = own_benchmark(name, cut, schema)
    recipe = Recipe(name, benchmark.test_set, benchmark, _config(known, len(cut), held_out))
    task = read_task(recipe, Path())._replace(facts={"boxes": "annotation" if around_faces is None else "faces"})
    if known is None:
        return OwnTask(task, NOTHING, None, len(schema))
    rows = nearest_heatmaps(known, task.samples, len(schema))
    return OwnTask(task, start, with_new_rows(known.model, rows, seed=0), int((rows < 0).sum()))


def _config(known: Checkpoint | None, count: int, held_out: float) -> TrainConfig:
    """Settings for weights to start from; None: for a small network from random weights."""
    config = TrainConfig(
        loss="adaptive_wing",
        batch_size=min(16, count),
        epochs=1,
        schedule=Schedule(1e-3, Cosine(), warmup=50),
        ema=0.99,
        augment=FACES_300W.train.augment,
        select="best",
        held_out=held_out,
    )
    if known is None:
        return replace(config, network=SMALL_SHAPE, crop_size=128, augment=AugmentConfig(shift_std=0.05, gamma_std=0.3))
    use = known.config
    schedule = Schedule(5e-4, Cosine(), warmup=50)
    return replace(
        config,
        network=use.network,
        crop_size=use.crop_size,
        sigma=use.sigma,
        padding=use.padding,
        schedule=schedule,
    )


def nearest_heatmaps(known: Checkpoint, samples: Sequence[Sample], count: int) -> NDArray[np.intp]:
    """For each of `count` landmarks, which heatmap of a network finds something near it.

    Returns:
        (count,) rows of the network; -1: the nearest is more than `NEAR` of the crop's side away, in the median.
    """
    probed = [samples[i] for i in np.random.default_rng(0).permutation(len(samples))[:PROBED]]
    use = known.config
    find = LandmarkFinder(TorchNetwork(known.model, use.normalisation, torch.device("cpu")), known.schema)
    found = predict_samples(find, probed, crop_size=use.crop_size, padding=use.padding).keypoints
    sides = np.array([use.padding * (sample.box[2:] - sample.box[:2]).max() for sample in probed])
    rows = np.full(count, -1, np.intp)
    for landmark in range(count):
        seen = np.array([sample.visible[landmark] > 0 for sample in probed])
        if seen.any():
            there = np.stack([sample.keypoints[landmark] for sample in probed])[seen]
            away = np.median(np.linalg.norm(found[seen] - there[:, None], axis=2) / sides[seen, None], axis=0)
            rows[landmark] = away.argmin() if away.min() <= NEAR else -1
    return rows


def with_epochs(own: OwnTask, epochs: int) -> OwnTask:
    """The task with a number of epochs, and warm-up, validations and patience that suit it."""
    recipe = own.task.recipe
    steps = epochs * -(-len(own.task.samples) // recipe.train.batch_size)
    every = max(1, epochs // VALIDATIONS)
    config = replace(
        recipe.train,
        epochs=epochs,
        schedule=replace(recipe.train.schedule, warmup=min(50, steps // 10)),
        frozen=min(100, steps // 10) if own.new and own.initial is not None else 0,
        validate_every=every,
        patience=6 * every,
    )
    return replace(own, task=own.task._replace(recipe=replace(recipe, train=config)))


def plan_own(own: OwnTask, seconds: float, options: RunOptions = DEFAULT_OPTIONS) -> tuple[OwnTask, Plan]:
    """The task with as many epochs as there is time for, at most `MOST_EPOCHS`, and its plan; writes nothing.

    Args:
        own: the task.
        seconds: for the whole run.
        options: how the run is executed.

    Raises:
        DarkposeError: as `plan_run`.
    """
    plan = plan_run(own.task, options=options)
    epochs = int(np.clip(SPARE * seconds / (plan.seconds_per_step * plan.steps), 1, MOST_EPOCHS))
    planned = with_epochs(own, epochs)
    return planned, replace(plan, epochs=epochs)


def train_own(own: OwnTask, out: Path, seconds: float, options: RunOptions = DEFAULT_OPTIONS) -> Trained:
    """Train in the folder of a run; the number of epochs is measured once, and kept there.

    Raises:
        DarkposeError: as `train_recipe`; or the folder has the plan of another run.
    """
    file = out / PLAN
    if file.exists():
        planned = with_epochs(own, _planned_epochs(file))
    else:
        planned, plan = plan_own(own, seconds, options)
        make_folder(out)
        write_text(file, format_json(asdict(plan), indent=1) + "\n")
        tqdm.write(f"{plan.epochs} epochs of {plan.steps} steps, {plan.seconds_per_step:.2f} s each", file=sys.stderr)
    return run_task(planned.task, out, start=planned.start, initial=planned.initial, options=options)


def _planned_epochs(file: Path) -> int:
    values = read_json(file)
    epochs = values.get("epochs") if isinstance(values, dict) else None
    if not isinstance(epochs, int) or not 1 <= epochs <= MOST_EPOCHS:
        raise DarkposeError(f"{file}: not the plan of a run; choose another folder, or remove {file.parent}")
    return epochs
