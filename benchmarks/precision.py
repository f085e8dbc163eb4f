"""Accuracy in fp16, bf16 and int8: precision.py 300W WFLW WORK

Writes benchmarks/precision.json: NME of the shipped weights in torch and as exported files, by runtime and number type.
300W and WFLW are folders as `darkpose datasets check` takes them. The folder WORK keeps exported files and landmarks;
a run continues where an earlier one was stopped.

lfpw         300-W's LFPW test, 68 landmarks, weights "default".
wflw         The available faces of WFLW's test list, 98 landmarks, weights "300w-hrnetv2-w18-dark", which were
             trained on none of them.
small-lfpw   The same with the small network, weights "300w-small-dark".
small-wflw
nme          Pooled over landmarks, in per cent of the distance between the outer eye corners, boxes from the
             annotation, no flip test, DARK; with its 95 % bootstrap interval over images.
difference   NME minus that of torch in fp32, and the interval of this difference, drawn over images in pairs.
median face  The median over the faces of the difference of a face's own NME.
int8         onnxruntime's quantiser with scales from 96 faces, found by YuNet, of the photographs of 300-W's training
             sets (helen/trainset, lfpw/trainset) in random order. The file called "int8" is what `quantise` makes:
             its first convolution is in float32. To compare: that one in int8, too; so, but the head and the last
             stage in float32; the first two, the stem, in float32; and "int8" with the sums (Add) in 8 bits.
accepted     int8 is accepted in a set where it costs less than 0.05 there; "shown" where the whole interval does.
"""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from surroundings import surroundings
from tqdm import tqdm

from darkpose.datasets.sample import Sample
from darkpose.deploy import quantise
from darkpose.deploy.export import ExportOptions, export_onnx
from darkpose.deploy.face_crops import found_crops
from darkpose.detect.yunet import YuNet, find_yunet
from darkpose.evaluation.benchmarks import find_benchmark
from darkpose.evaluation.comparison import compare_predictions
from darkpose.evaluation.predict_samples import cut_samples
from darkpose.evaluation.report import face_nmes, measure_errors
from darkpose.files.atomic import make_folder
from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels
from darkpose.network.checkpoint import Checkpoint
from darkpose.network.load import load_checkpoint
from darkpose.predict.landmarks import LandmarkFinder
from darkpose.runtime.card import Precision
from darkpose.runtime.network import NumberType, Runtime
from darkpose.runtime.open import Engine, open_weights
from darkpose.schema import KeypointSchema

OUT = Path("benchmarks/precision.json")
SCALED, ACCEPTED, THREADS = 96, 0.05, 1
SETS = {
    "lfpw": ("300w-lfpw", "default"),
    "wflw": ("wflw-test", "300w-hrnetv2-w18-dark"),
    "small-lfpw": ("300w-lfpw", "300w-small-dark"),
    "small-wflw": ("wflw-test", "300w-small-dark"),
}
TRAINING = ("helen/trainset", "lfpw/trainset")


class Kind(NamedTuple):
    """What is in int8: operators, without the convolutions whose weights have names that begin with `in_float`."""

    operators: tuple[str, ...]
    in_float: tuple[str, ...]


KINDS = {
    "int8": Kind(quantise.QUANTISED, quantise.IN_FLOAT),
    "int8 (first convolution, too)": Kind(quantise.QUANTISED, ()),
    "int8 (but head, last stage)": Kind(quantise.QUANTISED, ("head.", "backbone.stage4.")),
    "int8 (but stem)": Kind(quantise.QUANTISED, ("backbone.conv1.", "backbone.conv2.")),
    "int8 (ReLUs apart)": Kind(("Conv",), quantise.IN_FLOAT),
    "int8 (sums, too)": Kind((*quantise.QUANTISED, "Add"), quantise.IN_FLOAT),
}


class Way(NamedTuple):
    """A file ("": the checkpoint in torch) in a runtime."""

    file: str
    runtime: Runtime
    numbers: NumberType = "fp32"

    def __str__(self) -> str:
        file = f", {self.file} file" if self.file else ""
        return f"{self.runtime} {self.numbers}{file}" if self.runtime != "onnxruntime" else f"onnxruntime{file}"


def ways() -> list[Way]:
    """The ways; the others are compared with the first."""
    found = [Way("", "torch"), Way("", "torch", "bf16")]
    found += [Way("fp32", "onnxruntime"), Way("fp32", "openvino"), Way("fp32", "openvino", "bf16")]
    found += [Way("fp16", "onnxruntime"), Way("fp16", "openvino")]
    for file in KINDS:
        found += [Way(file, "onnxruntime"), Way(file, "openvino"), Way(file, "openvino", "bf16")]
    return found


class Faces(NamedTuple):
    """Annotated faces, cut."""

    samples: Sequence[Sample]
    schema: KeypointSchema
    crops: Pixels
    center: Floats
    sides: Floats


def cut_faces(data_set: str, root: Path, checkpoint: Checkpoint) -> Faces:
    """The faces of a test set as the network takes them."""
    test, config = find_benchmark(data_set).test_set, checkpoint.config
    samples = test.read(root)
    crops, center, sides = cut_samples(samples, config.crop_size, config.padding)
    return Faces(samples, test.schema, np.stack(list(crops)), center, sides)


def write_files(stem: Path, checkpoint: Checkpoint, photographs: Sequence[Path]) -> dict[str, Path]:
    """Export in every precision."""
    makers: dict[str, Kind | None] = {"fp32": None, "fp16": None, **KINDS}
    files = {name: stem.with_name(f"{stem.name}-{number}.onnx") for number, name in enumerate(makers)}
    crops: Pixels | None = None
    for name, kind in makers.items():
        if files[name].exists():
            continue
        if kind and crops is None:
            crops = found_crops(photographs, checkpoint.config, YuNet(find_yunet()), SCALED, least=SCALED).crops
        precision: Precision = "int8" if kind else "fp16" if name == "fp16" else "fp32"
        operators, in_float = kind or KINDS["int8"]
        with patch.object(quantise, "QUANTISED", operators), patch.object(quantise, "IN_FLOAT", in_float):
            data = export_onnx(checkpoint, ExportOptions(precision=precision), None, crops if kind else None)
        files[name].write_bytes(data)
    return files


def landmarks(way: Way, weights: str, files: dict[str, Path], faces: Faces, kept: Path) -> tuple[str, Floats]:
    """The runtime of a way, and its landmarks (N, K, 2) in image px."""
    engine = Engine(way.runtime, "cpu", THREADS, numbers=way.numbers)
    opened = open_weights(files[way.file] if way.file else weights, faces.schema.name, engine)
    find = LandmarkFinder(opened.network, opened.schema, kernel_size=opened.config.kernel_size, batch_size=8)
    if not kept.exists():
        np.save(kept, find(faces.crops, faces.center, faces.sides).keypoints.astype(np.float64))
    points: Floats = np.load(kept)
    return opened.network.name, points


def measure(faces: Faces, weights: str, files: dict[str, Path], stem: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The numbers of every way."""
    reference: Floats | None = None
    for number, way in enumerate(tqdm(ways(), unit="way", disable=None)):
        runtime, points = landmarks(way, weights, files, faces, stem.with_name(f"{stem.name}-{number}.npy"))
        whole = measure_errors(points, faces.samples, faces.schema).subsets["all"]
        facts: dict[str, Any] = {"nme": whole.nme, "interval": whole.interval}
        if reference is not None:
            against = compare_predictions(points, reference, faces.samples, faces.schema)
            moved = np.linalg.norm(points - reference, axis=-1) / faces.sides[:, :1] * faces.crops.shape[2]
            facts |= {"difference": against.difference, "difference_interval": against.interval}
            each = [face_nmes(some, faces.samples, faces.schema) for some in (points, reference)]
            facts |= {"median_face_difference": np.median(each[0] - each[1])}
            facts |= {"moved_crop_px": {"mean": moved.mean(), "p99": np.quantile(moved, 0.99), "max": moved.max()}}
        reference = points if reference is None else reference
        yield str(way), {"runtime": runtime, **_rounded(facts)}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, tuple) else round(float(value), 4)


def accepted(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Which of the files in int8 cost little enough, by set: as measured, and shown by the whole interval."""
    found: dict[str, dict[str, Any]] = {}
    for name, each in results.items():
        for way, facts in each["ways"].items():
            if "int8" in way:
                little, shown = facts["difference"] < ACCEPTED, facts["difference_interval"][1] < ACCEPTED
                found.setdefault(way, {})[name] = {"accepted": little, "shown": shown}
    return found


def main(w300: Path, wflw: Path, work: Path) -> None:
    """Measure and write."""
    make_folder(work)
    photographs = sorted(file for name in TRAINING for file in (w300 / name).iterdir() if file.suffix != ".pts")
    photographs = random.Random(0).sample(photographs, len(photographs))
    results: dict[str, Any] = {}
    for name, (data_set, weights) in SETS.items():
        schema = find_benchmark(data_set).test_set.schema.name
        checkpoint = load_checkpoint(weights, schema=schema)
        files = write_files(work / name, checkpoint, photographs)
        faces = cut_faces(data_set, w300 if data_set == "300w-lfpw" else wflw, checkpoint)
        results[name] = {
            **{"data_set": data_set, "faces": len(faces.samples), "weights": weights, "markup": schema},
            "file_mb": {each: round(file.stat().st_size / 1e6, 1) for each, file in files.items()},
            "ways": dict(measure(faces, weights, files, work / name)),
        }
    packages = {each: version(each) for each in ("onnx", "onnxruntime", "openvino")}
    found = {**surroundings(), "packages": packages, "method": __doc__, "in_float": list(quantise.IN_FLOAT)}
    found |= {"results": results, "accepted": accepted(results)}
    OUT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
