"""A folder of shards: parts of a fixed number of inputs each, and the inputs that are still to be predicted.

    run.json           settings of the run: schema, names of the landmarks, weights, detector, ...
    part-00000.jsonl   records of the inputs 0 .. size - 1 (or .parquet)
    part-00001.jsonl   records of the inputs size .. 2 size - 1
    summary.json       counts, when all inputs are done

The number of a part gives its inputs, so a run continues from any parts that exist. A run that was stopped may leave a
part with its first records only, which the next run completes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from darkpose.errors import DarkposeError
from darkpose.files.atomic import make_folder, remove_leftovers, write_text
from darkpose.files.json_text import format_json, parse_json, read_json, shortened
from darkpose.files.lock import file_lock
from darkpose.predict.parquet import need_pyarrow
from darkpose.predict.part import STATUSES, Record, ShardFormat, count_records, part_path, read_part, write_part
from darkpose.predict.sources import Source
from darkpose.predict.stream import batched

VERSION = 1
MAX_SIZE = 10**6  # inputs per part; the records of a part are in memory
_ADVICE = "the inputs have changed since; give the same ones in the same order, or name another --output"


class UnfinishedPart(NamedTuple):
    """A part that lacks records.

    Attributes:
        number: of the part.
        first: number of its first input.
        sources: its inputs.
        kept: records of its first inputs, from an earlier run.
    """

    number: int
    first: int
    sources: Sequence[Source]
    kept: list[Record]


class Shards:
    """A folder of shards that only this process writes to.

    Attributes:
        folder: of the shards.
        format: of the parts.
        size: inputs per part.
        run: content of run.json.
        kept: numbers of records by status, and of faces, from earlier runs.
        added: the same for this run.
    """

    def __init__(self, folder: Path, format: ShardFormat, run: Mapping[str, Any], *, size: int = 1000) -> None:
        """Check the settings; the folder is made by `__enter__`.

        Args:
            folder: made if it does not exist.
            format: of the parts.
            run: everything the records depend on except the inputs.
            size: inputs per part.

        Raises:
            DarkposeError: the size is not from 1 to `MAX_SIZE`, or a package for the format is not installed.
        """
        if not 1 <= size <= MAX_SIZE:
            raise DarkposeError(f"a shard must hold at least one input and at most {MAX_SIZE}, got --shard-size {size}")
        if format == "parquet":
            need_pyarrow(folder)
        self.folder, self.format, self.size = folder, format, size
        self.run = parse_json(format_json({"darkpose_shards": VERSION, "format": format, "shard_size": size, **run}))
        # All keys from the beginning, because `summary` reads while another thread counts.
        self.kept: Counter[str] = Counter({**dict.fromkeys(STATUSES, 0), "faces": 0})
        self.added: Counter[str] = Counter()
        self._begun: dict[int, list[Record]] = {}  # records of parts that are to be completed
        self._records: list[Record] = []  # of the current part
        self._lock = ExitStack()

    def __enter__(self) -> Self:
        """Lock the folder, and begin or continue the run.

        Raises:
            DarkposeError: another process writes to the folder, it holds another run, or it cannot be written to.
        """
        make_folder(self.folder)
        try:
            self._lock.enter_context(file_lock(self.folder / ".lock", wait=False))
        except BlockingIOError as error:
            raise DarkposeError(
                f"{self.folder}: another process is writing to this folder; wait for it, or name another --output"
            ) from error
        except OSError as error:
            raise DarkposeError(f"{self.folder}: cannot be written to: {error.strerror or error}") from error
        try:
            self._begin()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unlock the folder; records that were not flushed are lost."""
        self._lock.close()

    def _begin(self) -> None:
        remove_leftovers(self.folder)
        file = self.folder / "run.json"
        if file.exists():
            _check_run(file, self.run)
        elif parts := _parts_in(self.folder):
            raise DarkposeError(
                f"{file} is missing next to {next(iter(parts.values())).name}, so the settings of that run are not "
                "known; name another --output"
            )
        else:
            write_text(file, format_json(self.run, indent=1) + "\n")

    def unfinished(self, sources: Iterable[Source]) -> Iterator[UnfinishedPart]:
        """The parts that are missing or incomplete, in order; existing records are compared with the sources.

        Raises:
            DarkposeError: a part is damaged, or has other inputs than the sources.
        """
        number = -1
        for number, block in enumerate(batched(sources, self.size)):
            path = part_path(self.folder, self.format, number)
            kept = read_part(path, number * self.size) if path.exists() else []
            _check_inputs(path, kept, block)
            if len(kept) < len(block):
                (self.folder / "summary.json").unlink(missing_ok=True)  # of an earlier run with fewer inputs
                yield UnfinishedPart(number, number * self.size, block, kept)
            self.kept.update(count_records(kept))
        for other, path in _parts_in(self.folder).items():
            if other > number:
                raise DarkposeError(f"{path}: there are no inputs for this part; {_ADVICE}")

    def missing(self, sources: Iterable[Source]) -> Iterator[tuple[int, Source]]:
        """The inputs without a record, with their numbers; raises errors as `unfinished`."""
        for part in self.unfinished(sources):
            self._begun[part.number] = part.kept
            done = len(part.kept)
            yield from enumerate(part.sources[done:], part.first + done)

    def add(self, record: Record) -> None:
        """Add the record of the next input of `missing`; a part is written when it is complete.

        Raises:
            DarkposeError: the part cannot be written.
        """
        if not self._records:
            self._records = [*self._begun.pop(record["input"] // self.size, [])]
        self._records.append(record)
        self.added.update(count_records([record]))
        if len(self._records) == self.size:
            self.flush()

    def flush(self) -> None:
        """Write the current part, complete or not.

        Raises:
            DarkposeError: it cannot be written.
        """
        if self._records:
            number = self._records[0]["input"] // self.size
            write_part(part_path(self.folder, self.format, number), self._records, self.run)
            if len(self._records) == self.size:
                self._records = []

    def finish(self) -> None:
        """Write the current part and the summary, when all inputs have a record.

        Raises:
            DarkposeError: there are no inputs, or a file cannot be written.
        """
        if not self.summary()["inputs"]:
            raise DarkposeError("no images were found in the given paths")
        self.flush()
        write_text(self.folder / "summary.json", format_json(self.summary()) + "\n")

    def summary(self) -> dict[str, int]:
        """Numbers of "inputs", of records by status, and of "faces"."""
        total = self.kept + self.added
        inputs = sum(total[status] for status in STATUSES)
        return {"inputs": inputs, **{key: total[key] for key in (*STATUSES, "faces")}}


def read_shards(folder: Path) -> Iterator[Record]:
    """The records in a folder, in the order of the inputs; one part is in memory at a time.

    Raises:
        DarkposeError: the folder holds no run, or a part is damaged.
    """
    run = _read_run(folder / "run.json")
    for number, path in _parts_in(folder).items():
        yield from read_part(path, number * run["shard_size"])


def _parts_in(folder: Path) -> dict[int, Path]:
    """The paths of the parts that exist, by number, in order."""
    paths = {
        int(match[1]): path
        for path in folder.glob("part-*")
        if (match := re.fullmatch(r"part-(\d{5,})\.(jsonl|parquet)", path.name))
    }
    return dict(sorted(paths.items()))


def _read_run(file: Path) -> dict[str, Any]:
    try:
        run = read_json(file)
    except DarkposeError as error:
        raise DarkposeError(f"{file}: not the file of a run ({error}); name another --output") from error
    version, size = (run.get(name) if isinstance(run, dict) else None for name in ("darkpose_shards", "shard_size"))
    if version != VERSION or type(size) is not int or size < 1:
        expected = f"expected version {VERSION} and a shard_size, got {shortened(version)} and {shortened(size)}"
        raise DarkposeError(f"{file}: not the file of a run ({expected}); name another --output")
    return dict(run)


def _check_run(file: Path, run: Mapping[str, Any]) -> None:
    """Refuse to continue a run with other settings."""
    existing = _read_run(file)
    for name in sorted({*existing, *run}):
        if existing.get(name) != run.get(name):
            raise DarkposeError(
                f"{file}: this folder holds another run ({name}: there {shortened(existing.get(name))}, here "
                f"{shortened(run.get(name))}); run with the same options, or name another --output"
            )


def _check_inputs(path: Path, kept: Sequence[Record], sources: Sequence[Source]) -> None:
    """Refuse records of other inputs."""
    for place, record in enumerate(kept):
        name = sources[place].name if place < len(sources) else "nothing"
        if record["image"] != name:
            raise DarkposeError(f"{path}: input {record['input']}: there {record['image']}, here {name}; {_ADVICE}")
