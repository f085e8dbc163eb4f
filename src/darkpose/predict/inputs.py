"""The images that paths, folders and globs name."""

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from darkpose.errors import DarkposeError
from darkpose.files.paths import exists, is_folder, place

OVERLAY = ".landmarks.png"  # end of the names of pictures that darkpose draws
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
        DarkposeError: a path does not exist, a folder has no images or cannot be read, a glob matches nothing, or an
            argument is a tar file.
    """
    found: dict[str, tuple[Path, Path]] = {}  # by place: a file may be named in several ways
    for argument in arguments:
        for path, name in _with_names(argument):
            found.setdefault(place(path), (path, name))
    taken: set[Path] = set()
    return [Input(path, _unique(name, taken)) for path, name in found.values()]


def _with_names(argument: str) -> list[tuple[Path, Path]]:
    """The images of one argument, and their names."""
    folder = Path(argument)
    if not is_folder(folder):
        if is_tar(folder) and exists(folder):
            raise DarkposeError(f"{folder}: a tar file needs an output in shards: --format jsonl or parquet")
        return [(file, Path(file.name)) for file in list_files(argument)]
    files = [file for file in list_files(argument) if not is_tar(file)]
    for file in files:
        if is_folder(file):
            raise DarkposeError(f"{file}: the folder cannot be read")
    if not files:
        raise no_images(folder)
    return [(file, file.relative_to(folder)) for file in files]


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
    """The files that one argument names: the images and tar files in a folder, the matches of a glob, or the file.

    A folder is listed by name, level by level; one level of names is in memory at a time. Links to folders are
    followed, except to a folder that the link is in. A subfolder that cannot be read is given itself.

    Raises:
        DarkposeError: the path does not exist, the folder cannot be read, or the glob matches no file.
    """
    path = Path(argument)
    if is_folder(path):
        yield from _files_in(path)
    elif exists(path):
        yield path
    elif glob.has_magic(argument):
        matches = glob.iglob(argument, recursive=True)
        files = sorted(path for name in matches if not is_folder(path := Path(name)))
        if not files:
            raise DarkposeError(f"{argument}: no file matches")
        yield from files
    else:
        raise DarkposeError(f"{path}: there is no such file or folder, or no permission to see it")


def _files_in(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """The files in a folder; `above` are the real paths of the folders that it is in."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        raise DarkposeError(f"{folder}: the folder cannot be read: {error.strerror or error}") from error
    for name in names:
        path = folder / name
        if not is_folder(path):
            if is_image(path) or is_tar(path):  # if it is a FIFO, a broken link or not to be seen, the reader says so
                yield path
        else:
            real = os.path.realpath(path)
            if real in (*above, os.path.realpath(folder)):
                continue
            try:
                yield from _files_in(path, (*above, os.path.realpath(folder)))
            except DarkposeError:
                yield path


def is_image(path: Path) -> bool:
    """Whether the suffix is an image's, and the file no picture that darkpose has drawn."""
    return path.suffix.lower() in SUFFIXES | OTHER_SUFFIXES and not path.name.endswith(OVERLAY)


def is_tar(path: Path) -> bool:
    """Whether the suffix is that of a tar file."""
    return path.suffix.lower() == ".tar"


def no_images(folder: Path) -> DarkposeError:
    """The error for a folder without images."""
    return DarkposeError(f"{folder}: there are no images in this folder ({', '.join(sorted(SUFFIXES))})")
