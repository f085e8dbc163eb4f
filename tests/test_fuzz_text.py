"""Readers of text, annotations and MATLAB files, on damaged files: a result or one sentence."""

import io
import json
import math
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets import aflw
from darkpose.datasets.annotations import read_annotations
from darkpose.datasets.cofw import read_cofw
from darkpose.datasets.openmmlab import read_openmmlab
from darkpose.datasets.points import read_coco_points, read_csv_points
from darkpose.datasets.predictions_file import read_predictions
from darkpose.datasets.schema_file import format_schema, read_schema
from darkpose.datasets.wflw import read_wflw
from darkpose.datasets.yolo_pose import read_yolo_pose
from darkpose.evaluation.course import course_of
from darkpose.evaluation.predictions import PredictionsWriter
from darkpose.files.pts import format_pts, read_pts
from darkpose.image.pixels import write_image
from darkpose.predict.given_boxes import GivenBoxes
from darkpose.predict.part import read_part, write_part
from darkpose.predict.shape_prior import ShapePrior, read_shape_prior, write_shape_prior
from darkpose.predict.shards import read_shards
from darkpose.schema import KeypointSchema
from darkpose.weights.calibrations import Calibration, read_calibrations, write_calibrations
from fuzzing import check, damaged, fuzzed, seeds
from needed import needs
from own_annotations import POINTS, XML, YAML, coco_annotation, coco_content, yolo_line

THREE = KeypointSchema("three", ("left_eye", "right_eye", "nose"), ((0, 1),))
Reader = Callable[[Path], object]


def _json(content: object) -> bytes:
    return json.dumps(content).encode()


def _lines(*contents: object) -> bytes:
    return b"".join(_json(content) + b"\n" for content in contents)


IMAGE = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}
FACE = {
    "id": 1,
    "image_id": 1,
    "category_id": 1,
    "keypoints": [30, 30, 2, 60, 31, 2, 45, 45, 1],
    "bbox": [1, 2, 30, 40],
}
COCO = {
    "images": [IMAGE, {**IMAGE, "id": 2}],
    "annotations": [
        FACE,
        {**FACE, "id": 2, "image_id": 2, "iscrowd": 0, "center": [3, 4], "scale": 0.5, "box_size": 9},
    ],
    "categories": [{"id": 1, "name": "face", "keypoints": list(THREE.names), "skeleton": [[1, 2], [2, 3]]}],
}
LINE = " ".join(f"{value:.1f}" for value in range(196)) + " 1 2 200 210 0 1 0 0 0 1 a/b.jpg\n"
TABLE = "image,a_x,a_y,b_x,b_y,b_v,x0,y0,x1,y1\nc.jpg,1,2,3.5,4,1,0,0,9,9\nd.jpg,,,3,4,,,,,\ne.jpg,1,2,3,4,0,0,0,9,9\n"
RECORD = {"input": 0, "image": "a.jpg", "status": "no face", "reason": "", "width": 3, "height": 4, "faces": []}
FOUND: dict[str, Any] = {
    **{"markup": "three", "box": [0.0, 1.0, 5.0, 6.0], "found_by": "haar", "detection_score": 0.5, "score": 0.25},
    **{"keypoints": [[1.0, 2.0]] * 3, "scores": [0.5] * 3, "rolled": 0, "reliable": True},
}
RECORDS = [RECORD, {**RECORD, "input": 1, "status": "done", "faces": [FOUND]}]
STEP = {"mode": "train", "epoch": 1, "iter": 0, "lr": 0.1, "loss": 2.5, "data_time": 0.1}
PREDICTIONS = _lines(
    {"darkpose_predictions": 1, "data_set": "x", "system": "y", "provenance": {"test_images_learnt": ["a"]}},
    {"face": 0, "keypoints": [[1, 2], [3, 4.5]], "scores": [0.5, None], "box": [1, 2, 3, 4], "image": "a.jpg"},
    {"face": 1, "keypoints": None},
)


def _predictions(file: Path) -> None:
    found = read_predictions(file)
    found.as_array(["a.jpg", "b.jpg"], 2, "p")
    PredictionsWriter(file, {"data_set": "x", "system": "y"})


def _wflw(file: Path) -> object:
    target = file.parent / "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_test.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    file.replace(target)
    return read_wflw(file.parent), read_wflw(file.parent, box="file", broken=[])


def _log(file: Path) -> object:
    from darkpose.training.log import RunLog, read_log

    lines = read_log(file)
    RunLog(file, writes=True).forget_after(1, 1)
    return course_of("run", lines).steps_per_epoch


SCHEMA_TOML = format_schema(THREE, "a note").encode() + b'[regions]\neyes = ["left_eye", "right_eye"]\n'
WITH_NAMES = _lines({**RECORD, "faces": [{**FOUND, "names": list(THREE.names)}]})


def _yolo(file: Path) -> object:
    images = file.parent / "images"
    images.mkdir(exist_ok=True)
    write_image(images / "a.png", np.zeros((48, 64, 3), np.uint8))
    labels, text = file.parent / "labels", file.read_bytes()
    labels.mkdir(exist_ok=True)
    whole = yolo_line().encode() + b"\n"
    yaml, label = (text, whole) if file.suffix == ".yaml" else (YAML.replace("/train", "").encode(), text)
    (labels / "a.txt").write_bytes(label)
    (file.parent / "yolo.yaml").write_bytes(yaml)
    return read_yolo_pose(file.parent / "yolo.yaml", None, None, [])


TEXTS: dict[str, tuple[bytes, Reader]] = {
    "a.pts": (format_pts(np.arange(10).reshape(5, 2)).encode(), read_pts),
    "wflw.txt": (LINE.encode() * 2, _wflw),
    "coco.json": (_json(COCO), lambda file: read_coco_points(file, flip_pairs=(), box="file")),
    "openmmlab.json": (_json(COCO), lambda file: read_openmmlab(file, file.parent, THREE)),
    "table.csv": (TABLE.encode(), lambda file: read_csv_points(file, flip_pairs=())),
    "semicolons.csv": (
        TABLE.replace(",", ";").encode(),
        lambda file: read_csv_points(file, flip_pairs=(), broken=[]),
    ),
    "boxes.json": (_json({"a.jpg": [[1, 2, 3, 4], [0.5, 1, 2, 3]]}), lambda file: GivenBoxes([str(file)]).digest()),
    "boxes.csv": (
        b"image,x0,y0,x1,y1\na.jpg,1,2,3,4\nb.jpg,1,2,3,4\n",
        lambda file: GivenBoxes([str(file)]).digest(),
    ),
    "p.jsonl": (PREDICTIONS, _predictions),
    "schema.toml": (SCHEMA_TOML, read_schema),
    "own.json": (_json(coco_content(coco_annotation(), coco_annotation(id=2))), read_annotations),
    "own.csv": (TABLE.encode(), lambda file: read_annotations(file, broken=[])),
    "own.xml": (XML.encode(), read_annotations),
    "own.pts": (format_pts(POINTS).encode(), read_annotations),
    "own.jsonl": (PREDICTIONS, lambda file: read_annotations(file, broken=[])),
    "found.jsonl": (WITH_NAMES, read_annotations),
    "yolo/data.yaml": (YAML.replace("/train", "").encode(), _yolo),
    "yolo/labels.txt": (yolo_line().encode() + b"\n", _yolo),
    "part-00000.jsonl": (
        _lines(RECORD, {**RECORD, "input": 1, "status": "done", "faces": [FOUND]}),
        lambda file: read_part(file, 0),
    ),
}


@pytest.mark.filterwarnings("ignore:.*annotations are left out")
@pytest.mark.parametrize("name", TEXTS)
@fuzzed
@seeds
def test_a_damaged_text_file_is_one_sentence(name: str, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    whole, reader = TEXTS[name]
    if name.startswith("yolo/") and find_spec("yaml") is None:
        pytest.skip("needs yaml")
    file = tmp_path_factory.getbasetemp() / name
    file.parent.mkdir(exist_ok=True)
    check(reader, file, damaged(whole, seed))


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
@fuzzed
@seeds
def test_a_damaged_log_of_a_run_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    whole = _lines(STEP, {**STEP, "iter": 1}, {"mode": "val", "epoch": 1, "NME": 0.05}, {**STEP, "epoch": 2, "iter": 2})
    check(_log, tmp_path_factory.getbasetemp() / "log.jsonl", damaged(whole, seed))


def _written(name: str, write: Callable[[Path], object]) -> bytes:
    """The content of a file that is written by its path."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


@cache
def _calibrations() -> bytes:
    calibration = Calibration("three", 7.8, (0.5, math.nan, 0.1), (0.3, math.nan, 1.0), {"on": "a"})
    return _written("a", lambda file: write_calibrations([calibration], file))


@fuzzed
@seeds
def test_a_damaged_file_of_calibrations_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    check(read_calibrations, tmp_path_factory.getbasetemp() / "a.calibration.json", damaged(_calibrations(), seed))


@fuzzed
@seeds
def test_a_damaged_run_file_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    file = tmp_path_factory.getbasetemp() / "shards" / "run.json"
    file.parent.mkdir(exist_ok=True)
    whole = _json({"darkpose_shards": 1, "format": "jsonl", "shard_size": 4, "weights": "a"})
    check(lambda file: list(read_shards(file.parent)), file, damaged(whole, seed))


@cache
def _prior() -> bytes:
    mean = np.array([[-0.5, -0.5], [0.5, -0.5], [0.0, 0.5]])
    prior = ShapePrior("three", mean, np.ones((2, 3, 2)), 0.1, "faces", ("a.jpg",))
    return _written("a", lambda file: write_shape_prior(prior, file))


@fuzzed
@seeds
def test_a_damaged_shape_prior_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    def use(file: Path) -> object:
        prior = read_shape_prior(file)
        return prior.digest(), prior(np.ones((1, *prior.mean.shape)), np.ones((1, len(prior.mean))), [[0, 0, 9, 9]])

    check(use, tmp_path_factory.getbasetemp() / "a.prior.safetensors", damaged(_prior(), seed))


@cache
def _aflw(compressed: bool) -> bytes:
    from scipy.io import savemat

    file, names = io.BytesIO(), np.empty((2, 1), object)
    names[:, 0] = ["0/a.jpg", "2/b.jpg"]
    arrays = {"nameList": names, "data": np.ones((2, 38)), "mask_new": np.ones((2, 19), np.uint8)}
    savemat(file, {**arrays, "bbox": np.ones((2, 4)), "ra": np.array([[1, 2]])}, do_compression=compressed)
    return file.getvalue()


@needs("scipy")
@pytest.mark.parametrize("compressed", [False, True])
@fuzzed
@seeds
def test_a_damaged_matlab_5_file_is_one_sentence(
    compressed: bool, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    check(aflw._load, tmp_path_factory.getbasetemp() / "AFLWinfo_release.mat", damaged(_aflw(compressed), seed))


@cache
def _cofw() -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as content:
        cells = [content.create_dataset(f"#refs#/{i}", data=np.ones((3, 5, 4), np.uint8)).ref for i in range(2)]
        content.create_dataset("IsT", data=np.array([cells], object), dtype=h5py.ref_dtype)
        content.create_dataset("bboxesT", data=np.ones((4, 2)))
        content.create_dataset("phisT", data=np.random.default_rng(0).uniform(1, 5, (87, 2)), compression="gzip")
    return buffer.getvalue()


@needs("h5py")
@fuzzed
@seeds
def test_a_damaged_matlab_73_file_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.getbasetemp() / "cofw"
    folder.mkdir(exist_ok=True)

    def read(file: Path) -> object:
        for old in folder.glob("*.png"):
            old.unlink()
        return read_cofw(folder, images=folder, broken=[])

    check(read, folder / "COFW_test_color.mat", damaged(_cofw(), seed))


@cache
def _parquet() -> bytes:
    return _written("a.parquet", lambda file: write_part(file, RECORDS, {"weights": "a"}))


@needs("pyarrow")
@fuzzed
@seeds
def test_a_damaged_parquet_part_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    check(lambda file: read_part(file, 0), tmp_path_factory.getbasetemp() / "part.parquet", damaged(_parquet(), seed))
