"""Files of calibrations: what is written is read again, and nothing else is."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.schema import KeypointSchema, join_schemas
from darkpose.weights.calibrations import (
    Calibration,
    calibration_beside,
    file_beside,
    read_calibrations,
    write_calibrations,
)

THREE = Calibration("three", 7.8, (0.5, 2.0, 0.1), (0.3, 0.1, 1.0), {"on": "a"})
TWO = Calibration("two", 7.8, (0.5, 0.0), (0.3, 0.1), {})


def schema(name: str, landmarks: int) -> KeypointSchema:
    return KeypointSchema(name, tuple(map(str, range(landmarks))), ())


def test_a_file_gives_the_calibrations_back_by_markup(tmp_path: Path) -> None:
    weights = tmp_path / "my.own.safetensors"
    two, four = schema("two", 2), schema("four", 4)
    assert calibration_beside(weights, two) is None
    file = file_beside(weights)
    assert file.name == "my.own.calibration.json"
    write_calibrations([THREE, TWO], file)
    assert read_calibrations(file) == {"three": THREE, "two": TWO}
    assert calibration_beside(weights, two) == TWO
    assert calibration_beside(weights, four) is None


def test_the_calibration_of_a_joined_schema_joins_those_of_its_parts(tmp_path: Path) -> None:
    weights, joined = tmp_path / "mine.safetensors", join_schemas(schema("three", 3), schema("two", 2))
    write_calibrations([TWO, THREE], file_beside(weights))
    found = calibration_beside(weights, joined)
    assert found == Calibration(
        "three+two", 7.8, THREE.scale + TWO.scale, THREE.floor + TWO.floor, {"three": {"on": "a"}, "two": {}}
    )
    write_calibrations([replace(TWO, width=7.0), THREE], file_beside(weights))
    assert calibration_beside(weights, joined) is None
    write_calibrations([THREE], file_beside(weights))
    assert calibration_beside(weights, joined) is None


def test_a_calibration_of_another_number_of_landmarks_is_refused_with_its_file(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    write_calibrations([THREE], file_beside(weights))
    with pytest.raises(DarkposeError, match=r"mine.calibration.json: .* the 4 landmarks of three, got one of 3"):
        calibration_beside(weights, schema("three", 4))


def test_a_landmark_without_a_calibration_is_null_in_the_file(tmp_path: Path) -> None:
    file, nan = tmp_path / "a.calibration.json", float("nan")
    write_calibrations([Calibration("two", 7.8, (nan, 1.0), (nan, 2.0), {})], file)
    assert json.loads(file.read_text())["markups"][0]["scale"] == [None, 1.0]
    found = read_calibrations(file)["two"]
    assert found.scale[0] != found.scale[0]  # NaN
    assert (found.scale[1], found.floor[1]) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 3}, "schema: expected a text"),
        ({"scale": [1, 2]}, "one floor per landmark"),
        ({"scale": [1, 2, "3"]}, "expected a "),
        ({"scale": [1, 2, True]}, "expected a "),
        ({"scale": 1}, "expected a "),
        ({"scale": [], "floor": []}, "one floor per landmark"),
        ({"floor": [1, 2, 0]}, "floor must be finite"),
        ({"floor": [1, 2, float("inf")]}, "Infinity is no number"),
        ({"floor": [1, 2, None]}, "floor must be finite"),
        ({"scale": [1, 2, -1]}, "scale must be finite"),
        ({"width": None}, "expected a "),
        ({"width": float("nan")}, "NaN is no number"),
        ({"fitted": "well"}, "fitted: expected an object"),
        ({"more": 1}, "has the unknown more"),
    ],
)
def test_a_file_with_a_wrong_calibration_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    file = tmp_path / "a.calibration.json"
    write_calibrations([TWO, THREE], file)
    content = json.loads(file.read_text())
    content["markups"][1] |= changes
    file.write_text(json.dumps(content))
    with pytest.raises(DarkposeError, match=message) as error:
        read_calibrations(file)
    assert str(file) in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "format 2"),
        ("3", "format 2"),
        ('{"darkpose_calibration": "1", "markups": []}', "format 2"),
        ('{"darkpose_calibration": "2"}', "markups"),
        ('{"darkpose_calibration": "2", "markups": {}}', "markups"),
        ('{"darkpose_calibration": "2", "markups": [], "more": 1}', "has the unknown more"),
        ('{"darkpose_calibration": "2", "markups": [3]}', "expected an object"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.calibration.json"
    file.write_text(text)
    with pytest.raises(DarkposeError, match=message):
        read_calibrations(file)


def test_a_schema_appears_once_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.calibration.json"
    write_calibrations([TWO, TWO], file)
    with pytest.raises(DarkposeError, match="one calibration for each schema"):
        read_calibrations(file)


def test_the_digest_depends_on_the_numbers_alone() -> None:
    assert THREE.digest() == replace(THREE, fitted={}).digest()
    assert THREE.digest() != replace(THREE, width=7.9).digest()
    assert THREE.digest() != replace(THREE, floor=(0.3, 0.1, 1.1)).digest()
