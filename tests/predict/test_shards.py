"""A folder of shards: its parts, missing inputs, and other runs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.part import Record
from darkpose.predict.shards import Shards, read_shards
from darkpose.predict.sources import Source

RUN = {"markup": "three", "weights_sha256": "00ff"}


@pytest.fixture(params=["jsonl", "parquet"])
def format(request: pytest.FixtureRequest) -> str:
    if request.param == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'darkpose[parquet]'")
    return str(request.param)


def sources(count: int, name: Callable[[int], str] = lambda number: f"{number}.jpg") -> Iterator[Source]:
    return (Source(name(number), name(number)) for number in range(count))


def record(number: int, source: Source) -> Record:
    head = {"input": number, "image": source.name, "status": "no face", "reason": ""}
    return {**head, "width": 8, "height": 8, "faces": []}


def write(folder: Path, count: int, *, stop: int | None = None, flush: bool = True, **options: Any) -> list[int]:
    """A run over `count` inputs that stops after `stop`; the numbers of the inputs it worked on."""
    worked: list[int] = []
    with Shards(folder, **{"format": "jsonl", "run": RUN, "size": 4, **options}) as shards:
        for number, source in shards.missing(sources(count)):
            if len(worked) == stop:
                break
            shards.add(record(number, source))
            worked.append(number)
        else:
            shards.finish()
        if flush:
            shards.flush()
    return worked


def numbers(folder: Path) -> list[int]:
    return [one["input"] for one in read_shards(folder)]


def test_every_input_has_one_record_in_its_part(tmp_path: Path, format: str) -> None:
    assert write(tmp_path, 10, format=format) == list(range(10))
    assert sorted(path.name for path in tmp_path.glob("part-*")) == [f"part-0000{n}.{format}" for n in range(3)]
    assert list(read_shards(tmp_path)) == [record(number, source) for number, source in enumerate(sources(10))]
    assert json.loads((tmp_path / "summary.json").read_text()) == {
        **{"inputs": 10, "done": 0, "no face": 10, "unreadable": 0, "faces": 0},
    }


@pytest.mark.parametrize("stop", [0, 1, 3, 4, 7, 10])
def test_a_run_that_was_stopped_continues_with_the_next_input(tmp_path: Path, format: str, stop: int) -> None:
    write(tmp_path, 10, format=format, stop=stop)
    assert numbers(tmp_path) == list(range(stop))
    assert write(tmp_path, 10, format=format) == list(range(stop, 10))
    assert numbers(tmp_path) == list(range(10))
    assert write(tmp_path, 10, format=format) == []


def test_a_run_that_was_killed_loses_the_current_part_only(tmp_path: Path) -> None:
    write(tmp_path, 10, stop=7, flush=False)
    (tmp_path / ".darkpose-0123456789ab.partial").write_text("half a part")
    assert write(tmp_path, 10) == list(range(4, 10))
    assert not list(tmp_path.glob("*.partial"))


def test_a_removed_part_is_made_again(tmp_path: Path) -> None:
    write(tmp_path, 12)
    (tmp_path / "part-00001.jsonl").unlink()
    assert write(tmp_path, 12) == [4, 5, 6, 7]
    assert numbers(tmp_path) == list(range(12))


def test_inputs_that_are_added_at_the_end_are_predicted(tmp_path: Path) -> None:
    write(tmp_path, 6)
    assert write(tmp_path, 9, stop=1) == [6]
    assert not (tmp_path / "summary.json").exists()  # of six inputs
    assert write(tmp_path, 9) == [7, 8]


def test_a_part_may_be_flushed_more_than_once(tmp_path: Path) -> None:
    with Shards(tmp_path, "jsonl", RUN, size=4) as shards:
        for number, source in shards.missing(sources(6)):
            shards.add(record(number, source))
            shards.flush()
    assert numbers(tmp_path) == list(range(6))


@pytest.mark.parametrize("count", [0, 3, 5, 8])
def test_fewer_inputs_than_there_are_records_are_refused(tmp_path: Path, count: int) -> None:
    write(tmp_path, 9)
    with pytest.raises(DarkposeError, match=r"part-0000\d\.jsonl.* inputs have changed"):
        write(tmp_path, count)


def test_other_inputs_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, 9)
    with (
        Shards(tmp_path, "jsonl", RUN, size=4) as shards,
        pytest.raises(DarkposeError, match=r"part-00001.jsonl: input 6.* 6.jpg, .*new; the inputs have changed"),
    ):
        list(shards.missing(sources(9, lambda number: "new" if number == 6 else f"{number}.jpg")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run": {**RUN, "markup": "four"}}, r'another run \(markup: there "three", here "four"\)'),
        ({"run": {**RUN, "method": "dark"}}, r'method: there null, here "dark"'),
        ({"size": 5}, "shard_size: there 4, here 5"),
    ],
)
def test_another_run_is_refused_with_the_difference(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    write(tmp_path, 5, stop=2)
    with pytest.raises(DarkposeError, match=message):
        write(tmp_path, 5, **options)
    assert numbers(tmp_path) == [0, 1]


def test_the_settings_of_a_run_are_those_that_its_file_gives_back(tmp_path: Path) -> None:
    with Shards(tmp_path, "jsonl", {"mean": (0.5, float("nan")), "pairs": [(1, 2)]}) as shards:
        assert json.loads((tmp_path / "run.json").read_text()) == shards.run
    assert shards.run["mean"] == [0.5, None]


@pytest.mark.parametrize("content", ["", "words", "[1]", '{"darkpose_shards": 2, "shard_size": 4}'])
def test_a_damaged_run_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DarkposeError, match=r"run\.json: not the file of a run"):
        write(tmp_path, 5)


def test_parts_of_an_unknown_run_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 5)
    (tmp_path / "run.json").unlink()
    with pytest.raises(DarkposeError, match=r"run\.json is missing .*part-00000\.jsonl"):
        write(tmp_path, 5)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-20], lambda b: b"words", lambda b: b"", lambda b: b[:40] + b"\xff\xfe\x00" + b[43:]]
)
def test_a_damaged_part_is_refused_and_made_again_once_removed(
    tmp_path: Path, format: str, damage: Callable[[bytes], bytes]
) -> None:
    write(tmp_path, 12, format=format)
    part = tmp_path / f"part-00001.{format}"
    part.write_bytes(damage(part.read_bytes()))
    with pytest.raises(DarkposeError, match=rf"part-00001.{format}: damaged .*; remove this file"):
        write(tmp_path, 12, format=format)
    part.unlink()
    assert write(tmp_path, 12, format=format) == [4, 5, 6, 7]


def test_a_part_under_another_number_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 12)
    (tmp_path / "part-00001.jsonl").write_bytes((tmp_path / "part-00002.jsonl").read_bytes())
    with pytest.raises(DarkposeError, match="expected the record of input 4"):
        write(tmp_path, 12)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with Shards(tmp_path, "jsonl", RUN), pytest.raises(DarkposeError, match="another process is writing"):  # noqa: SIM117
        with Shards(tmp_path, "jsonl", RUN):
            pass
    with Shards(tmp_path, "jsonl", RUN):
        pass


def test_a_refused_folder_is_unlocked(tmp_path: Path) -> None:
    write(tmp_path, 5)
    for _ in range(2):
        with pytest.raises(DarkposeError, match="another run"):
            write(tmp_path, 5, run={})


@pytest.mark.parametrize("size", [0, -1, 10**20])
def test_a_shard_size_that_cannot_be_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(DarkposeError, match=f"at least one input and at most 1000000, got --shard-size {size}$"):
        Shards(tmp_path / "out", "jsonl", RUN, size=size)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_a_clear_error_and_complete_parts_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Shards(tmp_path, "jsonl", RUN, size=2) as shards:
        missing = shards.missing(sources(4))
        shards.add(record(*next(missing)))
        shards.add(record(*next(missing)))
        shards.add(record(*next(missing)))

        def full(*_: object, **__: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(DarkposeError, match=r"part-00001\.jsonl: cannot be written: No space left"):
            shards.add(record(*next(missing)))
    monkeypatch.undo()
    assert write(tmp_path, 4, size=2) == [2, 3]
