"""The examples in Python and C++ find what darkpose finds, and docs/deploy.md shows what is in them."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from darkpose.deploy.run_file import crop_matrices, open_file
from darkpose.image.pixels import cut_crops, read_image
from needed import lacking

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
BOXES = [(177, 69, 270, 183), (180.7, 69.1, 270.9, 170)]  # of the astronaut's face

pytestmark = pytest.mark.timeout(600)  # the weights are exported first, on a machine that may be busy


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ example, compiled by the commands at its top."""
    if shutil.which("g++") is None or shutil.which("bash") is None:
        lacking("needs bash and the compiler g++")
    if find_spec("openvino") is None:
        lacking("needs OpenVINO's headers and libraries: pip install openvino")
    folder = tmp_path_factory.mktemp("cpp")
    shutil.copy(EXAMPLES / "cpp" / "landmarks.cpp", folder)
    top = (folder / "landmarks.cpp").read_text().partition("#include")[0]
    commands = re.findall(r"^//   ((?:OV=|g\+\+).*)", top, re.MULTILINE)
    assert len(commands) == 2
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "-euc", "\n".join(commands)]
    done = subprocess.run(command, cwd=folder, env=here, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return folder / "landmarks"


def assert_found(command: Sequence[object], box: Sequence[float], file: Path, image: Path) -> None:
    """The command prints the landmarks that darkpose finds by the file."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found, runner = json.loads(done.stdout), open_file(file, "onnxruntime")
    config = runner.card.config
    crops, center, sides = cut_crops([read_image(image)], box, config.crop_size, config.padding)
    expected = runner(np.stack(list(crops)), crop_matrices(center, sides, config.crop_size))
    assert [point["name"] for point in found] == list(runner.card.schema.names)
    keypoints, scores = expected["keypoints"][0], expected["scores"][0]
    np.testing.assert_allclose([[point["x"], point["y"]] for point in found], keypoints, rtol=0, atol=0.01)
    np.testing.assert_allclose([point["score"] for point in found], scores, rtol=0, atol=1e-3)


@pytest.mark.parametrize("box", BOXES)
def test_the_python_example_finds_the_landmarks(exported_small: Path, astronaut: Path, box: Sequence[float]) -> None:
    program = EXAMPLES / "python" / "landmarks.py"
    assert_found([sys.executable, program, exported_small, astronaut, *box], box, exported_small, astronaut)


@pytest.mark.slow
@pytest.mark.parametrize("box", BOXES)
def test_the_cpp_example_finds_the_landmarks(
    compiled: Path, exported_default: Path, astronaut: Path, box: Sequence[float]
) -> None:
    image = read_image(astronaut)
    picture = compiled.parent / "picture.rgb"
    image.tofile(picture)
    command = [compiled, exported_default, picture, image.shape[1], image.shape[0], *box]
    assert_found(command, box, exported_default, astronaut)


@pytest.mark.slow
def test_the_cpp_example_finds_the_landmarks_of_a_crop_in_crop_px(compiled: Path, exported_default: Path) -> None:
    crop = cv2.resize(read_image(EXAMPLES / "astronaut.png")[55:197, 155:297], (256, 256))
    picture = compiled.parent / "crop.rgb"
    crop.tofile(picture)
    command = [compiled, exported_default, picture, 256, 256, 25.6, 25.6, 230.4, 230.4]  # times 1.25: the whole crop
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=240, check=True)
    found = [[point["x"], point["y"]] for point in json.loads(done.stdout)]
    identity = np.array([[[1.0, 0, 0], [0, 1, 0]]])
    expected = open_file(exported_default, "onnxruntime")(crop[None], identity)["keypoints"][0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)


@pytest.mark.slow
def test_the_cpp_example_refuses_in_one_line_what_it_cannot_use(
    compiled: Path, exported_default: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "picture.rgb"
    picture.write_bytes(bytes(12))
    for arguments, message in (
        ([exported_default, picture, 3, 2, 0, 0, 1, 1], "picture.rgb: expected WIDTH * HEIGHT * 3 bytes"),
        ([exported_default, tmp_path / "none.rgb", 2, 2, 0, 0, 1, 1], "none.rgb: cannot be read"),
        ([exported_default, picture], "usage: landmarks landmarks.onnx"),
    ):
        done = subprocess.run(list(map(str, [compiled, *arguments])), capture_output=True, text=True, timeout=240)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("language", "file"),
    [("py", "python/landmarks.py"), ("js", "javascript/landmarks.mjs"), ("cpp", "cpp/landmarks.cpp")],
)
def test_the_code_of_an_example_in_the_documents_is_in_the_example(language: str, file: str) -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert f"](../examples/{file})" in page
    (shown,) = re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    lines = [line.strip() for line in (EXAMPLES / file).read_text().splitlines()]
    assert "\n".join(line.strip() for line in shown.splitlines()) in "\n".join(lines)
