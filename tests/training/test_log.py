"""The log of a run."""

import json
from pathlib import Path

import pytest

from darkpose.errors import DarkposeError
from darkpose.training import log as runlog
from darkpose.training.log import RunLog, read_log


def test_lines_are_read_in_order(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", writes=True)
    for epoch in (1, 2, 3):
        log.write(mode="train", epoch=epoch, loss=0.5)
    assert [line["epoch"] for line in read_log(log.path)] == [1, 2, 3]


def test_later_epochs_and_a_half_written_line_are_removed(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", writes=True)
    for epoch in (1, 1, 2):
        log.write(epoch=epoch)
    with log.path.open("a") as file:
        file.write('{"epoch": 2, "lo')
    assert len(read_log(log.path)) == 3
    log.forget_after(1)
    assert log.path.read_text() == '{"epoch": 1}\n' * 2


def test_a_run_killed_before_its_first_state_begins_a_new_log(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", writes=True)
    log.path.write_text('{"epoch": 1, "iter": 0}\n{"epoch": 1, "it')
    log.forget_after(0)
    for epoch in (1, 2, 3):
        log.write(epoch=epoch)
    assert [line["epoch"] for line in read_log(log.path)] == [1, 2, 3]


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 1}\n{"epo\n{"epoch": 2}\n')
    with pytest.raises(DarkposeError, match="line 2"):
        read_log(path)


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    quiet = RunLog(tmp_path / "log.jsonl", writes=False)
    quiet.write(epoch=1)
    assert not quiet.path.exists()
    quiet.path.write_text(json.dumps({"epoch": 9}) + "\n")
    quiet.forget_after(1)
    assert len(read_log(quiet.path)) == 1


@pytest.mark.parametrize("line", ["[]", "3", '{"face": 0}'])
def test_lines_of_another_file_are_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "log.jsonl").write_text(f"{line}\n{line}\n")
    with pytest.raises(DarkposeError, match=r"log\.jsonl, line 1: .*epoch"):
        read_log(tmp_path / "log.jsonl")


def test_steps_that_will_run_again_are_removed_and_earlier_ones_of_their_epoch_stay(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", writes=True)
    for epoch in (1, 2):
        for step in range(3):
            log.write(mode="train", epoch=epoch, iter=3 * (epoch - 1) + step)
        log.write(mode="val", epoch=epoch)
    log.forget_after(1, 4)
    kept = [(line["mode"], line.get("iter")) for line in read_log(log.path)]
    assert kept == [("train", 0), ("train", 1), ("train", 2), ("val", None), ("train", 3)]


def test_on_a_full_disk_lines_are_kept_until_they_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, full = RunLog(tmp_path / "log.jsonl", writes=True), True
    append = runlog.append

    def refuse(path: Path, text: str) -> None:
        if full:
            raise OSError(28, "No space left on device")
        append(path, text)

    monkeypatch.setattr(runlog, "append", refuse)
    log.write(epoch=1)
    log.write(epoch=2)
    assert not log.path.exists()
    full = False
    log.write(epoch=3)
    assert [line["epoch"] for line in read_log(log.path)] == [1, 2, 3]
