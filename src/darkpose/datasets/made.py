"""Data sets of drawn faces in the official formats of WFLW and AFLW: to try out reading, training and evaluation at
full size without photographs. What is learnt from them says nothing about photographs.

A face is a function of the seed, its split, its place in it and its attributes, and its file's name holds them all: an
image that is already there is not drawn again, and none of another run is taken for it.
"""

import io
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from darkpose.datasets import aflw
from darkpose.datasets.derive import derive
from darkpose.datasets.drawn_face import LARGE_YAW, plan_face
from darkpose.datasets.wflw import PUBLISHED, SUBSETS
from darkpose.errors import DarkposeError
from darkpose.files.atomic import make_folder, write_atomically, write_text
from darkpose.image.geometry import Floats, landmark_box
from darkpose.image.opencv import use_one_thread
from darkpose.image.pixels import write_image
from darkpose.schema import AFLW_19, WFLW_98

_SPLITS = ("wflw train", "wflw test", "aflw train", "aflw test")  # no two have a face in common
_MARK = "DRAWN_BY_DARKPOSE.txt"
_FLICKR = ("0", "2", "3")  # AFLW's folders of images
_VANISHING = ("brow_outer", "eye_outer_corner", "brow_middle", "eye_middle", "mouth_corner", "nostril_outer")
_MATLAB_HEADER = b"MATLAB 5.0 MAT-file, made by darkpose".ljust(116)  # SciPy's own holds the time


@dataclass(frozen=True)
class _Face:
    """A face to draw, and the file of its picture."""

    file: Path
    seed: int
    index: int
    attributes: frozenset[str]


class _Made(NamedTuple):
    """What an annotation needs of a face whose picture is there."""

    keypoints: Floats  # (98, 2) image px
    yaw: float  # degrees
    drawn: bool  # now


def make_wflw(root: Path, *, train: int = 7500, test: int = 2500, seed: int = 0, workers: int = 0) -> int:
    """Write drawn faces as `read_wflw` and `read_wflw_subset` read them; the lists come last.

    Args:
        root: where WFLW_images and WFLW_annotations will be; made if it is not there.
        train, test: how many faces, by default as published.
        seed: another seed, other faces.
        workers: processes that draw; up to 1: this one.

    Returns:
        How many images were drawn; the others were there already.

    Raises:
        DarkposeError: a number of faces is not positive, the seed is negative, the folder holds a data set that is not
            drawn, or a file cannot be written.
    """
    _check_numbers(root, seed, train=train, test=test)
    _check_place(root, "WFLW_annotations", "WFLW_images")
    images, annotations = root / "WFLW_images", root / "WFLW_annotations"
    attributes = [*wflw_attributes(train, seed), *wflw_attributes(test, seed)]
    faces = _faces("wflw train", seed, attributes[:train], [images / "train"])
    faces += _faces("wflw test", seed, attributes[train:], [images / "test"])
    made = _make(root, faces, workers)
    names = [face.file.relative_to(images).as_posix() for face in faces]
    coordinates = [" ".join(f"{value:.6f}" for value in face.keypoints.ravel()) for face in made]
    lines = [
        f"{numbers} {_wflw_box_and_flags(face.keypoints, subsets)} {name}"
        for numbers, face, subsets, name in zip(coordinates, made, attributes, names, strict=True)
    ]
    texts = {
        "list_98pt_rect_attr_train_test/list_98pt_rect_attr_train": lines[:train],
        "list_98pt_rect_attr_train_test/list_98pt_rect_attr_test": lines[train:],
    }
    for subset in SUBSETS:
        name = "largepose" if subset == "pose" else subset
        rows = [row for row in range(train, train + test) if subset in attributes[row]]
        texts[f"list_98pt_test/list_98pt_test_{name}"] = [f"{coordinates[row]} {names[row]}" for row in rows]
    for file, text in texts.items():
        path = annotations / f"{file}.txt"
        make_folder(path.parent)
        write_text(path, "".join(f"{line}\n" for line in text))
    return sum(face.drawn for face in made)


def _wflw_box_and_flags(keypoints: Floats, attributes: frozenset[str]) -> str:
    flags = (int(subset in attributes) for subset in SUBSETS)
    return " ".join(map(str, [*landmark_box(keypoints).astype(int).tolist(), *flags]))


def wflw_attributes(faces: int, seed: int) -> list[frozenset[str]]:
    """Attributes of WFLW's faces, drawn by lot: of 2,500 as many have each as in the published test set.

    Of another number the same share has it, and at least one face.
    """
    published = PUBLISHED["test"]
    rng = np.random.default_rng([seed, faces])
    chosen: dict[str, frozenset[int]] = {}
    for subset in SUBSETS:
        count = max(1, round(published[subset] * faces / published["faces"]))
        chosen[subset] = frozenset(rng.permutation(faces)[:count].tolist())
    return [frozenset(subset for subset in SUBSETS if face in chosen[subset]) for face in range(faces)]


def make_aflw(
    root: Path, *, train: int = 20000, test: int = 4386, frontal: int | None = None, seed: int = 0, workers: int = 0
) -> int:
    """Write drawn faces as `read_aflw` reads them; the MATLAB file comes last. Needs `pip install 'darkpose[data]'`.

    Landmarks are AFLW's 19, derived from those of WFLW. A frontal face has them all; another is turned by 35 degrees or
    more, and some on the side turned away are masked. The box is a square around the face, larger than its landmarks
    and off their centre.

    Args:
        root: where AFLWinfo_release.mat and data/flickr will be; made if it is not there.
        train, test: how many faces, by default as published; `read_aflw` knows the published `train` alone.
        frontal: how many of the test faces, by default the published share; of the others, the same share.
        seed, workers: as for `make_wflw`.

    Returns:
        How many images were drawn; the others were there already.

    Raises:
        DarkposeError: a number of faces is not positive, more are frontal than there are, the seed is negative, SciPy
            is missing, the folder holds a data set that is not drawn, or a file cannot be written.
    """
    if frontal is None:
        frontal = max(1, round(test * aflw.PUBLISHED["frontal"]["faces"] / aflw.PUBLISHED["full"]["faces"]))
    _check_numbers(root, seed, train=train, test=test, frontal=frontal)
    _check_place(root, "AFLWinfo_release.mat", "data/flickr")
    if frontal > test:
        raise DarkposeError(f"{root}: expected no more frontal faces than test faces, got {frontal} of {test}")
    try:
        from scipy.io import savemat
    except ImportError as error:
        raise DarkposeError(f"{root}: making AFLW needs SciPy: pip install 'darkpose[data]'") from error
    folders = [root / "data" / "flickr" / folder for folder in _FLICKR]
    faces = _faces("aflw train", seed, _aflw_attributes(train, round(train * frontal / test), seed), folders)
    faces += _faces("aflw test", seed, _aflw_attributes(test, frontal, seed), folders)
    made = _make(root, faces, workers)
    rows = np.random.default_rng([seed, len(faces)]).permutation(len(faces))  # of the file, those to train with first
    contents = _aflw_arrays(faces, made, rows)
    buffer = io.BytesIO()
    savemat(buffer, contents)
    data = _MATLAB_HEADER + buffer.getvalue()[len(_MATLAB_HEADER) :]
    write_atomically(root / "AFLWinfo_release.mat", lambda temporary: temporary.write_bytes(data))
    return sum(face.drawn for face in made)


def _aflw_attributes(faces: int, frontal: int, seed: int) -> list[frozenset[str]]:
    """As of WFLW, but for "pose", which all have but the frontal ones."""
    turned = set(np.random.default_rng([seed, faces, frontal]).permutation(faces)[frontal:].tolist())
    return [
        attributes - {"pose"} | ({"pose"} if face in turned else set())
        for face, attributes in enumerate(wflw_attributes(faces, seed))
    ]


def _aflw_arrays(
    faces: Sequence[_Face], made: Sequence[_Made], rows: NDArray[np.int64]
) -> Mapping[str, NDArray[np.generic] | NDArray[np.object_]]:
    """The arrays of AFLWinfo_release.mat, a row per face; face i stands in row `rows[i]`."""
    keypoints, visible = derive(
        np.stack([face.keypoints for face in made]), np.ones((len(made), len(WFLW_98))), WFLW_98, AFLW_19
    )
    for seen, face in zip(visible, made, strict=True):
        seen[hidden(face.yaw)] = 0
    boxes = np.stack([_aflw_box(face, one.keypoints) for face, one in zip(faces, made, strict=True)])
    face_of_row = np.argsort(rows)
    names = np.empty((len(faces), 1), object)
    names[:, 0] = [f"{faces[i].file.parent.name}/{faces[i].file.name}" for i in face_of_row]
    return {
        "nameList": names,
        "data": keypoints.transpose(0, 2, 1).reshape(len(faces), -1)[face_of_row],
        "mask_new": visible[face_of_row],
        "bbox": boxes[face_of_row],
        "ra": (rows + 1)[None].astype(np.float64),
    }


def hidden(yaw: float) -> list[int]:
    """Which of AFLW's 19 landmarks are masked on a head turned by `yaw` degrees: the more, the farther it is turned."""
    low, high = LARGE_YAW
    if abs(yaw) < low:
        return []
    count = 1 + int((len(_VANISHING) - 1) * (abs(yaw) - low) / (high - low))
    side = "right" if yaw > 0 else "left"
    return [AFLW_19.index(f"{side}_{part}") for part in _VANISHING[:count]]


def _aflw_box(face: _Face, keypoints: Floats) -> Floats:
    """left, right, top, bottom of a square around a face, higher than its landmarks, which lie inside."""
    u = np.random.default_rng([face.seed, face.index, len(AFLW_19)]).uniform(0, 1, 3)
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    side = (1.2 + 0.2 * u[0]) * (high - low).max()
    x, y = (low + high) / 2 + side * np.array([-0.05 + 0.1 * u[1], -0.02 - 0.06 * u[2]])
    return np.array([x - side / 2, x + side / 2, y - side / 2, y + side / 2])


def _check_numbers(root: Path, seed: int, **counts: int) -> None:
    if min(counts.values()) < 1:
        got = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise DarkposeError(f"{root}: every number of faces to draw must be at least 1, got {got}")
    if seed < 0:
        raise DarkposeError(f"{root}: the seed of drawn faces must not be negative, got {seed}")


def _check_place(root: Path, *parts: str) -> None:
    """Drawn faces replace no others, nor lie among them."""
    there = [root / part for part in (*parts, "annotations") if (root / part).exists()]
    if there and not is_drawn(root):
        raise DarkposeError(f"{there[0]}: of a data set that darkpose did not draw; choose another folder")


def _faces(split: str, seed: int, attributes: Sequence[frozenset[str]], folders: Sequence[Path]) -> list[_Face]:
    """The faces of a split, dealt out to the folders."""
    faces = []
    for place, each in enumerate(attributes):
        index = place * len(_SPLITS) + _SPLITS.index(split)
        name = "_".join([f"{seed}-{index}", *(subset for subset in SUBSETS if subset in each)])
        faces.append(_Face(folders[place % len(folders)] / f"{name}.jpg", seed, index, each))
    return faces


def is_drawn(root: Path) -> bool:
    """Whether a folder holds drawn faces, which no published number is about."""
    return (root / _MARK).is_file()


def _make(root: Path, faces: Sequence[_Face], workers: int) -> list[_Made]:
    """Mark the folder and draw what is not there yet, in the order of the faces."""
    make_folder(root)
    write_text(
        root / _MARK, "These faces are drawn by darkpose (darkpose datasets make); they are no published data set.\n"
    )
    for folder in {face.file.parent for face in faces}:
        make_folder(folder)
    with _processes(workers) as apply:
        return list(tqdm(apply(_make_one, faces), "faces", len(faces), disable=None))


@contextmanager
def _processes(workers: int) -> Iterator[Any]:
    """A `map` that keeps the order, in processes of its own or in this one."""
    if workers <= 1:
        yield map
        return
    with multiprocessing.get_context("spawn").Pool(workers, use_one_thread) as pool:
        yield lambda function, values: pool.imap(function, values, 16)


def _make_one(face: _Face) -> _Made:
    plan = plan_face(face.seed, face.index, face.attributes)
    missing = not face.file.exists()
    if missing:
        write_image(face.file, plan.draw().image)
    return _Made(plan.keypoints, plan.yaw, missing)
