"""Atomic writing."""

import sys
from pathlib import Path

import pytest

from darkpose.errors import DarkposeError
from darkpose.files.atomic import remove_leftovers, write_atomically


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "result.bin"
    target.write_bytes(b"old")

    def write(path: Path) -> None:
        path.write_bytes(b"half")
        assert path.parent == tmp_path  # so that the rename cannot cross file systems
        assert target.read_bytes() == b"old"
        path.write_bytes(b"whole")

    with target.open("rb") as reader:  # someone who is reading the old file keeps reading it
        write_atomically(target, write)
        assert reader.read() == b"old"
    assert target.read_bytes() == b"whole"
    assert files_in(tmp_path) == ["result.bin"]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()], ids=["a bug", "interrupted"])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "result.bin"
    target.write_bytes(b"old")

    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise error

    with pytest.raises(type(error)):
        write_atomically(target, write)
    assert target.read_bytes() == b"old"
    assert files_in(tmp_path) == ["result.bin"]


def test_a_full_disk_is_told_with_the_files_name_and_leaves_nothing(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DarkposeError, match=r"result\.bin: cannot be written: No space left on device"):
        write_atomically(tmp_path / "result.bin", write)
    assert files_in(tmp_path) == []


def test_a_place_that_cannot_hold_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for target, reason in (
        (tmp_path / "missing" / "result.bin", "No such file or directory"),
        (tmp_path / "file" / "result.bin", "Not a directory"),
        (tmp_path / "folder", "directory"),
    ):
        with pytest.raises(DarkposeError, match=f"{target.name}: cannot be written: .*{reason}"):
            write_atomically(target, lambda path: path.write_bytes(b"new"))
    assert files_in(tmp_path) == ["file", "folder"]


def test_a_writer_that_writes_nothing_makes_an_empty_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "result.bin", lambda path: None)
    assert (tmp_path / "result.bin").read_bytes() == b""


def test_leftovers_of_killed_processes_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".darkpose-0123456789ab.partial", ".movie.mkv.partial", "mine.partial", ".darkpose-notes"):
        (tmp_path / name).touch()
    write_atomically(tmp_path / "result.bin", lambda path: path.write_bytes(b"new"))
    assert files_in(tmp_path) == [".darkpose-notes", ".movie.mkv.partial", "mine.partial", "result.bin"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_the_file_that_another_process_is_writing_stays(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"half")
        remove_leftovers(tmp_path)
        assert path.read_bytes() == b"half"

    write_atomically(tmp_path / "result.bin", write)
    assert files_in(tmp_path) == ["result.bin"]
