"""`darkpose train` and `plot`: training runs and their curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from cyclopts import Group, Parameter, validators

from darkpose.cli.numbers import Count
from darkpose.cli.result import print_lines, print_result, tell
from darkpose.errors import DarkposeError

if TYPE_CHECKING:
    from darkpose.training.config import RunOptions
    from darkpose.training.loop import Trained


OWN = Group("Your own landmarks", sort_key=1)
CHECKS, SPEED = Group("Checks and validation", sort_key=2), Group("Speed", sort_key=3)


def train(
    recipe: str | None = None,
    *,
    root: Path | None = None,
    out: Path | None = None,
    data: Annotated[Path | None, Parameter(group=OWN)] = None,
    images: Annotated[Path | None, Parameter(group=OWN)] = None,
    schema: Annotated[Path | None, Parameter(group=OWN)] = None,
    category: Annotated[str | None, Parameter(group=OWN)] = None,
    boxes: Annotated[Literal["auto", "faces", "annotation"], Parameter(group=OWN)] = "auto",
    time: Annotated[str, Parameter(group=OWN)] = "20m",
    start: str | None = None,
    max_time: str | None = None,
    save_every: Annotated[float, Parameter(validator=validators.Number(gte=0))] = 300.0,
    track: list[str] | None = None,
    wflw_test: bool = False,
    json: bool = False,
    dry_run: Annotated[bool, Parameter(group=CHECKS)] = False,
    overfit: Annotated[int, Parameter(group=CHECKS)] = 0,
    held_out: Annotated[float | None, Parameter(group=CHECKS, alias="--hold-out")] = None,
    patience: Annotated[int | None, Parameter(group=CHECKS)] = None,
    workers: Annotated[Count, Parameter(group=SPEED)] = 1,
    cache: Annotated[Path | None, Parameter(group=SPEED)] = None,
    uncompressed: Annotated[bool, Parameter(group=SPEED)] = False,
    compile: Annotated[bool, Parameter(group=SPEED)] = False,
    cuda_graphs: Annotated[bool, Parameter(group=SPEED, alias="--graphs")] = False,
) -> int:
    """Train a network by a recipe.

    With --data, on landmarks of your own: `darkpose train --data my.json --images DIR --out runs/mine`. If it is
    interrupted, the same command continues. Needs `pip install 'darkpose[train]'`.

    Parameters
    ----------
    recipe
        aflw-dark, wflw-dark, 300w-dark, cofw-dark (as published); 300w-128, 300w-256, faces-300w, faces-300w-longer,
        faces-300w-wing, faces-300w-gpu, faces-300w-long (the default weights, one after the other); faces, faces-gpu
        (with the faces of WFLW); small-128, small (the small network); or the path of a Python file with a recipe
        (configs/face/darkpose/), which is executed: use only files that you trust.
    root
        Folder of the data set of the recipe.
    out
        Folder of the run; required without --dry-run.
    data
        Annotations: COCO, CSV, imglab, YOLO-pose, a folder of .pts files, or predictions; without a recipe.
    images
        Folder of their images. Default: that of the annotations.
    schema
        TOML file with names and flip pairs of their landmarks (`darkpose datasets check`). Default: inferred.
    category
        Category of a COCO file with several.
    boxes
        What crops of --data are cut around: faces (that are found, as predict cuts them) or the boxes of the
        annotation, which predict then needs, too. auto: faces if they are found around four in five of the samples.
    time
        Time of the whole run with --data; the number of epochs follows from it: seconds, or 20m, 1.5h.
    start
        Initial weights: nothing, imagenet (downloaded once) or its file, or name or path of a checkpoint, also of
        other landmarks; default: the shipped weights of the recipe's network. Without it: as in the recipe, and with
        --data default.
    max_time
        Stop and save after this time: seconds, or 90m, 7.5h.
    save_every
        Seconds between saves of the state of the run.
    track
        Also log to tensorboard or wandb. Repeat for both.
    wflw_test
        With faces and faces-gpu: train on WFLW's test faces in place of its training faces. The weights record their
        names, and must not be measured on them.
    json
        Print the plan or the result as JSON.
    dry_run
        Print the plan of the run with the measured time of a step, and write nothing.
    overfit
        Train on this number of faces, without augmentation: a check of data and training.
    held_out
        Fraction of the training images to validate on, instead of the test set; the best epoch is kept. With --data
        0.1 by default.
    patience
        Stop after this number of epochs without a lower error on the held-out images.
    workers
        Processes that load images.
    cache
        Folder for crops of the faces, cut once and then read instead of the images. Interpolating twice makes crops
        slightly softer.
    uncompressed
        Keep these crops as pixels instead of JPEG: about thirteen times the space, no decoding.
    compile
        Compile the network with torch: minutes at the start, faster steps on a GPU.
    cuda_graphs
        Run the network as CUDA graphs: faster steps, for one process on a GPU.
    """
    if data is None and (recipe is None or root is None):
        raise DarkposeError("expected a recipe with --root, or your own annotations with --data")
    if data is not None and recipe is not None:
        raise DarkposeError(f"--data is trained on without a recipe, got {recipe!r}")

    from darkpose.runtime.open import check_address_space

    check_address_space()
    from dataclasses import asdict, replace

    from darkpose.training.config import RunOptions
    from darkpose.training.process import set_up_process
    from darkpose.training.recipe_run import overfit_task, read_task, train_recipe
    from darkpose.training.recipes import find_recipe, on_test_faces
    from darkpose.training.run_folder import first_process
    from darkpose.training.trackers import check_trackers

    options = RunOptions(
        cache=cache,
        uncompressed=uncompressed,
        workers=workers,
        save_every=save_every,
        max_time=None if max_time is None else _seconds(max_time),
        track=track or (),
        compiled=compile,
        graphs=cuda_graphs,
    )
    check_trackers(options.track)
    if uncompressed and cache is None:
        raise DarkposeError("--uncompressed needs a folder for the crops: --cache")
    if out is None and not dry_run:
        raise DarkposeError("give the folder of the run with --out")
    if data is not None:
        set_up_process()
        annotated = OwnData(data, images, schema, category, boxes)
        wanted = OwnRun(out, start or "default", 0.1 if held_out is None else held_out, _seconds(time), dry_run, json)
        return _train_own(annotated, wanted, options)
    assert recipe is not None
    assert root is not None
    experiment = find_recipe(recipe)
    if wflw_test:
        experiment = on_test_faces(experiment)
    if held_out is not None:
        config = replace(experiment.train, held_out=held_out, select="best" if held_out else experiment.train.select)
        experiment = replace(experiment, train=config)
    if patience is not None:
        experiment = replace(experiment, train=replace(experiment.train, patience=patience))
    set_up_process()
    if dry_run:
        from darkpose.training.plan import plan_run

        task = read_task(experiment, root)
        plan = plan_run(overfit_task(task, overfit) if overfit else task, start=start, options=options)
        if first_process():
            print_result({**asdict(plan), "hours": plan.hours}, str(plan).splitlines(), json=json)
        return 0
    assert out is not None
    trained = train_recipe(experiment, root, out, start=start, overfit=overfit, options=options)
    if first_process():
        outcome = _outcome(out / "weights.safetensors", trained)
        print_result(outcome, [_summary(outcome)], json=json)
    return 130 if trained.stopped == "signal" else 0


class OwnData(NamedTuple):
    """Annotations of your own."""

    file: Path
    images: Path | None
    schema: Path | None
    category: str | None
    boxes: Literal["auto", "faces", "annotation"]


class OwnRun(NamedTuple):
    """How to train on them."""

    out: Path | None
    start: str
    held_out: float
    seconds: float
    dry_run: bool
    json: bool


def _train_own(data: OwnData, run: OwnRun, options: "RunOptions") -> int:
    """Train on landmarks of your own, or print the plan."""
    from dataclasses import asdict

    from darkpose.datasets.annotations import read_annotations
    from darkpose.datasets.schema_file import read_schema
    from darkpose.schema import name_for_schema
    from darkpose.training.own_landmarks import own_task, plan_own, train_own
    from darkpose.training.own_report import report_own
    from darkpose.training.run_folder import first_process

    broken: list[str] = []
    known = None if data.schema is None else read_schema(data.schema)
    found = read_annotations(data.file, data.images, schema=known, category=data.category, broken=broken)
    for note in (*found.notes, *broken):
        tell(note)
    name = name_for_schema(data.file.stem)
    own = own_task(name, found.samples, found.schema, start=run.start, held_out=run.held_out, boxes=data.boxes)
    boxes = "the faces that are found" if own.task.facts["boxes"] == "faces" else "the annotated boxes (no faces)"
    tell(f"{len(found.samples)} samples of {len(found.schema)} landmarks ({found.format}); crops around {boxes}")
    if run.dry_run or run.out is None:
        _, plan = plan_own(own, run.seconds, options)
        print_result({**asdict(plan), "hours": plan.hours}, str(plan).splitlines(), json=run.json)
        return 0
    trained = train_own(own, run.out, run.seconds, options)
    if first_process():
        outcome, lines = _outcome(run.out / "weights.safetensors", trained), list[str]()
        if trained.stopped in ("", "patience"):
            error = report_own(own, run.out)
            outcome["report"] = error.to_dict()
            lines = [*error.lines(), f"report, curves and card: {run.out}/"]
        print_result(outcome, [_summary(outcome), *lines], json=run.json)
    return 130 if trained.stopped == "signal" else 0


def _outcome(weights: Path, trained: "Trained") -> dict[str, Any]:
    """The result of a run as JSON values: the kept weights, their validation error, the lowest one, the last step."""
    from darkpose.weights.checkpoint import open_checkpoint

    kept = open_checkpoint(weights).provenance if weights.exists() else {}
    lowest = trained.best_validation
    return {
        "weights": str(weights) if kept else None,
        "kept_epoch": kept.get("epoch"),
        "validation_nme": kept.get("validation_nme"),
        "best_validation_nme": lowest if lowest < float("inf") else None,
        **{"stopped": trained.stopped, "epoch": trained.epoch, "step": trained.step},
    }


def _summary(outcome: Mapping[str, Any]) -> str:
    """The result of a run for people."""
    if outcome["stopped"] in ("signal", "time"):
        at = f"epoch {outcome['epoch']}, step {outcome['step']}"
        return f"stopped after {at}, and saved; run the same command again to continue"
    if outcome["weights"] is None:
        return f"ended after epoch {outcome['epoch']}; no weights in its folder"
    kept, lowest = outcome["validation_nme"], outcome["best_validation_nme"]
    more = "" if lowest in (None, kept) else f" (lowest {100 * lowest:.3f} %)"
    return f"{outcome['weights']}: epoch {outcome['kept_epoch']}, validation NME {100 * kept:.3f} %{more}"


def _seconds(text: str) -> float:
    """A duration in seconds: a number, or a number followed by s, m or h."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        value = float(number) * unit
    except ValueError:
        value = float("nan")
    if not value >= 0:
        raise DarkposeError(f"expected a duration like 3600, 90m or 7.5h, got {text!r}")
    return value


def plot(*logs: Path, output: Path = Path("training.png")) -> int:
    """Plot loss, learning rate and error of training runs.

    Needs `pip install 'darkpose[report]'`.

    Parameters
    ----------
    logs
        log.jsonl files, or folders of runs.
    output
        Figure to write.
    """
    from darkpose.evaluation.plots import plot_training
    from darkpose.training.log import read_log

    if not logs:
        raise DarkposeError("name at least one log.jsonl or the folder of a run")
    files = [log / "log.jsonl" if log.is_dir() else log for log in logs]
    if len(set(files)) < len(files):
        raise DarkposeError(f"{max(files, key=files.count)} is named twice")
    names = [file.parent.name if file.name == "log.jsonl" else file.stem for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    plot_training(output, {name: read_log(file) for name, file in zip(names, files, strict=True)})
    print_lines(f"{output}: {len(files)} run{'' if len(files) == 1 else 's'}")
    return 0
