"""Image files: one outcome per image, and the files that are written."""

import csv
import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.files.pts import read_pts
from darkpose.image.pixels import read_image
from darkpose.predict import files
from darkpose.predict.files import RUN_FILES, Format, OutputFolder, predict_files
from darkpose.predict.given_boxes import GivenBoxes
from darkpose.predict.inputs import Input, find_images
from darkpose.predict.landmarks import Landmarks
from darkpose.predict.predictor import Predictor
from darkpose.schema import W300_68

BOX = "178,65,270,190"


@pytest.fixture(scope="module")
def predictor(small_weights: Path) -> Predictor:
    return Predictor(small_weights, "cpu", batch_size=2)


def test_no_output_overwrites_another_or_an_input(predictor: Predictor, astronaut: Path, tmp_path: Path) -> None:
    pictures = [tmp_path / name for name in ("a.png", "a_0.png", "a_0.landmarks.png")]
    for picture in pictures:
        picture.write_bytes(astronaut.read_bytes())
    items = find_images([str(picture) for picture in pictures])
    (tmp_path / "boxes.json").write_text(
        json.dumps({picture.name: [[178, 65, 270, 190]] * (2 if picture.stem == "a" else 1) for picture in pictures})
    )
    given = GivenBoxes([str(tmp_path / "boxes.json")])
    with OutputFolder(tmp_path, "pts", W300_68, draw=True, scores=False, inputs=items) as folder:
        list(predict_files(predictor, items, boxes=given, write=folder.write))
    assert len(list(tmp_path.glob("*.pts"))) == 4  # two faces, one, one
    for picture in pictures:
        assert picture.read_bytes() == astronaut.read_bytes()


@pytest.mark.parametrize("format", ["csv", "coco", "json"])
def test_file_names_that_are_no_text_are_written_as_text(
    predictor: Predictor, astronaut: Path, tmp_path: Path, format: str
) -> None:
    name = os.fsdecode(b"bad\xff.png")
    (tmp_path / name).write_bytes(astronaut.read_bytes())
    items = find_images([str(tmp_path)])
    with OutputFolder(tmp_path / "out", format, W300_68, draw=False, scores=False) as folder:  # type: ignore[arg-type]
        list(predict_files(predictor, items, boxes=GivenBoxes([BOX]), write=folder.write))
    (written,) = (tmp_path / "out").iterdir()
    text = written.read_bytes().decode()
    if format == "csv":
        found = next(csv.DictReader(io.StringIO(text)))["image"]
    else:
        content = json.loads(text)
        found = content["image"] if format == "json" else content["images"][0]["file_name"]
    assert found == ("bad\\xff.png" if format == "coco" else f"{tmp_path}/bad\\xff.png")
    text.encode()


def inputs(tmp_path: Path, astronaut: Path) -> list[Input]:
    """A good image, text, an empty file, a cut-off JPEG, a 1x1 image, and a good image again."""
    jpeg = cv2.imencode(".jpg", read_image(astronaut))[1].tobytes()
    (tmp_path / "text.jpg").write_text("not pixels")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    cv2.imwrite(str(tmp_path / "dot.png"), np.zeros((1, 1, 3), np.uint8))
    (tmp_path / "good.jpg").write_bytes(jpeg)
    names = ["text.jpg", "empty.jpg", "cut.jpg", "dot.png", "good.jpg"]
    return [Input(astronaut, Path("astronaut")), *(Input(tmp_path / name, Path(Path(name).stem)) for name in names)]


@pytest.mark.usefixtures("offline")
def test_a_problem_with_one_image_does_not_stop_the_others(
    predictor: Predictor, tmp_path: Path, astronaut: Path
) -> None:
    outcomes = list(predict_files(predictor, inputs(tmp_path, astronaut)))
    problems = [outcome.problem for outcome in outcomes]
    for problem, message in zip(problems, ["", "not an image", "empty", "truncated", "no face found", ""], strict=True):
        assert message in problem
        assert bool(problem) == bool(message)
        assert "\n" not in problem
    assert [None if o.result is None else len(o.result.faces) for o in outcomes] == [1, None, None, None, 0, 1]
    assert outcomes[0].result is not None
    assert outcomes[0].result.faces[0].image is None  # pixels are not kept


@pytest.mark.parametrize(
    ("detector", "find", "side", "limit"),
    [
        ("darkpose", "usual", 3000, "(of 75 px or more; --find small finds smaller ones)"),
        pytest.param("darkpose", "small", 3000, "(of 12 px or more)", marks=pytest.mark.slow),
        ("darkpose", "usual", 400, "(of 10 px or more)"),
        ("haar", "usual", 3000, "(of 150 px or more; --find small finds smaller ones)"),
        ("haar", "small", 700, "(of 24 px or more)"),
    ],
)
def test_the_line_about_an_image_without_a_face_says_how_small_a_face_may_be(
    small_weights: Path, tmp_path: Path, detector: str, find: Any, side: int, limit: str
) -> None:
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((side, side), np.uint8))
    predictor = Predictor(small_weights, "cpu", detector=detector, find=find)
    (outcome,) = predict_files(predictor, [Input(tmp_path / "black.png", Path("black"))])
    assert outcome.problem.endswith(f"black.png: no face found {limit}")
    (outcome,) = predict_files(predictor, [Input(tmp_path / "black.png", Path("black"))], boxes=GivenBoxes([BOX]))
    assert not outcome.problem  # no detector has a limit here


def test_a_bad_box_is_a_problem_of_its_image(predictor: Predictor, astronaut: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(astronaut.read_bytes())
    (tmp_path / "boxes.json").write_text(
        json.dumps({"astronaut.png": [[178, 65, 270, 190]], "other.png": [[900, 900, 950, 950]]})
    )
    given = GivenBoxes([str(tmp_path / "boxes.json")])
    items = [Input(other, Path("other")), Input(astronaut, Path("astronaut"))]
    first, second = predict_files(predictor, items, boxes=given)
    assert "other.png: box 0" in first.problem
    assert "outside the image" in first.problem
    assert second.result is not None
    assert not second.problem


@pytest.mark.parametrize(
    ("format", "files"),
    [
        ("json", ["sub/a.json", "sub/a.landmarks.png"]),
        ("pts", ["sub/a.landmarks.png", "sub/a_0.pts", "sub/a_1.pts"]),
        ("csv", ["landmarks.csv", "sub/a.landmarks.png"]),
        ("coco", ["landmarks.coco.json", "sub/a.landmarks.png"]),
    ],
)
def test_every_format_writes_its_files_only(
    predictor: Predictor, astronaut: Path, tmp_path: Path, format: str, files: list[str]
) -> None:
    boxes = GivenBoxes([BOX, BOX])
    with OutputFolder(tmp_path, format, W300_68, draw=True, scores=True) as folder:  # type: ignore[arg-type]
        (outcome,) = predict_files(predictor, [Input(astronaut, Path("sub/a"))], boxes=boxes, write=folder.write)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == files
    if format == "pts":
        assert outcome.result is not None
        keypoints = outcome.result.faces[1].keypoints
        np.testing.assert_allclose(read_pts(tmp_path / "sub/a_1.pts"), keypoints, atol=1e-4)


@pytest.mark.parametrize("format", ["csv", "coco"])
def test_an_interrupted_run_keeps_its_results(
    predictor: Predictor, astronaut: Path, tmp_path: Path, format: str
) -> None:
    boxes = GivenBoxes([BOX])
    items = [Input(astronaut, Path(name)) for name in "abcde"]

    def interrupted() -> None:
        with OutputFolder(tmp_path, format, W300_68, draw=False, scores=False) as folder:  # type: ignore[arg-type]
            for number, _ in enumerate(predict_files(predictor, items, boxes=boxes, write=folder.write)):
                if number == 2:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (written,) = tmp_path.glob("landmarks.*[!d]")
    if format == "coco":
        assert len(json.loads(written.read_text())["images"]) >= 3
    else:
        assert len(written.read_text().splitlines()) >= 1 + 3 * 68


@pytest.mark.parametrize("format", ["csv", "coco"])
@pytest.mark.parametrize("end", ["killed", "full disk", "full disk at the end"])
def test_a_run_that_could_not_end_goes_on_with_the_images_that_are_left(
    predictor: Predictor, astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Format, end: str
) -> None:
    items = written(astronaut, tmp_path, 4)
    boxes, out = GivenBoxes([BOX]), tmp_path / "out"

    def make(folder: OutputFolder, items: list[Input]) -> None:
        list(predict_files(predictor, items, boxes=boxes, write=folder.write))

    whole = OutputFolder(tmp_path / "whole", format, W300_68, draw=False, scores=False, inputs=items)
    with whole:
        make(whole, items)
    folder = OutputFolder(out, format, W300_68, draw=False, scores=False, inputs=items, facts={"weights": 1})
    make(folder, items[:2])
    if end == "killed":
        with (out / f"{RUN_FILES[format]}.unfinished").open("ab") as file:
            file.write(b'{"image": "half')
    elif end == "full disk":
        monkeypatch.setattr(Path, "open", full)
        with pytest.raises(DarkposeError, match="No space left on device; the same command continues"):
            make(folder, items[2:])
    else:
        monkeypatch.setattr(files, "write_lines", full_at_the_end)
        with pytest.raises(DarkposeError, match="the same command continues"), folder:
            pass
    monkeypatch.undo()
    if end != "full disk at the end":
        assert folder.unfinished is not None
        with pytest.raises(DarkposeError, match="another process writes this run"):
            OutputFolder(out, format, W300_68, draw=False, scores=False, inputs=items, facts={"weights": 1})
        folder.unfinished.__exit__(None, None, None)  # as at the end of its process
    with pytest.raises(DarkposeError, match="an unfinished run with other options"):
        OutputFolder(out, format, W300_68, draw=False, scores=False, facts={"weights": 2})
    again = OutputFolder(out, format, W300_68, draw=False, scores=False, inputs=items, facts={"weights": 1})
    assert again.unfinished is not None
    assert again.unfinished.kept == {"images": 2, "faces": 2, "faceless": 0}
    with pytest.raises(DarkposeError, match=r"an unfinished run of other images, for example .*0\.png"):
        again.remaining(items[1:])
    left = again.remaining(find_images([os.path.relpath(item.path) for item in items]))  # spelt in another way
    assert [item.path.name for item in left] == ["2.png", "3.png"]
    left = again.remaining(items)
    with again:
        make(again, left)
    (result,) = out.iterdir()
    assert result.read_text() == (tmp_path / "whole" / RUN_FILES[format]).read_text()


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_at_the_end(*_: object) -> None:
    raise DarkposeError("landmarks: cannot be written") from OSError(errno.ENOSPC, "No space left on device")


def test_an_output_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DarkposeError, match="folder cannot be made"):
        OutputFolder(tmp_path / "file" / "out", "json", W300_68, draw=False, scores=False)


def test_a_circular_link_stops_neither_images_nor_results(small_weights: Path, astronaut: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(astronaut.read_bytes())
    (tmp_path / "in" / "b.png").symlink_to("b.png")
    inputs = find_images([str(tmp_path / "in")])
    predictor = Predictor(small_weights, "cpu", detector="haar")
    folder = OutputFolder(tmp_path / "out", "json", predictor.schema, draw=False, scores=False, inputs=inputs)
    (tmp_path / "out" / "a.json").symlink_to("a.json")
    with folder:
        outcomes = list(predict_files(predictor, inputs, write=folder.write))
    assert outcomes[0].result is not None
    assert (tmp_path / "out" / "a.json").is_file()


def written(astronaut: Path, tmp_path: Path, count: int = 3) -> list[Input]:
    for number in range(count):
        (tmp_path / f"{number}.png").write_bytes(astronaut.read_bytes())
    return find_images([str(tmp_path)])


def test_a_result_that_cannot_be_written_is_a_problem_of_its_image(
    predictor: Predictor, astronaut: Path, tmp_path: Path
) -> None:
    items = written(astronaut, tmp_path)
    folder = OutputFolder(tmp_path / "out", "json", W300_68, draw=False, scores=False)
    (tmp_path / "out" / "1.json").mkdir()
    found = list(predict_files(predictor, items, boxes=GivenBoxes([BOX]), write=folder.write))
    assert [bool(outcome.problem) for outcome in found] == [False, True, False]
    assert "1.json: cannot be written" in found[1].problem
    assert (tmp_path / "out" / "2.json").is_file()


def test_a_folder_that_is_gone_stops_the_run(predictor: Predictor, astronaut: Path, tmp_path: Path) -> None:
    def write(*_: object) -> None:
        raise DarkposeError("out: cannot be written: gone") from FileNotFoundError(2, "gone")

    with pytest.raises(DarkposeError, match="gone"):
        list(predict_files(predictor, written(astronaut, tmp_path), boxes=GivenBoxes([BOX]), write=write))


def test_landmarks_that_are_not_finite_are_a_problem_of_their_image(
    predictor: Predictor, astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, find = written(astronaut, tmp_path, 2), predictor._find

    class Unusable:
        covariance, network = find.covariance, find.network

        def __call__(self, *given: Any) -> Landmarks:
            found = find(*given)
            return Landmarks(found.keypoints, found.scores * np.float32(np.nan))

    monkeypatch.setattr(predictor, "_find", Unusable())
    found = list(predict_files(predictor, items, boxes=GivenBoxes([BOX])))
    assert all("landmarks that are not finite" in outcome.problem for outcome in found)
