"""Sources: the images that paths name, one at a time, in a fixed order."""

import gc
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.sources import Source, find_sources


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(path.name).encode())


def pack(path: Path, **members: bytes) -> Path:
    """A tar file; in names, __ stands for a dot."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def names(*arguments: object, list_file: object = None) -> list[str]:
    sources = find_sources([*map(str, arguments)], None if list_file is None else str(list_file))
    return [source.name for source in sources]


def test_folders_are_listed_by_name_level_by_level_with_their_tar_files(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("b/2.jpg", "b/1.PNG", "c.jpg", "a.jpg", "notes.txt", "a.landmarks.png")))
    pack(tmp_path / "b.tar", x__jpg=b"1", x__json=b"{}", y__png=b"2")
    found = [str(Path(name).relative_to(tmp_path)) for name in names(tmp_path)]
    assert found == ["a.jpg", "b/1.PNG", "b/2.jpg", "b.tar/x.jpg", "b.tar/y.png", "c.jpg"]


def test_links_to_folders_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "elsewhere" / "c.jpg")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "b.jpg").symlink_to(tmp_path / "in" / "a.jpg")
    found = [str(Path(name).relative_to(tmp_path / "in")) for name in names(tmp_path / "in")]
    assert found == ["a.jpg", "b.jpg", "more/c.jpg"]


def test_broken_links_and_links_in_a_tar_file_are_sources_with_a_problem(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    tar = pack(tmp_path / "t.tar", a__jpg=b"1")
    with tarfile.open(tar, "a") as file:
        for name, kind in (("hard.jpg", tarfile.LNKTYPE), ("soft.jpg", tarfile.SYMTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "a.jpg"
            file.addfile(entry)
    gone, one, hard, soft = find_sources([str(tmp_path)], None)
    assert Path(gone.name).name == "gone.jpg"
    with pytest.raises(DarkposeError):
        gone.read()
    assert one.read() == b"1"
    for link, name in ((hard, "hard.jpg"), (soft, "soft.jpg")):
        assert Path(link.name).name == name
        with pytest.raises(DarkposeError, match=r"link to a\.jpg"):
            link.read()


def test_arguments_keep_their_order_and_may_be_named_twice(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("x2.jpg", "x1.jpg", "y.dat")))
    found = names(tmp_path / "y.dat", tmp_path / "x*.jpg", tmp_path / "x1.jpg")
    assert [Path(name).name for name in found] == ["y.dat", "x1.jpg", "x2.jpg", "x1.jpg"]


def test_the_bytes_of_members_and_files_are_read(tmp_path: Path) -> None:
    tar = pack(tmp_path / "a.tar", one__jpg=b"first", two__jpg=b"second" * 1000)
    touch(tmp_path / "c.jpg")
    assert [source.read() for source in find_sources([str(tar), str(tmp_path / "c.jpg")])] == [
        *(b"first", b"second" * 1000, b"c.jpg"),
    ]


def test_a_list_names_images_and_tar_files_and_a_missing_one_is_a_source_with_a_problem(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    tar = pack(tmp_path / "a.tar", one__jpg=b"1")
    (tmp_path / "list.txt").write_text(f"\ufeff{tmp_path / 'a.jpg'}\r\n\n{tmp_path / 'gone.jpg'}\n{tar}")
    a, gone, member = find_sources([], str(tmp_path / "list.txt"))
    assert (a.read(), member.read()) == (b"a.jpg", b"1")
    with pytest.raises(DarkposeError, match="No such file"):
        gone.read()


def test_a_list_from_standard_input_follows_the_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.jpg")
    monkeypatch.setattr(sys, "stdin", io.StringIO("x.jpg\ny.jpg\n"))
    assert names(tmp_path / "a.jpg", list_file="-")[1:] == ["x.jpg", "y.jpg"]


@pytest.mark.parametrize("kept", [700, 1024, 1536, 2000, 2048])
def test_a_truncated_tar_file_keeps_its_members_and_reports_the_problem(tmp_path: Path, kept: int) -> None:
    tar = pack(tmp_path / "a.tar", one__jpg=b"1" * 300, two__jpg=b"2" * 300)  # each: a header and a block
    tar.write_bytes(tar.read_bytes()[:kept])
    *members, last = find_sources([str(tar)])
    assert last.name == str(tar)
    with pytest.raises(DarkposeError, match=r"tar file cannot be read after member \d"):
        last.read()
    assert [member.name for member in members] == [f"{tar}/{name}.jpg" for name in ("one", "two")][: 1 + (kept >= 1536)]
    for member, data in zip(members, (b"1", b"2"), strict=False):
        if member.offset + 300 > kept:
            with pytest.raises(DarkposeError, match="ends within"):
                member.read()
        else:
            assert member.read() == data * 300


def test_a_tar_file_damaged_in_the_middle_reports_the_problem(tmp_path: Path) -> None:
    tar = pack(tmp_path / "a.tar", one__jpg=b"1", two__jpg=b"2", three__jpg=b"3")
    data = bytearray(tar.read_bytes())
    data[1024 + 150] ^= 0xFF  # the second header's checksum
    tar.write_bytes(data)
    first, problem = find_sources([str(tar)])
    assert first.name.endswith("one.jpg")
    assert "after member 1" in problem.problem


def test_a_file_that_is_no_tar_file_is_one_source_with_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"words" * 500)
    (source,) = find_sources([str(tmp_path / "a.tar")])
    assert "cannot be read from the beginning" in source.problem


def test_names_that_are_no_text_become_text_and_the_files_are_read(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jpg")
    Path(path).write_bytes(b"here")
    (source,) = find_sources([str(tmp_path)])
    assert source.name == f"{tmp_path}/bad\\xff.jpg"
    assert source.read() == b"here"


@pytest.mark.parametrize("pattern", ["*", "**"])
def test_a_folder_that_a_glob_matches_is_searched_like_one_that_is_named(tmp_path: Path, pattern: str) -> None:
    touch(*(tmp_path / name for name in ("a.jpg", "album/1.jpg", "album/deep/2.jpg", "album/notes.txt", "z/notes.txt")))
    pack(tmp_path / "album" / "t.tar", m__jpg=b"1")
    expected = ["a.jpg", "album/1.jpg", "album/deep/2.jpg", "album/t.tar/m.jpg"]
    assert names(tmp_path / pattern) == [str(tmp_path / name) for name in expected]


def test_a_folder_that_a_glob_matches_and_that_cannot_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "closed" / "1.jpg")
    scan = os.scandir

    def guarded(folder: Any) -> Any:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", guarded)  # root reads every folder
    image, closed = find_sources([str(tmp_path / "*")])
    assert (image.problem, closed.problem) == ("", "the folder cannot be read")
    with pytest.raises(DarkposeError, match="no images in the folders that match"):
        find_sources([str(tmp_path / "c*")])


def test_a_line_of_a_list_that_is_a_folder_is_reported(tmp_path: Path) -> None:
    touch(tmp_path / "album" / "1.jpg")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/album\n")
    (source,) = find_sources([], str(tmp_path / "list.txt"))
    with pytest.raises(DarkposeError, match="directory"):
        source.read()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("missing.jpg", "no such file"),
        ("none*.jpg", "nothing matches"),
        ("", "no images"),
        ("a.tar.gz", "not compressed"),
    ],
)
def test_arguments_without_images_are_refused_before_the_first_image(
    tmp_path: Path, argument: str, message: str
) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"")
    with pytest.raises(DarkposeError, match=message):
        find_sources([str(tmp_path / argument)])


def test_no_arguments_and_a_missing_list_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="name at least one image"):
        find_sources([])
    with pytest.raises(DarkposeError, match="list cannot be read"):
        find_sources([], str(tmp_path / "list.txt"))


def test_a_tar_file_of_any_length_takes_the_same_memory(tmp_path: Path) -> None:
    peaks = []
    for count in (200, 4000):
        tar = pack(tmp_path / f"{count}.tar", **{f"{number}__jpg": b"x" for number in range(count)})
        gc.collect()
        tracemalloc.start()
        assert sum(1 for _ in find_sources([str(tar)])) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 50_000


def test_a_source_can_be_sent_as_plain_values() -> None:
    source = Source("a.tar/x.jpg", "/data/a.tar", 512, 7, "")
    assert Source._make(json.loads(json.dumps(source))) == source


def test_a_subfolder_that_cannot_be_read_is_a_source_with_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(*(tmp_path / name for name in ("a.jpg", "b/closed/1.jpg", "b/open.jpg", "c.jpg")))
    scan = os.scandir

    def guarded(folder: Path) -> Any:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", guarded)  # root reads every folder
    found = list(find_sources([str(tmp_path)]))
    assert [str(Path(source.name).relative_to(tmp_path)) for source in found] == [
        *("a.jpg", "b/closed", "b/open.jpg", "c.jpg")
    ]
    assert ["cannot be read" in source.problem for source in found] == [False, True, False, False]
    with pytest.raises(DarkposeError, match=r"closed: .*cannot be read: Permission denied"):
        find_sources([str(tmp_path / "b" / "closed")])


def test_a_compressed_tar_file_in_a_list_is_a_source_with_a_problem(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "list").write_text(f"{tmp_path / 'x.tar.gz'}\n")
    (source,) = find_sources([], str(tmp_path / "list"))
    assert "not compressed" in source.problem


def test_a_compressed_file_with_the_suffix_tar_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(gzip.compress(bytes(2048)))
    (source,) = find_sources([str(tmp_path / "x.tar")])
    assert "not compressed" in source.problem


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="needs root to become somebody else")
def test_a_folder_that_may_be_listed_but_not_entered_gives_sources_with_a_problem(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    code = (
        "import os, sys\nfrom darkpose.predict.sources import find_sources\n"
        "os.chdir('/')\nfolder = os.open(sys.argv[1], os.O_RDONLY)\nos.setuid(65534)\n"
        "found = list(find_sources([f'/proc/self/fd/{folder}']))\n"
        "print(len(found))"
    )
    tmp_path.chmod(0o744)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "2\n", done.stderr


def test_a_list_from_standard_input_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    given = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfa.jpg\nn\xff.jpg\n"), encoding="utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdin", given)
    assert [source.name for source in find_sources([], "-")] == ["a.jpg", r"n\xff.jpg"]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DarkposeError, match="standard input"):
        list(find_sources([], "-"))


def test_archives_one_behind_the_other_are_all_read(tmp_path: Path) -> None:
    one, two = pack(tmp_path / "1", a__jpg=b"1"), pack(tmp_path / "2", b__jpg=b"22", c__jpg=b"3")
    for gap in (0, 512, 20480):
        (tmp_path / "both.tar").write_bytes(one.read_bytes() + bytes(gap) + two.read_bytes())
        assert [source.read() for source in find_sources([str(tmp_path / "both.tar")])] == [b"1", b"22", b"3"]
    (tmp_path / "both.tar").write_bytes(one.read_bytes() + b"no header" * 100)
    first, problem = find_sources([str(tmp_path / "both.tar")])
    assert first.read() == b"1"
    assert "cannot be read after member 1" in problem.problem


@pytest.mark.parametrize("size", [0, 512, 10240])
def test_a_tar_file_without_members_or_without_images_is_reported(tmp_path: Path, size: int) -> None:
    (tmp_path / "empty.tar").write_bytes(bytes(size))
    (source,) = find_sources([str(tmp_path / "empty.tar")])
    assert "the tar file" in source.problem
    pack(tmp_path / "text.tar", a__txt=b"words")
    (source,) = find_sources([str(tmp_path / "text.tar")])
    assert source.problem == "there are no images in the tar file"


def header(size: bytes) -> bytes:
    """The header of a member whose size is written by these bytes."""
    made = bytearray(tarfile.TarInfo("a.jpg").tobuf())
    made[124 : 124 + len(size)] = size
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


@pytest.mark.parametrize(
    "size",
    [b"\xff" * 11 + b"\0", b"\x80" + b"\x7f" * 11, b"77777777777\0", b"\xff" * 12],
    ids=["-512", "2e26", "8e9", "-1"],
)
def test_a_size_that_cannot_be_is_a_problem_of_the_tar_file(tmp_path: Path, size: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(pack(tmp_path / "b", b__jpg=b"1").read_bytes()[:1024] + header(size) + bytes(1024))
    found = list(find_sources([str(tmp_path / "a.tar")]))
    assert found[0].read() == b"1"
    assert "after member" in found[-1].problem
    assert len(found) <= 3
    for damaged in found[1:]:
        with pytest.raises(DarkposeError, match="tar file"):
            damaged.read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_list_that_is_a_fifo_or_a_device_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list")
    for file in (str(tmp_path / "list"), "/dev/zero"):
        with pytest.raises(DarkposeError, match=r"expected a regular file, got a .* \(- is standard input\)"):
            find_sources([], file)


def test_a_fifo_is_a_source_with_a_problem(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.tar"):
        os.mkfifo(tmp_path / name)
    image, tar = find_sources([str(tmp_path / "a.jpg"), str(tmp_path / "b.tar")])
    with pytest.raises(DarkposeError, match="expected a regular file, got a FIFO"):
        image.read()
    assert "got a FIFO" in tar.problem
