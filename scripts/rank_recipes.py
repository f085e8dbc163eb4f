"""Compare single changes to the training: rank_recipes.py 300W RUNS [--seeds 0 1] [--only NAME ...]

Every candidate is one change to the published training on a small scale: 128 px, 8 epochs without initial weights, 16
crops a step. A seventh of 300-W's training images, another one for every seed, is held out and evaluated on; test faces
are not used. Boxes are the annotated ones, and those moved and scaled at random by 5 and 10 %; the flip test is
published, exact and off. RUNS holds the runs, which resume when called again, and their results, which are added to
benchmarks/recipes.json. Several processes may share RUNS, each with its own candidates or seeds.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from darkpose.datasets.catalogue import DataSet
from darkpose.deploy.machine import made_with
from darkpose.evaluation.evaluate import PredictOptions, evaluate_benchmark
from darkpose.files.atomic import write_text
from darkpose.runtime.flip import FlipTest
from darkpose.training.augment import AugmentConfig
from darkpose.training.config import RunOptions, TrainConfig
from darkpose.training.process import set_up_process
from darkpose.training.recipe_run import read_task, run_task
from darkpose.training.recipes import W300_128
from darkpose.training.schedule import Cosine, Schedule, Steps

BASELINE = TrainConfig(
    crop_size=128,
    batch_size=16,
    epochs=8,
    schedule=Schedule(1e-3, Steps(epochs=(5, 7)), warmup=100),
    weight_decay=0.0,
    ema=0.0,
    augment=AugmentConfig(),
    held_out=1 / 7,
)
PUBLISHED = BASELINE.augment
CANDIDATES = {
    "published": BASELINE,
    "cosine schedule": replace(BASELINE, schedule=Schedule(1e-3, Cosine(), warmup=100)),
    "average of weights": replace(BASELINE, ema=0.999),
    "AdamW, decay 1e-4": replace(BASELINE, weight_decay=1e-4),
    "AdamW, decay 1e-2": replace(BASELINE, weight_decay=1e-2),
    "boxes moved, 5 %": replace(BASELINE, augment=replace(PUBLISHED, shift_std=0.05)),
    "wider rotation": replace(BASELINE, augment=replace(PUBLISHED, rotation_std=45.0, rotation_limit=90.0)),
    "light and colour": replace(BASELINE, augment=replace(PUBLISHED, gamma_std=0.3, gain_std=0.12, grey=0.1)),
    "patches": replace(BASELINE, augment=replace(PUBLISHED, patch=0.3)),
    "blur, noise, JPEG": replace(BASELINE, augment=replace(PUBLISHED, blur=0.2, noise=0.15, compress=0.15)),
    "adaptive wing loss": replace(BASELINE, loss="adaptive_wing"),
    "sigma 1.5": replace(BASELINE, sigma=1.5),
    "adaptive wing loss, sigma 1.5": replace(BASELINE, loss="adaptive_wing", sigma=1.5),
    "twice as long": replace(BASELINE, epochs=16, schedule=Schedule(1e-3, Steps(epochs=(10, 14)), warmup=100)),
    "quantised targets": replace(BASELINE, unbiased=False),
}
BOXES = ("annotation", "jitter:0.05", "jitter:0.1")
FLIPS: tuple[FlipTest, ...] = ("off", "published", "exact")
OUT, FOUND = Path("benchmarks/recipes.json"), "found.json"


def slug(name: str) -> str:
    """A candidate's name as part of a file name; the folder of a run is this and its seed."""
    return name.replace(" ", "-").replace(",", "").replace("%", "percent")


def measure(name: str, seed: int, data: Path, runs: Path) -> None:
    """Train and predict what is left, and write the NME in per cent by boxes and flip test next to the run."""
    folder = runs / f"{slug(name)}-{seed}"
    if (folder / FOUND).exists():
        return
    recipe = replace(W300_128, name=folder.name, train=replace(CANDIDATES[name], seed=seed))
    task = read_task(recipe, data)
    if not (folder / "predictions.jsonl").exists():
        run_task(task, folder, options=RunOptions(cache=runs / "crops")).finished()
    held_out = DataSet("held-out", task.validation_schema, lambda root, broken=None: task.validation, {})
    found = evaluate_benchmark(
        replace(recipe.benchmark, name=recipe.name, test_set=held_out),
        data,
        folder / "predictions.jsonl",
        weights=str(folder / "weights.safetensors"),
        options=PredictOptions(boxes=BOXES, flip_tests=FLIPS),
    )
    reports = iter([found.report, *(other.report for other in found.others)])
    nme = {boxes: {flip: next(reports).subsets["all"].nme for flip in FLIPS} for boxes in BOXES}
    write_text(folder / FOUND, json.dumps(nme))


def gather(runs: Path) -> dict[str, dict[int, dict[str, dict[str, float]]]]:
    """All results, also of earlier calls: candidate -> seed -> boxes -> flip test -> NME in per cent."""
    before = json.loads(OUT.read_text())["candidates"] if OUT.exists() else {}
    known = {name: {int(seed): each for seed, each in before.get(name, {}).items()} for name in CANDIDATES}
    for name, seeds in known.items():
        seeds |= {int(f.parent.name[-1]): json.loads(f.read_text()) for f in runs.glob(f"{slug(name)}-[0-9]/{FOUND}")}
    return {name: dict(sorted(seeds.items())) for name, seeds in known.items() if seeds}


def main() -> None:
    """Run, collect and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, default=list(CANDIDATES))
    choice = parser.parse_args()
    set_up_process()
    for seed in choice.seeds:
        for name in choice.only:
            measure(name, seed, choice.data, choice.runs)
            written = {**made_with(), "method": __doc__, "candidates": gather(choice.runs)}
            write_text(OUT, json.dumps(written, indent=1) + "\n")
    found = gather(choice.runs)
    for name, seeds in found.items():
        means = [np.mean([each[boxes]["off"] for each in seeds.values()]) for boxes in BOXES]
        print(f"{name:22}" + "".join(f"{mean:8.3f}" for mean in means), f"  {len(seeds)} seeds")


if __name__ == "__main__":
    main()
