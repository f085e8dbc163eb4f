"""The JavaScript example finds what Python finds."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from darkpose.deploy.face_crops import drawn_crops
from darkpose.deploy.run_file import crop_matrices, open_file
from darkpose.image.geometry import box_to_crop, crop_to_image, transform
from darkpose.image.pixels import cut_crops, read_image, resized
from darkpose.network.load import load_checkpoint
from darkpose.predict.landmarks import LandmarkFinder
from darkpose.runtime.torch import TorchNetwork
from example_pictures import PICTURES, assert_landmarks, example_picture
from needed import UNREACHABLE, lacking

EXAMPLE = Path(__file__).parents[1] / "examples" / "javascript"
IMPORTS = """
import { readFile, writeFile } from "node:fs/promises";
import { cropMatrix, cutCrop, findLandmarks, loadModel, readCard, resize, squareMatrix } from "./landmarks.mjs";
const given = JSON.parse(await readFile("given.json"));
"""
BOXES = [(177, 69, 270, 183), (-20.5, 40.25, 270.3, 300), (180.7, 69.1, 270.9, 170), (120.4, 200.6, 255.9, 310.3)]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # exports first, on a busy machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the example with its packages, as `npm ci` installs them."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        lacking(f"needs Node.js: {' and '.join(missing)} cannot be found")
    copy = tmp_path_factory.mktemp("javascript") / "example"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        lacking("needs onnxruntime-web: `npm ci` was not done after 240 s")
    if done.returncode and UNREACHABLE.search(done.stderr):
        lacking("needs onnxruntime-web: `npm ci` cannot reach the registry")
    assert done.returncode == 0, done.stderr
    yield copy
    shutil.rmtree(copy)  # 150 MB


def run_program(folder: Path, program: str, given: object) -> Any:
    """What a program of the example's functions says, in JSON."""
    (folder / "given.json").write_text(json.dumps(given))
    command = ["node", "--input-type=module", "--eval", f"{IMPORTS}console.log(JSON.stringify({program}));"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_example(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What the example itself does."""
    command = ["node", "landmarks.mjs", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)


def test_the_matrix_of_a_box_is_that_of_python(folder: Path) -> None:
    given: list[tuple[list[float], int, float]] = [
        ([0, 0, 10, 20], 256, 1.25),
        ([812.3, 40.9, 2000.1, 1650], 256, 1.25),
        ([-30, -7.5, 44, 8], 64, 1.5),
    ]
    found = run_program(folder, "given.map((each) => cropMatrix(...each))", given)
    for matrix, (box, size, padding) in zip(found, given, strict=True):
        center, sides = box_to_crop(box, padding=padding)
        expected = crop_to_image(center, sides[0], (size, size))
        corners = np.array([[0, 0], [size, 0], [0, size], [size, size]])
        moved = transform(np.reshape(matrix, (2, 3)), corners)
        np.testing.assert_allclose(moved, transform(expected, corners), rtol=0, atol=1e-3)
    assert run_program(folder, "cropMatrix(given)", given[0][0]) == found[0]


def test_the_matrix_of_a_turned_face_is_that_of_python(folder: Path) -> None:
    given: list[tuple[list[float], float, float, int]] = [
        ([12.5, 40.25], 300.5, roll, 256) for roll in (-179.6, -95.2, -30, 0, 29.9, 30.4, 90.5, 180)
    ]
    found = run_program(folder, "given.map((each) => squareMatrix(...each))", given)
    for matrix, (center, side, roll, size) in zip(found, given, strict=True):
        expected = crop_to_image(center, side, (size, size), np.rint(roll) if abs(roll) > 30 else 0)
        corners = np.array([[0, 0], [size, 0], [0, size], [size, size]])
        moved = transform(np.reshape(matrix, (2, 3)), corners)
        np.testing.assert_allclose(moved, transform(expected, corners), rtol=0, atol=1e-3)


def test_pictures_are_resized_to_the_bit_as_opencv_resizes_them(folder: Path, astronaut: Path) -> None:
    image = read_image(astronaut)[:400]
    image.tofile(folder / "picture.rgb")
    np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]).tofile(folder / "picture.rgba")
    sizes = [(640, 500), (256, 200), (301, 235), (512, 400), (3, 1)]
    program = """await Promise.all(["rgb", "rgba"].map(async (kind) => {
        const picture = await readFile(`picture.${kind}`);
        const resized = given.map((size) => resize(picture, 512, 400, ...size));
        await writeFile(`resized.${kind}`, Buffer.concat(resized));
        return resized.length;
    }))"""
    assert run_program(folder, program, sizes) == [len(sizes)] * 2
    expected = np.concatenate([resized(image, size).reshape(-1) for size in sizes])
    for kind in ("rgb", "rgba"):
        np.testing.assert_array_equal(np.fromfile(folder / f"resized.{kind}", np.uint8), expected)


def test_crops_are_cut_to_the_bit_as_opencv_cuts_them(folder: Path, astronaut: Path) -> None:
    image = read_image(astronaut)[:400]
    image.tofile(folder / "picture.rgb")
    np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]).tofile(folder / "picture.rgba")
    program = """await Promise.all(["rgb", "rgba"].map(async (kind) => {
        const picture = await readFile(`picture.${kind}`);
        const crops = given.map((box) => cutCrop(picture, 512, 400, cropMatrix(box)));
        await writeFile(`crops.${kind}`, Buffer.concat(crops));
        return crops.length;
    }))"""
    assert run_program(folder, program, BOXES) == [len(BOXES)] * 2
    inverse = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrices = np.reshape(run_program(folder, "given.map((box) => cropMatrix(box))", BOXES), (-1, 2, 3))
    expected = np.stack([cv2.warpAffine(image, matrix, (256, 256), flags=inverse) for matrix in matrices])
    for kind in ("rgb", "rgba"):
        crops = np.fromfile(folder / f"crops.{kind}", np.uint8).reshape(-1, 256, 256, 3)
        np.testing.assert_array_equal(crops, expected)
    own = np.stack(list(cut_crops([image] * len(BOXES), BOXES, 256, 1.25)[0]))
    assert (own != expected).mean() < 0.01  # the rounding of a matrix's last digit


def test_landmarks_of_crops_are_those_of_torch_and_of_onnxruntime(folder: Path, exported_default: Path) -> None:
    checkpoint = load_checkpoint("default")
    faces = drawn_crops(3, checkpoint.config)
    matrices = crop_matrices(faces.center, faces.sides, 256)
    faces.crops.tofile(folder / "crops.rgb")
    program = """await loadModel(await readFile(given.file))
        .then(async (model) => findLandmarks(model, await readFile("crops.rgb"), given.matrices))"""
    given = {"file": str(exported_default), "matrices": matrices.reshape(-1, 6).tolist()}
    found = run_program(folder, program, given)
    assert [[point["name"] for point in face] for face in found] == [list(checkpoint.schema.names)] * 3
    keypoints = np.array([[[point["x"], point["y"]] for point in face] for face in found])
    scores = np.array([[point["score"] for point in face] for face in found])
    graph = open_file(exported_default, "onnxruntime")(faces.crops, matrices)
    network = TorchNetwork(checkpoint.model, checkpoint.config.normalisation, torch.device("cpu"))
    in_torch = LandmarkFinder(network, checkpoint.schema)(faces.crops, faces.center, faces.sides)
    for expected in (graph["keypoints"], in_torch.keypoints):
        np.testing.assert_allclose(keypoints, expected, rtol=0, atol=0.01)
    for expected in (graph["scores"], in_torch.scores):
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", PICTURES)
def test_the_example_finds_the_landmarks_of_a_picture(
    folder: Path, exported_default: Path, exported_detector: Path, name: str
) -> None:
    image = example_picture(name)
    image.tofile(folder / "picture.rgb")
    done = run_example(folder, exported_default, exported_detector, "picture.rgb", image.shape[1], image.shape[0])
    assert done.returncode == 0, done.stderr
    assert_landmarks(done.stdout, image, exported_default, within=0.05)


def test_the_example_prints_no_faces_where_there_are_none(
    folder: Path, exported_default: Path, exported_detector: Path
) -> None:
    (folder / "grey.rgb").write_bytes(bytes([128]) * 200 * 301 * 3)
    done = run_example(folder, exported_default, exported_detector, "grey.rgb", 301, 200)
    assert done.stdout == "[]\n", done.stderr


def test_the_card_is_read_from_the_file(folder: Path, exported_default: Path) -> None:
    card = run_program(folder, "readCard(await readFile(given))", str(exported_default))
    assert card == json.loads(open_file(exported_default, "onnxruntime").card.to_json())


def test_what_is_no_exported_file_is_refused_in_one_line(
    folder: Path, exported_default: Path, exported_detector: Path
) -> None:
    (folder / "face.rgb").write_bytes(bytes(12))
    (folder / "other.onnx").write_bytes(b"\x08\x07")
    (folder / "text.onnx").write_text("no model")
    files = (exported_default, exported_detector)
    for arguments, message in (
        (("other.onnx", exported_detector, "face.rgb", 2, 2), "expected a file that `darkpose export` wrote"),
        (("text.onnx", exported_detector, "face.rgb", 2, 2), "expected an .onnx file"),
        ((exported_default, exported_default, "face.rgb", 2, 2), "a file that `darkpose export detector` wrote"),
        ((*files, "face.rgb", 3, 2), "12 bytes are not 3 x 2 RGB"),
        ((*files, "face.rgb", "wide", 2), "usage: node landmarks.mjs"),
        ((*files, "face.rgb"), "usage: node landmarks.mjs"),
    ):
        done = run_example(folder, *arguments)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
