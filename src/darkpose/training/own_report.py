"""What a run on your own landmarks reached on the samples that it held out: report, curves and card."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from darkpose.evaluation.evaluate import evaluate_benchmark
from darkpose.evaluation.measure import Evaluation
from darkpose.evaluation.own_data import own_benchmark
from darkpose.evaluation.plots import plot_training
from darkpose.evaluation.report import WHOLE
from darkpose.evaluation.report_folder import write_report
from darkpose.files.atomic import write_text
from darkpose.training.log import read_log
from darkpose.training.own_landmarks import OwnTask
from darkpose.weights.checkpoint import open_checkpoint
from darkpose.weights.zoo import KEPT

REPORT, CURVES, CARD, PREDICTIONS = "report", "training.png", "card.md", "held-out.predictions.jsonl"


def report_own(own: OwnTask, out: Path) -> Evaluation:
    """Measure the kept weights on the held-out samples; write report, curves (if Matplotlib is installed) and card.

    Raises:
        DarkposeError: a file cannot be written.
    """
    benchmark = own_benchmark(f"{own.task.recipe.name}-held-out", own.task.validation, own.task.validation_schema)
    predictions = out / PREDICTIONS
    predictions.unlink(missing_ok=True)  # of weights that have been trained further
    found = evaluate_benchmark(benchmark, out, predictions, weights=str(out / KEPT))
    if find_spec("matplotlib") is not None:
        write_report(out / REPORT, found)
        plot_training(out / CURVES, {out.name: read_log(out / "log.jsonl")})
    write_text(out / CARD, card(own, found, dict(open_checkpoint(out / KEPT).provenance)))
    return found


def card(own: OwnTask, found: Evaluation, provenance: dict[str, Any]) -> str:
    """The model card of the weights, in Markdown."""
    task, row = own.task, found.report.subsets[WHOLE]
    crops = (
        "cut around the faces that darkpose finds"
        if task.facts["boxes"] == "faces"
        else "cut around the annotated boxes: `predict` needs `--boxes`"
    )
    return f"""# {task.recipe.name}

{len(task.recipe.train_set.schema)} landmarks, trained by darkpose on {len(task.samples)} samples of your data; crops
are {crops}.

| | |
|---|---|
| started from | {provenance["start"]} |
| landmarks whose heatmaps started from random weights | {own.new} |
| epochs; the best, which is kept | {provenance["recipe_values"]["epochs"]}; {provenance.get("epoch")} |
| held-out samples | {len(task.validation)} |
| NME, per cent of {found.report.normaliser.replace("_", " ")} | {row.nme:.2f} |
| 95 % interval | {row.interval[0]:.2f} .. {row.interval[1]:.2f} |

The held-out samples chose the epoch, so the error on other images is a little higher. The terms of your images, and of
the weights that training started from (`darkpose models`), apply to these weights, too.
"""
