"""Settings of a process that trains."""

import subprocess
import sys
from pathlib import Path

import torch
from test_loop import QUICK, dots, train_dots

from darkpose.image.opencv import cv2

SET_UP = """
import torch
from darkpose.image.opencv import cv2
from darkpose.training.process import set_up_process
assert not torch.backends.cudnn.benchmark
set_up_process()
print(cv2.getNumThreads(), torch.backends.cudnn.benchmark)
"""


def test_opencv_has_one_thread_and_cudnn_chooses_its_algorithms() -> None:
    done = subprocess.run([sys.executable, "-c", SET_UP], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True"]


def test_training_by_the_library_leaves_the_settings_of_the_process(tmp_path: Path) -> None:
    before = cv2.getNumThreads(), torch.backends.cudnn.benchmark
    train_dots(QUICK, dots(tmp_path), tmp_path / "run", workers=1)
    assert (cv2.getNumThreads(), torch.backends.cudnn.benchmark) == before
