"""Train a model of the zoo on a GPU: train.py DATA RUN OUT RECIPE [--epochs N] [--minutes M] [--start FILE] ...

For a machine with torch, OpenCV, safetensors and accelerate alone (PYTHONPATH=src). DATA is the recipe's root,
RUN the folder of the run, which goes on when called again. The recipe trains in bf16 and compiled, with 64 crops a step
and its learning rate doubled (the square root of four times the crops), from crops that are cut once. OUT gets the log
and, once a validation has been made, the weights in half precision in pieces of 15 MB.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from darkpose.checkpoint import read_safetensors, save_checkpoint
from darkpose.recipes import find_recipe
from darkpose.runs import train_recipe

PIECE = 15 * 2**20


def main() -> None:
    """Train, pack the outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=12)
    choice = parser.parse_args()
    recipe = find_recipe(choice.recipe)
    schedule = replace(recipe.train.schedule, peak=2 * recipe.train.schedule.peak)
    config = replace(recipe.train, batch_size=64, epochs=choice.epochs, schedule=schedule, seed=choice.seed)
    trained = train_recipe(
        replace(recipe, train=config),
        choice.data,
        choice.run,
        start=choice.start,
        workers=choice.workers,
        cache=choice.run.parent / "cache",
        max_time=60 * choice.minutes,
        compiled=True,
    )
    print(f"stopped: {trained.stopped or 'no'}; epoch {trained.epoch}, step {trained.step}")
    choice.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(choice.run / "log.jsonl", choice.out / "log.jsonl")
    if (choice.run / "weights.safetensors").exists():
        small = choice.run / "half.safetensors"
        save_checkpoint(read_safetensors(choice.run / "weights.safetensors"), small, half=True)
        data = small.read_bytes()
        for number, first in enumerate(range(0, len(data), PIECE)):
            (choice.out / f"weights.part-{number}").write_bytes(data[first : first + PIECE])


if __name__ == "__main__":
    main()
