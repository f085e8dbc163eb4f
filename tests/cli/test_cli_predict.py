"""`darkpose predict`, as a user types it."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import BOX, RUNTIME, call, run
from darkpose.cli.model import FEW_IMAGES, Compute, Model, runtime_for
from darkpose.detect.face_detector import FaceDetector
from darkpose.image.pixels import read_image, write_image
from darkpose.predict.files import Outcome, predict_files
from darkpose.stopping import termination_as_interrupt
from darkpose.weights.face_detector import open_face_detector


@pytest.mark.usefixtures("offline")
def test_a_photo_in_and_landmarks_out(
    capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path, tmp_path: Path
) -> None:
    code, out, err = call(capsys, "predict", astronaut, "--weights", small_weights, "--output", tmp_path, "--draw")
    assert code == 0
    assert out.strip() == f"1 face in 1 image -> {tmp_path}/"
    assert RUNTIME.fullmatch(err)
    (face,) = json.loads((tmp_path / "astronaut.json").read_text())["faces"]
    assert face["found_by"] == "darkpose"
    assert len(face["keypoints"]) == 68
    assert (tmp_path / "astronaut.landmarks.png").exists()


def test_json_on_standard_output_is_one_line_per_image_and_nothing_else(
    astronaut: Path, small_weights: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("words")
    done = run(
        *("predict", text, astronaut, "--weights", small_weights, "--json", "--boxes", BOX), cwd=tmp_path
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["faces"][0]["box"] == [178, 65, 270, 190]
    assert "text.jpg: not an image" in done.stderr.splitlines()[0]
    assert "1 image could not be used" in done.stderr
    assert "\r" not in done.stderr  # no progress bar without a terminal
    assert sorted(p.name for p in tmp_path.iterdir()) == ["text.jpg"]


@pytest.mark.usefixtures("offline")
def test_covariances_are_written_and_drawn(capsys: pytest.CaptureFixture[str], astronaut: Path, tmp_path: Path) -> None:
    asked = ("predict", astronaut, "--boxes", BOX, "--draw", "--device", "cpu")
    assert call(capsys, *asked, "--output", tmp_path / "plain")[0] == 0
    code, out, err = call(capsys, *asked, "--output", tmp_path / "sure", "--covariance")
    assert (code, out) == (0, f"1 face in 1 image -> {tmp_path / 'sure'}/\n")
    assert RUNTIME.fullmatch(err)
    plain, sure = (
        json.loads((tmp_path / name / "astronaut.json").read_text())["faces"][0] for name in ("plain", "sure")
    )
    known = [matrix for matrix in sure.pop("covariances") if matrix is not None]
    assert len(known) > 60
    assert (np.linalg.eigvalsh(known) > 0).all()
    assert sure == plain
    pictures = [read_image(tmp_path / name / "astronaut.landmarks.png") for name in ("plain", "sure")]
    assert (pictures[0] != pictures[1]).any()


@pytest.mark.usefixtures("offline")
def test_weights_without_a_calibration_are_named_where_covariances_are_asked_for(
    capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path, tmp_path: Path
) -> None:
    asked = ("predict", astronaut, "--boxes", BOX, "--weights", small_weights, "--output", tmp_path)
    code, _, err = call(capsys, *asked, "--covariance", "--format", "csv")
    told, _ = err.splitlines()
    assert code == 0
    assert "no calibration for 300w-68" in told
    head, first, *_ = (tmp_path / "landmarks.csv").read_text().splitlines()
    assert head.endswith(",score,xx,xy,yy")
    assert first.endswith(",,,")


def test_without_an_output_or_json_a_folder_is_made_here(astronaut: Path, small_weights: Path, tmp_path: Path) -> None:
    done = run("predict", astronaut, "--weights", small_weights, "--boxes", BOX, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.strip() == "1 face in 1 image -> darkpose-out/"
    assert (tmp_path / "darkpose-out" / "astronaut.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["predict", "missing.jpg"], "missing.jpg: there is no such file or folder", id="wrong path"),
        pytest.param(["predict", "{empty}"], "there are no images in this folder", id="empty folder"),
        pytest.param(["predict"], "name at least one image", id="no path"),
        pytest.param(["predict", "--format", "jsonl"], "name at least one image", id="nothing to stream"),
        pytest.param(["predict", "{astronaut}", "--format", "jsonl", "--draw"], "--format jsonl", id="drawn shards"),
        pytest.param(
            ["predict", "{astronaut}", "--covariance", "--method", "argmax"], "got 'argmax'", id="no covariance"
        ),
        pytest.param(["predict", "--list", "{text}"], "--list and --ray", id="list without shards"),
        pytest.param(
            ["predict", "--format", "jsonl", "--list", "{empty}/no"], "the list cannot be read", id="no such list"
        ),
        pytest.param(
            ["predict", "{astronaut}", "--format", "jsonl", "--shard-size", "0"], "at least one input", id="no shard"
        ),
        pytest.param(
            ["predict", "{astronaut}", "--weights", "missing.pth"], "missing.pth: there is no such", id="weights"
        ),
        pytest.param(
            ["predict", "{astronaut}", "--weights", "{text}"], "expected a checkpoint that ends in", id="no checkpoint"
        ),
        pytest.param(["predict", "{astronaut}", "--boxes", "1,2,3"], "expected a box", id="half a box"),
        pytest.param(
            ["predict", "{astronaut}", "--detector", "a.onnx"], "the path of a YuNet file (.onnx)", id="detector"
        ),
        pytest.param(["predict", "{astronaut}", "--batch-size", "0"], "batch_size must be", id="no batch"),
        pytest.param(["predict", "{astronaut}", "--device", "abacus"], "'abacus' cannot be used", id="device"),
        pytest.param(
            ["convert", "{text}", "{empty}/a.safetensors"], "expected a checkpoint that ends in", id="convert text"
        ),
        pytest.param(
            ["train", "nonsense", "--root", "{empty}", "--out", "{empty}/o"],
            "no recipe or Python file 'nonsense'",
            id="recipe",
        ),
        pytest.param(
            ["train", "300w-128", "--root", "{empty}", "--out", "{empty}/o"], "expected .pts files", id="no data"
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
    astronaut: Path,
    small_weights: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("words")
    places = {"empty": tmp_path / "empty", "astronaut": astronaut, "text": tmp_path / "notes.txt"}
    filled = [argument.format(**places) for argument in arguments]
    if arguments[0] == "predict" and "--weights" not in arguments:
        filled += ["--weights", str(small_weights)]
    code, out, err = call(capsys, *filled)
    assert code == 2
    assert out == ""
    assert err.startswith("darkpose: ")
    assert message in err
    assert err.count("\n") == 1
    assert not any((tmp_path / "empty").iterdir())


def test_boxes_take_one_value_each_and_may_be_negative(
    capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path
) -> None:
    code, out, _ = call(
        capsys, "predict", "--weights", small_weights, "--json", "--boxes", "-5,-5,90,90", "--boxes", BOX, astronaut
    )
    assert code == 0
    assert [face["box"] for face in json.loads(out)["faces"]] == [[-5, -5, 90, 90], [178, 65, 270, 190]]


@pytest.mark.parametrize("format", ["csv", "jsonl"])
@pytest.mark.parametrize("detector", ["haar", "darkpose"])
def test_given_boxes_are_those_of_the_named_detector_in_every_format(
    capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path, tmp_path: Path, format: str, detector: str
) -> None:
    def landmarks(*options: str) -> str:
        out = tmp_path / "".join(options)
        flags = ("--weights", small_weights, "--boxes", BOX, "--format", format, "--output", out)
        code, _, _ = call(capsys, "predict", astronaut, *flags, *options)
        assert code == 0
        (file,) = (*out.glob("part-*"), *out.glob("landmarks.csv"))
        return file.read_text()

    assert landmarks("--detector", detector) == landmarks("--detector", "yunet", "--box-kind", detector)
    assert landmarks("--detector", detector) != landmarks("--detector", "yunet")


@pytest.mark.parametrize("find", ["usual", "small"])
@pytest.mark.parametrize("format", ["csv", "coco"])
def test_an_unfinished_run_goes_on_with_the_same_detector_file_only(
    format: str,
    find: str,
    capsys: pytest.CaptureFixture[str],
    astronaut: Path,
    small_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, detector = tmp_path / "images", tmp_path / open_face_detector().path.name
    images.mkdir()
    for name in ("a.png", "b.png"):
        write_image(images / name, read_image(astronaut)[40:300, 100:360])
    shipped = open_face_detector()
    detector.write_bytes(shipped.path.read_bytes())
    detector.with_suffix(".onnx").write_bytes(shipped.graph.read_bytes())
    call_of = ("predict", images, "--weights", small_weights, "--format", format, "--find", find, "--detector")

    def interrupted(*arguments: Any, **more: Any) -> Iterator[Outcome]:
        yield next(predict_files(*arguments, **more))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("darkpose.predict.files.predict_files", interrupted)
        assert call(capsys, *call_of, detector, "--output", tmp_path / "out")[0] == 130
    (unfinished,) = (tmp_path / "out").glob("*.unfinished")
    begun = unfinished.read_text()
    facts = json.loads(begun.splitlines()[0])
    assert (facts["detector"], facts["detector_sha256"]) == ("darkpose", shipped.digest())
    assert facts["detector_threshold"] == FaceDetector().settings["threshold"]

    for other in ("haar", "darkpose"):  # darkpose: the same file in another place
        code, _, err = call(capsys, *call_of, other, "--output", tmp_path / "out")
        assert (code == 2) == (other == "haar"), err
        assert ("an unfinished run with other options" in err) == (other == "haar")
        if other == "darkpose":
            assert "1 image of an unfinished run kept" in err
    unfinished.write_text(begun)
    data = bytearray(detector.read_bytes())
    data[-2] ^= 1  # the last bit of a weight
    detector.write_bytes(data)
    code, _, err = call(capsys, *call_of, detector, "--output", tmp_path / "out")
    assert code == 2
    assert "an unfinished run with other options" in err
    assert unfinished.read_text() == begun


def test_a_detector_can_be_named(capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path) -> None:
    code, out, err = call(capsys, "predict", astronaut, "--weights", small_weights, "--json", "--detector", "haar")
    assert code == 0
    assert json.loads(out)["faces"][0]["found_by"] == "haar"
    assert RUNTIME.fullmatch(err)


def test_pictures_are_drawn_beside_printed_json(astronaut: Path, small_weights: Path, tmp_path: Path) -> None:
    done = run("predict", astronaut, "--weights", small_weights, "--boxes", BOX, "--json", "--draw", cwd=tmp_path)
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["faces"]) == 1
    assert (tmp_path / "darkpose-out" / "astronaut.landmarks.png").exists()


def test_an_unknown_option_is_not_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "predict", "--nonsense")
    assert code != 0
    assert "--nonsense" in out + err
    assert "Traceback" not in out + err


def test_a_nan_box_is_one_line(capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path) -> None:
    code, out, err = call(capsys, "predict", astronaut, "--json", "--weights", small_weights, "--boxes", "nan,0,10,10")
    assert code == 1
    assert out == ""
    assert "every number must be finite" in err.splitlines()[0]


def test_a_full_disk_is_one_line_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path, tmp_path: Path
) -> None:
    def refuse(path: Path, text: str, **_: str) -> int:
        with path.open("w") as file:
            file.write(text[:10])
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        code, _, err = call(
            capsys, "predict", astronaut, "--weights", small_weights, "--boxes", BOX, "--output", tmp_path / "out"
        )
    assert code == 2
    assert "No space left on device" in err
    assert err.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_reader_that_goes_away_is_not_a_traceback(astronaut: Path, small_weights: Path, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.png").symlink_to(astronaut)
    arguments = f"predict {tmp_path} --json --weights {small_weights} --boxes {BOX} --batch-size 1"
    shell = f"{sys.executable} -m darkpose {arguments} | head -c 100"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("flags", ["--json", "--output out"])
def test_an_output_that_takes_no_more_is_one_line(
    astronaut: Path, small_weights: Path, tmp_path: Path, flags: str
) -> None:
    shell = (
        f"{sys.executable} -m darkpose predict {astronaut} {flags} --weights {small_weights} --boxes {BOX} >/dev/full"
    )
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "darkpose: [Errno 28] No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["{long}.png"], ["{long}.png", "--format", "jsonl"], ["{photo}", "--weights", "{long}.onnx"]]
)
def test_a_name_that_no_file_can_have_is_one_line(
    capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path, tmp_path: Path, arguments: list[str]
) -> None:
    """As is a folder that may not be entered: the system refuses to look."""
    names = {"long": tmp_path / ("x" * 300), "photo": astronaut}
    filled = [each.format(**names) for each in arguments]
    if "--weights" not in filled:
        filled += ["--weights", str(small_weights)]
    code, out, err = call(capsys, "predict", *filled, "--boxes", BOX, "--output", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.startswith("darkpose: ")
    assert err.count("\n") == 1


def test_ctrl_c_stops_quietly_and_keeps_whole_files(astronaut: Path, small_weights: Path, tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.png").symlink_to(astronaut)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "darkpose", "predict", str(tmp_path), "--weights", str(small_weights)]
    command += ["--boxes", BOX, "--output", str(out), "--batch-size", "2"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    for _ in range(600):
        if any(out.glob("*.json")):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("darkpose: interrupted after ")
    assert "Traceback" not in err
    written = list(out.iterdir())
    assert written
    for file in written:
        json.loads(file.read_text())


@pytest.mark.usefixtures("offline")
def test_a_folder_in_shards_accounts_for_every_image_and_runs_again_for_nothing(
    capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path, tmp_path: Path
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    write_image(album / "a.png", read_image(astronaut)[::2, ::2])
    write_image(album / "b.png", np.zeros((40, 40, 3), np.uint8))
    (album / "c.jpg").write_text("words")
    (tmp_path / "list.txt").write_text(f"{album / 'gone.jpg'}\n")
    out = tmp_path / "out"
    command = ("predict", album, "--list", tmp_path / "list.txt", "--weights", small_weights, "--output", out)
    for _ in range(2):
        code, printed, _ = call(capsys, *command, "--format", "jsonl", "--shard-size", 3)
        assert code == 1
        assert printed == f"4 images: 1 done, 1 no face, 2 unreadable; 1 face -> {out}/\n"
    lines = [
        json.loads(line) for part in ("0", "1") for line in (out / f"part-0000{part}.jsonl").read_text().splitlines()
    ]
    assert [(line["input"], line["status"]) for line in lines] == [
        *((0, "done"), (1, "no face"), (2, "unreadable"), (3, "unreadable")),
    ]
    code, _, err = call(capsys, *command, "--format", "jsonl", "--shard-size", 3, "--method", "argmax")
    assert code == 2
    assert 'another run (method: there "dark", here "argmax")' in err


def test_a_list_is_read_from_standard_input(
    capsys: pytest.CaptureFixture[str],
    astronaut: Path,
    small_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{astronaut}\n"))
    common = ("predict", "--weights", small_weights, "--boxes", BOX, "--output", tmp_path, "--format", "jsonl")
    code, printed, _ = call(capsys, *common, "--list", "-")
    assert (code, printed) == (0, f"1 image: 1 done, 0 no face, 0 unreadable; 1 face -> {tmp_path}/\n")


@pytest.mark.slow
def test_ctrl_c_keeps_every_record_and_the_same_command_goes_on(
    astronaut: Path, small_weights: Path, tmp_path: Path
) -> None:
    names = [tmp_path / f"{number:03}.png" for number in range(120)]
    for name in names:
        name.symlink_to(astronaut)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "darkpose", "predict", str(tmp_path), "--weights", str(small_weights)]
    command += ["--boxes", BOX, "--output", str(out), "--format", "jsonl", "--batch-size", "2", "--shard-size", "20"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not any(out.glob("part-*")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("darkpose: interrupted; ")
    assert "Traceback" not in err
    kept = sum(len(part.read_text().splitlines()) for part in out.glob("part-*"))
    assert 20 <= kept < 120
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (
        0,
        f"120 images: 120 done, 0 no face, 0 unreadable; 120 faces -> {out}/\n",
    )
    lines = [json.loads(line) for part in sorted(out.glob("part-*")) for line in part.read_text().splitlines()]
    assert [line["image"] for line in lines] == [str(name) for name in names]


@pytest.mark.parametrize(
    ("model", "compute", "images", "runtime"),
    [
        (Model(), Compute(), FEW_IMAGES, "onnxruntime"),
        (Model(weights="face.onnx", device="cpu"), Compute(threads=2), 1, "onnxruntime"),
        (Model(), Compute(), FEW_IMAGES + 1, "auto"),
        (Model(weights="mine.safetensors"), Compute(), 1, "auto"),
        (Model(runtime="torch"), Compute(), 1, "torch"),
        (Model(device="cuda"), Compute(), 1, "auto"),
        (Model(), Compute(precision="bf16"), 1, "auto"),
        (Model(), Compute(compile=True), 1, "auto"),
        (Model(), Compute(provider=["GPU"]), 1, "auto"),
    ],
)
def test_few_images_take_the_runtime_that_starts_fastest(
    model: Model, compute: Compute, images: int, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darkpose.runtime.open.has_nvidia_driver", lambda: False)
    assert runtime_for(model, compute, images) == runtime
    monkeypatch.setattr("darkpose.runtime.open.has_nvidia_driver", lambda: True)
    assert runtime_for(model, compute, images) == model.runtime


def test_sigterm_can_raise_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        with termination_as_interrupt():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(signal.SIGTERM) == before
