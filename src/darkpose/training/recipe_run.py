"""A recipe's training run."""

import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from darkpose.datasets.catalogue import TEST_SETS
from darkpose.datasets.sample import Sample, samples_digest
from darkpose.errors import DarkposeError
from darkpose.evaluation.predict_samples import predict_samples, samples_nme
from darkpose.network.checkpoint import Checkpoint, save_checkpoint
from darkpose.network.heads import with_rows
from darkpose.network.hrnet import HRNet
from darkpose.network.load import load_checkpoint
from darkpose.predict.landmarks import LandmarkFinder
from darkpose.runtime.torch import TorchNetwork
from darkpose.schema import KeypointSchema
from darkpose.training.augment import AugmentConfig
from darkpose.training.initial_weights import NOTHING, initial_model, seen_test_images
from darkpose.training.loop import Trained, train
from darkpose.training.recipes import Recipe
from darkpose.training.run_folder import first_process
from darkpose.training.schedule import Cosine, Schedule
from darkpose.weights.checkpoint import CheckpointConfig


class Task(NamedTuple):
    """What a recipe trains on and is validated on.

    Attributes:
        recipe: the experiment.
        samples: training faces.
        validation: faces to validate on, of the markup `measured`.
        measured: the markup of the validation.
        validated: what the validation faces are, in words.
    """

    recipe: Recipe
    samples: list[Sample]
    validation: list[Sample]
    measured: KeypointSchema
    validated: str

    @property
    def use(self) -> CheckpointConfig:
        """How the trained network is used."""
        config = self.recipe.train
        return CheckpointConfig(
            config.network_for(self.recipe.train_set.schema),
            config.crop_size,
            config.padding,
            config.sigma,
            kernel_size=self.recipe.benchmark.protocol.kernel_size,
        )


def read_task(recipe: Recipe, root: Path) -> Task:
    """Read the faces of a recipe; a share of the training images is held out, if the recipe says so.

    Faces of one image are on the same side; one that comes several times in an epoch is validated on once. Which images
    are held out depends on the recipe's seed alone.

    Raises:
        DarkposeError: the data cannot be used, or nothing would be left to train on.
    """
    samples, share = recipe.train_set.read(root), recipe.train.held_out
    if not share:
        test = recipe.benchmark.test_set
        return Task(recipe, samples, test.read(root), test.schema, f"the test set {test.name}")
    images, membership = np.unique([str(sample.image) for sample in samples], return_inverse=True)
    count = max(1, round(share * len(images)))
    if count >= len(images):
        raise DarkposeError(f"of {len(images)} images {share:.0%} cannot be held out: none would be left to train on")
    out = np.random.default_rng((recipe.train.seed, 1)).permutation(len(images))[:count]
    kept = [sample for sample, image in zip(samples, membership, strict=True) if image not in out]
    held = [sample for sample, image in zip(samples, membership, strict=True) if image in out]
    once = {(str(sample.image), sample.box.tobytes()): sample for sample in held}
    return Task(recipe, kept, list(once.values()), recipe.train_set.schema, f"held out of {recipe.train_set.name}")


def overfit(task: Task, faces: int) -> Task:
    """The task of learning some faces by heart, without augmentation, average or decay: a check of data and loop.

    Raises:
        DarkposeError: there are not as many faces.
    """
    if not 1 <= faces <= len(task.samples):
        raise DarkposeError(f"expected from 1 to {len(task.samples)} faces to learn by heart, got {faces}")
    few, recipe = task.samples[:faces], task.recipe
    still = AugmentConfig(flip=0.0, scale_std=0.0, rotation_probability=0.0)
    rate = Schedule(recipe.train.schedule.peak, Cosine(), warmup=10)
    config = replace(
        recipe.train,
        batch_size=min(faces, recipe.train.batch_size),
        accumulate=1,
        epochs=4,
        schedule=rate,
        weight_decay=0.0,
        ema=0.0,
        augment=still,
        select="last",
        held_out=0.0,
        patience=0,
    )
    name = f"{recipe.name}-by-heart-{faces}"
    return Task(
        replace(recipe, name=name, train=config), few * 50, few, recipe.train_set.schema, "the faces that are learnt"
    )


def train_recipe(
    recipe: Recipe,
    root: Path,
    out: Path,
    *,
    start: str | None = None,
    workers: int = 1,
    by_heart: int = 0,
    **options: Any,
) -> Trained:
    """Train as a recipe says, validate after every epoch, keep `weights.safetensors`.

    Args:
        recipe: the experiment.
        root: folder of its data set.
        out: folder of the run.
        start: what to start from, instead of the recipe's (see `initial_weights.initial_model`).
        workers: loader processes.
        by_heart: if above 0, learn this many faces by heart instead, see `overfit`.
        options: `cache`, `uncompressed`, `save_every`, `max_time`, `track`, `compiled`, `graphs` of `train.train`.

    Raises:
        DarkposeError: data, checkpoint or run folder cannot be used, or the loss is not finite.
    """
    task = read_task(recipe, root)
    return run_task(overfit(task, by_heart) if by_heart else task, out, start=start, workers=workers, **options)


def teacher_of(recipe: Recipe) -> HRNet | None:
    """The network that teaches, where a recipe has one.

    Raises:
        DarkposeError: it cannot be read, or is of other landmarks than the recipe's training faces.
    """
    if not recipe.teacher:
        return None
    found, wanted = load_checkpoint(recipe.teacher, whole=True), recipe.train_set.schema
    if found.schema.names != wanted.names:
        raise DarkposeError(f"{recipe.teacher}: a teacher of {found.schema.name}, but {wanted.name} is to be learnt")
    return found.model


def run_task(task: Task, out: Path, *, start: str | None = None, workers: int = 1, **options: Any) -> Trained:
    """As `train_recipe`, of faces that are read."""
    schema, config = task.recipe.train_set.schema, task.recipe.train
    source = start or task.recipe.start
    first = initial_model(source, schema, seed=config.seed, network=config.network)
    if config.select == "best-on-test-set" and first_process():
        tqdm.write(
            f"{task.recipe.name} keeps the epoch that is best on its test set, as published: "
            "the NME it logs is not that of unseen faces",
            file=sys.stderr,
        )

    origin = _provenance(task, source)

    def keep(model: HRNet, facts: dict[str, Any]) -> None:
        save_checkpoint(Checkpoint(model, task.use, schema, {**origin, **facts}), out / "weights.safetensors")

    return train(
        config,
        task.samples,
        schema,
        out,
        start=first,
        teacher=teacher_of(task.recipe),
        validate=partial(validation_nme, task),
        validation=_validated(task),
        keep=keep,
        workers=workers,
        **options,
    )


def validation_nme(task: Task, model: HRNet) -> float:
    """NME of a network over a task's validation faces, a fraction of the markup's usual normaliser."""
    use, test, measured = task.use, task.recipe.benchmark.protocol, task.measured
    schema = task.recipe.train_set.schema
    rows = range(len(schema)) if measured is schema else range(len(schema))[schema.rows(measured.name)]
    device = next(model.parameters()).device
    network = TorchNetwork(with_rows(model, rows), use.normalisation, device)
    find = LandmarkFinder(
        network, measured, test.flip_test, test.method, kernel_size=test.kernel_size, batch_size=test.batch_size
    )
    found = predict_samples(find, task.validation, crop_size=use.crop_size, padding=use.padding)
    return samples_nme(found.keypoints, task.validation, measured)


def _validated(task: Task) -> str:
    """The validation in words that differ for another set, other faces or another protocol."""
    test, faces = (
        task.recipe.benchmark.protocol,
        f"{len(task.validation)} faces ({samples_digest(task.validation)[:8]})",
    )
    protocol = f"flip test {test.flip_test}, {test.method}, kernel {test.kernel_size}"
    return f"validated on {faces}, {task.validated}, {protocol}"


def _provenance(task: Task, start: str) -> dict[str, Any]:
    recipe, samples = task.recipe, task.samples
    all_of_it = recipe.train_set.name in TEST_SETS
    learnt = {sample.image.name for sample in samples if all_of_it or "wflw-test" in sample.subsets}
    for source in (start, recipe.teacher):
        learnt |= seen_test_images(source)
    return {
        "recipe": recipe.name,
        "recipe_values": asdict(recipe.train),
        "test_protocol": asdict(recipe.benchmark.protocol),
        "start": "He initialisation" if start == NOTHING else Path(start).name,
        **({"teacher": Path(recipe.teacher).name} if recipe.teacher else {}),
        "train_set": f"{recipe.train_set.name}, {len(samples)} faces",
        "test_images_learnt": sorted(learnt),
        "validation_set": f"{task.validated}, {len(task.validation)} faces",
        "torch": torch.__version__,
    }
