"""Cross-validation on WFLW faces, split by image: cross_validate.py DATA [RUNS START [FOLD ...]]

DATA holds 300w/ and wflw/. For every fold of five, weights START learn from 300-W and the WFLW faces of the other four
by the recipe `faces`, and find the landmarks of the fold's; RUNS/fold-N holds the run and its predictions. A fold that
is done is not done again, nor are weights that were put there learnt again. When all are there, the predictions go to
benchmarks/cross_validation/, rounded, and the errors of all faces to benchmarks/cross_validation.json: of the landmarks
as found in the annotated boxes, in YuNet's and in moved ones, and drawn towards a shape prior that was fitted without
the fold's faces. With DATA alone, of the predictions that are kept.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fit_shape_prior import prior_of

from darkpose.datasets.catalogue import DataSet
from darkpose.datasets.joined import ELSEWHERE, FACES, under_markups, without
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.deploy.machine import made_with
from darkpose.evaluation.benchmarks import WFLW
from darkpose.evaluation.evaluate import Choices, evaluate_benchmark
from darkpose.evaluation.predictions import read_predictions
from darkpose.evaluation.report import report
from darkpose.runtime.flip import FlipTest
from darkpose.schema import W300_68, WFLW_98
from darkpose.training.recipe_run import train_recipe
from darkpose.training.recipes import SEVERAL_SETS, Recipe

FOLDS, TIMES = 5, 24
OUT, KEPT = Path("benchmarks/cross_validation.json"), Path("benchmarks/cross_validation")
FLIP_TESTS: tuple[FlipTest, ...] = ("published", "off")  # in the annotated boxes
BOXES = ("yunet", "jitter:0.05", "jitter:0.1")  # without flip test
# Ways to predict, and their files in a fold's run.
WAYS = {
    "flip test published": "predictions.jsonl",
    "flip test off": "predictions.annotation-off-dark.jsonl",
    "flip test off, yunet boxes": "boxes.jsonl",
    "flip test off, jitter:0.05 boxes": "boxes.jitter0.05-off-dark.jsonl",
    "flip test off, jitter:0.1 boxes": "boxes.jitter0.1-off-dark.jsonl",
}
DRAWN = ("flip test published", "flip test off")  # towards the prior, too: a detector has not found all faces


def fold_of(samples: list[Sample]) -> np.ndarray:
    """The fold of every face, (N,): faces of one image share theirs."""
    images, membership = np.unique([str(sample.image) for sample in samples], return_inverse=True)
    return np.random.default_rng(0).permutation(len(images))[membership] % FOLDS


def recipe_for(fold: int, recipe: Recipe = SEVERAL_SETS) -> Recipe:
    """A recipe without the WFLW faces of a fold, tested on them."""

    def train(root: Path, *, broken: list[str] | None = None) -> list[Sample]:
        faces = read_wflw(root / "wflw")
        learnt = [face for face, its in zip(faces, fold_of(faces), strict=True) if its != fold]
        w300 = [without(under_markups(face, W300_68), ELSEWHERE["wflw-98"]) for face in read_300w(root / "300w")]
        known = (without(under_markups(face, WFLW_98), ELSEWHERE["300w-68"]) for face in learnt)
        wflw = [replace(face, subsets=frozenset(["wflw-test"])) for face in known]
        return w300 + wflw * TIMES

    def test(root: Path, *, broken: list[str] | None = None) -> list[Sample]:
        faces = read_wflw(root / "wflw")
        return [face for face, its in zip(faces, fold_of(faces), strict=True) if its == fold]

    name = f"{recipe.name}-fold-{fold}"
    return replace(
        recipe,
        name=name,
        train_set=DataSet(f"faces-fold-{fold}", FACES, train, {}),
        benchmark=replace(recipe.benchmark, name=name, test_set=DataSet(f"wflw-fold-{fold}", WFLW_98, test, {})),
    )


def run_fold(data: Path, runs: Path, start: str, fold: int) -> None:
    """Train without a fold, where that has not been done elsewhere, and predict it, with and without flip test."""
    folder, recipe = runs / f"fold-{fold}", recipe_for(fold)
    if (folder / "state.pt").exists() or not (folder / "weights.safetensors").exists():
        train_recipe(recipe, data, folder, start=start).finished()
    weights = str(folder / "weights.safetensors")
    for file, choices in (("predictions", Choices(flip_tests=FLIP_TESTS)), ("boxes", Choices(BOXES, ("off",)))):
        evaluate_benchmark(recipe.benchmark, data, folder / f"{file}.jsonl", weights=weights, choices=choices)


def keep(file: Path, kept: Path, fold: int) -> None:
    """Copy what was predicted, rounded to 0.01 px and 0.001, without what was annotated and the path of the weights."""
    head, *lines = map(json.loads, file.read_text().splitlines())
    for line in lines:
        for name in ("box", "subsets"):
            line.pop(name, None)
        for name, digits in (("keypoints", 2), ("scores", 3)):
            if line.get(name) is not None:
                line[name] = np.round(line[name], digits).tolist()
    texts = (json.dumps(line, separators=(",", ":")) for line in lines)
    kept.write_text("\n".join([json.dumps(head | {"weights": f"fold-{fold}"}), *texts]) + "\n")


def gather(data: Path, files: Sequence[Mapping[str, Path]]) -> dict[str, Any]:
    """The errors of all faces, every one predicted by weights that have not learnt from its image.

    Args:
        data: as the module says.
        files: for every fold, way of predicting -> its predictions.
    """
    faces, w300 = read_wflw(data / "wflw"), read_300w(data / "300w")
    folds = fold_of(faces)
    priors = [prior_of(w300, [face for face, its in zip(faces, folds, strict=True) if its != f]) for f in range(FOLDS)]
    found = {}
    boxes = np.stack([face.box for face in faces])
    for way in WAYS:
        plain = np.full((len(faces), len(WFLW_98), 2), np.inf)
        points = {way: plain}
        if way in DRAWN:
            points[f"{way}, shape prior"] = plain.copy()
        for fold, (file, prior) in enumerate(zip(files, priors, strict=True)):
            rows = np.flatnonzero(folds == fold)
            its = read_predictions(file[way])
            plain[rows] = its.as_array([faces[row].image.name for row in rows], len(WFLW_98), str(file[way]))
            if way in DRAWN:
                scores = np.stack([its.scores[face] for face in range(len(rows))])
                points[f"{way}, shape prior"][rows] = prior(plain[rows], scores, boxes[rows])
        for name, each in points.items():
            caveat = f"cross-validation over {len(faces)} faces: {name}"
            found[name] = report(each, faces, WFLW_98, WFLW.published, [caveat]).to_dict()
    return found


def main(data: Path, runs: Path | None, start: str, folds: list[int]) -> None:
    """Run what is left, gather if all is there."""
    files = [{way: KEPT / f"fold-{fold}.{kept_as(way)}.jsonl" for way in WAYS} for fold in range(FOLDS)]
    if runs is not None:
        for fold in folds or range(FOLDS):
            run_fold(data, runs, start, fold)
        found = [{way: runs / f"fold-{fold}" / name for way, name in WAYS.items()} for fold in range(FOLDS)]
        if not all(file.exists() for each in found for file in each.values()):
            return
        for fold, (each, kept) in enumerate(zip(found, files, strict=True)):
            for way, file in each.items():
                keep(file, kept[way], fold)
    OUT.write_text(json.dumps({**made_with(), "method": __doc__, **gather(data, files)}, indent=1) + "\n")


def kept_as(way: str) -> str:
    """What the file of a way is called."""
    return way.removesuffix(" boxes").replace("flip test ", "flip-").replace(", ", ".").replace(":", "")


if __name__ == "__main__":
    if len(sys.argv) not in (2, *range(4, 4 + FOLDS + 1)):
        sys.exit(__doc__)
    given = [*sys.argv[1:], "", ""]
    main(Path(given[0]), Path(given[1]) if given[1] else None, given[2], [int(fold) for fold in sys.argv[4:]])
