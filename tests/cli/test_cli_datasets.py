"""`darkpose datasets`."""

import json
from pathlib import Path

import numpy as np
import pytest

from command_line import call
from darkpose.datasets.schema_file import read_schema
from own_annotations import CAT, NAMES, POINTS, coco_annotation, coco_file


def test_a_data_set_is_checked_and_shown(capsys: pytest.CaptureFixture[str], astronaut: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ibug"
    folder.mkdir()
    (folder / "a.png").write_bytes(astronaut.read_bytes())
    rows = "\n".join(f"{180 + k} {70 + k}" for k in range(68))
    (folder / "a.pts").write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n")
    (folder / "b.pts").write_text("no points")
    sheet = tmp_path / "sheet.png"
    code, out, _ = call(capsys, "datasets", "check", "300w-challenge", "--root", tmp_path, "--sheet", sheet, "--json")
    report = json.loads(out)
    assert code == 1
    assert report["counts"]["faces"] == 1
    assert report["wrong_counts"] == ["faces: 1, published 135", "challenge: 1, published 135"]
    assert "b.pts" in report["broken"][0]
    assert sheet.exists()
    code, out, err = call(capsys, "datasets", "check", "300w-nonsense", "--root", tmp_path)
    assert (code, out) == (2, "")
    assert "wflw-train" in err


def test_own_annotations_are_checked_and_their_schema_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = coco_file(tmp_path, coco_annotation(), coco_annotation(id=2, keypoints=[1, 2, 2]))
    out = [tmp_path / name for name in ("sheet.png", "cat.toml")]
    code, text, err = call(capsys, "datasets", "check", file, "--sheet", out[0], "--write-schema", out[1])
    assert code == 1
    assert "coco: 4 landmarks of cat" in text
    assert "broken (1):" in text
    assert "note: flip pairs inferred from left and right in the names: left_ear <-> right_ear" in text
    assert "numbered from 0" in err
    assert read_schema(out[1]) == CAT
    out[1].write_text('names = ["a", "b", "c", "d"]\n')
    code, text, _ = call(capsys, "datasets", "check", file, "--schema", out[1], "--images", tmp_path, "--json")
    report = json.loads(text)
    assert (report["format"], report["schema"]["names"]) == ("coco", ["a", "b", "c", "d"])
    assert report["counts"] == {"faces": 1, "images": 1}


def test_labels_that_differ_from_predictions_are_listed_and_drawn(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, sheet = coco_file(tmp_path), tmp_path / "sheet.png"
    predictions = tmp_path / "predictions.csv"
    moved = ",".join(str(value) for value in (POINTS + np.array([[0, 0], [0, 0], [0, 8], [0, 0]])).ravel().tolist())
    head = ",".join(f"{name}_{axis}" for name in NAMES for axis in "xy")
    predictions.write_text(f"image,{head}\na.png,{moved}\n")
    code, text, err = call(capsys, "datasets", "check", file, "--against", predictions, "--sheet", sheet)
    assert code == 0
    assert "annotation 1: snout is 16% of the normaliser away, all 4.0%" in text
    assert "differ most" in err
    assert sheet.exists()
    _, text, _ = call(capsys, "datasets", "check", file, "--against", predictions, "--json")
    assert len(json.loads(text)["disagreements"]) == 1


def test_annotations_are_converted_and_what_is_lost_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = coco_file(tmp_path, coco_annotation(), coco_annotation(id=2, keypoints=[1, 2, 2]))
    code, text, err = call(capsys, "datasets", "convert", file, tmp_path / "cats.xml")
    assert code == 1, "one annotation is broken"
    assert "cats.xml: 1 object as imglab, from coco" in text
    assert "annotation 2: expected 12 numbers" in err
    assert "rounded" in err
    code, _, _ = call(
        *(capsys, "datasets", "convert", tmp_path / "cats.xml", tmp_path / "pts", "--to", "pts"),
        *("--images", tmp_path, "--write-schema", tmp_path / "cat.toml"),
    )
    assert code == 0
    code, text, _ = call(
        *(capsys, "datasets", "check", tmp_path / "pts", "--images", tmp_path, "--schema", tmp_path / "cat.toml")
    )
    assert (code, "pts: 4 landmarks of cat" in text) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "none.json"), "none.json: no such file or folder"),
        (("check", "wflw-test"), "the data set wflw-test needs --root"),
        (("check", "nonsense"), "unknown data set 'nonsense'; the names are wflw-train"),
        (("convert", "cats.json", "out"), "expected a name that ends in .json, .csv or .xml"),
        (("convert", "none.json", "out.csv"), "none.json: cannot be read"),
        (("check", "cats.json", "--schema", "none.toml"), "none.toml: cannot be read"),
        (("check", "cats.json", "--images", "none"), "expected the folder of the images"),
    ],
)
def test_a_mistake_in_the_call_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    coco_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, "datasets", *arguments)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "cats.json"]
