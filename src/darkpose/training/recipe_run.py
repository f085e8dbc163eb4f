"""Training run of a recipe: its faces, validation, and the checkpoint that it keeps."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from darkpose.datasets.catalogue import TEST_SETS
from darkpose.datasets.joined import TEST_FACES
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
from darkpose.training.config import DEFAULT_OPTIONS, RunOptions
from darkpose.training.initial_weights import NOTHING, initial_model, named_start, seen_test_images
from darkpose.training.loop import Trained, Validation, train
from darkpose.training.recipes import Recipe
from darkpose.training.run_folder import first_process
from darkpose.training.schedule import Cosine, Schedule
from darkpose.weights.checkpoint import CheckpointConfig


class Task(NamedTuple):
    """The faces of a recipe.

    Attributes:
        recipe: the experiment.
        samples: training faces.
        validation: faces to validate on.
        validation_schema: their schema.
        validation_set: description of the validation faces.
        facts: further facts for the provenance of the weights.
    """

    recipe: Recipe
    samples: list[Sample]
    validation: list[Sample]
    validation_schema: KeypointSchema
    validation_set: str
    facts: Mapping[str, Any] = MappingProxyType({})

    @property
    def use(self) -> CheckpointConfig:
        """How to use the trained network."""
        config = self.recipe.train
        return CheckpointConfig(
            config.network_for(self.recipe.train_set.schema),
            config.crop_size,
            config.padding,
            config.sigma,
            kernel_size=self.recipe.benchmark.protocol.kernel_size,
        )


def read_task(recipe: Recipe, root: Path) -> Task:
    """Read the faces of a recipe, and hold out `held_out` of the training images.

    All faces of an image are held out or none. A face that comes several times in an epoch is validated on once. The
    held-out images depend on the recipe's seed alone.

    Raises:
        DarkposeError: the data cannot be used, or no image would be left to train on.
    """
    samples, share = recipe.train_set.read(root), recipe.train.held_out
    if not share:
        test = recipe.benchmark.test_set
        return Task(recipe, samples, test.read(root), test.schema, f"the test set {test.name}")
    images, membership = np.unique([str(sample.image) for sample in samples], return_inverse=True)
    count = max(1, round(share * len(images)))
    if count >= len(images):
        raise DarkposeError(f"{share:.0%} of {len(images)} images cannot be held out: none would be left to train on")
    out = np.random.default_rng((recipe.train.seed, 1)).permutation(len(images))[:count]
    kept = [sample for sample, image in zip(samples, membership, strict=True) if image not in out]
    held = [sample for sample, image in zip(samples, membership, strict=True) if image in out]
    once = {(str(sample.image), sample.box.tobytes()): sample for sample in held}
    return Task(recipe, kept, list(once.values()), recipe.train_set.schema, f"held out of {recipe.train_set.name}")


def overfit_task(task: Task, faces: int) -> Task:
    """A task that overfits the first faces, without augmentation, average or decay: a check of data and loop.

    Raises:
        DarkposeError: there are fewer faces.
    """
    if not 1 <= faces <= len(task.samples):
        raise DarkposeError(f"expected from 1 to {len(task.samples)} faces to overfit, got {faces}")
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
    # The name and the description are stored in checkpoints and states.
    recipe = replace(recipe, name=f"{recipe.name}-by-heart-{faces}", train=config)
    return Task(recipe, few * 50, few, recipe.train_set.schema, "the faces to train on")


def load_teacher(recipe: Recipe) -> HRNet | None:
    """The teacher of a recipe, if it has one.

    Raises:
        DarkposeError: it cannot be read, or its landmarks are not those of the training faces.
    """
    if not recipe.teacher:
        return None
    found, wanted = load_checkpoint(recipe.teacher, whole=True), recipe.train_set.schema
    if found.schema.names != wanted.names:
        raise DarkposeError(f"{recipe.teacher}: the teacher is for {found.schema.name}, expected {wanted.name}")
    return found.model


def train_recipe(
    recipe: Recipe,
    root: Path,
    out: Path,
    *,
    start: str | None = None,
    overfit: int = 0,
    options: RunOptions = DEFAULT_OPTIONS,
) -> Trained:
    """Train with a recipe, validate, and keep `weights.safetensors`.

    Args:
        recipe: the experiment.
        root: folder of its data set.
        out: folder of the run.
        start: initial weights instead of the recipe's, see `initial_weights.initial_model`.
        overfit: if above 0, overfit this many faces, see `overfit_task`.
        options: how the run is executed.

    Raises:
        DarkposeError: data, checkpoint or run folder cannot be used, or the loss is not finite.
    """
    task = read_task(recipe, root)
    return run_task(overfit_task(task, overfit) if overfit else task, out, start=start, options=options)


def run_task(
    task: Task,
    out: Path,
    *,
    start: str | None = None,
    initial: HRNet | None = None,
    options: RunOptions = DEFAULT_OPTIONS,
) -> Trained:
    """As `train_recipe`, with faces that have been read; `initial`: the network of `start`, if it is made already."""
    schema, config = task.recipe.train_set.schema, task.recipe.train
    start = named_start(start or task.recipe.start, schema, config.network)
    if initial is None:
        initial = initial_model(start, schema, seed=config.seed, network=config.network)
    if config.select == "best-on-test-set" and first_process():
        tqdm.write(
            f"{task.recipe.name} keeps the epoch that is best on its test set, as published: "
            "the logged NME is not that of unseen faces",
            file=sys.stderr,
        )
    test_faces = sum(TEST_FACES in sample.subsets for sample in task.samples)
    if test_faces and first_process():
        tqdm.write(
            f"{test_faces} of {len(task.samples)} faces of an epoch are of WFLW's test set: the weights record their "
            "names, and must not be measured on them",
            file=sys.stderr,
        )
    provenance = _provenance(task, start)

    def keep(model: HRNet, facts: dict[str, Any]) -> None:
        save_checkpoint(Checkpoint(model, task.use, schema, {**provenance, **facts}), out / "weights.safetensors")

    return train(
        config,
        task.samples,
        schema,
        out,
        initial=initial,
        teacher=load_teacher(task.recipe),
        validation=Validation(partial(validation_nme, task), keep, _describe_validation(task)),
        options=options,
    )


def validation_nme(task: Task, model: HRNet) -> float:
    """NME of a network on a task's validation faces, a fraction of the schema's usual normaliser."""
    use, test, measured = task.use, task.recipe.benchmark.protocol, task.validation_schema
    schema = task.recipe.train_set.schema
    rows = range(len(schema)) if measured is schema else range(len(schema))[schema.rows(measured.name)]
    device = next(model.parameters()).device
    network = TorchNetwork(with_rows(model, rows), use.normalisation, device)
    find = LandmarkFinder(
        network, measured, test.flip_test, test.method, kernel_size=test.kernel_size, batch_size=test.batch_size
    )
    found = predict_samples(find, task.validation, crop_size=use.crop_size, padding=use.padding)
    return samples_nme(found.keypoints, task.validation, measured)


def _describe_validation(task: Task) -> str:
    """Faces and protocol of the validation; stored in states and compared, so the wording must stay."""
    faces = f"{len(task.validation)} faces ({samples_digest(task.validation)[:8]}), {task.validation_set}"
    protocol = task.recipe.benchmark.protocol
    return f"validated on {faces}, flip test {protocol.flip_test}, {protocol.method}, kernel {protocol.kernel_size}"


def _provenance(task: Task, start: str) -> dict[str, Any]:
    recipe, samples = task.recipe, task.samples
    is_test_set = recipe.train_set.name in TEST_SETS
    test_images = {sample.image.name for sample in samples if is_test_set or TEST_FACES in sample.subsets}
    test_images |= seen_test_images(start) | seen_test_images(recipe.teacher)
    return {
        "recipe": recipe.name,
        "recipe_values": asdict(recipe.train),
        "test_protocol": asdict(recipe.benchmark.protocol),
        "start": "He initialisation" if start == NOTHING else Path(start).name,
        **({"teacher": Path(recipe.teacher).name} if recipe.teacher else {}),
        "train_set": f"{recipe.train_set.name}, {len(samples)} faces",
        "test_images_learnt": sorted(test_images),
        "validation_set": f"{task.validation_set}, {len(task.validation)} faces",
        "torch": torch.__version__,
        **task.facts,
    }
