"""`--derived`, `--crops` and `darkpose average`, as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest

from command_line import BOX, RUNTIME, call, run
from darkpose.image.pixels import read_image, write_image
from darkpose.predict.derived_values import NUMBERS, PROBLEM

pytestmark = pytest.mark.usefixtures("offline")


def test_derived_numbers_and_crops_are_written(
    capsys: pytest.CaptureFixture[str], astronaut: Path, tmp_path: Path
) -> None:
    asked = ("predict", astronaut, "--boxes", BOX, "--device", "cpu", "--derived", "--crops", "arcface-112")
    code, out, err = call(capsys, *asked, "--output", tmp_path, "--draw", "--covariance")
    assert (code, out) == (0, f"1 face in 1 image -> {tmp_path}/\n")
    assert RUNTIME.fullmatch(err)
    (face,) = json.loads((tmp_path / "astronaut.json").read_text())["faces"]
    assert list(face["derived"]) == [*NUMBERS, PROBLEM]
    assert abs(face["derived"]["yaw"]) < 5
    assert 0 < face["derived"]["yaw_error"] < 2
    assert read_image(tmp_path / "astronaut.aligned.png").shape == (112, 112, 3)
    drawn = read_image(tmp_path / "astronaut.landmarks.png")
    assert (drawn == (230, 60, 50)).all(axis=2).sum() > 100  # the red axis


def test_a_csv_file_of_a_run_has_the_derived_numbers(
    capsys: pytest.CaptureFixture[str], astronaut: Path, tmp_path: Path
) -> None:
    asked = ("predict", astronaut, "--boxes", BOX, "--device", "cpu", "--derived", "--format", "csv")
    assert call(capsys, *asked, "--output", tmp_path)[0] == 0
    assert ",yaw,pitch,roll," in (tmp_path / "landmarks.csv").read_text().splitlines()[0]


def test_unknown_templates_are_told_before_the_network_is_loaded(astronaut: Path, tmp_path: Path) -> None:
    done = run("predict", astronaut, "--crops", "dlib", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("darkpose: expected a template arcface or ffhq")
    assert not list(tmp_path.iterdir())
    done = run("predict", astronaut, "--crops", "ffhq", "--format", "jsonl", cwd=tmp_path)
    assert "--crops and --json are for other formats" in done.stderr


def test_the_average_of_a_face_and_its_mirror_image_is_symmetric(
    capsys: pytest.CaptureFixture[str], astronaut: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    image = read_image(astronaut)[:300]
    write_image(folder / "a.png", image)
    write_image(folder / "b.png", np.ascontiguousarray(image[:, ::-1]))
    code, out, err = call(capsys, "average", folder, "--output", tmp_path / "mean.png", "--size", 128)
    assert (code, out) == (0, f"2 faces of 2 images -> {tmp_path / 'mean.png'}\n")
    assert RUNTIME.fullmatch(err)
    average = read_image(tmp_path / "mean.png").astype(float)
    assert average.shape == (128, 128, 3)
    assert np.abs(average - average[:, ::-1])[30:110, 30:98].mean() < 6


def test_images_without_a_face_are_left_out_and_named(
    capsys: pytest.CaptureFixture[str], astronaut: Path, tmp_path: Path
) -> None:
    grey = tmp_path / "grey.png"
    write_image(grey, np.full((100, 100, 3), 128, np.uint8))
    code, out, err = call(capsys, "average", grey, astronaut, "--output", tmp_path / "mean.png", "--size", 64)
    assert code == 1
    assert out.startswith("1 face of 2 images")
    assert "grey.png: no face found" in err
    code, _, err = call(capsys, "average", grey, "--output", tmp_path / "other.png")
    assert code == 2
    assert "none of 1 images has a face that can be averaged" in err
    assert not (tmp_path / "other.png").exists()


def test_mistakes_of_an_average_are_told_before_the_work(astronaut: Path, tmp_path: Path) -> None:
    for arguments, text in (
        ((), "name at least one image"),
        ((astronaut, "--size", "5"), "--size must be from 16 to 4096 px, got 5"),
        (("nothing.png",), "nothing.png: there is no such file"),
    ):
        done = run("average", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert text in done.stderr
