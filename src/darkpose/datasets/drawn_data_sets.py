"""Data sets of drawn faces in the official formats of WFLW and AFLW.

They serve to try out reading, training and evaluation at full size without photographs. Results on them are not valid
for photographs. A face depends on the seed, its split, its index and its attributes, and the name of its image holds
them all: images that exist are not drawn again, and images of another run are not mixed up with them.
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
from darkpose.datasets.drawn_face import draw_plan
from darkpose.datasets.face_plan import LARGE_YAW, plan_face
from darkpose.datasets.reading import DRAWN_MARK, is_drawn
from darkpose.datasets.wflw import PUBLISHED, SUBSETS
from darkpose.derived.conversion import derive
from darkpose.errors import DarkposeError
from darkpose.files.atomic import make_folder, write_atomically, write_text
from darkpose.image.geometry import Floats, landmark_box
from darkpose.image.opencv import use_one_thread
from darkpose.image.pixels import write_image
from darkpose.schema import AFLW_19, WFLW_98

MAX_FACES = 10**6
_SPLITS = ("wflw train", "wflw test", "aflw train", "aflw test")  # no two share a face index
_FLICKR = ("0", "2", "3")  # image folders of AFLW
_HIDDEN_PARTS = ("brow_outer", "eye_outer_corner", "brow_middle", "eye_middle", "mouth_corner", "nostril_outer")
_MATLAB_HEADER = b"MATLAB 5.0 MAT-file, made by darkpose".ljust(116)  # the header of SciPy contains the time


@dataclass(frozen=True)
class _Face:
    """A face to draw, and the file of its image."""

    file: Path
    seed: int
    index: int
    attributes: frozenset[str]


class _Drawn(NamedTuple):
    """A face whose image exists."""

    keypoints: Floats  # (98, 2) image px
    yaw: float  # degrees
    new: bool  # drawn by this call


def make_wflw(root: Path, *, train: int = 7500, test: int = 2500, seed: int = 0, workers: int = 0) -> int:
    """Write drawn faces in the files of WFLW, for `read_wflw` and `read_wflw_subset`; the lists are written last.

    Args:
        root: folder for WFLW_images and WFLW_annotations; it is made if it is missing.
        train, test: numbers of faces, by default as published.
        seed: of the faces.
        workers: processes that draw; 0 or 1: this process.

    Returns:
        The number of images drawn; the others existed.

    Raises:
        DarkposeError: a number of faces is not positive, the seed is negative, the folder contains another data set, or
            a file cannot be written.
    """
    _check_numbers(root, seed, train=train, test=test)
    _check_place(root, "WFLW_annotations", "WFLW_images")
    images, annotations = root / "WFLW_images", root / "WFLW_annotations"
    attributes = [*wflw_attributes(train, seed), *wflw_attributes(test, seed)]
    faces = _faces("wflw train", seed, attributes[:train], [images / "train"])
    faces += _faces("wflw test", seed, attributes[train:], [images / "test"])
    drawn = _draw_all(root, faces, workers)
    names = [face.file.relative_to(images).as_posix() for face in faces]
    coordinates = [" ".join(f"{value:.6f}" for value in face.keypoints.ravel()) for face in drawn]
    lines = [
        f"{numbers} {_wflw_box_and_flags(face.keypoints, subsets)} {name}"
        for numbers, face, subsets, name in zip(coordinates, drawn, attributes, names, strict=True)
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
    return sum(face.new for face in drawn)


def _wflw_box_and_flags(keypoints: Floats, attributes: frozenset[str]) -> str:
    flags = (int(subset in attributes) for subset in SUBSETS)
    return " ".join(map(str, [*landmark_box(keypoints).astype(int).tolist(), *flags]))


def wflw_attributes(faces: int, seed: int) -> list[frozenset[str]]:
    """Random attributes of the faces of WFLW, as frequent as in its test set of 2,500; each at least once."""
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
    """Write drawn faces in the files of AFLW, for `read_aflw`; needs `pip install 'darkpose[data]'`.

    The 19 landmarks are derived from those of WFLW. Frontal faces have all of them. The others are turned by 35 degrees
    or more, and some landmarks on the far side are masked. The box is a square around the face, larger than the
    landmarks and not centred on them. The MATLAB file is written last.

    Args:
        root: folder for AFLWinfo_release.mat and data/flickr; it is made if it is missing.
        train, test: numbers of faces, by default as published; `read_aflw` reads the published `train` only.
        frontal: number of frontal test faces, by default the published share; training faces have the same share.
        seed, workers: as for `make_wflw`.

    Returns:
        The number of images drawn; the others existed.

    Raises:
        DarkposeError: a number of faces is not positive, `frontal` exceeds `test`, the seed is negative, SciPy is
            missing, the folder contains another data set, or a file cannot be written.
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
    drawn = _draw_all(root, faces, workers)
    rows = np.random.default_rng([seed, len(faces)]).permutation(
        len(faces)
    )  # row of each face; training faces come first
    contents = _aflw_arrays(faces, drawn, rows)
    buffer = io.BytesIO()
    savemat(buffer, contents)
    data = _MATLAB_HEADER + buffer.getvalue()[len(_MATLAB_HEADER) :]
    write_atomically(root / "AFLWinfo_release.mat", lambda temporary: temporary.write_bytes(data))
    return sum(face.new for face in drawn)


def _aflw_attributes(faces: int, frontal: int, seed: int) -> list[frozenset[str]]:
    """As `wflw_attributes`, but all faces except the frontal ones have "pose"."""
    turned = set(np.random.default_rng([seed, faces, frontal]).permutation(faces)[frontal:].tolist())
    return [
        attributes - {"pose"} | ({"pose"} if face in turned else set())
        for face, attributes in enumerate(wflw_attributes(faces, seed))
    ]


def _aflw_arrays(
    faces: Sequence[_Face], drawn: Sequence[_Drawn], rows: NDArray[np.int64]
) -> Mapping[str, NDArray[np.generic] | NDArray[np.object_]]:
    """The arrays of AFLWinfo_release.mat; face i is in row `rows[i]`."""
    keypoints, visible = derive(
        np.stack([face.keypoints for face in drawn]), np.ones((len(drawn), len(WFLW_98))), WFLW_98, AFLW_19
    )
    for seen, face in zip(visible, drawn, strict=True):
        seen[hidden(face.yaw)] = 0
    boxes = np.stack([_aflw_box(face, one.keypoints) for face, one in zip(faces, drawn, strict=True)])
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
    """Indices of the landmarks of AFLW that are masked at a yaw in degrees: the larger it is, the more of them."""
    low, high = LARGE_YAW
    if abs(yaw) < low:
        return []
    count = 1 + int((len(_HIDDEN_PARTS) - 1) * (abs(yaw) - low) / (high - low))
    side = "right" if yaw > 0 else "left"
    return [AFLW_19.index(f"{side}_{part}") for part in _HIDDEN_PARTS[:count]]


def _aflw_box(face: _Face, keypoints: Floats) -> Floats:
    """left, right, top, bottom of a square around a face: the landmarks are inside, below its centre."""
    u = np.random.default_rng([face.seed, face.index, len(AFLW_19)]).uniform(0, 1, 3)
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    side = (1.2 + 0.2 * u[0]) * (high - low).max()
    x, y = (low + high) / 2 + side * np.array([-0.05 + 0.1 * u[1], -0.02 - 0.06 * u[2]])
    return np.array([x - side / 2, x + side / 2, y - side / 2, y + side / 2])


def _check_numbers(root: Path, seed: int, **counts: int) -> None:
    if min(counts.values()) < 1 or max(counts.values()) > MAX_FACES:
        got = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise DarkposeError(f"{root}: expected at least 1 face of each kind and at most {MAX_FACES}, got {got}")
    if seed < 0:
        raise DarkposeError(f"{root}: the seed must not be negative, got {seed}")


def _check_place(root: Path, *parts: str) -> None:
    """Check that the folder contains no other data set."""
    there = [root / part for part in (*parts, "annotations") if (root / part).exists()]
    if there and not is_drawn(root):
        raise DarkposeError(
            f"{there[0]}: the folder contains a data set that was not drawn by darkpose; choose another folder"
        )


def _faces(split: str, seed: int, attributes: Sequence[frozenset[str]], folders: Sequence[Path]) -> list[_Face]:
    """The faces of a split, distributed over the folders."""
    faces = []
    for place, each in enumerate(attributes):
        index = place * len(_SPLITS) + _SPLITS.index(split)
        name = "_".join([f"{seed}-{index}", *(subset for subset in SUBSETS if subset in each)])
        faces.append(_Face(folders[place % len(folders)] / f"{name}.jpg", seed, index, each))
    return faces


def _draw_all(root: Path, faces: Sequence[_Face], workers: int) -> list[_Drawn]:
    """Mark the folder and draw the missing images; the faces in their order."""
    make_folder(root)
    write_text(
        root / DRAWN_MARK,
        "These faces are drawn by darkpose (darkpose datasets make); this is not a published data set.\n",
    )
    for folder in {face.file.parent for face in faces}:
        make_folder(folder)
    with _processes(workers) as apply:
        return list(tqdm(apply(_draw_one, faces), "faces", len(faces), disable=None))


@contextmanager
def _processes(workers: int) -> Iterator[Any]:
    """A `map` that keeps the order, in worker processes or in this one."""
    if workers <= 1:
        yield map
        return
    with multiprocessing.get_context("spawn").Pool(workers, use_one_thread) as pool:
        yield lambda function, values: pool.imap(function, values, 16)


def _draw_one(face: _Face) -> _Drawn:
    plan = plan_face(face.seed, face.index, face.attributes)
    missing = not face.file.exists()
    if missing:
        write_image(face.file, draw_plan(plan).image)
    return _Drawn(plan.keypoints, plan.yaw, missing)
