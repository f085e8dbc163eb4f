"""`darkpose evaluate`: weights or predictions measured on a test set."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from darkpose.cli.numbers import Count
from darkpose.errors import DarkposeError


def evaluate(
    recipe: str | None = None,
    *,
    root: Path,
    weights: str | None = None,
    predictions: Path | None = None,
    boxes: str | None = None,
    flip_test: str | None = None,
    decode: str | None = None,
    against: Annotated[list[Path] | None, Parameter(negative="")] = None,
    shared: Annotated[bool, Parameter(negative="")] = False,
    schema: str | None = None,
    report: Path | None = None,
    device: str = "auto",
    workers: Count = 0,
    shape_prior: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure weights, or a file of predictions, on a test set: all subsets, beside the published numbers.

    Predictions are written first and measured then; an interrupted run goes on where it was when started again. Where
    --boxes, --flip-test or --decode name several ways, all combinations are measured; the first is the main one.

    Parameters
    ----------
    recipe
        A recipe (aflw-dark, wflw-dark, 300w-dark, cofw-dark, or the path of a Python file that holds one) or a data set
        (wflw-test, wflw-pose, aflw-full, 300w-lfpw, ...). A file of --predictions that names its data set can do
        without.
    root
        Folder of the data set.
    weights
        Checkpoint, by path or name (default: the shipped weights that are best at the markup); without, the predictions
        file is measured as it is.
    predictions
        The file of predictions; one named by recipe, weights and way of predicting where it is not given.
    boxes
        annotation (as published, and where it is not given), landmarks, detector (the best that can be had), yunet,
        haar, or jitter:S; several with commas: annotation,detector,jitter:0.1.
    flip_test
        published, exact, off, or several with commas; the recipe's where it is not given.
    decode
        dark, dark+, quarter, argmax, or several with commas; the recipe's where it is not given.
    against
        Another file of predictions, to compare with face by face; repeat for several.
    shared
        Where weights or predictions are of another markup than the data set, measure the landmarks that both share.
    schema
        Which markup of weights that know several to predict; the data set's where it is not given.
    report
        Folder to write report.md to, with pictures and tables.
    device
        auto, cpu, cuda, cuda:1, ...
    workers
        Processes that read and cut images beside this one.
    shape_prior
        Measure the landmarks drawn towards a prior, too, and first: wflw-98, or a prior's file.
    json
        Print JSON.
    """
    from json import dumps
    from typing import get_args

    from darkpose.codec.heatmap import Method
    from darkpose.evaluation.benchmarks import benchmark_of, find_benchmark
    from darkpose.evaluation.evaluate import Choices, evaluate_benchmark
    from darkpose.evaluation.predictions import read_predictions
    from darkpose.evaluation.report_folder import prepare_report, write_report
    from darkpose.runtime.flip import FlipTest

    if weights is None and predictions is None:
        raise DarkposeError("name --weights to predict with, or a file of --predictions to measure")
    ways = {"--boxes": boxes, "--flip-test": flip_test, "--decode": decode, "--schema": schema}
    if weights is None and any(ways.values()):
        given = ", ".join(flag for flag, value in ways.items() if value)
        raise DarkposeError(
            f"{given} is about predicting, which takes --weights; a predictions file is measured as it is"
        )
    if recipe is None:
        named = read_predictions(predictions).header.get("data_set") if predictions and not weights else None
        if named is None:
            why = f"; {predictions} does not name its data set" if predictions and not weights else ""
            raise DarkposeError(f"name the recipe or data set to measure (darkpose evaluate --help){why}")
        benchmark = benchmark_of(str(named))
    else:
        benchmark = find_benchmark(recipe)
    if report is not None:
        prepare_report(report)
    choices = Choices(
        tuple(name.strip() for name in (boxes or "annotation").split(",")),
        _several("--flip-test", flip_test, get_args(FlipTest)),
        _several("--decode", decode, get_args(Method)),
    )
    try:
        found = evaluate_benchmark(
            benchmark,
            root,
            predictions,
            weights=weights,
            choices=choices,
            against=against or (),
            shared=shared,
            markup=schema,
            device=device,
            workers=workers,
            shape_prior=shape_prior,
        )
    except KeyboardInterrupt:
        print("darkpose: interrupted; the predicted faces are kept, the same command goes on", file=sys.stderr)
        return 130
    try:
        if report is not None:
            write_report(report, found)
    finally:
        print(dumps(found.to_dict(), indent=2) if json else "\n".join(found.lines()), flush=True)
    return 0


def _several(flag: str, given: str | None, choices: tuple[str, ...]) -> Any:
    """The names that a flag lists with commas."""
    names = tuple(name.strip() for name in given.split(",")) if given else ()
    unknown = [name for name in names if name not in choices]
    if unknown:
        raise DarkposeError(f"{flag} takes {', '.join(choices)}, or several with commas, got {unknown[0]!r}")
    return names
