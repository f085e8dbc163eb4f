"""`darkpose train` and `plot`: runs and their curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from darkpose.cli.numbers import Count
from darkpose.errors import DarkposeError

if TYPE_CHECKING:
    from darkpose.training.loop import Trained


def train(
    recipe: str,
    *,
    root: Path,
    out: Path | None = None,
    start: str | None = None,
    workers: Count = 1,
    cache: Path | None = None,
    uncompressed: Annotated[bool, Parameter(negative="")] = False,
    held_out: float | None = None,
    patience: int | None = None,
    max_time: str | None = None,
    save_every: Annotated[float, Parameter(validator=validators.Number(gte=0))] = 300.0,
    track: list[str] | None = None,
    compile: Annotated[bool, Parameter(negative="")] = False,
    graphs: Annotated[bool, Parameter(negative="")] = False,
    overfit: int = 0,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train a network as a recipe says; a run that was killed or stopped goes on when started again.

    Parameters
    ----------
    recipe
        aflw-dark, wflw-dark, 300w-dark, cofw-dark (as published); 300w-128, 300w-256, faces-300w, faces-300w-longer,
        faces-300w-wing, faces-300w-gpu, faces-300w-long (the default weights, one after the other), faces, faces-gpu
        (WFLW's faces, too), small-128, small (the small network); or the path of a Python file that holds one
        (configs/face/darkpose/).
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
    uncompressed
        Keep those crops as pixels instead of JPEGs: about thirteen times the space, and nothing to decode.
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
    graphs
        Replay the network's passes as CUDA graphs, for one process on a GPU: the GPU no longer waits for Python.
    overfit
        Learn this many faces by heart instead, without augmentation: a check of data and loop.
    dry_run
        Print what the run would be, with a step's time measured on two batches, and write nothing.
    json
        Print the plan or the outcome as JSON.
    """
    from dataclasses import asdict, replace
    from json import dumps

    from darkpose.training.recipe_run import overfit as by_heart
    from darkpose.training.recipe_run import read_task, train_recipe
    from darkpose.training.recipes import find_recipe
    from darkpose.training.run_folder import first_process
    from darkpose.training.trackers import check_trackers

    experiment = find_recipe(recipe)
    if held_out is not None:
        config = replace(experiment.train, held_out=held_out, select="best" if held_out else experiment.train.select)
        experiment = replace(experiment, train=config)
    seconds, trackers = None if max_time is None else _seconds(max_time), track or ()
    check_trackers(trackers)
    if uncompressed and cache is None:
        raise DarkposeError("--uncompressed is how crops are kept: name a folder for them with --cache")
    if patience is not None:
        experiment = replace(experiment, train=replace(experiment.train, patience=patience))
    if dry_run:
        from darkpose.training.plan import plan_run

        task = read_task(experiment, root)
        chosen = by_heart(task, overfit) if overfit else task
        plan = plan_run(chosen, start=start, compiled=compile, graphs=graphs)
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
        uncompressed=uncompressed,
        by_heart=overfit,
        max_time=seconds,
        save_every=save_every,
        track=trackers,
        compiled=compile,
        graphs=graphs,
    )
    if first_process():
        if json:
            print(dumps(_outcome(out / "weights.safetensors", trained)))
        elif trained.stopped in ("signal", "time"):
            print(f"stopped after epoch {trained.epoch}, step {trained.step}, and saved: the same command goes on")
        else:
            print(_told(_outcome(out / "weights.safetensors", trained)))
    return 130 if trained.stopped == "signal" else 0


def _outcome(weights: Path, trained: "Trained") -> dict[str, Any]:
    """A run's end, as JSON values: which weights were kept, their validation, the lowest of all, where it ended."""
    from darkpose.network.checkpoint import read_safetensors

    kept = read_safetensors(weights).provenance if weights.exists() else {}
    lowest = trained.best_validation
    return {
        "weights": str(weights) if kept else None,
        "kept_epoch": kept.get("epoch"),
        "validation_nme": kept.get("validation_nme"),
        "best_validation_nme": lowest if lowest < float("inf") else None,
        **{"stopped": trained.stopped, "epoch": trained.epoch, "step": trained.step},
    }


def _told(outcome: Mapping[str, Any]) -> str:
    if outcome["weights"] is None:
        return f"ended after epoch {outcome['epoch']}; there are no weights in its folder"
    kept, lowest = outcome["validation_nme"], outcome["best_validation_nme"]
    more = "" if lowest in (None, kept) else f" (lowest {100 * lowest:.3f} %)"
    return f"{outcome['weights']}: epoch {outcome['kept_epoch']}, validation NME {100 * kept:.3f} %{more}"


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


def plot(*logs: Path, output: Path = Path("training.png")) -> int:
    """Draw loss, learning rate and validation NME of training runs.

    Parameters
    ----------
    logs
        log.jsonl files, or the folders of runs that hold them.
    output
        Picture to write.
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
    print(f"{output}: {len(files)} run{'' if len(files) == 1 else 's'}")
    return 0
