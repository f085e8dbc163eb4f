"""Parquet files of records."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.parquet import arrow_schema, need_pyarrow, read_parquet, write_parquet

ROOT = Path(__file__).parents[2]


def face(shift: float = 0.0) -> dict[str, Any]:
    return {
        **{"markup": "three", "box": [1.5, 2.0, 30.25, 40.0], "found_by": "given", "detection_score": None},
        **{"score": 0.5, "keypoints": [[1.5 + shift, 2.5], [3.0, 4.0], [5.0, 6.0]], "scores": [0.25, 0.5, None]},
    }


RECORDS: list[dict[str, Any]] = [
    {
        "input": 5,
        "image": "a.jpg",
        "status": "done",
        "reason": "",
        "width": 64,
        "height": 48,
        "faces": [face(), face(1)],
    },
    {"input": 6, "image": "ü.jpg", "status": "no face", "reason": "", "width": 8, "height": 8, "faces": []},
    {"input": 7, "image": "c", "status": "unreadable", "reason": "why", "width": None, "height": None, "faces": []},
    {
        **{"input": 9, "image": "b.jpg", "status": "done", "reason": "", "width": 64, "height": 48},
        "faces": [{**face(), "covariances": [[[1.5, 0.25], [0.25, 2.0]], None, [[3.0, 0.0], [0.0, 4.0]]]}],
    },
    {"input": 8, "image": "a.jpg", "status": "done", "reason": "", "width": 64, "height": 48, "faces": [face()]},
]


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'darkpose[parquet]'")
    write_parquet(tmp_path / "a.parquet", RECORDS, {"darkpose": "{}"})
    assert read_parquet(tmp_path / "a.parquet") == RECORDS
    write_parquet(tmp_path / "none.parquet", [])
    assert read_parquet(tmp_path / "none.parquet") == []


def test_the_path_may_be_no_utf_8(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / os.fsdecode(b"\xff.parquet")
    write_parquet(path, RECORDS)
    assert read_parquet(path) == RECORDS


def test_there_is_a_row_per_face_and_one_for_an_image_without(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'darkpose[parquet]'")
    write_parquet(tmp_path / "a.parquet", RECORDS, {"darkpose": "{}"})
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [(row["input"], row["face"], row["status"]) for row in rows] == [
        *((5, 0, "done"), (5, 1, "done"), (6, None, "no face"), (7, None, "unreadable")),
        *((9, 0, "done"), (8, 0, "done")),
    ]
    assert (rows[1]["x"], rows[1]["y"], rows[1]["x0"]) == ([2.5, 3.0, 5.0], [2.5, 4.0, 6.0], 1.5)
    elements = [[1.5, None, 3.0], [0.25, None, 0.0], [2.0, None, 4.0]]
    assert [rows[-2][name] for name in ("xx", "xy", "yy")] == elements
    assert rows[0]["xx"] is None


def test_another_table_or_a_damaged_file_is_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'darkpose[parquet]'")
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(ValueError, match="columns are a, expected input"):
        read_parquet(path)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError):  # noqa: PT011  # in pyarrow's words
        read_parquet(path)


def test_the_documented_columns_are_those_of_the_file() -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'darkpose[parquet]'")
    page = (ROOT / "docs" / "scale.md").read_text()
    table = re.search(r"\| column \| type .*?\n\n", page, re.DOTALL)
    assert table is not None
    named = [name for line in table[0].strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert named == arrow_schema().names


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DarkposeError, match=r"out: .*pip install 'darkpose\[parquet\]'"):
        need_pyarrow("out")
