"""The rows of a clip, and the journal of a run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import ScriptedPredictor, image_at
from test_tracker import crossing

from conftest import each_slow
from darkpose.errors import DarkposeError
from darkpose.files.journal import Journal
from darkpose.video.analysis import STATE_EVERY, analyse, journal_rows
from darkpose.video.clip import Frame
from darkpose.video.clip_table import Row
from darkpose.video.tracker import Tracker

HEAD = {"clip": "a"}
COUNT = 3 * STATE_EVERY + 10


def frames(every: int = 1) -> Iterator[Frame]:
    for number in range(0, COUNT, every):
        time = number / 25
        yield Frame(number, time, None if number == 40 else image_at(time))


def run(path: Path, every: int = 1, stop: int | None = None) -> list[Row]:
    with Journal(path, HEAD) as journal:
        tracker = Tracker(ScriptedPredictor(crossing))
        for count, _ in enumerate(analyse(frames(every), tracker, journal, covariance=False), 1):
            if count == stop:
                break
        return list(journal_rows(journal))


@pytest.mark.parametrize(
    "stop", [STATE_EVERY, *each_slow(1, STATE_EVERY - 1, STATE_EVERY + 1), 2 * STATE_EVERY + 5, COUNT]
)
def test_a_run_that_was_stopped_goes_on_to_the_same_rows(tmp_path: Path, stop: int) -> None:
    whole = run(tmp_path / "whole")
    assert len(run(tmp_path / "stopped", stop=stop)) <= len(whole)
    assert run(tmp_path / "stopped") == whole
    assert (tmp_path / "stopped").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("kept", [*each_slow(0.1, 0.77), 0.5, 0.999])
def test_a_run_that_was_killed_in_the_middle_of_a_line_goes_on_to_the_same_rows(tmp_path: Path, kept: float) -> None:
    whole = run(tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "killed").write_bytes(data[: int(kept * len(data))])
    assert run(tmp_path / "killed") == whole


def test_every_frame_has_its_rows(tmp_path: Path) -> None:
    rows = run(tmp_path / "all")
    assert {row.frame for row in rows} == set(range(COUNT))
    assert [row.status for row in rows if row.frame == 40] == ["broken"]
    assert {row.status for row in rows} == {"ok", "broken"}
    third = run(tmp_path / "third", every=3)
    assert {row.frame for row in third} == set(range(COUNT - (COUNT - 1) % 3))
    assert all((row.status == "skipped") == (row.frame % 3 > 0) for row in third)
    assert all((row.time is None) == (row.status == "skipped") for row in third)


def test_a_damaged_journal_is_refused_with_its_line(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    for line in ("nonsense\n", '{"rows": []}\n', '{"rows": [{"frame": "1"}]}\n', '{"state": 3}\n'):
        path = Path(shutil.copy(tmp_path / "whole", tmp_path / "damaged"))
        with path.open("a") as file:
            file.write(line)
        with pytest.raises(DarkposeError, match=r"damaged: line \d+ is damaged .*; remove this file"):
            run(path)


def test_a_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "whole", stop=3)
    with pytest.raises(DarkposeError, match="an unfinished run with other options"):
        Journal(tmp_path / "whole", {"clip": "b"})
