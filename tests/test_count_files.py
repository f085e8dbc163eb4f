"""How many files a reader of one prediction has to open."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "count_files.py"


@pytest.mark.xfail(reason="the network, its runtime and the command still have files to lose", strict=True)
@pytest.mark.parametrize("way", ["predictor", "predict"])
def test_a_prediction_runs_through_few_files(way: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), way], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
