"""Evaluation on a benchmark: write the predictions of weights to files, then measure the files."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from darkpose.codec.heatmap import Method
from darkpose.datasets.reading import is_drawn
from darkpose.datasets.sample import nme_normalisers, samples_digest
from darkpose.detect.detector import Detector, detector_facts
from darkpose.errors import DarkposeError
from darkpose.evaluation.benchmarks import Benchmark
from darkpose.evaluation.crop_boxes import box_rule, is_detector, rule_detector
from darkpose.evaluation.measure import AnnotatedFaces, Evaluation, align_predictions, check_one_schema, measure_files
from darkpose.evaluation.predict_samples import CropSettings, Variant, predict_to_files
from darkpose.evaluation.predictions import PredictionsWriter, only_writer
from darkpose.predict.shape_prior import ShapePrior, as_shape_prior
from darkpose.runtime.flip import FlipTest
from darkpose.runtime.open import Engine, OpenedWeights, open_weights
from darkpose.schema import KeypointSchema
from darkpose.weights.checkpoint import open_checkpoint
from darkpose.weights.zoo import PICKLED, resolve_name, weights_file


@dataclass(frozen=True)
class PredictOptions:
    """How to predict. Every combination of boxes, flip tests and methods is measured; the first is the main one.

    Attributes:
        boxes: names of box rules (see `crop_boxes.box_rule`).
        flip_tests, methods: empty: that of the benchmark.
        schema: to predict, if the weights know several; None: that of the data set.
        device: of torch (see `runtime.open.Engine`).
        workers: threads that read and cut images ahead of the network.
    """

    boxes: tuple[str, ...] = ("annotation",)
    flip_tests: tuple[FlipTest, ...] = ()
    methods: tuple[Method, ...] = ()
    schema: str | None = None
    device: str = "auto"
    workers: int = 0

    def variants(self, benchmark: Benchmark) -> list[Variant]:
        """All combinations, once each."""
        flips = self.flip_tests or (benchmark.protocol.flip_test,)
        methods = self.methods or (benchmark.protocol.method,)
        return list(dict.fromkeys(Variant(*each) for each in product(self.boxes, flips, methods)))


def evaluate_benchmark(
    benchmark: Benchmark,
    root: Path,
    predictions: Path | None,
    *,
    weights: str | None = None,
    options: PredictOptions = PredictOptions(),
    against: Sequence[Path] = (),
    shared: bool = False,
    shape_prior: str | Path | ShapePrior | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Evaluation:
    """Evaluate on a benchmark: predict the faces that are missing in the files of predictions, then measure the files.

    Args:
        benchmark: the test set and protocol.
        root: folder of its data set.
        predictions: the file; without `weights` also of other systems (see `predictions`). Further variants are written
            to files next to it. None: files in the working directory, named by benchmark, weights, schema and variant.
        weights: path or name of a checkpoint ("default": the shipped weights with the lowest error for the schema);
            None: the file is measured as it is.
        options: how to predict with the weights.
        against: other files of predictions, to compare with face by face.
        shared: if the predictions are in another schema, measure the landmarks that both schemas have.
        shape_prior: also measure landmarks pulled towards it, and put them first; the files do not change.
        tell: called with why the boxes "detector" are not of the best one, for people.

    Raises:
        DarkposeError: data, weights or a file cannot be used, or do not fit each other.
    """
    caveats = ("faces drawn by darkpose",) if is_drawn(root) else ()
    faces = AnnotatedFaces(benchmark, benchmark.test_set.read(root), shared, caveats)
    nme_normalisers(faces.samples, faces.schema)  # errors are raised before anything is predicted
    others = {str(file): align_predictions(file, faces).schema for file in against}
    if weights is not None:
        files = _predict(faces, weights, predictions, options, others, shape_prior, tell)
    elif predictions is not None:
        files = [predictions]
    else:
        raise DarkposeError("an evaluation needs weights, or a file of predictions")
    return measure_files([*files, *against], faces, shape_prior)


def _predict(
    faces: AnnotatedFaces,
    weights: str,
    predictions: Path | None,
    options: PredictOptions,
    others: Mapping[str, KeypointSchema],
    shape_prior: str | Path | ShapePrior | None,
    tell: Callable[[str], object],
) -> list[Path]:
    """Predict the faces that are missing in the files of the variants; the files. `others` are compared with them."""
    benchmark = faces.benchmark
    weights = resolve_name(weights, options.schema or faces.schema.name)
    opened, variants = _open(weights, faces.schema, options), options.variants(benchmark)
    faces.check_schema(weights, opened.schema)
    check_one_schema({weights: opened.schema, **others})
    if shape_prior is not None:
        as_shape_prior(shape_prior, opened.schema)  # errors are raised before anything is predicted
    if predictions is None:
        base = _default_file(benchmark, weights, opened.schema)
        files = [_variant_file(base, variant) for variant in variants]
    else:
        files = [predictions, *(_variant_file(predictions, variant) for variant in variants[1:])]
    detectors = {each.boxes: rule_detector(each.boxes) for each in variants if is_detector(each.boxes)}
    rules = {each.boxes: box_rule(each.boxes, detectors.get(each.boxes)) for each in variants}
    headers = [_header(faces, opened, weights, variant, detectors) for variant in variants]
    protocol, config, network = benchmark.protocol, opened.config, opened.network
    crops = CropSettings(config.crop_size, config.padding, protocol.kernel_size, protocol.batch_size)
    with ExitStack() as held:
        for file in files:
            held.enter_context(only_writer(file))
        writers = {
            variant: PredictionsWriter(file, header)
            for variant, file, header in zip(variants, files, headers, strict=True)
        }
        predict_to_files(writers, network, faces.samples, opened.schema, rules, crops, workers=options.workers)
    return files


def _open(weights: str, schema: KeypointSchema, options: PredictOptions) -> OpenedWeights:
    """The weights for the schema asked for, else that of the data set if they know it, else their first one."""
    chosen, file = options.schema, weights_file(weights, options.schema or schema.name)
    if chosen is None and file.suffix not in PICKLED:
        known = [part.name for part in open_checkpoint(file).schema.parts]
        chosen = schema.name if schema.name in known else None
    return open_weights(weights, chosen, Engine(device=options.device))


def _default_file(benchmark: Benchmark, weights: str, schema: KeypointSchema) -> Path:
    other = "" if schema.names == benchmark.test_set.schema.names else f".{schema.name}"
    return Path(f"{benchmark.name.replace('/', '-')}.{Path(weights).stem}{other}.predictions.jsonl")


def _variant_file(file: Path, variant: Variant) -> Path:
    way = "-".join((variant.boxes.replace(":", ""), variant.flip_test, variant.method))
    return file.with_name(f"{file.name.removesuffix(file.suffix)}.{way}{file.suffix}")


def _header(
    faces: AnnotatedFaces, opened: OpenedWeights, weights: str, variant: Variant, detectors: Mapping[str, Detector]
) -> dict[str, Any]:
    """The first line of a file of predictions."""
    benchmark, config = faces.benchmark, opened.config
    used = detector_facts(detectors[variant.boxes]) if variant.boxes in detectors else {}
    return {
        "recipe": benchmark.name,
        "data_set": benchmark.test_set.name,
        "faces": len(faces.samples),
        "faces_sha256": samples_digest(faces.samples),
        "markup": opened.schema.name,
        "system": "darkpose",
        "darkpose": version("darkpose"),
        "weights": weights,
        "weights_sha256": opened.fingerprint(),
        "crop_size": config.crop_size,
        "padding": config.padding,
        "normalisation": asdict(config.normalisation),
        "provenance": dict(opened.provenance),
        **variant._asdict(),
        "kernel_size": benchmark.protocol.kernel_size,
        **used,
    }
