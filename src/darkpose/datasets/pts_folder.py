"""Folders of `.pts` files: one file for each object, an image of the same name next to it or in another folder."""

import re
from collections import Counter
from pathlib import Path

import numpy as np

from darkpose.datasets.image_folder import ImageFolder, check_folder, files_below
from darkpose.datasets.labels import Labelled, Labels, labelled
from darkpose.datasets.reading import read_each
from darkpose.errors import DarkposeError
from darkpose.files.pts import read_pts
from darkpose.schema import name_for_schema


def read_pts_labels(path: Path, images: Path | None, category: str | None, broken: list[str] | None) -> Labels:
    """The objects of a folder and its subfolders, or of one file.

    The files of several objects in an image a.jpg are a_0.pts, a_1.pts, ... Their number of landmarks is that of most
    files.

    Raises:
        DarkposeError: there are no files, or one cannot be read, has another number of landmarks or no image, and
            `broken` is None.
    """
    files = [path] if path.is_file() else files_below(path, (".pts",))
    root = path.parent if path.is_file() else path
    if images is not None:
        check_folder(images)
    folder = ImageFolder(images or root)
    counts, problems = Counter[int](), {}
    points = {}
    for file in files:
        try:
            points[file] = read_pts(file)
            counts[len(points[file])] += 1
        except DarkposeError as error:
            problems[file] = error
    landmarks = counts.most_common(1)[0][0] if counts else 0

    def read(file: Path) -> Labelled:
        if file in problems:
            raise problems[file]
        if not len(points[file]) or len(points[file]) != landmarks:
            raise DarkposeError(f"{file}: expected {landmarks} landmarks, as in most files, got {len(points[file])}")
        image = _image(file.relative_to(root).with_suffix("").as_posix(), folder)
        if image is None:
            raise DarkposeError(f"{file}: expected an image of the same name in {folder.folder}, and only one")
        return labelled(image, points[file], np.full(landmarks, 2.0), None, str(file))

    objects = read_each(path, files, read, broken)
    return Labels(objects, landmarks, name_for_schema(path.stem or "landmarks"))


def _image(stem: str, folder: ImageFolder) -> Path | None:
    found = folder.by_stem(stem)
    if found is None and (numbered := re.fullmatch(r"(.+)_\d+", stem)):
        return folder.by_stem(numbered[1])
    return found
