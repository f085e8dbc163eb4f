"""`darkpose predict`: photographs in, landmarks out."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from darkpose.cli.numbers import Count
from darkpose.errors import DarkposeError
from darkpose.files.paths import is_file

if TYPE_CHECKING:
    from darkpose.predict.files import Outcome
    from darkpose.predict.part import ShardFormat
    from darkpose.predict.shard_run import Step
    from darkpose.predict.sources import Source

DEFAULT_OUTPUT = Path("darkpose-out")


@Parameter(name="*")
@dataclass(frozen=True)
class Network:
    """What finds the landmarks.

    Parameters
    ----------
    weights
        A checkpoint's path, a known name, or an exported .onnx file.
    schema
        Which markup, of weights that know several: 300w-68, wflw-98, aflw-19; their first where it is not given.
    flip_test
        Average with the mirrored crop: twice the time, a little more accurate; off, or as an exported file has it built
        in, where it is not given.
    method
        Decoder of the heatmaps; dark, or an exported file's own, where it is not given.
    covariance
        Say of every landmark how far it may be off, in image px^2: in json (null where not known), as columns of csv,
        as 95 % ellipses of --draw.
    device
        auto, cpu, cuda, cuda:1, ...; for the runtime torch.
    runtime
        By what the network runs. auto: torch for a checkpoint, for an exported file the faster one that is installed. A
        checkpoint for another runtime than torch is exported once, into the cache.
    threads
        Of the processor, for the network.
    provider
        onnxruntime's execution provider or OpenVINO's device; repeat for several, best first.
    numbers
        bf16: let the network calculate in bfloat16, by torch or OpenVINO.
    compiled
        Let torch compile the network first, for a GPU into CUDA graphs; it takes minutes.
    batch_size
        Faces per forward pass.
    shape_prior
        Draw the landmarks towards the shapes that faces have, for hidden, blurred and lost ones: wflw-98, or a prior's
        file.
    """

    weights: str = "default"
    schema: str | None = None
    flip_test: Literal["off", "published", "exact"] | None = None
    method: Literal["dark", "dark+", "quarter", "argmax"] | None = None
    covariance: Annotated[bool, Parameter(negative="")] = False
    device: str = "auto"
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto"
    threads: int | None = None
    provider: Annotated[list[str] | None, Parameter(negative="")] = None
    numbers: Literal["fp32", "bf16"] = "fp32"
    compiled: Annotated[bool, Parameter(negative="")] = False
    batch_size: int = 16
    shape_prior: str | None = None

    def options(self) -> dict[str, Any]:
        """Of a `Predictor`; a file by its whole path."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "provider"}
        prior = None if self.shape_prior is None else _absolute(self.shape_prior)
        files = {"weights": _absolute(self.weights), "shape_prior": prior}
        return {**chosen, **files, "providers": tuple(self.provider or ())}


def predict(
    *paths: str,
    network: Network | None = None,
    output: Path | None = None,
    format: Literal["json", "csv", "pts", "coco", "jsonl", "parquet"] | None = None,
    draw: Annotated[bool, Parameter(negative="")] = False,
    scores: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    boxes: Annotated[list[str] | None, Parameter(negative="", allow_leading_hyphen=True)] = None,
    box_kind: Literal["detector", "landmarks", "square"] = "detector",
    detector: str = "auto",
    workers: Count | None = None,
    listed: Annotated[str | None, Parameter(name="--list", allow_leading_hyphen=True)] = None,
    shard_size: int = 1000,
    ray: int | None = None,
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
        format is; jsonl and parquet: shards of any number of images, which are read as they come, also out of tar
        files; killed or stopped, the same command goes on.
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
    workers
        Threads that read images and find faces ahead of the network, one per processor where it is not given; on Ray,
        processors per predictor, 1 where it is not given.
    listed
        For shards: a file with the path of an image or tar file in each line; - is standard input.
    shard_size
        For shards: inputs in each.
    ray
        For shards: so many predictors at the same time on the Ray cluster of $RAY_ADDRESS, or on one of this machine.
    """
    from tqdm import tqdm

    from darkpose.predict.files import OutputFolder, predict_files
    from darkpose.predict.formats import to_json
    from darkpose.predict.given_boxes import GivenBoxes
    from darkpose.predict.inputs import find_images
    from darkpose.predict.shard_run import Step
    from darkpose.predict.sources import find_sources
    from darkpose.stopping import sigterm_as_interrupt

    given = GivenBoxes(boxes) if boxes else None
    step = Step((network or Network()).options(), _absolute(detector), given, box_kind, workers)
    if format == "jsonl" or format == "parquet":
        if draw or scores or json:
            raise DarkposeError(f"--format {format} writes shards; --draw, --scores and --json go with other formats")
        return _in_shards(step, find_sources(paths, listed), output or DEFAULT_OUTPUT, format, shard_size, ray)
    if listed is not None or ray is not None:
        raise DarkposeError("--list and --ray go with --format jsonl or parquet")
    if not paths:
        raise DarkposeError("name at least one image, folder or glob (darkpose predict --help)")
    inputs = find_images(paths)
    predictor = step.predictor()
    draw = draw or scores
    target = output or (None if json and not draw and format is None else DEFAULT_OUTPUT)
    folder = None
    if target is not None:
        folder = OutputFolder(target, format or "json", predictor.schema, draw=draw, scores=scores, inputs=inputs)
    tally = _Tally(len(inputs))
    try:
        bar = tqdm(total=tally.inputs, unit="image", disable=None)
        with sigterm_as_interrupt(), bar, folder or nullcontext():
            write = folder.write if folder else None
            for outcome in predict_files(
                predictor, inputs, boxes=given, box_kind=box_kind, write=write, threads=workers
            ):
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
    if step.options["covariance"] and not predictor.calibrated:
        print("darkpose: these weights have no calibration for this markup: no covariance is known", file=sys.stderr)
    print(f"darkpose: by {predictor.runtime}", file=sys.stderr)
    if not json:
        print(f"{_count(tally.faces, 'face')} in {_count(tally.read, 'image')} -> {target}/")
    if tally.unused or tally.faceless:
        summary = f"{_count(tally.unused, 'image')} could not be used, {tally.faceless} without a face"
        print(f"darkpose: {summary}", file=sys.stderr)
    return 1 if tally.unused or tally.faceless else 0


def _in_shards(
    step: "Step", sources: "Iterator[Source]", folder: Path, format: "ShardFormat", size: int, actors: int | None
) -> int:
    """Predict into a folder of shards; the exit code."""
    from tqdm import tqdm

    from darkpose.predict.on_ray import predict_parts
    from darkpose.predict.shard_run import predict_shards
    from darkpose.predict.shards import Shards
    from darkpose.stopping import Stopping

    try:
        predictor = step.predictor(**({} if actors is None else {"device": "cpu"}))
        shards = Shards(folder, format, step.facts(predictor), size=size)
        with Stopping() as stopping, shards, tqdm(unit="image", disable=None) as bar:
            made: Iterator[object]
            if actors is None:
                made = predict_shards(predictor, step, sources, shards)
            else:
                made = predict_parts(step, sources, shards, actors=actors)
            for _ in made:
                bar.update(shards.summary()["inputs"] - bar.n)
                if stopping.reason:
                    break
            shards.flush()
        stopped = bool(stopping.reason)
    except KeyboardInterrupt:
        print("darkpose: interrupted; the same command goes on", file=sys.stderr)
        return 130
    if predictor.detector_note:
        print(f"darkpose: {predictor.detector_note}", file=sys.stderr)
    if actors is None:  # on a cluster, its machines' own
        print(f"darkpose: by {predictor.runtime}", file=sys.stderr)
    counts = shards.summary()
    statuses = ", ".join(f"{counts[status]} {status}" for status in ("done", "no face", "unreadable"))
    print(f"{_count(counts['inputs'], 'image')}: {statuses}; {_count(counts['faces'], 'face')} -> {folder}/")
    if stopped:
        print("darkpose: interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0 if counts["done"] == counts["inputs"] else 1


def _absolute(name: str) -> str:
    """A file by its whole path, so that a process in another folder finds it; another name as it is."""
    return str(Path(name).absolute()) if is_file(name) else name


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
