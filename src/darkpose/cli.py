"""The command line: flags -> one call."""

import sys
from pathlib import Path
from typing import Any

from cyclopts import App

from darkpose.errors import DarkposeError

app = App(name="darkpose", help="Sub-pixel face landmarks: HRNetV2 and DARK.")


@app.command
def train(recipe: str, *, root: Path, out: Path, start: Path | None = None, workers: int = 1) -> None:
    """Train a network on 300-W; a killed run goes on where it was when started again.

    Parameters
    ----------
    recipe:
        Name of a recipe.
    root:
        Folder of 300-W, with afw/, helen/trainset/, lfpw/trainset/ and lfpw/testset/.
    out:
        Folder of the run.
    start:
        Checkpoint to start from; without it, training starts from nothing.
    workers:
        Loader processes.
    """
    import torch
    from torch import nn

    from darkpose.checkpoint import Checkpoint, CheckpointConfig, read_safetensors, save_checkpoint
    from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
    from darkpose.evaluate import predict_samples, samples_nme
    from darkpose.hrnet import HRNetConfig
    from darkpose.image import Normalisation
    from darkpose.inference import CropDecoder
    from darkpose.recipes import RECIPES
    from darkpose.schema import W300_68
    from darkpose.train import train as run_training

    if recipe not in RECIPES:
        raise DarkposeError(f"there is no recipe {recipe!r}; known are {', '.join(RECIPES)}")
    config = RECIPES[recipe].config
    samples, validation = read_300w(root), read_300w(root, LFPW_TEST_FOLDERS)

    def validate(model: nn.Module) -> float:
        device = next(model.parameters()).device
        decoder = CropDecoder(model, Normalisation(), W300_68.flip_index, device)
        found = predict_samples(
            decoder, validation, W300_68, crop_size=config.crop_size, padding=config.padding
        )
        return samples_nme(found.points, validation, W300_68)

    def keep(model: nn.Module, facts: dict[str, Any]) -> None:
        use = CheckpointConfig(HRNetConfig(len(W300_68)), config.crop_size, config.padding, config.sigma)
        provenance = {"recipe": recipe, "train_faces": len(samples), "torch": torch.__version__, **facts}
        save_checkpoint(Checkpoint(model, use, W300_68, provenance), out / "best.safetensors")  # type: ignore[arg-type]

    first = read_safetensors(start).model if start else None
    run_training(config, samples, W300_68, out, start=first, validate=validate, keep=keep, workers=workers)


def main() -> None:
    """Run the command line; a user's mistake becomes one line and exit code 2."""
    try:
        app()
    except DarkposeError as error:
        print(f"darkpose: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("darkpose: stopped", file=sys.stderr)
        sys.exit(130)
