"""WFLW-V: 1,000 videos with 98 landmarks in every frame (Micaelli et al., LDEQ, CVPR 2023).

    ROOT/landmarks/ID.npy   (T, 98, 2) x, y
    ROOT/bboxes/ID.npy      (T, 4 or more) x0, y0, x1, y1; published crops are these boxes times 1.2
    ROOT/videos/ID.mp4
    ROOT/easy_video_IDs.txt, ROOT/hard_video_IDs.txt   an ID per line

The lists are in the published code (github.com/polo5/LDEQ_RwR, datasets/WFLW_V), not with the data. Coordinates are
used unchanged, the centre of the first pixel at (0, 0), as that code draws them.
"""

from pathlib import Path

import numpy as np

from darkpose.datasets.annotated_clip import AnnotatedClip
from darkpose.datasets.reading import choose, numbered_lines, read_each
from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular
from darkpose.image.geometry import Floats
from darkpose.schema import WFLW_98

PUBLISHED = {"easy": 500, "hard": 500}  # clips
SPLITS = {"full": ("easy", "hard"), "easy": ("easy",), "hard": ("hard",)}
_LISTS = "github.com/polo5/LDEQ_RwR, datasets/WFLW_V"


def read_wflw_v(root: Path, split: str = "full", *, broken: list[str] | None = None) -> list[AnnotatedClip]:
    """Read the clips of a published subset in the order of its list.

    Args:
        root: the folder of WFLW-V.
        split: "easy", "hard" or "full", which is both.
        broken: collects the messages of clips that cannot be read, such as videos that are no longer published; None:
            the first one raises.

    Raises:
        DarkposeError: the split is unknown, a list is missing or lists a clip twice, or a file of a clip is missing or
            of another shape.
    """
    subsets = choose(SPLITS, split, "split of WFLW-V")
    return [clip for subset in subsets for clip in _read_subset(root, subset, broken)]


def _read_subset(root: Path, subset: str, broken: list[str] | None) -> list[AnnotatedClip]:
    file = root / f"{subset}_video_IDs.txt"
    if not file.is_file():
        raise DarkposeError(f"{file}: expected the list of the {subset} videos; copy it from {_LISTS}")
    names: dict[str, int] = {}
    for number, line in numbered_lines(file):
        name = line.strip()
        if not name.replace("-", "").replace("_", "").isalnum():
            raise DarkposeError(f"{file}:{number}: expected the ID of a video, got {name[:60]!r}")
        if names.setdefault(name, number) != number:
            raise DarkposeError(f"{file}:{number}: {name} is in line {names[name]}, too")
    return read_each(file, list(names), lambda name: _read_clip(root, name, subset), broken)


def _read_clip(root: Path, name: str, subset: str) -> AnnotatedClip:
    keypoints = _read_array(root / "landmarks" / f"{name}.npy", (len(WFLW_98), 2))
    boxes = _read_array(root / "bboxes" / f"{name}.npy", None)[:, :4]
    if len(boxes) != len(keypoints):
        raise DarkposeError(f"clip {name}: {len(keypoints)} frames have landmarks, but {len(boxes)} have boxes")
    video = root / "videos" / f"{name}.mp4"
    if not video.is_file():
        raise DarkposeError(f"{video}: expected the video of its annotations, found none")
    return AnnotatedClip(name, video, keypoints, WFLW_98, subset, boxes)


def _read_array(file: Path, shape: tuple[int, ...] | None) -> Floats:
    """A NumPy file with a row of this shape per frame; None: at least four numbers."""
    try:
        check_regular(file)
        values = np.load(file, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DarkposeError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise DarkposeError(f"{file}: not a NumPy file of numbers ({error})") from error
    fits = values.ndim == 2 and values.shape[1] >= 4 if shape is None else values.shape[1:] == shape
    if not fits or not len(values) or values.dtype.kind not in "fiu":
        expected = "(T, 4)" if shape is None else f"(T, {', '.join(map(str, shape))})"
        raise DarkposeError(f"{file}: expected numbers {expected}, got {values.dtype} {values.shape}")
    return np.array(values, np.float64)
