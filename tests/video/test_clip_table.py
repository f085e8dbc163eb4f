"""Tables of clips, written and read again."""

import csv
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.errors import DarkposeError
from darkpose.video.clip_table import Row, read_table, write_table

ENDINGS = [
    "csv",
    "jsonl",
    pytest.param("parquet", marks=pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow")),
]
FIELDS = ["keypoints", "scores", "raw", "covariances"]
NUMBERS = st.floats(-1e4, 1e4, width=32)
PAIR = st.tuples(NUMBERS, NUMBERS)


def face(frame: int, track: int, fields: Sequence[str] = FIELDS, points: int = 3) -> Row:
    rng = np.random.default_rng([frame, track])

    def values(width: int) -> list[tuple[float, ...]]:
        return [tuple(row) for row in rng.uniform(0, 500, (points, width)).astype(np.float32).tolist()]

    spread = [*values(3)[:-1], None]
    return Row(
        frame,
        "ok",
        frame / 25,
        track,
        "300w-68",
        (1.0, 2.0, 30.5, 40.25),
        "darkpose",
        0.9,
        0.75,
        0,
        tuple(values(2)),  # type: ignore[arg-type]
        tuple(row[0] for row in values(1)),
        tuple(values(2)) if "raw" in fields else None,  # type: ignore[arg-type]
        tuple(spread) if "covariances" in fields else None,  # type: ignore[arg-type]
    )


ROWS = [
    face(0, 1),
    face(0, 2),
    Row(1, "skipped"),
    Row(2, "no face", 0.08),
    Row(3, "broken", 0.12),
    face(4, 2),
]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("fields", [FIELDS, FIELDS[:2], FIELDS[:3]])
def test_a_table_is_read_as_it_was_written(tmp_path: Path, ending: str, fields: list[str]) -> None:
    rows = [face(row.frame, row.track, fields) if row.track else row for row in ROWS]
    path = tmp_path / f"clip.{ending}"
    write_table(path, rows, fields, 3)
    assert list(read_table(path)) == rows


@pytest.mark.parametrize("ending", ENDINGS)
@given(points=st.lists(PAIR, min_size=2, max_size=2), unknown=st.integers(0, 1))
def test_any_numbers_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, ending: str, points: list[tuple[float, float]], unknown: int
) -> None:
    scores = [0.5, 0.25]
    row = Row(7, "ok", 1 / 3, 9, "x", (0.0, 1.0, 2.0, 3.0), "haar", None, None, 90, tuple(points), tuple(scores))
    path = tmp_path_factory.mktemp("t") / f"clip.{ending}"
    write_table(path, [row], FIELDS[:2], 2)
    assert list(read_table(path)) == [row]


def test_csv_has_a_column_for_each_number(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ROWS, FIELDS, 3)
    with (tmp_path / "a.csv").open() as file:
        first, second, *_ = csv.DictReader(file)
    expected = ROWS[0]
    assert (first["frame"], first["track"], second["track"], first["box_x1"]) == ("0", "1", "2", "30.5")
    assert expected.keypoints is not None
    assert expected.covariances is not None
    assert expected.covariances[0] is not None
    assert [float(first[name]) for name in ("x2", "y2")] == list(expected.keypoints[2])
    assert [float(first[name]) for name in ("xx0", "xy0", "yy0")] == list(expected.covariances[0])
    assert [first[name] for name in ("xx2", "xy2", "yy2")] == [""] * 3


def test_json_lines_hold_what_is_known(tmp_path: Path) -> None:
    write_table(tmp_path / "a.jsonl", ROWS, FIELDS, 3)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines[2] == {"frame": 1, "status": "skipped"}
    assert lines[0]["keypoints"] == [list(point) for point in ROWS[0].keypoints or ()]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.txt", "", r"a\.txt: a table of a clip ends with \.csv, \.jsonl or \.parquet"),
        ("a.csv", "", "the first line is not that of a clip's table"),
        ("a.csv", "frame,x0\n1,2\n", "the first line is not that of a clip's table"),
        ("a.jsonl", "[1]\n", "line 1: not a row of a clip's table"),
        ("a.jsonl", "{\n", "line 1: not JSON"),
        ("a.jsonl", '{"frame": 1}\n', "line 1: not a row of a clip's table .it misses"),
        ("a.jsonl", '{"frame": 1, "time": 0.1, "status": "fine"}\n', "expected one of ok"),
        ("a.jsonl", '{"frame": 1, "time": 0.1, "status": "ok"}\n', "not those of a face"),
        (
            "a.jsonl",
            '{"frame": 2, "time": 1, "status": "broken"}\n{"frame": 1, "time": 2, "status": "broken"}\n',
            "after",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DarkposeError, match=reason):
        list(read_table(tmp_path / name))


def test_whole_numbers_and_a_byte_order_mark_as_other_programs_write_them_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_table(path, ROWS, FIELDS, 3)
    text = path.read_text().replace(",ok,0.0,1,", ",ok,0.0,1.0,").replace(",ok,0.16,2,", ",ok,0.16,2.0,")
    path.write_text("\ufeff" + text.replace(",0.75,0,", ",0.75,0.0,"))
    assert list(read_table(path)) == ROWS
    (tmp_path / "a.jsonl").write_text('{"frame": 1.0, "status": "skipped", "track": null}\n')
    assert list(read_table(tmp_path / "a.jsonl")) == [Row(1, "skipped")]


@pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow")
def test_a_parquet_table_with_other_types_of_numbers_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    write_table(path, ROWS, FIELDS, 3)
    table = pq.read_table(path)
    types = {"track": pa.float64(), "frame": pa.int16(), "x": pa.large_list(pa.float64()), "status": pa.large_string()}
    schema = pa.schema([(field.name, types.get(field.name, field.type)) for field in table.schema])
    pq.write_table(table.cast(schema), path)
    assert list(read_table(path)) == ROWS


def test_a_damaged_row_of_csv_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_table(path, ROWS, FIELDS, 3)
    lines = path.read_text().splitlines()
    for row, reason in (
        (lines[1] + ",1", "expected .* fields"),
        (lines[1].replace("300w-68,1.0", "300w-68,one"), "one"),
        (lines[1].replace("300w-68,1.0", "300w-68,nan"), "expected a finite number, got nan"),
    ):
        path.write_text("\n".join([lines[0], row]) + "\n")
        with pytest.raises(DarkposeError, match=rf"a\.csv:2: .*{reason}"):
            list(read_table(path))


def test_a_field_of_csv_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_table(path, ROWS, FIELDS, 3)
    path.write_text(path.read_text() + "1" * 140_000)
    with pytest.raises(DarkposeError, match=r"a\.csv: cannot be read: field larger"):
        list(read_table(path))


@pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow")
def test_a_damaged_parquet_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, ROWS, FIELDS, 3)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DarkposeError, match=r"a\.parquet"):
        list(read_table(path))
    path.write_text("no parquet")
    with pytest.raises(DarkposeError, match="not a Parquet file"):
        list(read_table(path))
