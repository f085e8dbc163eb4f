"""Clips in, tables and annotated clips out."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import Person, ScriptedPredictor, image_at

from conftest import each_slow
from darkpose.image.pixels import write_image
from darkpose.video.clip import open_clip
from darkpose.video.clip_files import ClipOptions, ClipOutcome, process_clip
from darkpose.video.clip_table import read_table

pytest.importorskip("av", reason="needs av")
COUNT, RATE = 50, 25.0


def people(time: float) -> list[Person]:
    return [Person("a", 60 + 40 * time, 60, 50)] if time < 1.5 else []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(COUNT):
        write_image(folder / f"frame_{number}.png", image_at(number / RATE, size=(160, 120)))
    (folder / "frame_20.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return folder


def run(pictures: Path, base: Path, options: ClipOptions = ClipOptions(), stop: int | None = None) -> ClipOutcome:  # noqa: B008
    def watch(steps: Iterator[Any], _: str, total: int | None) -> Iterator[Any]:
        assert total == len(range(0, COUNT, options.every)) or options.start or options.end
        for count, step in enumerate(steps):
            if count == stop:
                raise KeyboardInterrupt
            yield step

    with open_clip(str(pictures), RATE) as clip:
        return process_clip(clip, base, ScriptedPredictor(people, noise=0.1), options, watch)


def test_a_clip_gives_a_table_and_an_annotated_clip(pictures: Path, tmp_path: Path) -> None:
    outcome = run(pictures, tmp_path / "out")
    assert outcome.files == [tmp_path / "out.csv", tmp_path / "out.landmarks.mp4"]
    assert not (tmp_path / "out.csv.unfinished").exists()
    assert outcome.counts == {"ok": 37, "no face": 12, "broken": 1, "faces": 37, "tracks": 1}
    rows = list(read_table(tmp_path / "out.csv"))
    assert [row.frame for row in rows] == list(range(COUNT))
    assert [row.time for row in rows] == pytest.approx(np.arange(COUNT) / RATE)
    assert all(row.raw is not None for row in rows if row.status == "ok")
    with open_clip(str(tmp_path / "out.landmarks.mp4")) as drawn:
        assert drawn.size == (160, 120)
        frames = list(drawn.frames())
    assert [frame.time for frame in frames] == pytest.approx(np.arange(COUNT) / RATE, abs=1e-3)
    first, last = frames[0].image, frames[-1].image
    assert first is not None
    assert last is not None
    assert (np.abs(first[35:85, 35:85].astype(int) - 100) > 50).any()
    assert (np.abs(last[20:].astype(int) - 100) < 20).all()


@pytest.mark.parametrize("stop", [0, *each_slow(1, 49), 31])
def test_a_run_that_was_interrupted_goes_on_to_the_same_files(pictures: Path, tmp_path: Path, stop: int) -> None:
    run(pictures, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(pictures, tmp_path / "stopped", stop=stop)
    assert (tmp_path / "stopped.csv.unfinished").exists()
    assert not (tmp_path / "stopped.landmarks.mp4").exists()
    run(pictures, tmp_path / "stopped")
    for ending in ("csv", "landmarks.mp4"):
        assert (tmp_path / f"stopped.{ending}").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()


def test_options_choose_what_is_made(pictures: Path, tmp_path: Path) -> None:
    outcome = run(pictures, tmp_path / "out", ClipOptions(0.4, 1.0, 2, "jsonl", "off", "off"))
    assert outcome.files == [tmp_path / "out.jsonl"]
    rows = list(read_table(tmp_path / "out.jsonl"))
    assert [row.frame for row in rows] == list(range(10, 25))
    assert all((row.status == "skipped") == (row.frame % 2 > 0) for row in rows)
    assert all(row.raw is None for row in rows)


LONG = """
import resource, sys
from pathlib import Path
from scripted import Person, ScriptedPredictor, image_at
from darkpose.video.annotated import AnnotatedClip
from darkpose.video.clip import open_clip
from darkpose.video.clip_files import ClipOptions, process_clip

class Still(ScriptedPredictor):
    def _people(self, image):
        return self.script(0.0)

folder, count = Path(sys.argv[1]), int(sys.argv[2])
with AnnotatedClip(folder / "long.mp4", (160, 120)) as written:
    for number in range(count):
        written.write(image_at(0.0, size=(160, 120)), number / 25)
predictor = Still(lambda _: [Person("a", 80, 60, 50)])
with open_clip(str(folder / "long.mp4")) as clip:
    process_clip(clip, folder / "out", predictor, ClipOptions(), lambda steps, *_: steps)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_clip_that_is_ten_times_as_long_takes_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for count in (400, 4000):
        command = [sys.executable, "-c", LONG, str(tmp_path), str(count)]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.1 * peaks[0]
