"""The project's own training runs: data, loop, validation and what is kept."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from darkpose.checkpoint import Checkpoint, CheckpointConfig, save_checkpoint
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.errors import DarkposeError
from darkpose.evaluate import predict_samples, samples_nme
from darkpose.hrnet import HRNet, HRNetConfig
from darkpose.inference import CropDecoder
from darkpose.recipes import RECIPES
from darkpose.schema import W300_68
from darkpose.train import train
from darkpose.zoo import load_checkpoint


def train_300w(recipe: str, root: Path, out: Path, *, start: Path | None = None, workers: int = 1) -> float:
    """Train on 300-W's training faces, validate on LFPW test after every epoch, keep the best as `best.safetensors`.

    Args:
        recipe: a name in `RECIPES`.
        root: folder of 300-W.
        out: folder of the run.
        start: checkpoint to start from.
        workers: loader processes.

    Returns:
        The lowest validation NME, a fraction of the distance between the outer eye corners.

    Raises:
        DarkposeError: the recipe is unknown, or data, checkpoint or run folder cannot be used.
    """
    if recipe not in RECIPES:
        raise DarkposeError(f"there is no recipe {recipe!r}; the recipes are {', '.join(RECIPES)}")
    config = RECIPES[recipe]
    samples, validation = read_300w(root), read_300w(root, LFPW_TEST_FOLDERS)
    use = CheckpointConfig(HRNetConfig(len(W300_68)), config.crop_size, config.padding, config.sigma)

    def validate(model: nn.Module) -> float:
        device = next(model.parameters()).device
        decoder = CropDecoder(model, use.normalisation, W300_68.flip_index, device)
        found = predict_samples(decoder, validation, W300_68, crop_size=use.crop_size, padding=use.padding)
        return samples_nme(found.points, validation, W300_68)

    def keep(model: HRNet, facts: dict[str, Any]) -> None:
        provenance = {
            "recipe": recipe,
            "recipe_values": asdict(config),
            "start": start.name if start else "He initialisation",
            "train_faces": len(samples),
            "validation": f"LFPW test, {len(validation)} faces",
            "torch": torch.__version__,
            **facts,
        }
        save_checkpoint(Checkpoint(model, use, W300_68, provenance), out / "best.safetensors")

    first = load_checkpoint(start).model if start else None
    return train(
        config, samples, W300_68, out, start=first, validate=validate, keep=keep, workers=workers
    ).best_validation
