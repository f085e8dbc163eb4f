"""The results of a run that could not end."""

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.unfinished import Unfinished

FACE = {
    **{"markup": "300w-68", "box": [0.0, 1.0, 2.0, 3.0], "found_by": "yunet", "runtime": "torch", "rolled": 0},
    **{"reliable": True, "detection_score": 0.9, "score": 0.5, "keypoints": [[1.5, None]], "scores": [0.5]},
    "names": ["left_eye"],
}
FACTS = {"weights": "abc"}


def entry(name: str, **changes: Any) -> dict[str, Any]:
    return {"place": f"/{name}", "image": name, "width": 9, "height": 9, "faces": [FACE], **changes}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "landmarks.csv.unfinished"
    with Unfinished(path, FACTS) as results:
        for name in "ab":
            results.add(entry(name))
    return path


@pytest.mark.parametrize("kept", [0, 1, 17])
def test_a_run_killed_before_its_first_line_was_whole_begins_anew(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with Unfinished(path, FACTS) as results:
        assert not results.done
        results.add(entry("c"))
        assert [each["image"] for each in results] == ["c"]


def test_a_line_cut_at_any_byte_loses_its_image_only(path: Path) -> None:
    data = path.read_bytes()
    begin = data.rindex(b"\n", 0, -1) + 1
    for end in range(begin, len(data), 29):
        path.write_bytes(data[:end])
        with Unfinished(path, FACTS) as results:
            assert results.done == {"/a"}


def test_a_long_line_that_was_cut_is_dropped_too(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"image": "' + b"c" * 200_000)
    with Unfinished(path, FACTS) as results:
        assert results.done == {"/a", "/b"}
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        json.dumps(entry("c", faces=[{**FACE, "keypoints": 3}])),
        json.dumps(entry("c", faces=[{**FACE, "scores": [0.5, 0.5]}])),
        json.dumps(entry("c", faces=[{"box": None}])),
        json.dumps(entry("c", faces=5)),
        json.dumps({"image": "c"}),
        '{"image": NaN}',
        "[" * 2000,
    ],
)
def test_a_damaged_line_is_named_with_what_to_do(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DarkposeError, match=r"line 4 is damaged .*; remove this file, or name another --output"):
        Unfinished(path, FACTS)
    with pytest.raises(DarkposeError, match="line 4 is damaged"):  # the refusal has released the file
        Unfinished(path, FACTS)


def test_bytes_that_are_no_text_are_a_sentence(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\xff\n")
    with pytest.raises(DarkposeError, match=r"cannot be (read|used): .*utf-8"):
        Unfinished(path, FACTS)


def test_a_disk_that_takes_half_a_line_leaves_the_lines_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data)[:20])

    whole = path.read_bytes()
    with Unfinished(path, FACTS) as results:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", lambda self, mode, buffering: Full(self, mode))
            with pytest.raises(DarkposeError, match="the same command continues") as failed:
                results.add(entry("c"))
        assert isinstance(failed.value.__cause__, OSError)
        assert failed.value.__cause__.errno == errno.ENOSPC
        assert len(list(results)) == 2
    assert path.read_bytes() == whole


def test_a_file_that_is_gone_is_not_begun_anew(path: Path) -> None:
    with Unfinished(path, FACTS) as results:
        path.unlink()
        with pytest.raises(DarkposeError, match="cannot be written: No such file"):
            results.add(entry("c"))
        with pytest.raises(DarkposeError, match="cannot be read: No such file"):
            list(results)
    assert not path.exists()


def test_a_folder_or_fifo_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for place in (tmp_path / "fifo", tmp_path):
        with pytest.raises(DarkposeError, match="cannot be used"):
            Unfinished(place, FACTS)
