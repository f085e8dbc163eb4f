"""300-VW: videos with 68 landmarks in every frame (Shen et al., ICCVW 2015).

    ROOT/001/vid.avi
    ROOT/001/annot/000001.pts, 000002.pts, ...   one per frame, counted from 1

The test set has three categories: 1, good light; 2, mild conditions that are not constrained; 3, difficult ones. The
numbers of the videos are the published ones. Frames may also be images, one per annotation and with its number, as in
ROOT/001/extraction/000001.png.
"""

from pathlib import Path

import numpy as np

from darkpose.datasets.annotated_clip import AnnotatedClip
from darkpose.datasets.reading import choose, read_each
from darkpose.errors import DarkposeError
from darkpose.files.pts import read_pts
from darkpose.schema import W300_68

VIDEO = "vid.avi"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_TRAIN = (
    *(1, 2, 3, 4, 7, 9, 10, 11, 13, 15, 16, 17, 18, 19, 20, 22, 25, 27, 28, 29, 31, 33, 34, 35, 37, 39, 41, 43, 44, 46),
    *(47, 48, 49, 53, 57, 59, 112, 113, 115, 119, 120, 123, 138, 143, 144, 160, 204, 205, 223, 225),
)
_CATEGORY_1 = (
    *(114, 124, 125, 126, 150, 158, 401, 402, 505, 506, 507, 508, 509, 510, 511, 514, 515, 518, 519, 520, 521, 522),
    *(524, 525, 537, 538, 540, 541, 546, 547, 548),
)
_CATEGORY_2 = (203, 208, 211, 212, 213, 214, 218, 224, 403, 404, 405, 406, 407, 408, 409, 412, 550, 551, 553)
_CATEGORY_3 = (410, 411, 516, 517, 526, 528, 529, 530, 531, 533, 557, 558, 559, 562)
SUBSETS = {"train": _TRAIN, "category1": _CATEGORY_1, "category2": _CATEGORY_2, "category3": _CATEGORY_3}
SPLITS = {"test": ("category1", "category2", "category3"), **{subset: (subset,) for subset in SUBSETS}}


def read_300vw(
    root: Path, split: str = "test", *, images: str | None = None, broken: list[str] | None = None
) -> list[AnnotatedClip]:
    """Read the clips of a published split, category by category in the order of their numbers.

    Args:
        root: the folder of 300-VW.
        split: "train", "category1", "category2", "category3", or "test", which is all three categories.
        images: name of the folder with the frames as images in the folder of each video, for example "extraction";
            None: the frames are those of the video.
        broken: collects the messages of clips that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: the split is unknown, or a video, an annotation or an image is missing or of another kind.
    """
    clips = [(subset, number) for subset in choose(SPLITS, split, "split of 300-VW") for number in SUBSETS[subset]]
    return read_each(root, clips, lambda clip: _read_clip(root / f"{clip[1]:03}", clip[0], images), broken)


def _read_clip(folder: Path, subset: str, images: str | None) -> AnnotatedClip:
    annotations = _numbered(folder / "annot", (".pts",))
    keypoints = [read_pts(path) for path in annotations]
    for path, points in zip(annotations, keypoints, strict=True):
        if len(points) != len(W300_68):
            raise DarkposeError(f"{path}: expected 68 landmarks, got {len(points)}")
    frames = folder / (images or VIDEO)
    if images is None and not frames.is_file():
        raise DarkposeError(f"{frames}: expected the video of its annotations, found none")
    if images is not None and (count := len(_numbered(frames, IMAGE_SUFFIXES))) != len(annotations):
        raise DarkposeError(f"{frames}: expected {len(annotations)} images, one per annotation, got {count}")
    return AnnotatedClip(folder.name, frames, np.array(keypoints), W300_68, subset)


def _numbered(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a folder whose names are 1, 2, 3, ... with as many digits as they like, in order."""
    files = [path for path in folder.glob("*.*") if path.suffix.lower() in suffixes]
    if not files:
        raise DarkposeError(f"{folder}: expected files 000001{suffixes[0]}, ... of 300-VW, found none")
    by_number: dict[int, Path] = {}
    for path in files:
        if not (path.stem.isascii() and path.stem.isdigit()) or int(path.stem) in by_number:
            raise DarkposeError(f"{path}: expected the number of a frame as its name, and each number once")
        by_number[int(path.stem)] = path
    missing = next((i for i in range(1, len(files) + 1) if i not in by_number), None)
    if missing is not None:
        raise DarkposeError(f"{folder}: expected frames 1 to {len(files)}, frame {missing} is missing")
    return [by_number[number] for number in sorted(by_number)]
