"""Cross-validation on WFLW faces, split by image: cross_validate.py DATA [RUNS START [FOLD ...]]

DATA holds 300w/ and wflw/. For each of five folds, the weights START are trained on 300-W and the WFLW faces of the
other four folds with the recipe `faces`, and predict the landmarks of the fold; RUNS/fold-N holds the run and its
predictions. A finished fold is not run again, and weights that are already there are not trained again. When all folds
are done, the rounded predictions are written to benchmarks/cross_validation/ and the errors of all faces to
benchmarks/cross_validation.json: in the annotated boxes, in YuNet's boxes and in moved boxes, and with a shape prior
that was fitted without the fold's faces. With DATA alone, the errors are those of the kept predictions.
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
from darkpose.datasets.joined import DIFFERENT_POINTS, FACES, hide_landmarks, to_joined_schema
from darkpose.datasets.predictions_file import read_predictions
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.deploy.machine import made_with
from darkpose.evaluation.benchmarks import WFLW
from darkpose.evaluation.evaluate import PredictOptions, evaluate_benchmark
from darkpose.evaluation.report import measure_errors
from darkpose.runtime.flip import FlipTest
from darkpose.schema import W300_68, WFLW_98
from darkpose.training.process import set_up_process
from darkpose.training.recipe_run import train_recipe
from darkpose.training.recipes import RECIPES, Recipe

FOLDS, TIMES = 5, 24
OUT, KEPT = Path("benchmarks/cross_validation.json"), Path("benchmarks/cross_validation")
FLIP_TESTS: tuple[FlipTest, ...] = ("published", "off")  # in the annotated boxes
BOXES = ("yunet", "jitter:0.05", "jitter:0.1")  # without flip test
# Ways to predict, and their files in the run of a fold.
WAYS = {
    "flip test published": "predictions.jsonl",
    "flip test off": "predictions.annotation-off-dark.jsonl",
    "flip test off, yunet boxes": "boxes.jsonl",
    "flip test off, jitter:0.05 boxes": "boxes.jitter0.05-off-dark.jsonl",
    "flip test off, jitter:0.1 boxes": "boxes.jitter0.1-off-dark.jsonl",
}
WITH_PRIOR = ("flip test published", "flip test off")  # not with detected boxes: some faces are not found


def fold_of(samples: list[Sample]) -> np.ndarray:
    """The fold of every face, (N,): faces of one image share theirs."""
    images, membership = np.unique([str(sample.image) for sample in samples], return_inverse=True)
    return np.random.default_rng(0).permutation(len(images))[membership] % FOLDS


def recipe_for(fold: int, recipe: Recipe = RECIPES["faces"]) -> Recipe:
    """A recipe without the WFLW faces of a fold, evaluated on them."""

    def train(root: Path, *, broken: list[str] | None = None) -> list[Sample]:
        faces = read_wflw(root / "wflw")
        others = [face for face, its in zip(faces, fold_of(faces), strict=True) if its != fold]
        w300 = [
            hide_landmarks(to_joined_schema(face, W300_68), DIFFERENT_POINTS["wflw-98"])
            for face in read_300w(root / "300w")
        ]
        known = (hide_landmarks(to_joined_schema(face, WFLW_98), DIFFERENT_POINTS["300w-68"]) for face in others)
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
    """Train without a fold, unless its weights are there, and predict it in all ways."""
    folder, recipe = runs / f"fold-{fold}", recipe_for(fold)
    if (folder / "state.pt").exists() or not (folder / "weights.safetensors").exists():
        train_recipe(recipe, data, folder, start=start).finished()
    weights = str(folder / "weights.safetensors")
    ways = {"predictions": PredictOptions(flip_tests=FLIP_TESTS), "boxes": PredictOptions(BOXES, ("off",))}
    for file, options in ways.items():
        evaluate_benchmark(recipe.benchmark, data, folder / f"{file}.jsonl", weights=weights, options=options)


def keep(file: Path, kept: Path, fold: int) -> None:
    """Copy predictions, rounded to 0.01 px and 0.001, without annotations and the path of the weights."""
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
    """The errors of all faces, each predicted by weights that were not trained on its image.

    Args:
        data: folder with 300w/ and wflw/.
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
        if way in WITH_PRIOR:
            points[f"{way}, shape prior"] = plain.copy()
        for fold, (file, prior) in enumerate(zip(files, priors, strict=True)):
            rows = np.flatnonzero(folds == fold)
            its = read_predictions(file[way])
            plain[rows] = its.as_array([faces[row].image.name for row in rows], len(WFLW_98), str(file[way]))
            if way in WITH_PRIOR:
                scores = np.stack([its.scores[face] for face in range(len(rows))])
                points[f"{way}, shape prior"][rows] = prior(plain[rows], scores, boxes[rows])
        for name, each in points.items():
            caveat = f"cross-validation over {len(faces)} faces: {name}"
            found[name] = measure_errors(each, faces, WFLW_98, WFLW.published, [caveat]).to_dict()
    return found


def main(data: Path, runs: Path | None, start: str, folds: list[int]) -> None:
    """Run the folds that are left, and collect the results when all are done."""
    files = [{way: KEPT / f"fold-{fold}.{kept_as(way)}.jsonl" for way in WAYS} for fold in range(FOLDS)]
    if runs is not None:
        set_up_process()
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
    """The name of a way in the file names."""
    return way.removesuffix(" boxes").replace("flip test ", "flip-").replace(", ", ".").replace(":", "")


if __name__ == "__main__":
    if len(sys.argv) not in (2, *range(4, 4 + FOLDS + 1)):
        sys.exit(__doc__)
    given = [*sys.argv[1:], "", ""]
    main(Path(given[0]), Path(given[1]) if given[1] else None, given[2], [int(fold) for fold in sys.argv[4:]])
