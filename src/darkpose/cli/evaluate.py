"""`darkpose evaluate`: errors of weights or predictions on a test set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from darkpose.cli.numbers import Count
from darkpose.cli.result import print_result, tell
from darkpose.errors import DarkposeError

if TYPE_CHECKING:
    from darkpose.evaluation.benchmarks import Benchmark

OWN, WAYS, OUTPUT = (
    Group("Your own annotations", sort_key=1),
    Group("Ways to predict", sort_key=2),
    Group("Output", sort_key=3),
)


def evaluate(
    recipe: str | None = None,
    *,
    root: Path | None = None,
    data: Annotated[Path | None, Parameter(group=OWN)] = None,
    images: Annotated[Path | None, Parameter(group=OWN)] = None,
    category: Annotated[str | None, Parameter(group=OWN)] = None,
    weights: str | None = None,
    predictions: Path | None = None,
    against: list[Path] | None = None,
    shared: bool = False,
    boxes: Annotated[str | None, Parameter(group=WAYS)] = None,
    method: Annotated[str | None, Parameter(group=WAYS, alias="--decode")] = None,
    flip_test: Annotated[str | None, Parameter(group=WAYS)] = None,
    schema: Annotated[str | None, Parameter(group=WAYS)] = None,
    shape_prior: Annotated[str | None, Parameter(group=WAYS)] = None,
    device: Annotated[str, Parameter(group=WAYS)] = "auto",
    workers: Annotated[Count, Parameter(group=WAYS)] = 0,
    report: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    json: Annotated[bool, Parameter(group=OUTPUT)] = False,
) -> int:
    """Measure the errors of weights or predictions on a test set.

    The errors are given for the whole set and its subsets, next to the published ones. Predictions are written to a
    file first; if it is interrupted, the same command continues. If --boxes, --method or --flip-test name several
    values, all combinations are measured; the first is the main one.

    Parameters
    ----------
    recipe
        Recipe (aflw-dark, wflw-dark, 300w-dark, cofw-dark, or the path of a Python file with one, which is executed:
        use only files that you trust) or data set (wflw-test, wflw-pose, aflw-full, 300w-lfpw, ...). Default: the data
        set that the file of predictions names.
    root
        Folder of the data set.
    data
        Annotations instead of a published data set: COCO, CSV, imglab, YOLO-pose, a folder of .pts files, predictions.
    images
        Folder of their images. Default: that of the annotations.
    category
        Category of a COCO file with several.
    weights
        Name or path of a checkpoint; "default": the shipped weights with the lowest error for the schema. Without
        weights, the file of predictions is measured.
    predictions
        File of predictions. Default: a file named by recipe, weights and way to predict.
    against
        Another file of predictions, to compare with face by face. Repeat for several.
    shared
        If the schema differs from that of the data set, measure the landmarks that both have.
    boxes
        annotation (default, as published), landmarks, detector (the one in the package), yunet, haar or jitter:S.
        Several with commas: annotation,detector,jitter:0.1.
    method
        Decoder of the heatmaps: dark, dark+, quarter, argmax, or several with commas. Default: as in the recipe.
    flip_test
        published, exact, off, or several with commas. Default: as in the recipe.
    schema
        Schema to predict, if the weights know several. Default: that of the data set. With --data also a TOML file with
        the names and flip pairs of the annotated landmarks.
    shape_prior
        Also measure landmarks pulled towards the shapes of faces, and name them first: wflw-98, or the file of a prior.
    device
        Device of torch: auto, cpu, cuda, cuda:1, ... Without an NVIDIA GPU, the fastest installed runtime is used.
    workers
        Threads that read and crop images ahead of the network.
    report
        Folder to write report.md to, with figures and tables.
    json
        Print JSON.
    """
    from typing import get_args

    from darkpose.codec.heatmap import Method
    from darkpose.datasets.predictions_file import read_predictions
    from darkpose.evaluation.benchmarks import benchmark_of, find_benchmark
    from darkpose.evaluation.evaluate import PredictOptions, evaluate_benchmark
    from darkpose.evaluation.report_folder import prepare_report, write_report
    from darkpose.runtime.flip import FlipTest

    if weights is None and predictions is None:
        raise DarkposeError("give --weights to predict with, or a file of --predictions to measure")
    ways = {"--boxes": boxes, "--method": method, "--flip-test": flip_test, "--schema": schema}
    if weights is None and any(ways.values()):
        given = ", ".join(flag for flag, value in ways.items() if value)
        raise DarkposeError(f"{given} needs --weights to predict with; a file of predictions is measured as it is")
    if data is not None:
        if recipe is not None or root is not None:
            raise DarkposeError("--data is measured without a recipe and --root")
        described = None if schema is None or not schema.endswith(".toml") else Path(schema)
        schema = None if described else schema
        benchmark, root = _own_data(data, images, described, category, weights), data.parent
    elif root is None:
        raise DarkposeError("expected the folder of a data set with --root, or your own annotations with --data")
    elif recipe is None:
        named = read_predictions(predictions).header.get("data_set") if predictions and not weights else None
        if named is None:
            why = f"; {predictions} does not name its data set" if predictions and not weights else ""
            raise DarkposeError(f"name the recipe or data set (darkpose evaluate --help){why}")
        benchmark = benchmark_of(str(named))
    else:
        benchmark = find_benchmark(recipe)
    if report is not None:
        prepare_report(report)
    options = PredictOptions(
        tuple(name.strip() for name in (boxes or "annotation").split(",")),
        _several("--flip-test", flip_test, get_args(FlipTest)),
        _several("--method", method, get_args(Method)),
        schema=schema,
        device=device,
        workers=workers,
    )
    try:
        found = evaluate_benchmark(
            benchmark,
            root,
            predictions,
            weights=weights,
            options=options,
            against=against or (),
            shared=shared,
            shape_prior=shape_prior,
            tell=tell,
        )
    except KeyboardInterrupt:
        tell("interrupted; run the same command again to continue")
        return 130
    try:
        if report is not None:
            write_report(report, found)
    finally:
        print_result(found.to_dict(), found.lines(), json=json)
    return 0


def _own_data(
    file: Path, images: Path | None, described: Path | None, category: str | None, weights: str | None
) -> "Benchmark":
    """Annotations as a benchmark, with boxes as the weights were trained with."""
    from darkpose.datasets.annotations import read_annotations
    from darkpose.datasets.schema_file import read_schema
    from darkpose.evaluation.own_data import own_benchmark, with_boxes_for
    from darkpose.schema import name_for_schema

    broken: list[str] = []
    known = None if described is None else read_schema(described)
    found = read_annotations(file, images, schema=known, category=category, broken=broken)
    for note in (*found.notes, *broken):
        tell(note)
    samples = found.samples if weights is None else with_boxes_for(weights, found.samples)
    return own_benchmark(name_for_schema(file.stem), samples, found.schema)


def _several(flag: str, given: str | None, choices: tuple[str, ...]) -> Any:
    """The comma-separated names of a flag, checked."""
    names = tuple(name.strip() for name in given.split(",")) if given else ()
    unknown = [name for name in names if name not in choices]
    if unknown:
        raise DarkposeError(f"{flag} must be {', '.join(choices)}, or several with commas, got {unknown[0]!r}")
    return names
