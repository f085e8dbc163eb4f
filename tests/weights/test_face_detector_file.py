"""The file of the face detector: what is no such file is refused in one sentence."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from darkpose.errors import DarkposeError
from darkpose.weights.face_detector import FORMAT, FaceDetectorConfig, open_face_detector

CONFIG = json.dumps(asdict(FaceDetectorConfig()))
NESTED = '{"a": ' * 150 + "1" + "}" * 150


def written(path: Path, dtype: Any = np.float32, **metadata: str) -> Path:
    """A detector's file with one weight."""
    known = {"darkpose_face_detector": FORMAT, "config": CONFIG, "provenance": "{}", **metadata}
    save_file({"stem.weight": np.ones((2, 3), dtype)}, path, known)
    return path


def with_number(name: str, number: str) -> str:
    return json.dumps({**json.loads(CONFIG), name: 0.125}).replace("0.125", number)


def test_a_file_comes_back_with_its_facts(tmp_path: Path) -> None:
    found = open_face_detector(written(tmp_path / "a.safetensors", provenance='{"epoch": 3}'))
    assert (found.config, found.provenance) == (FaceDetectorConfig(), {"epoch": 3})
    assert found.arrays()["stem.weight"].shape == (2, 3)


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"provenance": "[]"}, r"provenance: expected an object, got \[\]"),
        ({"provenance": NESTED}, "more than 100 lists and objects in each other"),
        ({"provenance": '{"nme": 1e999}'}, "the number 1e999 is too large"),
        ({"config": "[]"}, "config: expected an object"),
        ({"config": NESTED}, "more than 100 lists and objects in each other"),
        ({"config": with_number("pyramid", "1e999")}, "the number 1e999 is too large"),
        ({"config": with_number("pyramid", "9" * 400)}, "a number of 400 digits, 9+..., is too large"),
        ({"config": with_number("pyramid", "9" * 299)}, "unusable widths or depths"),
        ({"config": with_number("normalisation", '{"mean": [1e300, 0, 0]}')}, "three means .* of at most 1e"),
        ({"config": with_number("normalisation", '{"std": [1e-300, 1, 1]}')}, "three positive standard deviations"),
        ({"config": with_number("depths", "[1, 1, 1]")}, "depths: expected a list of 4"),
    ],
)
def test_other_metadata_is_refused(tmp_path: Path, metadata: dict[str, str], why: str) -> None:
    with pytest.raises(DarkposeError, match=rf"a\.safetensors: its metadata cannot be used .*{why}"):
        open_face_detector(written(tmp_path / "a.safetensors", **metadata))


def test_complex_weights_are_refused(tmp_path: Path) -> None:
    file = open_face_detector(written(tmp_path / "a.safetensors", np.complex64))
    with pytest.raises(DarkposeError, match=r"a\.safetensors: expected finite real numbers, stem\.weight has others"):
        file.arrays()
