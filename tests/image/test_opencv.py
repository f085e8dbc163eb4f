"""OpenCV's messages about images that darkpose refuses itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REFUSED = """
import sys, threading
from pathlib import Path
import numpy as np
from darkpose.errors import DarkposeError
from darkpose.image.opencv import cv2
from darkpose.image.pixels import decode_image, write_image
log = cv2.utils.logging
log.setLogLevel(log.LOG_LEVEL_WARNING)
data = cv2.imencode(".jp2", np.full((64, 64, 3), 99, np.uint8))[1].tobytes()
data = data[:-20]
def decode():
    for _ in range(20):
        try: decode_image(data)
        except DarkposeError as error: reasons.append(str(error))
reasons = []
threads = [threading.Thread(target=decode) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
assert reasons == 80 * ["not an image, or damaged, or of a format that OpenCV cannot decode"], reasons
try: write_image(Path(sys.argv[1]) / "x.jpg", np.zeros((70000, 2, 3), np.uint8))
except DarkposeError as error: assert "cannot be encoded" in str(error)
assert log.getLogLevel() == log.LOG_LEVEL_WARNING
if "itself" in sys.argv: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
"""

FORK = """
import os
from darkpose.image.opencv import cv2, quiet
log = cv2.utils.logging
level = log.getLogLevel()
with quiet:
    if not (child := os.fork()):
        with quiet: inside = log.getLogLevel()
        os._exit(not (inside == log.LOG_LEVEL_SILENT != level == log.getLogLevel()))
    assert os.waitpid(child, 0)[1] == 0
    assert log.getLogLevel() == log.LOG_LEVEL_SILENT
assert log.getLogLevel() == level
"""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "OPENCV_LOG_LEVEL"}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True)


def test_opencv_logs_nothing_of_images_that_darkpose_refuses_in_any_thread(tmp_path: Path) -> None:
    assert not run(REFUSED, str(tmp_path)).stderr


def test_opencv_logs_what_a_program_does_with_it_itself(tmp_path: Path) -> None:
    assert "ERROR" in run(REFUSED, str(tmp_path), "itself").stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_is_forked_while_an_image_is_decoded_logs_as_before() -> None:
    run(FORK)
