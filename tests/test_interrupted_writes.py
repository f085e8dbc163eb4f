"""A command that fails at any of its writes: nothing is lost, and the same command then gives what it always gives."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.cli.app import make_app
from darkpose.deploy import export_file
from darkpose.errors import DarkposeError
from darkpose.evaluation import evaluate
from darkpose.files import atomic
from darkpose.image.pixels import write_image
from darkpose.network import load
from darkpose.predict import predictor as cli_predictor
from darkpose.predict import shard_run
from faults import KINDS, Faults, Killed, Kind
from needed import needs
from small_300w import write_300w

TIMES = ("time", "data_time", "memory")  # in the lines of a training log
RECIPE = """
from dataclasses import replace
from darkpose.network.hrnet import HRNetConfig
from darkpose.training.recipes import W300_128
network = HRNetConfig(1, widths=(4, 4, 4, 4), modules=(1, 1, 1), blocks=1, stem=4)
small = dict(network=network, crop_size=64, batch_size=2, precision="no", epochs=2)
recipe = replace(W300_128, name="small", train=replace(W300_128.train, **small))
"""
Contents = dict[str, bytes]
Arguments = Callable[[Path, Path, Path], tuple[object, ...]]


@dataclass(frozen=True)
class Job:
    """A command that writes to a folder.

    Attributes:
        arguments: of the command, given the inputs, the weights and the folder.
        before: files of earlier runs, and others, that are in the folder.
        grown: files that an unfinished run has with other contents than before or after.
        every: the first write fails and every so many after it, unless the test is slow; not a multiple of 3.
    """

    arguments: Arguments
    before: tuple[str, ...] = ()
    grown: tuple[str, ...] = ()
    every: int = 1


def _predict(format: str, *more: object) -> Arguments:
    return lambda inputs, weights, out: (
        *("predict", inputs / "images", "--boxes", "20,20,60,60", "--weights", weights, "--runtime", "torch"),
        *("--device", "cpu", "--output", out / "results", "--format", format, "--workers", "1", *more),
    )


def _evaluate(inputs: Path, weights: Path, out: Path) -> tuple[object, ...]:
    given = ("--root", inputs, "--weights", weights, "--predictions", out / "p.jsonl")
    return ("evaluate", "300w-128", *given, "--device", "cpu", "--flip-test", "off,exact")


def _report(inputs: Path, weights: Path, out: Path) -> tuple[object, ...]:
    return (*_evaluate(inputs, weights, out), "--report", out / "report")


def _train(inputs: Path, _: Path, out: Path) -> tuple[object, ...]:
    given = ("--root", inputs, "--out", out / "run", "--workers", "0")
    return ("train", inputs / "recipe.py", *given, "--save-every", "0")


def _export(_: Path, weights: Path, out: Path) -> tuple[object, ...]:
    return ("export", weights, out / "net.onnx")


def _check(inputs: Path, _: Path, out: Path) -> tuple[object, ...]:
    return ("datasets", "check", "300w-lfpw", "--root", inputs, "--sheet", out / "sheet.png")


def _make(_: Path, __: Path, out: Path) -> tuple[object, ...]:
    return ("datasets", "make", "wflw", "--root", out / "drawn", "--train", "1", "--test", "1")


JOBS = {
    "json": Job(_predict("json", "--draw"), ("results/1.json", "results/mine.txt")),
    "csv": Job(_predict("csv"), (), ("results/landmarks.csv", "results/landmarks.csv.unfinished")),
    "coco": Job(_predict("coco"), (), ("results/landmarks.coco.json", "results/landmarks.coco.json.unfinished")),
    "jsonl": Job(_predict("jsonl", "--shard-size", "2"), (), ("results/part-00000.jsonl",)),
    "parquet": Job(_predict("parquet", "--shard-size", "2"), (), ("results/part-00000.parquet",)),
    "evaluate": Job(_evaluate, (), ("p.jsonl", "p.annotation-exact-dark.jsonl")),
    "report": Job(_report, ("report/report.md",), ("p.jsonl", "p.annotation-exact-dark.jsonl"), every=7),
    "train": Job(_train, (), ("run/log.jsonl", "run/state.pt", "run/weights.safetensors"), every=25),
    "export": Job(_export, ("net.onnx", "net.onnx.parity.json"), every=4),
    "check": Job(_check, ("sheet.png",)),
    "make": Job(_make, every=13),
}
NEEDED = {"parquet": "pyarrow", "report": "matplotlib", "train": "accelerate", "export": "onnx"}


def files_in(folder: Path) -> Contents:
    """The files, without what differs from run to run."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: STABLE.get(name.rpartition("/")[2], bytes)(data) for name, data in found.items()}


def _without_times(log: bytes) -> bytes:
    lines = [json.loads(line) for line in log.splitlines() if line.endswith(b"}")]
    return json.dumps([{key: line[key] for key in line if key not in TIMES} for line in lines]).encode()


def _with_sorted_head(weights: bytes) -> bytes:
    """safetensors writes its metadata in any order."""
    length = 8 + int.from_bytes(weights[:8], "little")
    return json.dumps(json.loads(weights[8:length]), sort_keys=True).encode() + weights[length:]


STABLE = {"log.jsonl": _without_times, "weights.safetensors": _with_sorted_head}


def begun(job: Job, folder: Path) -> Path:
    """The folder before a command."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in job.before:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"of the user")
    return folder


def run(command: Callable[[], object], faults: Faults | None = None) -> int | None:
    """Run a command as a process of its own would; its exit code, None if it was killed."""
    atomic._cleaned.clear()
    try:
        with (faults or Faults(Path("/nowhere"))).watched():
            code = command()
            assert isinstance(code, int)
            return code
    except (DarkposeError, OSError):
        return 2
    except KeyboardInterrupt:
        return 130
    except Killed:
        return None


@pytest.fixture(scope="module", autouse=True)
def _weights_are_read_once() -> Iterator[None]:
    """What is slow and writes nothing is done once."""
    with pytest.MonkeyPatch.context() as patch:
        predictor = _once(cli_predictor.Predictor)
        for module, name, call in (
            (cli_predictor, "Predictor", predictor),
            (shard_run, "Predictor", predictor),
            (evaluate, "open_weights", _once(evaluate.open_weights)),
            (load, "load_checkpoint", _once(load.load_checkpoint)),
            (export_file, "export_onnx", _once(export_file.export_onnx)),
            (export_file, "_compare_with_torch", _once(export_file._compare_with_torch)),
        ):
            patch.setattr(module, name, call)
        patch.setattr(export_file, "COMPARED", 8)
        if find_spec("matplotlib"):
            patch.setattr("matplotlib.figure.Figure.savefig", lambda _, file, **__: Path(file).write_bytes(b"drawn"))
        yield


def _once(call: Callable[..., Any]) -> Callable[..., Any]:
    results: list[Any] = []

    def again(*values: Any, **more: Any) -> Any:
        results.extend([] if results else [call(*values, **more)])
        return results[0]

    return again


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, and faces of 300-W."""
    root = tmp_path_factory.mktemp("inputs")
    (root / "images").mkdir()
    for i in range(2):
        write_image(root / "images" / f"{i}.png", np.random.default_rng(i).integers(0, 255, (80, 80, 3), np.uint8))
    write_300w(root / "lfpw" / "testset", 2)
    for folder in ("afw", "helen/trainset", "lfpw/trainset"):
        write_300w(root / folder, 1)
    (root / "recipe.py").write_text(RECIPE)
    return root


@pytest.mark.parametrize(
    ("name", "every"),
    [
        *(pytest.param(name, job.every, marks=needs(*NEEDED.get(name, "").split())) for name, job in JOBS.items()),
        *(pytest.param(name, 1, marks=pytest.mark.slow) for name, job in JOBS.items() if job.every > 1),
    ],
)
def test_a_command_that_fails_at_a_write_gives_what_it_always_gives_when_it_is_run_again(
    name: str, every: int, inputs: Path, small_weights: Path, tmp_path: Path
) -> None:
    job, counted = JOBS[name], Faults(tmp_path)
    before = files_in(begun(job, tmp_path / "out"))
    arguments = [str(argument) for argument in job.arguments(inputs, small_weights, tmp_path / "out")]
    function, bound, _ = make_app(arguments[0]).parse_args(arguments)
    command = partial(function, *bound.args, **bound.kwargs)
    good = run(command, counted)
    whole = files_in(tmp_path / "out")
    assert good in (0, 1)
    assert counted.count > len(whole)
    for at in range(1, counted.count + 1, every):
        kind, out = KINDS[at % 3], begun(job, tmp_path / "out")
        told = f"{kind} at change {at}"
        code, left = run(command, Faults(out, at, kind)), files_in(out)
        check_what_is_left(job, left, before, whole, kind, told)
        assert code == {"interrupt": 130, "full": 2, "kill": None}[kind] or left == whole, told
        assert run(command) == good, told
        assert files_in(out) == whole, told


def check_what_is_left(job: Job, left: Contents, before: Contents, whole: Contents, kind: Kind, told: str) -> None:
    """Files are as before or as after the command; of killed processes alone there are temporary files."""
    temporary = {name for name in left if name.endswith(".partial")}
    assert kind == "kill" or not temporary, told
    for name in {*left, *before} - set(job.grown) - temporary:
        assert left.get(name) in (before.get(name), whole.get(name)), f"{told}: {name}"
