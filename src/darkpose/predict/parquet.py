"""Parquet files of records: a row per face, and a row for an image without a face."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkpose.errors import DarkposeError
from darkpose.predict.derived_values import NUMBERS, PROBLEM

if TYPE_CHECKING:
    import pyarrow as pa

FACE_COLUMNS = ("markup", "found_by", "detection_score", "score", "scores", "rolled", "reliable")
ELEMENTS = {"xx": (0, 0), "xy": (0, 1), "yy": (1, 1)}  # of a covariance
IMAGE_COLUMNS = ("input", "image", "status", "reason", "width", "height")


def need_pyarrow(path: object) -> None:
    """Check that pyarrow is installed, for the file or folder in the message.

    Raises:
        DarkposeError: it is not; the message names the extra.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise DarkposeError(f"{path}: Parquet files need pyarrow: pip install 'darkpose[parquet]'") from error


def arrow_schema(derived: bool = False) -> "pa.Schema":
    """The columns.

    Of the image, in each of its rows: input (number), image (name), status, reason, width, height (px, null if it was
    not read). Of the face, null if there is none: face (number in the image), markup (schema), x0, y0, x1, y1 (box),
    found_by, detection_score, score; lists over its K landmarks: x, y, scores, and xx, xy, yy (covariances, image px^2,
    null if not known; no lists if not asked for); rolled (degrees), reliable. With `derived`, the numbers of
    `derived_values` and the reason why some are null. Coordinates are image px, the first pixel's centre at (0, 0).
    """
    import pyarrow as pa

    numbers = pa.list_(pa.float32())
    columns: dict[str, pa.DataType] = {
        **{"input": pa.int64(), "image": pa.string(), "status": pa.string(), "reason": pa.string()},
        **{"width": pa.int32(), "height": pa.int32(), "face": pa.int32(), "markup": pa.string()},
        **{side: pa.float64() for side in ("x0", "y0", "x1", "y1")},
        **{"found_by": pa.string(), "detection_score": pa.float32(), "score": pa.float32()},
        **{"x": numbers, "y": numbers, "scores": numbers},
        **dict.fromkeys(ELEMENTS, numbers),
        **{"rolled": pa.int16(), "reliable": pa.bool_()},
        **({**dict.fromkeys(NUMBERS, pa.float64()), PROBLEM: pa.string()} if derived else {}),
    }
    return pa.schema(list(columns.items()))


def to_table(
    records: Sequence[Mapping[str, Any]], metadata: Mapping[str, str] | None = None, *, derived: bool = False
) -> "pa.Table":
    """Records as rows of a table with metadata; with `derived`, the faces have derived numbers."""
    import pyarrow as pa

    rows = [row for record in records for row in _rows(record)]
    return pa.Table.from_pylist(rows, schema=arrow_schema(derived).with_metadata(dict(metadata) if metadata else None))


def write_parquet(
    path: Path,
    records: Sequence[Mapping[str, Any]],
    metadata: Mapping[str, str] | None = None,
    *,
    derived: bool = False,
) -> None:
    """Write records with zstd compression and checksums; arguments as for `to_table`.

    Raises:
        DarkposeError: pyarrow is not installed.
        OSError: the file cannot be written.
    """
    need_pyarrow(path)
    import pyarrow.parquet as pq

    table = to_table(records, metadata, derived=derived)
    with path.open("wb") as file:  # pyarrow takes no path that is not UTF-8
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """The records that `write_parquet` wrote.

    Raises:
        DarkposeError: pyarrow is not installed.
        ValueError: the file is damaged, or has other columns.
        OSError: it cannot be read.
    """
    need_pyarrow(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        try:
            table = pq.ParquetFile(file, page_checksum_verification=True).read()
        except (pa.ArrowException, OSError) as error:
            if getattr(error, "errno", None):
                raise
            raise ValueError(str(error)) from error
    if not any(table.schema.equals(arrow_schema(derived)) for derived in (False, True)):
        raise ValueError(f"its columns are {', '.join(table.schema.names)}, expected {', '.join(arrow_schema().names)}")
    records: list[dict[str, Any]] = []
    for row in table.to_pylist():
        if not row["face"]:  # the first face, or none
            records.append({**{name: row[name] for name in IMAGE_COLUMNS}, "faces": []})
        if row["face"] is not None:
            records[-1]["faces"].append(_face(row))
    return records


def _rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    image = {name: record[name] for name in IMAGE_COLUMNS}
    rows = []
    for number, face in enumerate(record["faces"]):
        box = dict(zip(("x0", "y0", "x1", "y1"), face["box"], strict=True))
        x, y = ([point[axis] for point in face["keypoints"]] for axis in (0, 1))
        rest = {name: face.get(name) for name in FACE_COLUMNS}
        spread, derived = _elements(face.get("covariances")), face.get("derived", {})
        rows.append({**image, "face": number, **box, "x": x, "y": y, **rest, **spread, **derived})
    return rows or [image]


def _elements(covariances: Sequence[Sequence[Sequence[float]] | None] | None) -> dict[str, list[float | None]]:
    if covariances is None:
        return {}
    return {name: [None if each is None else each[i][j] for each in covariances] for name, (i, j) in ELEMENTS.items()}


def _covariances(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["xx"] is None:
        return {}
    each = zip(row["xx"], row["xy"], row["yy"], strict=True)
    return {"covariances": [None if xx is None else [[xx, xy], [xy, yy]] for xx, xy, yy in each]}


def _face(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "markup": row["markup"],
        "box": [row[side] for side in ("x0", "y0", "x1", "y1")],
        **{name: row[name] for name in ("found_by", "detection_score", "score")},
        "keypoints": [[x, y] for x, y in zip(row["x"], row["y"], strict=True)],
        "scores": row["scores"],
        **{name: row[name] for name in ("rolled", "reliable") if row[name] is not None},
        **_covariances(row),
        **({"derived": {name: row[name] for name in (*NUMBERS, PROBLEM)}} if PROBLEM in row else {}),
    }
