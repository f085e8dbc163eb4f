"""The examples in Python and C++ find what darkpose finds, and docs/deploy.md shows what is in them."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from darkpose.image.pixels import Pixels, write_image
from example_pictures import PICTURES, assert_landmarks, example_picture
from needed import lacking

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
WITHOUT_FACES = np.full((200, 301, 3), 128, np.uint8)

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


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=240)


def run_python(exported: Path, detector: Path, image: Pixels, folder: Path) -> str:
    write_image(folder / "picture.png", image)
    done = run(sys.executable, EXAMPLES / "python" / "landmarks.py", exported, detector, folder / "picture.png")
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_cpp(compiled: Path, exported: Path, detector: Path, image: Pixels) -> str:
    picture = compiled.parent / "picture.rgb"
    image.tofile(picture)
    done = run(compiled, exported, detector, picture, image.shape[1], image.shape[0])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PICTURES)
def test_the_python_example_finds_the_landmarks(
    exported_small: Path, exported_detector: Path, tmp_path: Path, name: str
) -> None:
    image = example_picture(name)
    printed = run_python(exported_small, exported_detector, image, tmp_path)
    assert_landmarks(printed, image, exported_small, within=0.05)  # the crops differ by a matrix's last digit


def test_the_python_example_prints_no_faces_where_there_are_none(
    exported_small: Path, exported_detector: Path, tmp_path: Path
) -> None:
    assert run_python(exported_small, exported_detector, WITHOUT_FACES, tmp_path) == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_the_cpp_example_finds_the_landmarks(
    compiled: Path, exported_default: Path, exported_detector: Path, name: str
) -> None:
    image = example_picture(name)
    printed = run_cpp(compiled, exported_default, exported_detector, image)
    # OpenCV enlarges in 11 bits: pixels differ by one level, so the detector's boxes by some hundredths of a pixel.
    assert_landmarks(printed, image, exported_default, within=0.2)


@pytest.mark.slow
def test_the_cpp_example_prints_no_faces_where_there_are_none(
    compiled: Path, exported_default: Path, exported_detector: Path
) -> None:
    assert run_cpp(compiled, exported_default, exported_detector, WITHOUT_FACES) == "[]\n"


@pytest.mark.slow
def test_the_cpp_example_refuses_in_one_line_what_it_cannot_use(
    compiled: Path, exported_default: Path, exported_detector: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "picture.rgb"
    picture.write_bytes(bytes(12))
    files = (exported_default, exported_detector)
    for arguments, message in (
        ([*files, picture, 3, 2], "picture.rgb: expected WIDTH * HEIGHT * 3 bytes"),
        ([*files, tmp_path / "none.rgb", 2, 2], "none.rgb: cannot be read"),
        ([*files[::-1], picture, 2, 2], "expected a landmark network and a face detector"),
        ([*files, picture], "usage: landmarks landmarks.onnx detector.onnx"),
    ):
        done = run(compiled, *arguments)
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
