"""`darkpose predict`: photographs in, landmarks out."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from darkpose.errors import DarkposeError

if TYPE_CHECKING:
    from darkpose.predict_files import Outcome

DEFAULT_OUTPUT = Path("darkpose-out")


def predict(
    *paths: str,
    output: Path | None = None,
    format: Literal["json", "csv", "pts", "coco"] | None = None,
    draw: Annotated[bool, Parameter(negative="")] = False,
    scores: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    boxes: Annotated[list[str] | None, Parameter(negative="", allow_leading_hyphen=True)] = None,
    box_kind: Literal["detector", "landmarks", "square"] = "detector",
    detector: str = "auto",
    weights: str = "default",
    schema: str | None = None,
    flip_test: Literal["off", "published", "exact"] = "off",
    method: Literal["dark", "dark+", "quarter", "argmax"] = "dark",
    device: str = "auto",
    batch_size: int = 16,
) -> int:
    """Find the landmarks of every face in photographs.

    Parameters
    ----------
    paths
        Images, folders (searched whole) or globs.
    output
        Folder to write to; darkpose-out where it is not given and --json does not say that printing will do.
    format
        json (the default): a file per image; csv and coco: one file for all; pts: a file per face, 1-based as the
        format is.
    draw
        Also write each picture with its landmarks, as NAME.landmarks.png, enlarged where the faces are small.
    scores
        Write each picture with the scores, too.
    json
        Print one JSON line per image to standard output.
    boxes
        A face's box instead of a detector: x0,y0,x1,y1 in image px, or a .json or .csv file of boxes by image; repeat
        for several.
    box_kind
        What those boxes are: a face detector's, the tight extent of the landmarks, or a square to cut as it is.
    detector
        auto: YuNet where its file can be had, else haar; yunet; haar; or the path of a YuNet file.
    weights
        A checkpoint's path or a known name.
    schema
        Which markup, of weights that know several: 300w-68, wflw-98, aflw-19; their first where it is not given.
    flip_test
        Average with the mirrored crop: twice the time, a little more accurate.
    method
        Decoder of the heatmaps.
    device
        auto, cpu, cuda, cuda:1, ...
    batch_size
        Faces per forward pass.
    """
    from tqdm import tqdm

    from darkpose.boxfile import GivenBoxes
    from darkpose.detector import named_detector
    from darkpose.predict_files import OutputFolder, find_images, predict_files
    from darkpose.predictor import Predictor
    from darkpose.results import to_json

    if not paths:
        raise DarkposeError("name at least one image, folder or glob (darkpose predict --help)")
    inputs = find_images(paths)
    given = GivenBoxes(boxes) if boxes else None
    finder = None if given else named_detector(detector)
    predictor = Predictor(
        weights, device, flip_test, schema=schema, method=method, detector=finder, batch_size=batch_size
    )
    draw = draw or scores
    target = output or (None if json and not draw and format is None else DEFAULT_OUTPUT)
    folder = None
    if target is not None:
        folder = OutputFolder(target, format or "json", predictor.schema, draw=draw, scores=scores, inputs=inputs)
    tally = _Tally(len(inputs))
    try:
        with tqdm(total=tally.inputs, unit="image", disable=None) as bar, folder or nullcontext():
            write = folder.write if folder else None
            for outcome in predict_files(predictor, inputs, boxes=given, box_kind=box_kind, write=write):
                bar.update()
                tally.count(outcome)
                if outcome.problem:
                    bar.write(f"darkpose: {outcome.problem}", file=sys.stderr)
                if json and outcome.result is not None:
                    print(to_json(outcome.result), flush=True)
    except KeyboardInterrupt:
        print(f"darkpose: interrupted after {tally.seen} of {_count(tally.inputs, 'image')}", file=sys.stderr)
        return 130
    if predictor.detector_note:
        print(f"darkpose: {predictor.detector_note}", file=sys.stderr)
    if not json:
        print(f"{_count(tally.faces, 'face')} in {_count(tally.read, 'image')} -> {target}/")
    if tally.unused or tally.faceless:
        summary = f"{_count(tally.unused, 'image')} could not be used, {tally.faceless} without a face"
        print(f"darkpose: {summary}", file=sys.stderr)
    return 1 if tally.unused or tally.faceless else 0


@dataclass
class _Tally:
    """What became of the images of a run."""

    inputs: int
    read: int = 0
    unused: int = 0
    faceless: int = 0
    faces: int = 0

    @property
    def seen(self) -> int:
        return self.read + self.unused

    def count(self, outcome: "Outcome") -> None:
        """Count one image."""
        if outcome.result is None:
            self.unused += 1
            return
        self.read += 1
        self.faces += len(outcome.result.faces)
        self.faceless += not outcome.result.faces


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
