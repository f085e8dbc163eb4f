"""An evaluation needs no torch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets.drawn_data_sets import make_wflw
from darkpose.datasets.wflw import read_wflw
from small_300w import write_predictions

SCRIPT = """
import sys
sys.modules["torch"] = None
from darkpose.cli.app import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    make_wflw(folder, train=1, test=2)
    return folder


def evaluate(root: Path, *options: str | Path) -> dict[str, Any]:
    command = [sys.executable, "-c", SCRIPT, "evaluate", "wflw-test", "--root", str(root), "--json", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_predictions_of_another_system_are_measured(root: Path, tmp_path: Path) -> None:
    samples = read_wflw(root, "test")
    points = np.stack([sample.keypoints for sample in samples])
    lengths = np.linalg.norm(points[:, 60] - points[:, 72], axis=-1)
    files = [write_predictions(tmp_path / f"{moved}.jsonl", points + np.array([0, moved])) for moved in (3, 5)]
    found = evaluate(root, "--predictions", files[0], "--against", files[1])
    assert found["subsets"]["all"]["nme"] == pytest.approx(100 * np.mean(3 / lengths))
    assert found["others"][0]["first_minus_this"]["difference"] == pytest.approx(-100 * np.mean(2 / lengths))


def test_weights_are_measured(root: Path, tmp_path: Path) -> None:
    found = evaluate(root, "--predictions", tmp_path / "p.jsonl", "--weights", "default", "--flip-test", "off")
    assert 0 < found["subsets"]["all"]["nme"] < 20
