"""How many files a reader of one prediction has to open."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "count_files.py"


@pytest.mark.parametrize(
    "way",
    [
        "predictor",
        pytest.param("predict", marks=pytest.mark.xfail(reason="more files than wanted", strict=True)),
    ],
)
def test_a_prediction_runs_through_few_files(way: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), way], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
