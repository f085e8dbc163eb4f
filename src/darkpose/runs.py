"""A recipe's training run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from darkpose.checkpoint import Checkpoint, CheckpointConfig, save_checkpoint
from darkpose.heads import with_rows
from darkpose.hrnet import HRNet, HRNetConfig
from darkpose.inference import CropDecoder
from darkpose.predict_samples import predict_samples, samples_nme
from darkpose.recipes import Recipe
from darkpose.sample import Sample
from darkpose.start import NOTHING, start_from
from darkpose.train import train


def train_recipe(recipe: Recipe, root: Path, out: Path, *, start: str | None = None, workers: int = 1) -> float:
    """Train as a recipe says, validate after every epoch, keep `weights.safetensors`.

    Args:
        recipe: the experiment.
        root: folder of its data set.
        out: folder of the run.
        start: what to start from, instead of the recipe's (see `start.start_from`).
        workers: loader processes.

    Returns:
        The lowest validation NME, a fraction of the markup's usual normaliser.

    Raises:
        DarkposeError: data, checkpoint or run folder cannot be used.
    """
    schema, config, test = recipe.train_set.schema, recipe.train, recipe.test
    samples, validation = recipe.train_set.read(root), recipe.test_set.read(root)
    use = CheckpointConfig(
        HRNetConfig(len(schema)), config.crop_size, config.padding, config.sigma, kernel_size=test.kernel_size
    )
    source = start or recipe.start
    first = start_from(source, schema, seed=config.seed)
    measured = recipe.test_set.schema
    rows = range(len(schema))[schema.rows(measured.name)]

    def validate(model: HRNet) -> float:
        decoder = CropDecoder(
            with_rows(model, rows),
            use.normalisation,
            measured.flip_index,
            next(model.parameters()).device,
            test.flip_test,
            test.method,
            test.kernel_size,
            test.batch_size,
        )
        found = predict_samples(decoder, validation, measured, crop_size=use.crop_size, padding=use.padding)
        return samples_nme(found.points, validation, measured)

    def keep(model: HRNet, facts: dict[str, Any]) -> None:
        provenance = {**_provenance(recipe, samples, validation, source), **facts}
        save_checkpoint(Checkpoint(model, use, schema, provenance), out / "weights.safetensors")

    trained = train(config, samples, schema, out, start=first, validate=validate, keep=keep, workers=workers)
    return trained.best_validation


def _provenance(recipe: Recipe, samples: list[Sample], validation: list[Sample], start: str) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "recipe_values": asdict(recipe.train),
        "test_protocol": asdict(recipe.test),
        "start": "He initialisation" if start == NOTHING else Path(start).name,
        "train_set": f"{recipe.train_set.name}, {len(samples)} faces",
        "test_images_learnt": sorted({each.image.name for each in samples if "wflw-test" in each.subsets}),
        "validation_set": f"{recipe.test_set.name}, {len(validation)} faces",
        "torch": torch.__version__,
    }
