"""Predictions in shards: killed, stopped and continued, with one record per input."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.detect.haar import Haar
from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels, read_image, write_image
from darkpose.predict.given_boxes import GivenBoxes
from darkpose.predict.part import Record
from darkpose.predict.predictor import Predictor
from darkpose.predict.shard_run import Step, predict_shards
from darkpose.predict.shards import Shards, read_shards
from darkpose.predict.sources import Source, find_sources
from darkpose.weights.checkpoint import CheckpointConfig

SIZE = 50


class Bright:
    """A detector for which bright pictures are faces."""

    name = "bright"
    correction = BoxCorrection()

    def __call__(self, image: Pixels) -> Detections:
        found = np.array([[0.0, 0.0, *image.shape[1::-1]]] * int(image.mean() > 100)).reshape(-1, 4)
        return Detections(found, np.ones(len(found)))


@pytest.fixture(scope="module")
def predictor(small_weights: Path) -> Predictor:
    return Predictor(small_weights, "cpu", detector=Bright(), batch_size=8)


def run(predictor: Predictor, folder: Path, *paths: Path, format: str = "jsonl", size: int = SIZE) -> list[Record]:
    """A complete run; the records that it added."""
    step = Step()
    with Shards(folder, format, step.facts(predictor), size=size) as shards:  # type: ignore[arg-type]
        return list(predict_shards(predictor, step, find_sources([str(path) for path in paths]), shards))


def test_a_record_has_the_faces_of_the_predictor_or_the_problem(
    small_weights: Path, astronaut: Path, tmp_path: Path
) -> None:
    picture = np.asarray(cv2.resize(read_image(astronaut), (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", picture)
    write_image(tmp_path / "in" / "b.png", np.zeros((64, 48, 3), np.uint8))
    (tmp_path / "in" / "c.jpg").write_text("words")
    predictor = Predictor(small_weights, "cpu", detector=Haar())
    records = run(predictor, tmp_path / "out", tmp_path / "in")
    assert records == list(read_shards(tmp_path / "out"))
    a, b, c = records
    (expected,) = predictor(picture)
    assert (a["input"], a["image"], a["status"], a["reason"]) == (0, str(tmp_path / "in" / "a.png"), "done", "")
    (face,) = a["faces"]
    np.testing.assert_allclose(face["keypoints"], expected.keypoints, atol=6e-4)
    np.testing.assert_allclose(face["box"], expected.box, atol=6e-4)
    assert (b["status"], b["width"], b["height"], b["faces"]) == ("no face", 48, 64, [])
    assert (c["status"], c["width"], c["faces"]) == ("unreadable", None, [])
    assert c["reason"].startswith("not an image")
    names = json.loads((tmp_path / "out" / "run.json").read_text())["landmarks"]
    assert len(names) == len(face["keypoints"]) == 68


def test_both_formats_have_the_same_content(predictor: Predictor, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'darkpose[parquet]'")
    make_inputs(tmp_path / "in", 60)
    for format in ("jsonl", "parquet"):
        run(predictor, tmp_path / format, tmp_path / "in", format=format, size=25)
    lines, rows = (list(read_shards(tmp_path / format)) for format in ("jsonl", "parquet"))
    assert len(lines) == len(rows) == 60
    for one, other in zip(lines, rows, strict=True):
        assert {key: one[key] for key in one if key != "faces"} == {key: other[key] for key in other if key != "faces"}
        for face, same in zip(one["faces"], other["faces"], strict=True):
            assert face.keys() == same.keys()
            np.testing.assert_allclose(face["keypoints"], same["keypoints"], rtol=1e-6)


def test_given_boxes_are_found_by_name_and_missing_ones_reported(predictor: Predictor, tmp_path: Path) -> None:
    make_inputs(tmp_path / "in", 5)
    (tmp_path / "boxes.json").write_text(json.dumps({"000001.jpg": [[0, 0, 8, 8]] * 2}))
    step = Step(boxes=GivenBoxes([str(tmp_path / "boxes.json")]), box_kind="square")
    with Shards(tmp_path / "out", "jsonl", step.facts(predictor)) as shards:
        records = list(predict_shards(predictor, step, find_sources([str(tmp_path / "in" / "tar" / "0.tar")]), shards))
    assert [len(record["faces"]) for record in records] == [2, 0]
    assert "not in the boxes file" in records[1]["reason"]
    with pytest.raises(DarkposeError, match="another run"):
        run(predictor, tmp_path / "out", tmp_path / "in")


def test_a_folder_is_not_continued_with_another_setup(predictor: Predictor, tmp_path: Path) -> None:
    facts = Step().facts(predictor)
    assert {each.name for each in fields(CheckpointConfig)} - {"network"} < set(facts)
    with Shards(tmp_path, "jsonl", facts):
        pass
    changed = Predictor.__new__(Predictor)
    changed.__dict__.update({**vars(predictor), "config": replace(predictor.config, padding=1.5)})
    for other, name in (
        (Step().facts(changed), "padding: there 1.25, here 1.5"),
        ({**facts, "darkpose": "0.0.1"}, "darkpose: there "),
        ({**facts, "detector_sha256": "0"}, 'detector_sha256: there null, here "0"'),
    ):
        with pytest.raises(DarkposeError, match=f"another run .{name}"), Shards(tmp_path, "jsonl", other):
            pass


def test_an_empty_list_is_an_error(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("\n")
    with (
        Shards(tmp_path / "out", "jsonl", {}) as shards,
        pytest.raises(DarkposeError, match="no images"),
    ):
        list(predict_shards(predictor, Step(), find_sources([], str(tmp_path / "list")), shards))


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_names_of_tar_members_lead_nowhere(predictor: Predictor, astronaut: Path, tmp_path: Path, format: str) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow")
    names = ["../out.png", f"{tmp_path}/planted.png", "a/../../b.png", "c.png/../../../d.png"]
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = astronaut.stat().st_size
            tar.addfile(member, io.BytesIO(astronaut.read_bytes()))
    before, out = {*tmp_path.rglob("*"), *tmp_path.parent.iterdir()}, tmp_path / "out"
    records = run(predictor, out, tmp_path / "in.tar", format=format)
    assert [record["image"] for record in records] == [f"{tmp_path}/in.tar/{name}" for name in names]
    written = {*tmp_path.rglob("*"), *tmp_path.parent.iterdir()} - before
    assert all(path == out or out in path.parents for path in written)


def test_scores_that_are_nan_are_null(predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_inputs(tmp_path / "in", 4)
    locate = predictor.locate
    monkeypatch.setattr(
        predictor, "locate", lambda r: [replace(face, scores=np.full(68, np.nan, np.float32)) for face in locate(r)]
    )
    (first, *_) = run(predictor, tmp_path / "out", tmp_path / "in")
    (face,) = first["faces"]
    assert face["score"] is None
    assert face["scores"] == [None] * 68


def test_few_inputs_are_taken_in_advance(predictor: Predictor, tmp_path: Path) -> None:
    make_inputs(tmp_path / "in", 8)
    known = [*find_sources([str(tmp_path / "in")])]
    taken = written = 0

    def endless() -> Iterator[Source]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            assert taken - written <= 2 * SIZE + 12 * predictor.batch_size
            yield known[number % len(known)]

    step = Step(threads=2)
    with Shards(tmp_path / "out", "jsonl", step.facts(predictor), size=SIZE) as shards:
        for record in predict_shards(predictor, step, endless(), shards):
            written = record["input"] // SIZE * SIZE  # in shards on the disk
    assert taken == 1000


def make_inputs(folder: Path, count: int) -> dict[str, str]:
    """Small images, a third in tar files, the others in folders; name -> expected status."""
    encoded = {
        "done": cv2.imencode(".jpg", np.full((8, 8, 3), 200, np.uint8))[1].tobytes(),
        "no face": cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes(),
    }
    encoded["unreadable"] = encoded["done"][:-40]
    expected = {}
    packed: dict[Path, list[tuple[str, bytes]]] = {}
    (folder / "tar").mkdir(parents=True)
    for number in range(count):
        status = "unreadable" if number % 13 == 5 else "no face" if number % 7 == 3 else "done"
        name = f"{number:06d}.jpg"
        if number % 3 == 1:
            path = folder / "tar" / f"{number // 6000}.tar"
            packed.setdefault(path, []).append((name, encoded[status]))
            expected[f"{path}/{name}"] = status
        else:
            path = folder / str(number // 1000) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(encoded[status])
            expected[str(path)] = status
    for path, members in packed.items():
        with tarfile.open(path, "w") as tar:
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return expected


DRIVER = """
import sys
from pathlib import Path

import torch

sys.path.insert(0, {tests!r})
from test_shard_run import Bright, run
from darkpose.predict.predictor import Predictor

torch.set_num_threads(1)
predictor = Predictor(Path({weights!r}), "cpu", detector=Bright(), batch_size=64)
run(predictor, Path({out!r}), Path({inputs!r}), format={format!r}, size={size})
"""


def check_killed_runs(small_weights: Path, folder: Path, count: int, size: int, format: str) -> None:
    """Two runs are killed at random, a third one ends: every input has one record, with its status."""
    expected = make_inputs(folder / "in", count)
    out = folder / "out"
    code = DRIVER.format(
        **{"tests": str(Path(__file__).parent), "weights": str(small_weights), "out": str(out), "format": format},
        **{"inputs": str(folder / "in"), "size": size},
    )
    draw = random.Random()
    at_kill = [0]
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code])
        goal = at_kill[-1] + draw.randint(1, max(1, count // size // 4))  # parts that there are
        while len(list(out.glob("part-*"))) < goal and process.poll() is None:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
        at_kill.append(len(list(out.glob("part-*"))))
        assert not (out / "summary.json").exists()
    before = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in before}  # not written again
    seen = [(record["image"], record["status"]) for record in read_shards(out)]
    assert len(seen) == count
    assert dict(seen) == expected
    counts = json.loads((out / "summary.json").read_text())
    statuses = Counter(expected.values())
    assert counts == {"inputs": count, **statuses, "faces": statuses["done"]}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_run_that_is_killed_twice_loses_and_repeats_no_record(small_weights: Path, tmp_path: Path) -> None:
    check_killed_runs(small_weights, tmp_path, 400, 20, "jsonl")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_20000_images_have_one_record_each_after_two_kills(small_weights: Path, tmp_path: Path, format: str) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'darkpose[parquet]'")
    check_killed_runs(small_weights, tmp_path, 20_000, 200, format)
