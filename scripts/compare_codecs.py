"""Compare decoders and targets by crop size: compare_codecs.py 300W RUNS [--sizes 64 128 256] [--seeds 0 1]

The paper's comparison on other data: HRNetV2-W18 is trained on 300-W's training faces without initial weights, for ten
epochs, at every crop size, with quantised and with unbiased targets. Each network is evaluated on LFPW's test faces,
with its heatmaps decoded by argmax, quarter offset and DARK. The last epoch is used; nothing is selected on the test
faces. RUNS holds the runs, which resume when called again, and their results, which are added to benchmarks/codecs.json
and plotted in docs/codecs.png. Several processes may share RUNS, each with its own sizes or seeds.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from darkpose.deploy.machine import made_with
from darkpose.evaluation.evaluate import PredictOptions, evaluate_benchmark
from darkpose.evaluation.plots import plot_by_crop_size
from darkpose.files.atomic import write_text
from darkpose.training.augment import AugmentConfig
from darkpose.training.config import RunOptions, TrainConfig
from darkpose.training.process import set_up_process
from darkpose.training.recipe_run import train_recipe
from darkpose.training.recipes import W300_128, Recipe
from darkpose.training.schedule import Cosine, Schedule

DECODERS = ("argmax", "quarter", "dark")
OUT, PICTURE, FOUND = Path("benchmarks/codecs.json"), Path("docs/codecs.png"), "found.json"


def recipe_for(size: int, seed: int, *, unbiased: bool) -> Recipe:
    """The recipe for one crop size and one kind of target."""
    config = TrainConfig(
        crop_size=size,
        unbiased=unbiased,
        batch_size=16,
        epochs=10,
        schedule=Schedule(1e-3, Cosine(), warmup=200),
        augment=AugmentConfig(shift_std=0.05),
        seed=seed,
    )
    name = f"{size}-{'unbiased' if unbiased else 'quantised'}-{seed}"
    return replace(W300_128, name=name, train=config)


def measure(recipe: Recipe, data: Path, runs: Path) -> None:
    """Train and predict what is left, and write the NME in per cent and its interval by decoder next to the run."""
    folder = runs / recipe.name
    if (folder / FOUND).exists():
        return
    if not (folder / "predictions.jsonl").exists():
        train_recipe(recipe, data, folder, options=RunOptions(cache=runs / "crops")).finished()
    found = evaluate_benchmark(
        replace(recipe.benchmark, name=recipe.name),
        data,
        folder / "predictions.jsonl",
        weights=str(folder / "weights.safetensors"),
        options=PredictOptions(methods=("dark", "quarter", "argmax")),
    )
    reports = {"dark": found.report, **dict(zip(("quarter", "argmax"), (o.report for o in found.others), strict=True))}
    rows = {name: reports[name].subsets["all"] for name in DECODERS}
    decoders = {name: {"nme": row.nme, "interval": list(row.interval)} for name, row in rows.items()}
    config = recipe.train
    line = {"size": config.crop_size, "unbiased": config.unbiased, "seed": config.seed, "decoders": decoders}
    write_text(folder / FOUND, json.dumps(line))


def gather(runs: Path) -> dict[str, dict[str, Any]]:
    """All results, also of earlier calls, by the run's name."""
    known = json.loads(OUT.read_text())["runs"] if OUT.exists() else {}
    known |= {file.parent.name: json.loads(file.read_text()) for file in runs.glob(f"*-*-[0-9]/{FOUND}")}
    return dict(sorted(known.items(), key=lambda run: (run[1]["size"], run[0])))


def mean_nme(found: dict[str, dict[str, Any]], size: int, unbiased: bool, decoder: str) -> float:
    """The mean over the seeds; NaN if there is no run."""
    runs = [run for run in found.values() if (run["size"], run["unbiased"]) == (size, unbiased)]
    return float(np.mean([run["decoders"][decoder]["nme"] for run in runs])) if runs else np.nan


def main() -> None:
    """Run, collect and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    choice = parser.parse_args()
    set_up_process()
    for seed in choice.seeds:
        for size in choice.sizes:
            for unbiased in (True, False):
                measure(recipe_for(size, seed, unbiased=unbiased), choice.data, choice.runs)
            publish(gather(choice.runs))


def publish(found: dict[str, dict[str, Any]]) -> None:
    """Write all results and plot their means."""
    values = asdict(recipe_for(64, 0, unbiased=True).train)
    write_text(OUT, json.dumps({**made_with(), "method": __doc__, "runs": found, "recipe": values}, indent=1) + "\n")
    sizes = sorted({run["size"] for run in found.values()})
    curves = {
        f"{kind} targets, {decoder}": [mean_nme(found, size, kind == "unbiased", decoder) for size in sizes]
        for kind in ("quantised", "unbiased")
        for decoder in DECODERS
    }
    plot_by_crop_size(PICTURE, sizes, curves, "NME over the outer eye corners (%)")


if __name__ == "__main__":
    main()
