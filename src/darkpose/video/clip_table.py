"""The table of a clip: a row per face and frame, and a row for a frame without a face.

Coordinates are image px, the first pixel's centre at (0, 0). JSON lines hold the fields of `Row`, those that are known.
CSV has a column for each number: box_x0, box_y0, box_x1, box_y1; x0, y0, x1, y1, ... of the landmarks; s0, s1, ... of
the scores; raw_x0, raw_y0, ...; xx0, xy0, yy0, ... of the covariances; what is not known is empty. Parquet has lists
over the landmarks: x, y, scores, raw_x, raw_y, xx, xy, yy. Derived numbers, if they were asked for, are columns by
their names, and so is the reason why some are not known.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically, write_lines
from darkpose.files.json_text import format_json, parse_json
from darkpose.files.paths import check_regular
from darkpose.files.records import parse_record
from darkpose.predict.derived_values import NUMBERS, PROBLEM
from darkpose.predict.parquet import need_pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

TableFormat = Literal["csv", "jsonl", "parquet"]
Status = Literal["ok", "no face", "broken", "skipped"]
Number = float | None
GROUP = 1000  # rows of Parquet that are held in memory
BOX = ("box_x0", "box_y0", "box_x1", "box_y1")
WHOLE = ("frame", "track", "rolled")  # columns of whole numbers
TEXTS = ("status", "markup", "found_by")
SINGLE = ("frame", "time", "status", "track", "markup", *BOX, "found_by", "detection_score", "score", "rolled")
# Columns of a landmark: of CSV, of Parquet, the field, and the place in its values (None: they are numbers).
EACH = {
    "keypoints": (("x", "x", 0), ("y", "y", 1)),
    "scores": (("s", "scores", None),),
    "raw": (("raw_x", "raw_x", 0), ("raw_y", "raw_y", 1)),
    "covariances": (("xx", "xx", 0), ("xy", "xy", 1), ("yy", "yy", 2)),
}


@dataclass(frozen=True)
class Row:
    """A face in a frame, or a frame without a face.

    Attributes:
        frame: number in the clip, from 0.
        status: "broken": the frame could not be decoded; "skipped": it was not asked for.
        time: s; None: not known, as the frame was skipped.
        track: number of the face in the clip. None, as all that follows: there is no face.
        markup: name of the schema.
        box: x0, y0, x1, y1, image px.
        found_by, detection_score: of the detector when it last found the face.
        score: mean of `scores`.
        rolled: as `Face.rolled`.
        keypoints: x, y in image px, smoothed if that was asked for.
        scores: of the landmarks.
        raw: the keypoints before they were smoothed; None: they were not.
        covariances: xx, xy, yy in image px^2, of the raw keypoints; None: not asked for.
        derived: the numbers of `predict.derived_values`, of the keypoints; None: not asked for.
        derived_problem: why some of them are not known.
    """

    frame: int
    status: Status
    time: Number = None
    track: int | None = None
    markup: str | None = None
    box: tuple[float, float, float, float] | None = None
    found_by: str | None = None
    detection_score: Number = None
    score: Number = None
    rolled: int | None = None
    keypoints: tuple[tuple[Number, Number], ...] | None = None
    scores: tuple[Number, ...] | None = None
    raw: tuple[tuple[Number, Number], ...] | None = None
    covariances: tuple[tuple[float, float, float] | None, ...] | None = None
    derived: Mapping[str, Number] | None = None
    derived_problem: str | None = None

    def __post_init__(self) -> None:
        lengths = {len(each) for each in (self.keypoints, self.scores, self.raw, self.covariances) if each is not None}
        if (
            len(lengths) > 1
            or (self.track is None) != (self.keypoints is None)
            or (self.status == "ok") != bool(lengths)
        ):
            raise DarkposeError("the lists of a row differ in length, or are not those of a face")
        if self.derived is not None and set(self.derived) != set(NUMBERS):
            raise DarkposeError(f"the derived numbers of a row must be {', '.join(NUMBERS)}")

    def values(self) -> dict[str, Any]:
        """What is known, as JSON values."""
        return {name: value for name, value in vars(self).items() if value is not None}


def write_table(path: Path, rows: Iterable[Row], fields: Sequence[str], points: int) -> None:
    """Write a table, complete or not at all; `path` ends with the format: .csv, .jsonl or .parquet.

    Args:
        path: of the file.
        rows: in the order of their frames; they are not held in memory.
        fields: that the rows may have: "keypoints", "scores", "raw", "covariances", and "derived".
        points: number of landmarks of a face.

    Raises:
        DarkposeError: it cannot be written, or pyarrow is not installed.
    """
    if path.suffix == ".parquet":
        write_atomically(path, lambda temporary: _write_parquet(temporary, rows, fields))
    elif path.suffix == ".jsonl":
        write_lines(path, (format_json(row.values()) + "\n" for row in rows))
    else:
        write_lines(path, _csv_lines(rows, fields, points))


def read_table(path: Path) -> Iterator[Row]:
    """The rows of a table that `write_table` wrote; they are not held in memory.

    Raises:
        DarkposeError: it cannot be read, is not such a table, its frames are not in order, or pyarrow is not installed.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_lines, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise DarkposeError(f"{path}: a table of a clip ends with .csv, .jsonl or .parquet")
    before = -1
    try:
        check_regular(path)
        for where, values in readers[path.suffix](path):
            try:
                row = parse_record(Row, _known(values))
            except DarkposeError as error:
                raise DarkposeError(f"{where}: not a row of a clip's table ({error})") from error
            if row.frame < before:
                raise DarkposeError(f"{where}: frame {row.frame} comes after frame {before}")
            before = row.frame
            yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DarkposeError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are known; whole numbers may be written as 1.0, as pandas does."""
    known = {name: value for name, value in values.items() if value is not None}
    whole = (name for name in WHOLE if isinstance(known.get(name), float) and known[name].is_integer())
    return {**known, **{name: int(known[name]) for name in whole}}


def _csv_columns(fields: Sequence[str], points: int) -> dict[str, tuple[str, int, int | None]]:
    """Columns of landmarks -> the field, the landmark, and the place in its values."""
    return {
        f"{name}{point}": (field, point, place)
        for field, each in EACH.items()
        if field in fields
        for point in range(points)
        for name, _, place in each
    }


def _single(fields: Sequence[str]) -> tuple[str, ...]:
    """The columns that a face has once."""
    return (*SINGLE, *NUMBERS, PROBLEM) if "derived" in fields else SINGLE


def _csv_lines(rows: Iterable[Row], fields: Sequence[str], points: int) -> Iterator[str]:
    columns, single = _csv_columns(fields, points), _single(fields)
    yield _csv_line([*single, *columns])
    for row in rows:
        values = _flat(row)
        cells = [values.get(name) for name in single]
        for field, point, place in columns.values():
            value = values[field][point] if field in values else None
            cells.append(value if place is None or value is None else value[place])
        yield _csv_line(cells)


def _csv_line(cells: Sequence[object]) -> str:
    """Cells as a line; the reason of a problem may have a comma."""
    texts = ["" if cell is None else str(cell) for cell in cells]
    return ",".join(f'"{text}"' if "," in text else text for text in texts) + "\n"


def _flat(row: Row) -> dict[str, Any]:
    """The values of a row, those of its box and the derived ones by the names of their columns."""
    return {**row.values(), **dict(zip(BOX, row.box or (), strict=False)), **(row.derived or {})}


def _read_csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        points = sum(name[0] == "x" and name[1:].isdigit() for name in names if name)
        fields = [field for field, each in EACH.items() if f"{each[0][0]}0" in names]
        fields += ["derived"] if PROBLEM in names else []
        columns, single = _csv_columns(fields, points), _single(fields)
        if names != [*single, *columns]:
            raise DarkposeError(f"{path}: the first line is not that of a clip's table in CSV")
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if len(cells) != len(names):
                raise DarkposeError(f"{where}: expected {len(names)} fields as in the first line, got {len(cells)}")
            yield where, _from_cells(where, dict(zip(names, cells, strict=True)), columns, points)


def _from_cells(
    where: str, cells: Mapping[str, str], columns: Mapping[str, tuple[str, int, int | None]], points: int
) -> dict[str, Any]:
    """The values of a row of CSV."""
    try:
        values: dict[str, Any] = {
            name: cells[name] if name in TEXTS else _number(cells[name])
            for name in SINGLE
            if cells[name] and name not in BOX
        }
        if not cells["track"]:
            return values
        values["box"] = [_number(cells[name]) for name in BOX]
        if PROBLEM in cells:
            values["derived"] = {name: _number(cells[name]) if cells[name] else None for name in NUMBERS}
            values[PROBLEM] = cells[PROBLEM]
        for name, (field, point, place) in columns.items():
            each = values.setdefault(field, [[] if place is not None else None for _ in range(points)])
            number = _number(cells[name]) if cells[name] else None
            if place is None:
                each[point] = number
            else:
                each[point].append(number)
    except ValueError as error:
        raise DarkposeError(f"{where}: {error}") from error
    return {**values, **_without_unknown(values)}


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {text}")
    return number


def _without_unknown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Covariances with None for those that are not known."""
    if values.get("covariances") is None:
        return {}
    return {"covariances": [None if None in each else each for each in values["covariances"]]}


def _read_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            where = f"{path}, line {number}"
            try:
                values = parse_json(line)
            except DarkposeError as error:
                raise DarkposeError(f"{where}: {error}") from error
            if not isinstance(values, dict):
                raise DarkposeError(f"{where}: not a row of a clip's table")
            yield where, values


def _arrow_schema(fields: Sequence[str]) -> "pa.Schema":
    import pyarrow as pa

    texts = dict.fromkeys((*TEXTS, PROBLEM), pa.string())
    kinds = {**dict.fromkeys(WHOLE, pa.int32()), **texts, "frame": pa.int64()}
    lists = [name for each in EACH.values() for _, name, _ in each]
    return pa.schema(
        [(name, kinds.get(name, pa.float64())) for name in _single(fields)]
        + [(name, pa.list_(pa.float32())) for name in lists]
    )


def _write_parquet(path: Path, rows: Iterable[Row], fields: Sequence[str]) -> None:
    need_pyarrow(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, iterator = _arrow_schema(fields), iter(rows)
    with path.open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as out:
        while group := list(islice(iterator, GROUP)):
            out.write_table(pa.Table.from_pylist([_arrow_row(row) for row in group], schema=schema))


def _arrow_row(row: Row) -> dict[str, Any]:
    values = _flat(row)
    for field, each in EACH.items():
        for _, name, place in each if field in values else ():
            values[name] = [v if place is None else None if v is None else v[place] for v in getattr(row, field)]
    return values


def _read_parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    need_pyarrow(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    with path.open("rb") as file:
        try:
            table = pq.ParquetFile(file, page_checksum_verification=True)
            schema = _arrow_schema(["derived"] if PROBLEM in table.schema_arrow.names else [])
            if table.schema_arrow.names != schema.names:
                raise DarkposeError(f"{path}: its columns are not those of a clip's table")
            for batch in table.iter_batches(GROUP):
                for values in pa.Table.from_batches([batch]).cast(schema).to_pylist():  # pandas writes other types
                    number += 1
                    yield f"{path}, row {number}", _from_arrow(values)
        except (pa.ArrowException, OSError) as error:
            raise DarkposeError(f"{path}: not a Parquet file that can be read: {error}") from error


def _from_arrow(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row of Parquet."""
    found = {name: values[name] for name in SINGLE if name not in BOX}
    if values["track"] is None:
        return found
    found["box"] = [values[name] for name in BOX]
    if PROBLEM in values:
        found |= {"derived": {name: values[name] for name in NUMBERS}, PROBLEM: values[PROBLEM]}
    for field, each in EACH.items():
        lists = [values[name] for _, name, _ in each]
        if lists[0] is not None:
            found[field] = lists[0] if len(lists) == 1 else [list(point) for point in zip(*lists, strict=True)]
    return {**found, **_without_unknown(found)}
