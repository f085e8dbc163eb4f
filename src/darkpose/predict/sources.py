"""The images in files, folders, globs, tar files and lists, one at a time, however many there are."""

import errno
import os
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import TextIOWrapper
from pathlib import Path
from typing import IO, NamedTuple

from darkpose.errors import DarkposeError, printable
from darkpose.files.paths import check_regular, exists, is_folder
from darkpose.image.file_check import MAX_FILE
from darkpose.predict.inputs import is_image, is_tar, list_files, no_images

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
NOT_COMPRESSED = "expected a tar file that is not compressed; unpack it to a .tar first"
STDIN = "-"


class Source(NamedTuple):
    """The bytes of an image: a file, or a part of a tar file.

    Attributes:
        name: the path as the user gave it, or TAR/MEMBER; bytes that are no text are written as \\xff.
        file: path of the file that holds the bytes.
        offset: of the first byte.
        size: in bytes; -1: to the end of the file.
        problem: why the bytes are not available, in a sentence; empty if they are.
    """

    name: str
    file: str
    offset: int = 0
    size: int = -1
    problem: str = ""

    def read(self) -> bytes:
        """Read the bytes.

        Raises:
            DarkposeError: they are not available; the message does not contain the name.
        """
        if self.problem:
            raise DarkposeError(self.problem)
        try:
            check_regular(self.file)
            with open(self.file, "rb") as file:
                if self.size > os.fstat(file.fileno()).st_size - self.offset:  # as a damaged header may say
                    raise DarkposeError("the tar file ends within this image")
                file.seek(self.offset)
                data = file.read(self.size if 0 <= self.size <= MAX_FILE else MAX_FILE + 1)
            if len(data) > MAX_FILE:
                raise DarkposeError(f"the file has more than {MAX_FILE} bytes")
        except DarkposeError:
            raise
        except (OSError, ValueError) as error:  # ValueError: a NUL in a path
            raise DarkposeError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
        if 0 <= len(data) < self.size:
            raise DarkposeError("the tar file ends within this image")
        return data


def find_sources(arguments: Sequence[str], list_file: str | None = None) -> Iterator[Source]:
    """The images that paths name, in an order that depends on the paths only.

    In memory are the names of one level of a folder, one line of a list and one member of a tar file.

    Args:
        arguments: images, folders (with subfolders and tar files, sorted by name), globs (sorted; a folder that matches
            is searched like one that is named) and tar files (in the order of the file). A path that is named twice is
            given twice.
        list_file: a file with the path of an image or tar file in each line; "-": standard input.

    Yields:
        The images. A listed file that does not exist, a damaged tar file and a subfolder that cannot be read are
        sources with a problem.

    Raises:
        DarkposeError: nothing is named, a path does not exist, a folder or glob has no images, or the list cannot be
            read. This is checked before the first image; later, reading the list may fail.
    """
    if not arguments and list_file is None:
        raise DarkposeError("name at least one image, folder, glob or tar file, or a --list of them")
    for argument in arguments:
        _check(argument)
    if list_file is not None and list_file != STDIN:
        _open(list_file).close()
    return _sources(arguments, () if list_file is None else _lines(list_file))


def _check(argument: str) -> None:
    """Refuse an argument that names no images."""
    path = Path(argument)
    if path.name.lower().endswith(COMPRESSED) and exists(path) and not is_folder(path):
        raise DarkposeError(f"{path}: {NOT_COMPRESSED}")
    if all(is_folder(file) for file in list_files(argument)):
        raise no_images(path)


def _sources(arguments: Iterable[str], lines: Iterable[str]) -> Iterator[Source]:
    for argument in arguments:
        for file in list_files(argument):
            if is_folder(file):
                yield Source(printable(str(file)), str(file), problem="the folder cannot be read")
            else:
                yield from _in_file(str(file))
    for line in lines:
        yield from _in_file(line)


def _in_file(path: str) -> Iterator[Source]:
    if is_tar(Path(path)):
        yield from _members(path)
    elif path.lower().endswith(COMPRESSED):
        yield Source(printable(path), path, problem=NOT_COMPRESSED)
    else:
        yield Source(printable(path), path)


def _lines(list_file: str) -> Iterator[str]:
    """The lines of a list that are not empty; bytes that are no text stay as they are."""
    with _standard_input() if list_file == STDIN else _open(list_file) as file:
        for line in file:
            if path := line.rstrip("\r\n"):
                yield path


def _standard_input() -> AbstractContextManager[IO[str]]:
    if sys.stdin is None:
        raise DarkposeError("the list should come from standard input, which is closed")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="surrogateescape")
    return nullcontext(sys.stdin)


def _open(list_file: str) -> IO[str]:
    try:
        check_regular(list_file)
        return open(list_file, encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        hint = " (- is standard input)" if error.errno == errno.EINVAL else ""
        raise DarkposeError(f"{list_file}: the list cannot be read: {error.strerror or error}{hint}") from error


def _members(path: str) -> Iterator[Source]:
    """The images in a tar file; if it is damaged or has none, at the end a source with the problem.

    Archives that were written one behind the other (`cat a.tar b.tar`) are read one after the other.
    """
    members = images = start = 0
    try:
        check_regular(path)
        with open(path, "rb") as file:
            while start >= 0:
                file.seek(start)
                with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as tar:
                    for member in _each(tar):
                        members += 1
                        if is_image(Path(member.name)):
                            images += 1
                            yield _of_member(path, member)
                    start = _next_archive(file, tar.offset)
        problem = "" if images else "there are no images in the tar file" if members else "the tar file is empty"
    except _DAMAGE as error:
        problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
        place = f"after member {members}" if members else "from the beginning"
        problem = f"the tar file cannot be read {place}: {problem}"
    if not members and _is_compressed(path):
        problem = NOT_COMPRESSED
    if problem:
        yield Source(printable(path), path, problem=problem)


# What the reader of tar files raises for damaged headers, too.
_DAMAGE = (OSError, tarfile.TarError, ValueError, OverflowError, MemoryError, RecursionError)


def _each(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members up to an end mark or damage."""
    while (member := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
        if member.size < 0 or tar.offset <= member.offset:
            raise tarfile.ReadError(f"a member has the size {member.size}")
        yield member


def _of_member(path: str, member: tarfile.TarInfo) -> Source:
    """The image in a member, or why it is not available."""
    name = printable(f"{path}/{member.name}")
    if member.islnk() or member.issym():
        return Source(name, path, problem=f"a link to {printable(member.linkname)}, which is not followed")
    if not member.isreg() or member.issparse():
        return Source(name, path, problem="expected a regular file in the tar file, got a sparse or special one")
    return Source(name, path, member.offset_data, member.size)


def _next_archive(file: IO[bytes], end: int) -> int:
    """Where the next archive in a file begins, behind an end mark at `end`; -1: there is none.

    Raises:
        tarfile.ReadError: there is no end mark.
    """
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it ends without an end mark")
    at = end + tarfile.BLOCKSIZE
    while part := file.read(tarfile.RECORDSIZE):
        if kept := part.lstrip(tarfile.NUL):
            return at + (len(part) - len(kept)) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
        at += len(part)
    return -1


def _is_compressed(path: str) -> bool:
    """Whether a file begins like those of gzip, bzip2, xz or zstd."""
    try:
        check_regular(path)
        with open(path, "rb") as file:
            return file.read(4).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd"))
    except OSError:
        return False
