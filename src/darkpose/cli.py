"""The command line: flags -> one call. Printing and exit codes live here and nowhere else.

Exit codes: 0, everything done; 1, some images could not be used or have no face; 2, a mistake in the call.
"""

import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from darkpose.errors import DarkposeError

if TYPE_CHECKING:
    from darkpose.predict_files import Outcome

app = App(name="darkpose", help="Sub-pixel face landmarks: HRNetV2 and DARK.", version_flags=["--version"])

DEFAULT_OUTPUT = Path("darkpose-out")


@app.command
def predict(
    *paths: str,
    output: Path | None = None,
    format: Literal["json", "csv", "pts", "coco"] | None = None,
    draw: Annotated[bool, Parameter(negative="")] = False,
    scores: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    boxes: Annotated[list[str] | None, Parameter(negative="", allow_leading_hyphen=True)] = None,
    box_kind: Literal["detector", "landmarks", "square"] = "detector",
    detector: str = "auto",
    weights: str = "default",
    schema: str | None = None,
    flip_test: Literal["off", "published", "exact"] = "off",
    method: Literal["dark", "dark+", "quarter", "argmax"] = "dark",
    device: str = "auto",
    batch_size: int = 16,
) -> int:
    """Find the landmarks of every face in photographs.

    Parameters
    ----------
    paths
        Images, folders (searched whole) or globs.
    output
        Folder to write to; darkpose-out where it is not given and --json does not say that printing will do.
    format
        json (the default): a file per image; csv and coco: one file for all; pts: a file per face, 1-based as the
        format is.
    draw
        Also write each picture with its landmarks, as NAME.landmarks.png, enlarged where the faces are small.
    scores
        Write each picture with the scores, too.
    json
        Print one JSON line per image to standard output.
    boxes
        A face's box instead of a detector: x0,y0,x1,y1 in image px, or a .json or .csv file of boxes by image; repeat
        for several.
    box_kind
        What those boxes are: a face detector's, the tight extent of the landmarks, or a square to cut as it is.
    detector
        auto: YuNet where its file can be had, else haar; yunet; haar; or the path of a YuNet file.
    weights
        A checkpoint's path or a known name.
    schema
        Which markup, of weights that know several: 300w-68, wflw-98, aflw-19; their first where it is not given.
    flip_test
        Average with the mirrored crop: twice the time, a little more accurate.
    method
        Decoder of the heatmaps.
    device
        auto, cpu, cuda, cuda:1, ...
    batch_size
        Faces per forward pass.
    """
    from tqdm import tqdm

    from darkpose.boxfile import GivenBoxes
    from darkpose.detector import named_detector
    from darkpose.predict_files import OutputFolder, find_images, predict_files
    from darkpose.predictor import Predictor
    from darkpose.results import to_json

    if not paths:
        raise DarkposeError("name at least one image, folder or glob (darkpose predict --help)")
    inputs = find_images(paths)
    given = GivenBoxes(boxes) if boxes else None
    finder = None if given else named_detector(detector)
    predictor = Predictor(
        weights, device, flip_test, schema=schema, method=method, detector=finder, batch_size=batch_size
    )
    draw = draw or scores
    target = output or (None if json and not draw and format is None else DEFAULT_OUTPUT)
    folder = None
    if target is not None:
        folder = OutputFolder(target, format or "json", predictor.schema, draw=draw, scores=scores, inputs=inputs)
    tally = _Tally(len(inputs))
    try:
        with tqdm(total=tally.inputs, unit="image", disable=None) as bar, folder or nullcontext():
            write = folder.write if folder else None
            for outcome in predict_files(predictor, inputs, boxes=given, box_kind=box_kind, write=write):
                bar.update()
                tally.count(outcome)
                if outcome.problem:
                    bar.write(f"darkpose: {outcome.problem}", file=sys.stderr)
                if json and outcome.result is not None:
                    print(to_json(outcome.result), flush=True)
    except KeyboardInterrupt:
        print(f"darkpose: interrupted after {tally.seen} of {_count(tally.inputs, 'image')}", file=sys.stderr)
        return 130
    if predictor.detector_note:
        print(f"darkpose: {predictor.detector_note}", file=sys.stderr)
    if not json:
        print(f"{_count(tally.faces, 'face')} in {_count(tally.read, 'image')} -> {target}/")
    if tally.unused or tally.faceless:
        summary = f"{_count(tally.unused, 'image')} could not be used, {tally.faceless} without a face"
        print(f"darkpose: {summary}", file=sys.stderr)
    return 1 if tally.unused or tally.faceless else 0


@dataclass
class _Tally:
    """What became of the images of a run."""

    inputs: int
    read: int = 0
    unused: int = 0
    faceless: int = 0
    faces: int = 0

    @property
    def seen(self) -> int:
        return self.read + self.unused

    def count(self, outcome: "Outcome") -> None:
        """Count one image."""
        if outcome.result is None:
            self.unused += 1
            return
        self.read += 1
        self.faces += len(outcome.result.faces)
        self.faceless += not outcome.result.faces


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


datasets = App(name="datasets", help="Published data sets on your disk.")
app.command(datasets)


@datasets.command
def check(
    name: str,
    *,
    root: Path,
    sheet: Path | None = None,
    decode: bool = True,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Look at every face and image of a data set: counts, broken lines, missing images, duplicates, stray landmarks.

    Exit code 0 where it is whole, 1 where something is missing.

    Parameters
    ----------
    name
        wflw-train, wflw-test, wflw-pose and so on, aflw-train, aflw-full, aflw-frontal, 300w-train, 300w-common,
        300w-challenge, 300w-full, 300w-private, 300w-lfpw, cofw-train or cofw-test.
    root
        Its folder: the official tree, or OpenMMLab's with annotations/*.json and images/.
    sheet
        Picture to write: random faces with their landmarks.
    decode
        Decode the images; without, only look whether they are there.
    json
        Print JSON.
    """
    from json import dumps

    from darkpose.catalogue import DATA_SETS
    from darkpose.check import check as check_samples
    from darkpose.contact_sheet import contact_sheet
    from darkpose.image import write_image

    if name not in DATA_SETS:
        raise DarkposeError(f"there is no data set {name!r}; the names are {', '.join(DATA_SETS)}")
    data_set, broken = DATA_SETS[name], list[str]()
    samples = data_set.read(root, broken=broken)
    report = check_samples(samples, data_set.schema, data_set.published, broken=broken, decode=decode)
    print(dumps(report.to_dict(), indent=2) if json else "\n".join(report.lines()))
    if sheet is not None:
        readable = [sample for sample in samples if sample.image.is_file()]
        write_image(sheet, contact_sheet(readable, data_set.schema))
        print(f"darkpose: {sheet}: random faces with their landmarks", file=sys.stderr)
    return 0 if report.whole else 1


@datasets.command
def make(
    name: Literal["wflw", "aflw"],
    *,
    root: Path,
    train: int | None = None,
    test: int | None = None,
    seed: int = 0,
    workers: int = 0,
) -> int:
    """Draw a data set: faces of darkpose's own with exactly known landmarks, in the official files of WFLW or AFLW.

    An interrupted run goes on where it was when started again.

    Parameters
    ----------
    name
        wflw (98 landmarks, six subsets) or aflw (19 landmarks, a MATLAB file).
    root
        Folder to write to.
    train
        Training faces; as many as published (7,500; 20,000, which AFLW must have) where it is not given.
    test
        Test faces; as many as published (2,500; 4,386) where it is not given.
    seed
        Of all faces.
    workers
        Processes that draw beside this one.
    """
    from darkpose.datasets.aflw import PUBLISHED
    from darkpose.datasets.made import make_aflw, make_wflw

    if name == "aflw" and train not in (None, PUBLISHED["train"]["faces"]):
        raise DarkposeError(
            f"the splits of AFLW's file need the published {PUBLISHED['train']['faces']} training faces"
        )
    sizes = {key: value for key, value in (("train", train), ("test", test)) if value is not None}
    write = make_wflw if name == "wflw" else make_aflw
    try:
        write(root, **sizes, seed=seed, workers=workers)
    except KeyboardInterrupt:
        print(f"darkpose: interrupted; the faces in {root} are kept, the same command goes on", file=sys.stderr)
        return 130
    print(f"{root}: drawn faces in the files of {name.upper()}")
    return 0


@app.command
def convert(source: Path, target: Path) -> int:
    """Rewrite a checkpoint (OpenMMLab 0.x or 1.x, HRNet-Facial-Landmark-Detection) as a safetensors file of darkpose's.

    Parameters
    ----------
    source
        The .pth file.
    target
        The .safetensors file to write.
    """
    from darkpose.zoo import convert as convert_checkpoint

    checkpoint = convert_checkpoint(source, target)
    print(f"{target}: {checkpoint.schema.name}, {len(checkpoint.schema)} landmarks")
    return 0


@app.command
def info(*, weights: str = "default", json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Print versions, device, weights and detector.

    Parameters
    ----------
    weights
        A checkpoint's path or a known name.
    json
        Print JSON.
    """
    from json import dumps

    from darkpose.about import about

    facts = about(weights)
    if json:
        print(dumps(facts, indent=2))
    else:
        for name, value in facts.items():
            print(f"{name:12} {value}")
    return 0


@app.command
def models(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the models that go by a name: landmarks, error, terms, and whether they are here.

    Parameters
    ----------
    json
        Print JSON.
    """
    from json import dumps

    from darkpose.models import models as all_models

    found = all_models()
    print(
        dumps([m.to_dict() for m in found], indent=2) if json else "\n".join(line for m in found for line in m.lines())
    )
    return 0


@app.command
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
    workers: int = 0,
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
        Checkpoint, by path or name; without, the predictions file is measured as it is.
    predictions
        The file of predictions; one named by recipe, weights and way of predicting where it is not given.
    boxes
        annotation (as published, and where it is not given), landmarks, detector (the best that can be had), yunet,
        haar, or jitter:S; several with commas: annotation,detector,jitter:0.1.
    flip_test
        published, exact, off, or several with commas; the recipe's where it is not given.
    decode
        dark, quarter, argmax, or several with commas; the recipe's where it is not given.
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
    json
        Print JSON.
    """
    from json import dumps
    from typing import get_args

    from darkpose.evaluation import Choices, evaluate_recipe
    from darkpose.heatmap import Method
    from darkpose.inference import FlipTest
    from darkpose.predictions import read_predictions
    from darkpose.recipes import find_test, recipe_of_test_set
    from darkpose.report_folder import prepare_report, write_report

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
        experiment = recipe_of_test_set(str(named))
    else:
        experiment = find_test(recipe)
    if report is not None:
        prepare_report(report)
    choices = Choices(
        tuple(name.strip() for name in (boxes or "annotation").split(",")),
        _several("--flip-test", flip_test, get_args(FlipTest)),
        _several("--decode", decode, get_args(Method)),
    )
    try:
        found = evaluate_recipe(
            experiment,
            root,
            predictions,
            weights=weights,
            choices=choices,
            against=against or (),
            shared=shared,
            markup=schema,
            device=device,
            workers=workers,
        )
    except KeyboardInterrupt:
        print("darkpose: interrupted; the predicted faces are kept, the same command goes on", file=sys.stderr)
        return 130
    print(dumps(found.to_dict(), indent=2) if json else "\n".join(found.lines()), flush=True)
    if report is not None:
        write_report(report, found)
    return 0


def _several(flag: str, given: str | None, choices: tuple[str, ...]) -> Any:
    """The names that a flag lists with commas."""
    names = tuple(name.strip() for name in given.split(",")) if given else ()
    unknown = [name for name in names if name not in choices]
    if unknown:
        raise DarkposeError(f"{flag} takes {', '.join(choices)}, or several with commas, got {unknown[0]!r}")
    return names


@app.command
def train(
    recipe: str,
    *,
    root: Path,
    out: Path | None = None,
    start: str | None = None,
    workers: int = 1,
    cache: Path | None = None,
    held_out: float | None = None,
    patience: int | None = None,
    max_time: str | None = None,
    save_every: float = 300.0,
    track: list[str] | None = None,
    compile: Annotated[bool, Parameter(negative="")] = False,
    overfit: int = 0,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train a network as a recipe says; a run that was killed or stopped goes on when started again.

    Parameters
    ----------
    recipe
        aflw-dark, wflw-dark, 300w-dark, cofw-dark (as published), 300w-128, 300w-256, or the path of a Python file
        that holds one (configs/face/darkpose/).
    root
        Folder of the data set.
    out
        Folder of the run; needed unless --dry-run.
    start
        What to start from, instead of the recipe's: nothing, imagenet (downloaded once) or such a file, or a checkpoint
        by path or name.
    workers
        Loader processes.
    cache
        Folder for the faces' crops, cut once: training then reads those, and on a GPU makes its random crops there. The
        second interpolation makes crops a little softer.
    held_out
        Share of the training images to validate on instead of the test set; the best epoch on them is kept.
    patience
        End after so many epochs without a lower error on the held-out faces.
    max_time
        Stop, saved, after this time: seconds, or 90m, 7.5h.
    save_every
        Seconds between two savings of the run's state.
    track
        Also track with tensorboard or wandb.
    compile
        Let torch compile the network: minutes at the start, faster steps on a GPU.
    overfit
        Learn this many faces by heart instead, without augmentation: a check of data and loop.
    dry_run
        Print what the run would be, with a step's time measured on two batches, and write nothing.
    json
        Print the plan or the outcome as JSON.
    """
    from dataclasses import asdict, replace
    from json import dumps

    from darkpose.recipes import find_recipe
    from darkpose.runs import overfit as by_heart
    from darkpose.runs import read_task, train_recipe
    from darkpose.train import first_process

    experiment = find_recipe(recipe)
    if held_out is not None:
        config = replace(experiment.train, held_out=held_out, select="best" if held_out else experiment.train.select)
        experiment = replace(experiment, train=config)
    if patience is not None:
        experiment = replace(experiment, train=replace(experiment.train, patience=patience))
    if dry_run:
        from darkpose.plan import plan_run

        task = read_task(experiment, root)
        plan = plan_run(by_heart(task, overfit) if overfit else task)
        if first_process():
            print(dumps({**asdict(plan), "hours": plan.hours}) if json else plan)
        return 0
    if out is None:
        raise DarkposeError("name the folder of the run with --out")
    trained = train_recipe(
        experiment,
        root,
        out,
        start=start,
        workers=workers,
        cache=cache,
        by_heart=overfit,
        max_time=None if max_time is None else _seconds(max_time),
        save_every=save_every,
        track=track or (),
        compiled=compile,
    )
    kept, lowest = out / "weights.safetensors", trained.best_validation
    if not first_process():
        pass
    elif json:
        outcome = {"weights": str(kept), "best_validation_nme": lowest if lowest < float("inf") else None}
        print(dumps({**outcome, "stopped": trained.stopped, "epoch": trained.epoch, "step": trained.step}))
    elif trained.stopped in ("signal", "time"):
        print(f"stopped after epoch {trained.epoch}, step {trained.step}, and saved: the same command goes on")
    else:
        print(f"lowest validation NME {100 * lowest:.3f} % -> {kept}")
    return 130 if trained.stopped == "signal" else 0


def _seconds(text: str) -> float:
    """Seconds of a length of time: a number, or one followed by s, m or h."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        value = float(number) * unit
    except ValueError:
        value = float("nan")
    if not value >= 0:
        raise DarkposeError(f"expected a length of time like 3600, 90m or 7.5h, got {text!r}")
    return value


@app.command
def plot(*logs: Path, output: Path = Path("training.png")) -> int:
    """Draw loss, learning rate and validation NME of training runs.

    Parameters
    ----------
    logs
        log.jsonl files, or the folders of runs that hold them.
    output
        Picture to write.
    """
    from darkpose.plots import plot_training
    from darkpose.runlog import read_log

    if not logs:
        raise DarkposeError("name at least one log.jsonl or the folder of a run")
    files = [log / "log.jsonl" if log.is_dir() else log for log in logs]
    names = [file.parent.name if file.name == "log.jsonl" else file.stem for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    plot_training(output, {name: read_log(file) for name, file in zip(names, files, strict=True)})
    print(f"{output}: {_count(len(files), 'run')}")
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run the command line (None: the process's own); a user's mistake becomes one line and exit code 2."""
    try:
        app(arguments)
    except DarkposeError as error:
        print(f"darkpose: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output went away; nothing more to say to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
