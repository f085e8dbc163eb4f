"""The command line as a whole: help, missing packages, and what is imported when."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from command_line import call
from darkpose.cli.app import COMMANDS, EXTRAS, EXTRAS_OF_COMMANDS, main

ROOT = Path(__file__).parents[2]


def run_without(packages: tuple[str, ...], *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a new process in which some packages cannot be imported."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({packages}))\n"
        f"from darkpose.cli.app import main; main({list(arguments)})"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("train", "300w-128", "--root", ".", "--out", "run"), "train"),
        (("export", "default", "x.onnx"), "export"),
        (("convert", "x.pth", "x.safetensors"), "torch"),
        (("benchmark",), "torch"),
        (("predict", "photo.png", "--weights", "x.pth"), "torch"),
        (("predict", "photo.png", "--runtime", "torch"), "torch"),
    ],
)
def test_a_missing_torch_is_one_line_that_names_the_extra(
    command: tuple[str, ...], extra: str, tmp_path: Path, astronaut: Path
) -> None:
    (tmp_path / "photo.png").symlink_to(astronaut)
    (tmp_path / "x.pth").write_text("weights")
    done = run_without(("torch",), *command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "torch" in done.stderr
    assert f"pip install 'darkpose[{extra}]'" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["photo.png", "x.pth"]


def test_another_missing_module_is_an_error_of_darkpose_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "darkpose.weights.models", None)
    with pytest.raises(ModuleNotFoundError):
        main(["models"])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Cannot allocate memory (os error 12)"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_a_lack_of_memory_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("darkpose.weights.models.models", fail)
    code, out, err = call(capsys, "models")
    assert (code, out) == (2, "")
    assert err.startswith("darkpose: too little memory, address space (ulimit -v) or processes")
    assert err.count("\n") == 1


def test_another_error_is_one_of_darkpose_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a mistake of darkpose")

    monkeypatch.setattr("darkpose.weights.models.models", fail)
    with pytest.raises(RuntimeError, match="a mistake of darkpose"):
        main(["models"])


def test_the_extras_are_those_of_the_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {
        extra: {re.split(r"[>[]", each)[0].replace("-", "_") for each in packages} for extra, packages in extras.items()
    }
    assert not [package for package, extra in EXTRAS.items() if package not in names[extra]]
    assert all("torch" in names[extra] for extra in EXTRAS_OF_COMMANDS.values())


@pytest.mark.parametrize(
    "command",
    [("--help",), ("predict", "--help"), ("predict", "missing.png"), ("train",), ("predict", "--no-such-flag")],
)
def test_help_and_mistakes_need_no_numpy(command: tuple[str, ...], tmp_path: Path) -> None:
    done = run_without(("numpy", "cv2", "onnxruntime", "safetensors", "torch"), *command, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if "--help" in command else 2)


@pytest.mark.parametrize("command", ["info", "models"])
def test_info_and_models_need_the_core_alone(command: str, tmp_path: Path) -> None:
    done = run_without(("torch", "openvino", "numba"), command, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "300w-68" in done.stdout


def test_the_list_of_commands_has_the_first_lines_of_their_docstrings() -> None:
    for name, (module, summary) in COMMANDS.items():
        command = getattr(import_module(f"darkpose.cli.{module}"), name)
        assert (command.__doc__ or "").splitlines()[0] == summary


def test_the_help_of_a_command_is_its_whole_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    assert "pip install 'darkpose[torch]'" in capsys.readouterr().out


@pytest.mark.parametrize("command", [*COMMANDS, "datasets check", "datasets make"])
def test_every_flag_has_its_help(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    kinds = r"(STR|INT|FLOAT|PATH|CHOICE|TEXT)"
    bare = rf"^│ {{1,4}}(\* +)?([A-Z]+ )?--\S+( +{kinds})? *│$"
    assert not re.findall(bare, capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("command", [*COMMANDS, "datasets check", "datasets make"])
def test_the_first_group_of_flags_fits_one_screen(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    out = capsys.readouterr().out.splitlines()
    assert next(number for number, line in enumerate(out) if line.startswith("╰")) < 50
    assert max(map(len, out)) <= 100
