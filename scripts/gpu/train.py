"""Train a model of the zoo on a GPU: train.py DATA RUN RECIPE [--fold N] [--start FILE] [--epochs N] [--graphs] ...

For a machine that has only torch, OpenCV, safetensors and accelerate (PYTHONPATH=src). DATA is the root of the recipe's
data set, RUN the folder of the run, which resumes when called again. With --fold, the recipe is trained without that
fold of WFLW's faces, as in scripts/cross_validate.py. At the end of the run, RUN/half.safetensors holds the weights in
half precision.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cross_validate import recipe_for

from darkpose.network.checkpoint import read_safetensors, save_checkpoint
from darkpose.training.config import RunOptions
from darkpose.training.crop_cache import open_crop_cache
from darkpose.training.process import set_up_process
from darkpose.training.recipe_run import read_task, train_recipe
from darkpose.training.recipes import find_recipe


def main() -> None:
    """Train, and save the weights in half precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("--fold", type=int)
    parser.add_argument("--start")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--sigma", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--rate", type=float, help="peak of the learning rate")
    parser.add_argument(
        "--seconds", type=float, default=480.0, help="time after which the state is saved and the run stops"
    )
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--graphs", action="store_true")
    parser.add_argument("--cut", action="store_true", help="only cut the crops")
    choice = parser.parse_args()
    set_up_process()
    recipe = find_recipe(choice.recipe)
    if choice.fold is not None:
        recipe = recipe_for(choice.fold, recipe)
    changed = {name: getattr(choice, name) for name in ("epochs", "sigma", "seed", "batch_size")}
    config = replace(recipe.train, **{name: value for name, value in changed.items() if value is not None})
    if choice.rate is not None:
        config = replace(config, schedule=replace(config.schedule, peak=choice.rate))
    cache = choice.run.parent / "cache"
    if choice.cut:
        faces = read_task(recipe, choice.data).samples
        open_crop_cache(cache, faces, crop_size=config.crop_size, augment=config.augment, padding=config.padding)
        return
    options = RunOptions(
        cache=cache,
        workers=choice.workers,
        max_time=choice.seconds,
        compiled=choice.compile,
        graphs=choice.graphs,
    )
    trained = train_recipe(replace(recipe, train=config), choice.data, choice.run, start=choice.start, options=options)
    print(f"stopped: {trained.stopped or 'no'}; epoch {trained.epoch}, step {trained.step}")
    if trained.stopped not in ("signal", "time"):
        weights = read_safetensors(choice.run / "weights.safetensors")
        save_checkpoint(weights, choice.run / "half.safetensors", half=True)


if __name__ == "__main__":
    main()
