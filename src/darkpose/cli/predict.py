"""`darkpose predict`: images in, landmarks out."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from darkpose.cli.model import (
    DEFAULT_OUTPUT,
    INPUT,
    INTERRUPTED,
    OUTPUT,
    SCALE,
    Compute,
    Model,
    predictor_options,
    runtime_for,
)
from darkpose.cli.numbers import Count
from darkpose.cli.result import count_of, print_json, print_lines, tell, tell_facts
from darkpose.errors import DarkposeError, shown
from darkpose.files.paths import is_file
from darkpose.stopping import termination_as_interrupt

if TYPE_CHECKING:
    from darkpose.predict.files import Outcome
    from darkpose.predict.given_boxes import GivenBoxes
    from darkpose.predict.part import ShardFormat
    from darkpose.predict.predictor import BoxKind, Predictor


Kind = Literal["detector", "yunet", "darkpose", "haar", "landmarks", "square"]


@Parameter(name="*", group=SCALE)
@dataclass(frozen=True)
class Scale:
    """Memory, and numbers of images.

    Parameters
    ----------
    batch_size
        Faces per forward pass.
    workers
        Threads that read images and detect faces ahead of the network. Default: one per CPU core. With --ray: CPU cores
        per predictor. Default: 1.
    shard_size
        Images per shard, for jsonl and parquet.
    ray
        Number of predictors on the Ray cluster at $RAY_ADDRESS, or on this machine. For jsonl and parquet.
    """

    batch_size: int = 16
    workers: Count | None = None
    shard_size: int = 1000
    ray: int | None = None


def predict(
    *paths: Annotated[str, Parameter(group=INPUT)],
    boxes: Annotated[list[str] | None, Parameter(group=INPUT, allow_leading_hyphen=True)] = None,
    detector: Annotated[str, Parameter(group=INPUT)] = "auto",
    box_kind: Annotated[Kind, Parameter(group=INPUT)] = "detector",
    find: Annotated[Literal["usual", "small"], Parameter(group=INPUT)] = "usual",
    listed: Annotated[str | None, Parameter(name="--list", group=INPUT, allow_leading_hyphen=True)] = None,
    model: Model | None = None,
    output: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    format: Annotated[Literal["json", "csv", "pts", "coco", "jsonl", "parquet"] | None, Parameter(group=OUTPUT)] = None,
    draw: Annotated[bool, Parameter(group=OUTPUT)] = False,
    json: Annotated[bool, Parameter(group=OUTPUT)] = False,
    scores: Annotated[bool, Parameter(group=OUTPUT)] = False,
    covariance: Annotated[bool, Parameter(group=OUTPUT)] = False,
    derived: Annotated[bool, Parameter(group=OUTPUT)] = False,
    crops: Annotated[str | None, Parameter(group=OUTPUT)] = None,
    compute: Compute | None = None,
    scale: Scale | None = None,
) -> int:
    """Find the landmarks of every face in images.

    Parameters
    ----------
    paths
        Images, folders (searched whole) or globs; tar files for jsonl and parquet.
    boxes
        Box of a face instead of a detector: x0,y0,x1,y1 in image px, or a .json or .csv file of boxes by image. Repeat
        for several.
    detector
        auto or darkpose (the one in the package), yunet, haar, or the path of a YuNet file or of weights of darkpose's
        detector.
    box_kind
        Kind of the given boxes: of a detector, tight around the landmarks, or a square to cut as it is; detector is
        the one of --detector.
    find
        usual: faces of 16 px or more, in images of more than 1024 px of 1/64 of the longer side (yunet); of 1/40 of the
        longer side (darkpose); of 24 px or 1/20 of the shorter side (haar). small: of 16 px (yunet), 12 px (darkpose)
        or 24 px (haar) in images of any size, by tiles of the image: slower by as many times as it has tiles of 0.1
        megapixels.
    listed
        File with the path of an image or tar file in each line; - for standard input. For jsonl and parquet.
    output
        Folder for the results. Default: darkpose-out, or none with --json.
    format
        json (default): a file per image. csv, coco: one file. pts: a file per face, 1-based as usual for this format.
        jsonl, parquet: shards of any number of images; if it is interrupted, the same command continues.
    draw
        Also write each image with its landmarks, NAME.landmarks.png; enlarged if faces are small.
    json
        Print one JSON line per image.
    scores
        Draw the scores, too.
    covariance
        Also give the uncertainty of each landmark, image px^2: in json (null if unknown), as columns of csv, as 95 %
        ellipses of --draw.
    derived
        Also give head pose, openness of eyes and mouth, and five points, in json, csv, jsonl and parquet; --draw shows
        the axes of the head. With --covariance the pose has standard errors.
    crops
        Also write each face as an aligned crop, NAME.aligned.png: arcface-112, ffhq, others of their sizes (ffhq-1024),
        or a number: the size, with both eyes at fixed places.
    """
    model, compute, scale = model or Model(), compute or Compute(), scale or Scale()
    options = predictor_options(model, compute)
    options |= {"covariance": covariance, "batch_size": scale.batch_size, "find": find}
    if format == "jsonl" or format == "parquet":
        if draw or scores or json or crops:
            raise DarkposeError(
                f"--format {format} writes shards; --draw, --scores, --crops and --json are for other formats"
            )
        faces = (_absolute(detector), boxes, box_kind, scale.workers, derived)
        return _write_shards(paths, listed, options, faces, output or DEFAULT_OUTPUT, format, scale)
    if listed is not None or scale.ray is not None:
        raise DarkposeError("--list and --ray are for --format jsonl or parquet")
    if not paths:
        raise DarkposeError("name at least one image, folder or glob (darkpose predict --help)")
    from darkpose.predict.inputs import find_images

    if crops is not None:
        from darkpose.derived.alignment import check_template

        check_template(crops)
    inputs = find_images(paths)  # a wrong name is reported before the slow imports below

    from tqdm import tqdm

    from darkpose.predict.files import OutputFolder, predict_files
    from darkpose.predict.formats import to_dict
    from darkpose.predict.predictor import Predictor

    given = _given_boxes(boxes)
    if given:
        given.check(item.path for item in inputs)
    box_kind = _maker(detector) if given and box_kind == "detector" else box_kind
    options["runtime"] = runtime_for(model, compute, len(inputs))
    predictor = Predictor(**options, detector="auto" if given else detector)
    draw = draw or scores
    target = output or (None if json and not (draw or crops) and format is None else DEFAULT_OUTPUT)
    folder = None
    if target is not None:
        facts = {**_facts(predictor, given, box_kind), **({"derived": True} if derived else {})}
        folder = OutputFolder(
            *(target, format or "json", predictor.schema),
            draw=draw,
            scores=scores,
            crops=crops,
            inputs=inputs,
            facts=facts,
        )
    tally = _Tally(len(inputs))
    if folder is not None and folder.unfinished is not None:
        tally.read, tally.faces, tally.faceless = (
            folder.unfinished.kept[name] for name in ("images", "faces", "faceless")
        )
        inputs = folder.remaining(inputs)
        if tally.read:
            tell(f"{count_of(tally.read, 'image')} of an unfinished run kept")
    try:
        bar = tqdm(total=len(inputs), unit="image", disable=None)
        with termination_as_interrupt(), bar, folder or nullcontext():
            write = folder.write if folder else None
            for outcome in predict_files(
                *(predictor, inputs),
                boxes=given,
                box_kind=box_kind,
                write=write,
                threads=scale.workers,
                derived=derived,
            ):
                bar.update()
                tally.count(outcome)
                if outcome.problem:
                    bar.write(f"darkpose: {shown(outcome.problem)}", file=sys.stderr)
                if json and outcome.result is not None:
                    print_json(to_dict(outcome.result))
    except KeyboardInterrupt:
        tell(f"interrupted after {tally.seen} of {count_of(tally.inputs, 'image')}")
        return 130
    tell_facts(predictor, covariance)
    if not json:
        print_lines(f"{count_of(tally.faces, 'face')} in {count_of(tally.read, 'image')} -> {target}/")
    if tally.unused or tally.faceless:
        tell(f"{count_of(tally.unused, 'image')} could not be used, {tally.faceless} without a face")
    return 1 if tally.unused or tally.faceless else 0


def _facts(predictor: "Predictor", boxes: "GivenBoxes | None", box_kind: "BoxKind") -> dict[str, Any]:
    """JSON values of everything the results depend on except the images."""
    from darkpose.detect.detector import detector_facts

    if boxes is None:
        return {**predictor.facts(), **detector_facts(predictor.detector)}
    return {**predictor.facts(), "boxes": boxes.digest(), "box_kind": box_kind}


def _maker(detector: str) -> Kind:
    """The kind of boxes given with `--detector`."""
    from darkpose.detect.detector import kind_of

    return kind_of(detector)


def _given_boxes(values: list[str] | None) -> "GivenBoxes | None":
    if not values:
        return None
    from darkpose.predict.given_boxes import GivenBoxes

    return GivenBoxes(values)


def _write_shards(
    paths: Sequence[str],
    listed: str | None,
    options: dict[str, Any],
    faces: tuple[str, list[str] | None, "BoxKind", int | None, bool],
    folder: Path,
    format: "ShardFormat",
    scale: Scale,
) -> int:
    """Write the results as shards; gives the exit code."""
    from darkpose.predict.sources import find_sources

    sources = find_sources(paths, listed)  # a wrong name is reported before the slow imports below

    from tqdm import tqdm

    from darkpose.predict.on_ray import predict_parts
    from darkpose.predict.shard_run import Step, predict_shards
    from darkpose.predict.shards import Shards
    from darkpose.stopping import Stopping

    detector, boxes, box_kind, workers, derived = faces
    for name in ("weights", "shape_prior"):
        options[name] = options[name] and _absolute(options[name])
    given = _given_boxes(boxes)
    box_kind = _maker(detector) if given and box_kind == "detector" else box_kind
    step = Step(options, detector, given, box_kind, workers, derived)
    try:
        predictor = step.predictor(**({} if scale.ray is None else {"device": "cpu"}))
        shards = Shards(folder, format, step.facts(predictor), size=scale.shard_size)
        with Stopping() as stopping, shards, tqdm(unit="image", disable=None) as bar:
            records: Iterator[object]
            if scale.ray is None:
                records = predict_shards(predictor, step, sources, shards, stopped=lambda: stopping.reason)
            else:
                records = predict_parts(step, sources, shards, actors=scale.ray)
            for _ in records:
                bar.update(shards.summary()["inputs"] - bar.n)
                if stopping.reason:
                    break
            shards.flush()
        stopped = bool(stopping.reason)
    except KeyboardInterrupt:
        tell(INTERRUPTED)
        return 130
    tell_facts(predictor, options["covariance"], on_cluster=scale.ray is not None)
    counts = shards.summary()
    statuses = ", ".join(f"{counts[status]} {status}" for status in ("done", "no face", "unreadable"))
    found = count_of(counts["faces"], "face")
    print_lines(f"{count_of(counts['inputs'], 'image')}: {statuses}; {found} -> {folder}/")
    if stopped:
        tell(INTERRUPTED)
        return 130
    return 0 if counts["done"] == counts["inputs"] else 1


def _absolute(name: str) -> str:
    """A file or folder of a run as its absolute path, for processes in other folders; another name unchanged."""
    from darkpose.weights.zoo import KEPT

    return str(Path(name).absolute()) if is_file(name) or is_file(Path(name) / KEPT) else name


@dataclass
class _Tally:
    """Numbers of images and faces so far."""

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
