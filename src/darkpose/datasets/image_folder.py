"""The images that a file of annotations names, in a folder that no name leads out of."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath

from darkpose.errors import DarkposeError
from darkpose.files.paths import is_file, is_folder
from darkpose.image.pixels import read_image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".jp2", ".pgm", ".ppm")
TRIED = 50  # names by which a folder is chosen


class ImageFolder:
    """A folder, and the images in it by the names that files of other machines have for them.

    Args:
        folder: of the images.
        deep: whether images are also found in its subfolders by their file names.
    """

    def __init__(self, folder: Path, *, deep: bool = False) -> None:
        self.folder, self.deep = folder, deep
        self.outside: list[str] = []
        self._found: dict[str, Path] = {}
        self._sizes: dict[Path, tuple[int, int]] = {}
        self._stems: dict[str, list[Path]] | None = None

    def find(self, name: str, where: str) -> Path:
        r"""The path of an image by its name in a file, with / or \ between the folders.

        If there is no such file, beginnings of the name are left out until there is one: photos of another machine
        (/home/me/photos/a.jpg) or beside the file (../images/a.jpg) are found by the end of their names. If there is
        none either, the name below the folder, which is then missing.

        Raises:
            DarkposeError: the name is empty.
        """
        if name not in self._found:
            parts, leads_out = _parts(name)
            if not parts:
                raise DarkposeError(f"{where}: expected the name of an image, got {name[:60]!r}")
            if leads_out:
                self.outside.append(name)
            ends = [self.folder.joinpath(*parts[first:]) for first in range(len(parts))]
            found = next((path for path in ends if is_file(path)), None)
            if found is None and self.deep:
                found = self.by_stem(ends[-1].stem)
                found = found if found is not None and found.name == parts[-1] else None
            self._found[name] = found or ends[-1 if leads_out else 0]
        return self._found[name]

    def by_stem(self, stem: str) -> Path | None:
        """The image of a path below the folder without its suffix, or of this file name anywhere in it, if only one."""
        if self._stems is None:
            self._stems = {}
            for path in files_below(self.folder, SUFFIXES):
                stem_of = path.relative_to(self.folder).with_suffix("").as_posix()
                self._stems.setdefault(stem_of, []).append(path)
                if "/" in stem_of:
                    self._stems.setdefault(f"*/{path.stem}", []).append(path)
        for key in (stem, stem.rpartition("/")[2], f"*/{stem.rpartition('/')[2]}"):
            if len(found := self._stems.get(key, [])) == 1:
                return found[0]
        return None

    def size(self, image: Path) -> tuple[int, int]:
        """(width, height) of an image, px, as it is read.

        Raises:
            DarkposeError: it cannot be read.
        """
        if image not in self._sizes:
            height, width = read_image(image).shape[:2]
            self._sizes[image] = (width, height)
        return self._sizes[image]

    def notes(self, images: Iterable[Path]) -> list[str]:
        """Sentences about names that lead out of the folder, and images that are not there."""
        told = []
        if self.outside:
            told.append(
                f"names of images that lead out of {self.folder}: {len(self.outside)}, the first: {self.outside[0]}; "
                "they are searched in it by the ends of their names"
            )
        if missing := [path for path in dict.fromkeys(images) if not is_file(path)]:
            told.append(f"missing images: {len(missing)}, the first: {missing[0]}; --images gives their folder")
        return told


def _parts(name: str) -> tuple[list[str], bool]:
    """The folders and the file of a name, and whether it leads out of its folder."""
    path = PureWindowsPath(name)
    leads_out, parts = bool(path.anchor), list[str]()
    for part in path.parts[bool(path.anchor) :]:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            leads_out = True
    return parts, leads_out


def find_image_folder(file: Path, images: Path | None, names: Sequence[str]) -> ImageFolder:
    """The folder of the images of a file of annotations: the given one, or where most of its images are.

    Searched are the folder of the file, `images` in it and beside it, and there the folder of the subset that the file
    is named by (person_keypoints_train.json), and the folder above.

    Raises:
        DarkposeError: the given folder is none.
    """
    if images is not None:
        check_folder(images)
        return ImageFolder(images, deep=True)
    above, subset = Path(os.path.normpath(file.parent / "..")), file.stem.rpartition("_")[2]
    places = [file.parent, file.parent / "images", above / "images", above / "images" / subset, above]
    found = Counter[Path]()
    for place in filter(is_folder, places):
        folder = ImageFolder(place)
        found[place] = sum(is_file(folder.find(name, "")) for name in names[:TRIED] if _parts(name)[0])
    return ImageFolder(max(found, key=found.__getitem__, default=file.parent))


def check_folder(folder: Path) -> None:
    """Refuse what is no folder.

    Raises:
        DarkposeError: there is no such folder.
    """
    if not is_folder(folder):
        raise DarkposeError(f"{folder}: expected the folder of the images, there is none")


def files_below(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files in a folder and its subfolders with one of these suffixes, in any case, sorted."""
    found = []
    for root, _, files in os.walk(folder):
        found += [Path(root) / name for name in files if name.lower().endswith(tuple(suffixes))]
    return sorted(found)
