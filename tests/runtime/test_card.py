import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.runtime.card import GraphCard, card_from_json, check_checksum, empty_checksum, with_checksum
from darkpose.schema import W300_68, WFLW_98, KeypointSchema
from darkpose.weights.calibrations import Calibration, calibration_to_json
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig

CARD = GraphCard(
    *(W300_68, CheckpointConfig(HRNetConfig(68)), "off", "dark", "fp32", "uint8"),
    outputs=("keypoints", "scores"),
    opset=20,
    weights={"sha256": "0" * 64, "terms": "none"},
    version="1.2.3",
)
CALIBRATION = Calibration("300w-68", 4.0, (1.0, 1.0), (1.0, 1.0), {})


def test_a_card_comes_back_from_its_text() -> None:
    for card in (CARD, replace(CARD, config=replace(CARD.config, crop_size=128), precision="int8")):
        assert card_from_json(card.to_json(), Path("x.onnx")) == card


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "nonsense", CARD.to_json().replace('"off"', '"off", "more": 1'), CARD.to_json()[:-9]]
)
def test_a_card_that_cannot_be_used_is_named(text: str) -> None:
    with pytest.raises(DarkposeError, match=r"^x\.onnx: its metadata cannot be used"):
        card_from_json(text, Path("x.onnx"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": WFLW_98}, "finds 68 landmarks, but the schema wflw-98 names 98"),
        ({"schema": {**asdict(W300_68), "name": "../x"}}, "becomes part of file names"),
        ({"schema": {**asdict(W300_68), "name": "/tmp/x"}}, "becomes part of file names"),
        ({"flip_test": "on"}, "flip_test: expected one of off, "),
        ({"method": ["dark"]}, "method: expected one of argmax, "),
        ({"precision": "int4"}, "precision: expected one of"),
        ({"crops": "int8"}, "crops: expected one of"),
        ({"outputs": ("keypoints",)}, "expected the outputs keypoints, scores, got"),
        ({"outputs": ("keypoints", "scores", "scores")}, "expected the outputs"),
        ({"outputs": ("keypoints", "scores", "covariance")}, "expected the outputs"),
        ({"outputs": ("keypoints", "scores", 3)}, r"outputs.2.: expected a text"),
        ({"opset": "20"}, "opset: expected a whole number"),
        ({"version": None}, "version: expected a text"),
        ({"weights": {}}, "which weights were exported"),
        ({"weights": {"sha256": 3}}, "weights.sha256: expected a text"),
        (
            {"calibration": CALIBRATION, "outputs": ("keypoints", "scores", "covariance")},
            "calibration of the 68 .* of 2",
        ),
    ],
)
def test_a_card_with_facts_that_do_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    text = json.dumps(json.loads(CARD.to_json()) | {key: _as_json(value) for key, value in changes.items()})
    with pytest.raises(DarkposeError, match=f"its metadata cannot be used .*{message}"):
        card_from_json(text, Path("x.onnx"))


def _as_json(value: Any) -> Any:
    if isinstance(value, Calibration):
        return calibration_to_json(value)
    return asdict(value) if isinstance(value, KeypointSchema) else value


def test_a_card_of_another_version_is_refused() -> None:
    with pytest.raises(DarkposeError, match="expected format 2"):
        card_from_json(CARD.to_json().replace('"format": "2"', '"format": "3"'), Path("x.onnx"))


def test_a_file_with_its_checksum_is_accepted_and_one_with_a_changed_byte_is_not(tmp_path: Path) -> None:
    file, data = tmp_path / "x.onnx", with_checksum(b"weights " + empty_checksum().encode() + b" more")
    file.write_bytes(data)
    check_checksum(file)
    for place in (0, len(data) // 2, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(DarkposeError, match=r"no checksum of darkpose|checksum does not match"):
            check_checksum(file)


def test_a_file_without_a_checksum_and_one_that_is_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"something else")
    with pytest.raises(DarkposeError, match="no checksum of darkpose"):
        check_checksum(tmp_path / "x.onnx")
    with pytest.raises(DarkposeError, match="cannot be read"):
        check_checksum(tmp_path / "y.onnx")


def test_there_is_one_place_for_the_checksum() -> None:
    for data in (b"", empty_checksum().encode() * 2):
        with pytest.raises(ValueError, match="one empty checksum"):
            with_checksum(data)
