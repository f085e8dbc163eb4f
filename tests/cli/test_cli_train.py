"""`darkpose train` and `plot`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from command_line import call
from darkpose.files.pts import format_pts
from darkpose.image.pixels import write_image

pytest.importorskip("torch")


def test_the_course_of_runs_is_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs Matplotlib")
    (tmp_path / "run").mkdir()
    line = {"mode": "train", "epoch": 1, "iter": 0, "lr": 1e-3, "loss": 1.0}
    for log in (tmp_path / "run" / "log.jsonl", tmp_path / "other.jsonl"):
        log.write_text(json.dumps(line) + "\n" + json.dumps({"mode": "val", "epoch": 1, "NME": 0.05}) + "\n")
    picture = tmp_path / "t.png"
    code, out, _ = call(capsys, "plot", tmp_path / "run", tmp_path / "other.jsonl", "--output", picture)
    assert (code, out) == (0, f"{picture}: 2 runs\n")
    assert picture.exists()
    code, _, err = call(capsys, "plot", tmp_path / "nothing.jsonl", "--output", picture)
    assert (code, err) == (2, f"darkpose: {tmp_path}/nothing.jsonl: cannot be read: No such file or directory\n")
    code, _, err = call(capsys, "plot", tmp_path / "run", tmp_path / "run" / "log.jsonl", "--output", picture)
    assert (code, err) == (2, f"darkpose: {tmp_path}/run/log.jsonl is named twice\n")


def write_training_set(root: Path, epochs: int = 24) -> Path:
    """A recipe of a small network as a Python file, and four 300-W faces for it."""
    rng = np.random.default_rng(0)
    for folder in ("afw", "helen/trainset", "lfpw/trainset", "lfpw/testset"):
        (root / folder).mkdir(parents=True)
        write_image(root / folder / "a.png", rng.integers(0, 255, (80, 80, 3), np.uint8))
        (root / folder / "a.pts").write_text(format_pts(rng.uniform(10, 70, (68, 2))))
    recipe = root / "recipe.py"
    recipe.write_text(
        "from dataclasses import replace\n"
        "from darkpose.network.hrnet import HRNetConfig\n"
        "from darkpose.training.recipes import W300_128\n"
        "network = HRNetConfig(1, widths=(4, 4, 4, 4), modules=(1, 1, 1), blocks=1, stem=8)\n"
        f"small = dict(network=network, crop_size=64, batch_size=2, precision='no', epochs={epochs})\n"
        "recipe = replace(W300_128, name='small', train=replace(W300_128.train, **small))\n"
    )
    return recipe


def test_a_dry_run_prints_the_plan_and_writes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    recipe = write_training_set(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, out, _ = call(capsys, "train", recipe, "--root", tmp_path, "--dry-run", "--workers", "0")
    assert code == 0
    assert "3 to train on, 1 to validate on: the test set 300w-lfpw" in out
    held_out = ("--held-out", "0.3", "--json", "--workers", "0")
    code, out, _ = call(capsys, "train", recipe, "--root", tmp_path, "--dry-run", *held_out)
    plan = json.loads(out)
    assert (plan["faces"], plan["validation"], plan["validated"]) == (2, 1, "held out of 300w-train")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "command",
    [
        ("train", "300w-128", "--root", ".", "--out", "run", "--workers", "-1"),
        ("train", "300w-128", "--root", ".", "--out", "run", "--save-every", "-5"),
        ("evaluate", "300w-128", "--root", ".", "--workers", "-1"),
        ("predict", "face.png", "--workers", "-1"),
        ("datasets", "make", "wflw", "--root", ".", "--workers", "-1"),
    ],
)
def test_a_number_below_zero_is_refused_by_its_name(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    code, out, err = call(capsys, *command)
    assert code != 0
    assert command[-2] in out + err
    assert "Must be >= 0" in out + err


@pytest.mark.slow
def test_training_stops_in_time_and_the_same_command_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = ("train", write_training_set(tmp_path, 3), "--root", tmp_path, "--out", tmp_path / "run", "--workers", 0)
    code, out, _ = call(capsys, *command, "--max-time", "0s")
    assert (code, out) == (0, "stopped after epoch 0, step 2, and saved; run the same command again to continue\n")
    code, out, _ = call(capsys, *command[:-3], tmp_path / "no weights", *command[-2:], "--max-time", "0s", "--json")
    assert (json.loads(out)["weights"], json.loads(out)["validation_nme"]) == (None, None)
    code, out, err = call(capsys, *command, "--json")
    outcome = json.loads(out)
    assert (code, outcome["stopped"], outcome["epoch"], outcome["kept_epoch"]) == (0, "", 3, 3)
    assert "after epoch 0 of 3, step 2" in err
    assert 0 < outcome["best_validation_nme"] <= outcome["validation_nme"]
    assert Path(outcome["weights"]).is_file()
    code, out, _ = call(capsys, *command)
    assert out.startswith(f"{tmp_path / 'run' / 'weights.safetensors'}: epoch 3, validation NME ")
    (tmp_path / "run" / "weights.safetensors").unlink()
    code, out, _ = call(capsys, *command)
    assert (code, out) == (0, "ended after epoch 3; no weights in its folder\n")


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [False, True], ids=["to the process", "to its loaders, too"])
def test_ctrl_c_saves_a_training_run_and_leaves_with_130(tmp_path: Path, to_all: bool) -> None:
    recipe = write_training_set(tmp_path)
    arguments = ("train", recipe, "--root", tmp_path, "--out", tmp_path / "run", "--workers", "1")
    command = [sys.executable, "-m", "darkpose", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)  # type: ignore[call-overload]
    while process.poll() is None and not (tmp_path / "run" / "log.jsonl").exists():
        time.sleep(0.05)
    if to_all:
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out.startswith("stopped after epoch ")
    assert "and saved" in out
    assert "Traceback" not in err
    assert (tmp_path / "run" / "state.pt").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "--out"),
        (("--out", "run", "--max-time", "soon"), "got 'soon'"),
        (("--out", "run", "--patience", "2"), "stopping after 2 epochs needs held-out training images"),
        (("--out", "run", "--overfit", "9"), "from 1 to 3 faces"),
        (("--out", "run", "--track", "aim"), "there is no tracker 'aim'"),
        (("--out", "run", "--uncompressed"), "--cache"),
        (("--dry-run", "--max-time", "soon"), "got 'soon'"),
        (("--dry-run", "--uncompressed"), "--cache"),
        (("--dry-run", "--track", "aim"), "there is no tracker 'aim'"),
        (("--dry-run", "--start", "nowhere.safetensors"), "nowhere.safetensors"),
        (("--dry-run", "--graphs"), "CUDA graphs"),
    ],
)
def test_a_mistake_in_a_training_command_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    code, _, err = call(capsys, "train", write_training_set(tmp_path), "--root", tmp_path, *flags)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not Path("run").exists()
