"""The images that paths, folders and globs name."""

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from darkpose.errors import DarkposeError
from darkpose.files.paths import exists, is_folder, place

OVERLAY = ".landmarks.png"  # end of the names of pictures that darkpose draws
ALIGNED = ".aligned.png"  # and of those that it cuts
SUFFIXES = {
    *(".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".jp2"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".pam"),
}
# Pictures that are not read. Those in a folder are inputs, too: each is reported with the reason.
OTHER_SUFFIXES = {".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".psd"}


MAX_STEM, MAX_SUFFIX = 200, 8  # bytes of names of outputs; file systems take 255 in all


class Input(NamedTuple):
    """An image file, and its name below the output folder: without suffix, unique in the run."""

    path: Path
    name: Path


def find_images(arguments: Sequence[str]) -> list[Input]:
    """The images that files, folders (with subfolders) and globs name, each image once.

    They are in the order of the arguments; those of a folder or glob are sorted by name.

    Raises:
        DarkposeError: a path does not exist, a folder or glob has no images, a folder cannot be read, or an argument is
            a tar file.
    """
    found: dict[str, tuple[Path, Path]] = {}  # by place: a file may be named in several ways
    for argument in arguments:
        for path, name in _with_names(argument):
            found.setdefault(place(path), (path, name))
    taken: set[Path] = set()
    return [Input(path, _unique(name, taken)) for path, name in found.values()]


def _with_names(argument: str) -> list[tuple[Path, Path]]:
    """The images of one argument, and their names."""
    path = Path(argument)
    if is_tar(path) and exists(path) and not is_folder(path):
        raise DarkposeError(f"{path}: a tar file needs an output in shards: --format jsonl or parquet")
    found: list[tuple[Path, Path]] = []
    for named in _named(argument):
        if is_folder(named):
            files = [file for file in _files_of(named) if not is_tar(file)]
            found += [(file, file.relative_to(named)) for file in files]
        else:
            found.append((named, Path(named.name)))
    for file, _ in found:
        if is_folder(file):
            raise DarkposeError(f"{file}: the folder cannot be read")
    if not found:
        raise no_images(path)
    return found


def _unique(name: Path, taken: set[Path]) -> Path:
    """The name without suffix, changed if it is taken; it is added to the taken ones."""
    name = name.with_name(_shortened(name.stem) + name.suffix[:MAX_SUFFIX])
    unique, number = name.with_suffix(""), 2
    if unique in taken:
        unique = name.with_name(name.name.replace(".", "_"))
    while unique in taken:
        unique, number = name.with_name(f"{name.stem}_{number}"), number + 1
    taken.add(unique)
    return unique


def _shortened(stem: str) -> str:
    """A name of at most `MAX_STEM` bytes: of a longer one its beginning and a part of its SHA-256."""
    data = os.fsencode(stem)
    if len(data) <= MAX_STEM:
        return stem
    beginning = data[: MAX_STEM - 17].decode("utf-8", "ignore")
    return f"{beginning}-{hashlib.sha256(data).hexdigest()[:16]}"


def list_files(argument: str) -> Iterator[Path]:
    """The files that one argument names: the file, the images and tar files in a folder, or the matches of a glob.

    A folder is listed by name, level by level; one level of names is in memory at a time. Links to folders are
    followed, except to a folder that the link is in. A folder that a glob matches is listed like one that is named. A
    folder that cannot be read is given itself, unless it is the argument.

    Raises:
        DarkposeError: the path does not exist, the folder cannot be read, or the glob matches nothing.
    """
    for path in _named(argument):
        yield from _files_of(path)


def _named(argument: str) -> list[Path]:
    """The file or folder that an argument names, or the matches of a glob without those in a folder that matches."""
    path = Path(argument)
    if is_folder(path):
        with _entries(path):  # it can be read
            return [path]
    if exists(path):
        return [path]
    if not glob.has_magic(argument):
        raise DarkposeError(f"{path}: there is no such file or folder, or no permission to see it")
    matches = sorted(map(Path, glob.iglob(argument, recursive=True)))
    if not matches:
        raise DarkposeError(f"{argument}: nothing matches")
    folders = set(filter(is_folder, matches))
    return [path for path in matches if folders.isdisjoint(path.parents)]


def _files_of(path: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """A file, or the files in a folder, or a folder that cannot be read; `above`: real paths of folders around it."""
    if not is_folder(path):
        yield path
        return
    try:
        with _entries(path) as entries:
            names = sorted(entry.name for entry in entries)
    except DarkposeError:
        yield path
        return
    above = (*above, os.path.realpath(path))
    for name in names:
        inside = path / name
        if is_folder(inside):
            if os.path.realpath(inside) not in above:
                yield from _files_of(inside, above)
        elif is_image(inside) or is_tar(inside):  # if it is a FIFO, a broken link or not to be seen, the reader says so
            yield inside


@contextmanager
def _entries(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            yield entries
    except OSError as error:
        raise DarkposeError(f"{folder}: the folder cannot be read: {error.strerror or error}") from error


def is_image(path: Path) -> bool:
    """Whether the suffix is an image's, and the file no picture that darkpose has drawn or cut."""
    return path.suffix.lower() in SUFFIXES | OTHER_SUFFIXES and not path.name.endswith((OVERLAY, ALIGNED))


def is_tar(path: Path) -> bool:
    """Whether the suffix is that of a tar file."""
    return path.suffix.lower() == ".tar"


def no_images(folder: Path) -> DarkposeError:
    """The error for a folder or glob without images."""
    where = "this folder" if is_folder(folder) else "the folders that match"
    return DarkposeError(f"{folder}: there are no images in {where} ({', '.join(sorted(SUFFIXES))})")
