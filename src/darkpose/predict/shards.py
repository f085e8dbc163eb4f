"""A folder of output shards: whole files of a fixed number of inputs each, and what of them is still to be made.

    run.json           what the run is: markup, names of the landmarks, weights, how faces are found
    part-00000.jsonl   the records of the inputs 0 .. size - 1 (or .parquet)
    part-00001.jsonl   those of size .. 2 size - 1
    summary.json       counts, once all inputs are done

A record says of one input: input (its number), image (its name), status ("done", "no face" or "unreadable"), reason
(where it is unreadable), width, height (px) and faces, a list as `results.to_dict` gives it without the landmarks'
names. Which inputs a part holds follows from its number alone, so a run goes on from whatever parts are there. A run
that was stopped may leave a part with the first of its inputs, which the next one completes.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from darkpose.errors import DarkposeError
from darkpose.files.atomic import make_folder, remove_leftovers, write_atomically, write_text
from darkpose.files.lock import file_lock
from darkpose.predict.batched import batched
from darkpose.predict.inputs import Source
from darkpose.predict.parquet import need_pyarrow, read_parquet, write_parquet

Format = Literal["jsonl", "parquet"]
Record = dict[str, Any]
STATUSES = ("done", "no face", "unreadable")
VERSION = 1


class Part(NamedTuple):
    """A shard that is not whole.

    Attributes:
        number: of the part.
        first: number of its first input.
        sources: its inputs.
        kept: the records of the first of them, from an earlier run.
    """

    number: int
    first: int
    sources: Sequence[Source]
    kept: list[Record]


class Shards:
    """The folder, open for writing by this process alone.

    Attributes:
        folder: where the shards are.
        format: of the shards.
        size: inputs per shard.
        kept: how many records of each status were there before, and how many faces in them.
        added: the same of this run.
    """

    def __init__(self, folder: Path, format: Format, run: Mapping[str, Any], *, size: int = 1000) -> None:
        """Name the folder; nothing is touched before the context is entered.

        Args:
            folder: made if it is not there.
            format: of the shards.
            run: JSON values of all that the records depend on, but for the inputs.
            size: inputs per shard.

        Raises:
            DarkposeError: the size is no positive number, or the format needs what is not installed.
        """
        if size < 1:
            raise DarkposeError(f"a shard must hold at least one input, got --shard-size {size}")
        if format == "parquet":
            need_pyarrow(folder)
        self.folder, self.format, self.size = folder, format, size
        self.run = {"darkpose_shards": VERSION, "format": format, "shard_size": size, **run}
        # All keys from the beginning: another thread adds to them while `summary` reads.
        self.kept: Counter[str] = Counter({**dict.fromkeys(STATUSES, 0), "faces": 0})
        self.added: Counter[str] = Counter()
        self._begun: dict[int, list[Record]] = {}  # of parts that are to be completed
        self._records: list[Record] = []  # of the part in work
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Lock the folder and begin, or go on with, the run.

        Raises:
            DarkposeError: another process is writing there, the folder holds another run, or it cannot be written.
        """
        make_folder(self.folder)
        try:
            self._held.enter_context(file_lock(self.folder / ".lock", wait=False))
        except BlockingIOError as error:
            raise DarkposeError(
                f"{self.folder}: another process is writing to this folder; wait for it, or name another --output"
            ) from error
        except OSError as error:
            raise DarkposeError(f"{self.folder}: cannot be written to: {error.strerror or error}") from error
        try:
            self._begin()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the folder; records that were not flushed are dropped."""
        self._held.close()

    def _begin(self) -> None:
        remove_leftovers(self.folder)
        file = self.folder / "run.json"
        if file.exists():
            _same_run(file, json.loads(json.dumps(self.run)))
        elif parts := _part_files(self.folder):
            raise DarkposeError(
                f"{file} is missing beside {next(iter(parts.values())).name}: it is not known what made that; "
                "name another --output"
            )
        else:
            write_text(file, json.dumps(self.run, indent=1) + "\n")

    def unfinished(self, sources: Iterable[Source]) -> Iterator[Part]:
        """The parts that are still to be made or completed, in order; what is there is checked against the sources.

        Raises:
            DarkposeError: a shard is damaged, or holds other inputs than the sources.
        """
        number = -1
        for number, block in enumerate(batched(sources, self.size)):
            path = part_file(self.folder, self.format, number)
            kept = read_part(path, number * self.size) if path.exists() else []
            _same_inputs(path, kept, block)
            if len(kept) < len(block):
                (self.folder / "summary.json").unlink(missing_ok=True)  # of an earlier run over fewer inputs
                yield Part(number, number * self.size, block, kept)
            self.kept.update(tally(kept))
        for other, path in _part_files(self.folder).items():
            if other > number:
                raise DarkposeError(f"{path}: the inputs end before this part; {_ADVICE}")

    def left(self, sources: Iterable[Source]) -> Iterator[tuple[int, Source]]:
        """The inputs without a record, with their numbers; see `unfinished`."""
        for part in self.unfinished(sources):
            self._begun[part.number] = part.kept
            done = len(part.kept)
            yield from enumerate(part.sources[done:], part.first + done)

    def add(self, record: Record) -> None:
        """Take the record of the next input that was left; a part that is whole is written.

        Raises:
            DarkposeError: it cannot be written.
        """
        if not self._records:
            self._records = [*self._begun.pop(record["input"] // self.size, [])]
        self._records.append(record)
        self.added.update(tally([record]))
        if len(self._records) == self.size:
            self.flush()

    def flush(self) -> None:
        """Write the part in work as far as it is.

        Raises:
            DarkposeError: it cannot be written.
        """
        if self._records:
            number = self._records[0]["input"] // self.size
            write_part(part_file(self.folder, self.format, number), self._records, self.run)
            if len(self._records) == self.size:
                self._records = []

    def finish(self) -> None:
        """All inputs have their record: write what is left, and the summary.

        Raises:
            DarkposeError: it cannot be written.
        """
        self.flush()
        write_text(self.folder / "summary.json", json.dumps(self.summary()) + "\n")

    def summary(self) -> dict[str, int]:
        """How many inputs have a record, of which status, and how many faces there are."""
        total = self.kept + self.added
        inputs = sum(total[status] for status in STATUSES)
        return {"inputs": inputs, **{key: total[key] for key in (*STATUSES, "faces")}}


_ADVICE = "the inputs have changed since; give the same ones in the same order, or name another --output"


def tally(records: Iterable[Record]) -> Counter[str]:
    """How many records of each status there are, and under "faces" how many faces."""
    counts: Counter[str] = Counter()
    for record in records:
        counts[record["status"]] += 1
        counts["faces"] += len(record["faces"])
    return counts


def part_file(folder: Path, format: Format, number: int) -> Path:
    """Where a part is."""
    return folder / f"part-{number:05d}.{format}"


def write_part(path: Path, records: Sequence[Record], run: Mapping[str, Any]) -> None:
    """Write a part, whole or not at all; one that is there is replaced.

    Raises:
        DarkposeError: it cannot be written.
    """
    if path.suffix == ".parquet":
        write_atomically(path, lambda temporary: write_parquet(temporary, records, {"darkpose": json.dumps(run)}))
    else:
        write_text(path, "".join(json.dumps(record, allow_nan=False) + "\n" for record in records))


def read_part(path: Path, first: int) -> list[Record]:
    """The records of a part whose first input has the number `first`.

    Raises:
        DarkposeError: it is damaged; the message says how to mend it.
    """
    try:
        records = read_parquet(path) if path.suffix == ".parquet" else _read_lines(path)
        if not records:
            raise ValueError("it is empty")
        for number, record in enumerate(records, first):
            if record["input"] != number or record["status"] not in STATUSES or not isinstance(record["faces"], list):
                raise ValueError(f"no record of the input {number} where it should be")
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DarkposeError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise DarkposeError(
            f"{path}: damaged ({error}); remove this file, and the same command makes it again"
        ) from error
    return records


def _read_lines(path: Path) -> list[Record]:
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        raise ValueError("its end is missing")
    return [json.loads(line) for line in lines]


def read_shards(folder: Path) -> Iterator[Record]:
    """The records in a folder, in the order of the inputs; one part is in memory at a time.

    Raises:
        DarkposeError: the folder holds no run, or a part is damaged.
    """
    run = _read_run(folder / "run.json")
    for number, path in _part_files(folder).items():
        yield from read_part(path, number * run["shard_size"])


def _part_files(folder: Path) -> dict[int, Path]:
    """The parts that are there, by number, in order."""
    found = {
        int(named[1]): path
        for path in folder.glob("part-*")
        if (named := re.fullmatch(r"part-(\d{5,})\.(jsonl|parquet)", path.name))
    }
    return dict(sorted(found.items()))


def _read_run(file: Path) -> dict[str, Any]:
    try:
        run = json.loads(file.read_bytes())
        if run["darkpose_shards"] != VERSION or not isinstance(run["shard_size"], int):
            raise ValueError(f"of version {run['darkpose_shards']}, expected {VERSION}")
    except OSError as error:
        raise DarkposeError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DarkposeError(f"{file}: not the file of a run ({error}); name another --output") from error
    return dict(run)


def _same_run(file: Path, wanted: Mapping[str, Any]) -> None:
    there = _read_run(file)
    for name in sorted({*there, *wanted}):
        if there.get(name) != wanted.get(name):
            raise DarkposeError(
                f"{file}: this folder holds another run ({name}: there {_short(there.get(name))}, here "
                f"{_short(wanted.get(name))}); run with the same options, or name another --output"
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _same_inputs(path: Path, kept: Sequence[Record], sources: Sequence[Source]) -> None:
    for place, record in enumerate(kept):
        here = sources[place].name if place < len(sources) else "nothing"
        if record["image"] != here:
            raise DarkposeError(f"{path}: its input {record['input']} is {record['image']}, here {here}; {_ADVICE}")
