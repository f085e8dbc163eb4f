"""The images that files, folders, globs, tar files and lists stand for, one after the other, however many."""

import glob
import os
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import TextIOWrapper
from pathlib import Path
from typing import IO, NamedTuple

from darkpose.errors import DarkposeError
from darkpose.files.paths import exists, is_file, is_folder, is_link

OVERLAY = ".landmarks.png"  # darkpose's own pictures
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".jp2"}
TAR = ".tar"
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
NOT_COMPRESSED = "expected a tar file that is not compressed; unpack it to a .tar first"
STDIN = "-"


class Source(NamedTuple):
    """Where an image's bytes lie: a file, or a stretch of a tar file.

    Attributes:
        name: the path as the user gave it, for a member of a tar file TAR/MEMBER; what is no text in it reads \\xff.
        file: path of the file that holds the bytes.
        offset: of the first byte.
        size: in bytes; -1: to the file's end.
        problem: why there are none, in a sentence; else empty.
    """

    name: str
    file: str
    offset: int = 0
    size: int = -1
    problem: str = ""

    def read(self) -> bytes:
        """The bytes.

        Raises:
            DarkposeError: there are none; the message does not name the source.
        """
        if self.problem:
            raise DarkposeError(self.problem)
        try:
            with open(self.file, "rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except (OSError, ValueError) as error:  # ValueError: a NUL in a path
            raise DarkposeError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
        if 0 <= len(data) < self.size:
            raise DarkposeError("the tar file ends within this image")
        return data


class Input(NamedTuple):
    """An image to read, and its name below the output folder (without suffix, unique in the run)."""

    path: Path
    name: Path


def find_images(arguments: Sequence[str]) -> list[Input]:
    """Images that files, folders (searched whole) and globs stand for, in that order, each folder sorted by name.

    Raises:
        DarkposeError: a path does not exist, a folder holds no images, a glob matches nothing.
    """
    found: dict[Path, Path] = {}
    for argument in arguments:
        for path, name in _named(argument):
            found.setdefault(path, name)
    taken: set[Path] = set()
    inputs = []
    for path, name in found.items():
        unique = name.with_suffix("")
        if unique in taken:
            unique = name.with_name(name.name.replace(".", "_"))
        number = 2
        while unique in taken:
            unique, number = name.with_name(f"{name.stem}_{number}"), number + 1
        taken.add(unique)
        inputs.append(Input(path, unique))
    return inputs


def _named(argument: str) -> list[tuple[Path, Path]]:
    path = Path(argument)
    if is_folder(path):
        inside = [file for file in files_below(path) if is_picture(file)]
        if not inside:
            raise no_images(path)
        return [(file, file.relative_to(path)) for file in inside]
    if path.suffix.lower() == TAR and exists(path):
        raise DarkposeError(
            f"{path}: tar files are read where results are written in shards: --format jsonl or parquet"
        )
    found = [path] if exists(path) else matches(argument)
    return [(file, Path(file.name)) for file in found]


def walk(arguments: Sequence[str], listed: str | None = None) -> Iterator[Source]:
    """The images that paths stand for, in an order that depends on nothing but them.

    Of a folder, the names of one level are held at a time; of a list and a tar file, one line and one member.

    Args:
        arguments: images, folders (searched whole, sorted by name; with the tar files in them), globs (sorted), and
            tar files, whose pictures come in the order they were packed in. What is named twice comes twice.
        listed: a file with a path per line, of an image or a tar file; "-": standard input. A file that is not there
            is an input with a problem, as is a tar file that is damaged, and a folder within one that is named which
            cannot be read.

    Raises:
        DarkposeError: nothing is named, a path does not exist, a folder holds no images, a glob matches nothing, the
            list cannot be read (all before the first image, but for a list that breaks off).
    """
    if not arguments and listed is None:
        raise DarkposeError("name at least one image, folder, glob or tar file, or a --list of them")
    for argument in arguments:
        _check(argument)
    if listed is not None and listed != STDIN:
        _open(listed).close()
    return _walk(arguments, () if listed is None else _lines(listed))


def _walk(arguments: Iterable[str], lines: Iterable[str]) -> Iterator[Source]:
    for argument in arguments:
        path = Path(argument)
        if is_folder(path):
            for file in files_below(path, closed=True):
                if is_picture(file) or file.suffix.lower() == TAR:
                    yield from _file(str(file))
                elif is_folder(file):
                    yield Source(printable(str(file)), str(file), problem="the folder cannot be read")
        elif exists(path):
            yield from _file(str(path))
        else:
            for matched in matches(argument):
                yield from _file(str(matched))
    for line in lines:
        yield from _file(line)


def _check(argument: str) -> None:
    """Refuse an argument that stands for nothing."""
    path = Path(argument)
    if is_folder(path):
        if not any(is_picture(file) or file.suffix.lower() == TAR for file in files_below(path, closed=True)):
            raise no_images(path)
    elif exists(path):
        if path.name.lower().endswith(COMPRESSED):
            raise DarkposeError(f"{path}: {NOT_COMPRESSED}")
    else:
        matches(argument)


def no_images(folder: Path) -> DarkposeError:
    """What to say of a folder without images."""
    return DarkposeError(f"{folder}: there are no images in this folder ({', '.join(sorted(SUFFIXES))})")


def matches(argument: str) -> list[Path]:
    """The files that a glob matches, sorted.

    Raises:
        DarkposeError: there are none, or it is no glob, so the file it names is missing.
    """
    if not glob.has_magic(argument):
        raise DarkposeError(f"{Path(argument)}: there is no such file or folder, or it cannot be seen")
    found = sorted(path for name in glob.iglob(argument, recursive=True) if is_file(path := Path(name)))
    if not found:
        raise DarkposeError(f"{argument}: no file matches")
    return found


def is_picture(path: Path) -> bool:
    """Whether a file found in a folder is meant: a picture, and none of darkpose's own overlays."""
    return path.suffix.lower() in SUFFIXES and not path.name.endswith(OVERLAY)


def files_below(folder: Path, *, closed: bool = False) -> Iterator[Path]:
    """The files below a folder, sorted by name level by level; links to folders are not followed, dangling ones kept.

    Args:
        folder: where to begin.
        closed: give a folder within it that cannot be read in place of its files.

    Raises:
        DarkposeError: a folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        raise DarkposeError(f"{folder}: the folder cannot be read: {error.strerror or error}") from error
    for name in names:
        path = folder / name
        if is_file(path) or not exists(path):  # a dangling link, or what may not be seen: whoever reads it, says so
            yield path
        elif is_folder(path) and not is_link(path):
            try:
                yield from files_below(path, closed=closed)
            except DarkposeError:
                if not closed:
                    raise
                yield path


def _lines(listed: str) -> Iterator[str]:
    """The lines of a list, but for empty ones; bytes that are no text stay what they are in a path."""
    with _standard_input() if listed == STDIN else _open(listed) as file:
        for line in file:
            if path := line.rstrip("\r\n"):
                yield path


def _standard_input() -> AbstractContextManager[IO[str]]:
    if sys.stdin is None:
        raise DarkposeError("the list is to come from standard input, which is closed")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="surrogateescape")
    return nullcontext(sys.stdin)


def _open(listed: str) -> IO[str]:
    try:
        return open(listed, encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DarkposeError(f"{listed}: the list cannot be read: {error.strerror or error}") from error


def _file(path: str) -> Iterator[Source]:
    if path.lower().endswith(TAR):
        return _members(path)
    if path.lower().endswith(COMPRESSED):
        return iter([Source(printable(path), path, problem=NOT_COMPRESSED)])
    return iter([Source(printable(path), path)])


def _members(path: str) -> Iterator[Source]:
    """The pictures in a tar file; if it is damaged, last an input of its own name that says so."""
    members = 0
    try:
        with tarfile.open(path, "r:", errors="surrogateescape") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                members += 1
                if not is_picture(Path(member.name)):
                    continue
                name = printable(f"{path}/{member.name}")
                if member.isreg():
                    yield Source(name, path, member.offset_data, member.size)
                elif member.islnk() or member.issym():
                    yield Source(name, path, problem=f"a link to {printable(member.linkname)}, which is not followed")
            assert tar.fileobj is not None
            tar.fileobj.seek(tar.offset)
            if tar.fileobj.read(tarfile.BLOCKSIZE) == tarfile.NUL * tarfile.BLOCKSIZE:
                return
        problem = "it ends without an end mark"
    except (OSError, tarfile.TarError) as error:
        problem = getattr(error, "strerror", None) or str(error)
    if not members and _is_compressed(path):
        problem = NOT_COMPRESSED
    where = f"behind its member {members}" if members else "from its beginning"
    yield Source(printable(path), path, problem=f"the tar file cannot be read {where}: {problem}")


def _is_compressed(path: str) -> bool:
    """Whether a file begins as those of gzip, bzip2, xz or zstd do."""
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd"))
    except OSError:
        return False


def printable(path: str) -> str:
    r"""A path as text: bytes in it that are no text become \xff."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
