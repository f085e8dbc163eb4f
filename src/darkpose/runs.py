"""A recipe's training run and its evaluation."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from darkpose.boxrule import box_rule
from darkpose.checkpoint import Checkpoint, CheckpointConfig, save_checkpoint
from darkpose.detector import best_detector
from darkpose.errors import DarkposeError
from darkpose.evaluate import predict_samples, predict_to_file, samples_nme
from darkpose.heads import nearest_rows, with_rows
from darkpose.heatmap import Method
from darkpose.hrnet import HRNet, HRNetConfig
from darkpose.inference import CropDecoder, FlipTest, find_device
from darkpose.predictions import PredictionsWriter, read_predictions
from darkpose.recipes import Protocol, Recipe
from darkpose.report import Comparison, Report, compare, report
from darkpose.sample import Sample
from darkpose.train import train
from darkpose.zoo import load_checkpoint


def train_recipe(recipe: Recipe, root: Path, out: Path, *, start: str | None = None, workers: int = 1) -> float:
    """Train as a recipe says, validate after every epoch, keep `weights.safetensors`.

    Args:
        recipe: the experiment.
        root: folder of its data set.
        out: folder of the run.
        start: checkpoint to start from, by path or name; its heatmaps of other markups are carried over to the nearest
            landmarks.
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
    first = None
    if start:
        known = load_checkpoint(start, whole=True)
        first = with_rows(known.model, nearest_rows(known.schema, schema))
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
        provenance = {**_provenance(recipe, samples, validation, start), **facts}
        save_checkpoint(Checkpoint(model, use, schema, provenance), out / "weights.safetensors")

    trained = train(config, samples, schema, out, start=first, validate=validate, keep=keep, workers=workers)
    return trained.best_validation


def evaluate_recipe(
    recipe: Recipe,
    root: Path,
    predictions: Path,
    *,
    weights: str | None = None,
    boxes: str = "annotation",
    flip_test: FlipTest | None = None,
    method: Method | None = None,
    device: str = "auto",
) -> Report:
    """Measure a recipe's test set: predict what the predictions file lacks, then read it.

    Args:
        recipe: the experiment.
        root: folder of its data set.
        predictions: the file; of darkpose or, without `weights`, of any system (see `predictions`).
        weights: checkpoint to predict with, by path or name; None: measure the file as it is.
        boxes: which boxes to crop by (see `boxrule`).
        flip_test, method: instead of the recipe's.
        device: to predict on.

    Raises:
        DarkposeError: data, weights or file cannot be used, or do not fit each other.
    """
    schema, samples = recipe.test_set.schema, recipe.test_set.read(root)
    if weights is not None:
        test = replace(recipe.test, flip_test=flip_test or recipe.test.flip_test, method=method or recipe.test.method)
        _predict(recipe, samples, predictions, weights, boxes, test, device)
    points = read_predictions(predictions).as_array(len(samples), len(schema), str(predictions))
    return report(points, samples, schema, recipe.published)


def compare_predictions(recipe: Recipe, root: Path, first: Path, second: Path) -> Comparison:
    """Compare two predictions files of a recipe's test set, face by face.

    Raises:
        DarkposeError: data or a file cannot be used.
    """
    schema, samples = recipe.test_set.schema, recipe.test_set.read(root)
    points, others = (read_predictions(file).as_array(len(samples), len(schema), str(file)) for file in (first, second))
    return compare(points, others, samples, schema)


def _predict(
    recipe: Recipe,
    samples: list[Sample],
    predictions: Path,
    weights: str,
    boxes: str,
    test: Protocol,
    device: str,
) -> None:
    checkpoint, schema = load_checkpoint(weights), recipe.test_set.schema
    if checkpoint.schema.names != schema.names:
        got = f"{checkpoint.schema.name}, the data set {recipe.test_set.name} {schema.name}"
        raise DarkposeError(f"{weights}: the weights find the landmarks of {got}")
    rule, target = box_rule(boxes, lambda: best_detector()[0]), find_device(device)
    facts = {"weights": weights, "provenance": dict(checkpoint.provenance), "boxes": boxes, **asdict(test)}
    header = {"data_set": recipe.test_set.name, "faces": len(samples), "markup": schema.name, "system": "darkpose"}
    decoder = CropDecoder(
        checkpoint.model.to(target, memory_format=torch.channels_last),  # type: ignore[call-overload]
        checkpoint.config.normalisation,
        schema.flip_index,
        target,
        test.flip_test,
        test.method,
        test.kernel_size,
        test.batch_size,
    )
    writer = PredictionsWriter(predictions, header | facts)
    size, padding = checkpoint.config.crop_size, checkpoint.config.padding
    predict_to_file(writer, decoder, samples, schema, rule, crop_size=size, padding=padding)


def _provenance(recipe: Recipe, samples: list[Sample], validation: list[Sample], start: str | None) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "recipe_values": asdict(recipe.train),
        "test_protocol": asdict(recipe.test),
        "start": Path(start).name if start else "He initialisation",
        "train_set": f"{recipe.train_set.name}, {len(samples)} faces",
        "validation_set": f"{recipe.test_set.name}, {len(validation)} faces",
        "torch": torch.__version__,
    }
