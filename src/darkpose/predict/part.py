"""One part of a run: the records of some consecutive inputs in a JSON lines or Parquet file.

A record is a dictionary: input (number), image (name), status ("done", "no face" or "unreadable"), reason (if
unreadable), width, height (px; None if unreadable) and faces, as `formats.to_dict` makes them without "names" and
"runtime".
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically, write_text
from darkpose.files.json_text import format_json, parse_json_lines
from darkpose.files.records import parse_record
from darkpose.files.text import read_text
from darkpose.predict.parquet import read_parquet, write_parquet

ShardFormat = Literal["jsonl", "parquet"]
Record = dict[str, Any]
STATUSES = ("done", "no face", "unreadable")


def count_records(records: Iterable[Record]) -> Counter[str]:
    """Numbers of records by status, and of "faces"."""
    counts: Counter[str] = Counter()
    for record in records:
        counts[record["status"]] += 1
        counts["faces"] += len(record["faces"])
    return counts


def part_path(folder: Path, format: ShardFormat, number: int) -> Path:
    """The path of a part."""
    return folder / f"part-{number:05d}.{format}"


def write_part(path: Path, records: Sequence[Record], run: Mapping[str, Any]) -> None:
    """Write a part, complete or not at all; an existing one is replaced.

    Args:
        path: of the part.
        records: in order.
        run: content of run.json, for the metadata of a Parquet file.

    Raises:
        DarkposeError: it cannot be written.
    """
    if path.suffix == ".parquet":
        derived, metadata = bool(run.get("derived")), {"darkpose": format_json(run)}
        write_atomically(path, lambda temporary: write_parquet(temporary, records, metadata, derived=derived))
    else:
        write_text(path, "".join(format_json(record) + "\n" for record in records))


def read_part(path: Path, first: int) -> list[Record]:
    """The records of a part; its first input has the number `first`.

    Raises:
        DarkposeError: the part cannot be read, or is damaged; the message says how to repair the run.
    """
    try:
        records = read_parquet(path) if path.suffix == ".parquet" else _read_lines(path)
        if not records:
            raise ValueError("it is empty")
        for number, record in enumerate(records, first):
            if parse_record(_Written, record).input != number:
                raise ValueError(f"expected the record of input {number}")
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # DarkposeError included
        if isinstance(error, DarkposeError) and isinstance(error.__cause__, OSError | ImportError):
            raise
        reason = str(error).removeprefix(f"{path}: ")
        raise DarkposeError(
            f"{path}: damaged ({reason}); remove this file, and the same command makes it again"
        ) from error
    return records


@dataclass(frozen=True)
class _Written:
    """A record in a file."""

    input: int
    image: str
    status: Literal["done", "no face", "unreadable"]
    reason: str
    width: int | None
    height: int | None
    faces: tuple[Mapping[str, Any], ...]


def _read_lines(path: Path) -> list[Record]:
    text = read_text(path)
    if text and not text.endswith("\n"):
        raise ValueError("its end is missing")
    return [record for _, record in parse_json_lines(text, path)]
