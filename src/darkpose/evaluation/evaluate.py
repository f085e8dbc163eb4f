"""Evaluation on a benchmark: write predictions to files, then compare the files with the annotations."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.heatmap import Method
from darkpose.datasets.catalogue import JOINED
from darkpose.datasets.derive import derive_shared, shared_points
from darkpose.datasets.drawn_data_sets import is_drawn
from darkpose.datasets.sample import Sample, samples_digest
from darkpose.detect.detector import Detector, best_detector, named_detector
from darkpose.errors import DarkposeError
from darkpose.evaluation.benchmarks import BENCHMARKS, Benchmark
from darkpose.evaluation.crop_boxes import box_rule, is_detector
from darkpose.evaluation.predict_samples import CropSettings, Variant, predict_to_files
from darkpose.evaluation.predictions import Predictions, PredictionsWriter, only_writer, read_predictions
from darkpose.evaluation.report import Comparison, Report, compare, published_lengths, report
from darkpose.predict.shape_prior import ShapePrior, as_shape_prior
from darkpose.runtime.flip import FlipTest
from darkpose.runtime.open import Engine, OpenedWeights, open_weights
from darkpose.schema import SCHEMAS, KeypointSchema
from darkpose.weights.checkpoint import open_checkpoint
from darkpose.weights.zoo import PICKLED, resolve_name, weights_file


@dataclass(frozen=True)
class Choices:
    """The ways to predict; every combination is measured, the first of each together first.

    Attributes:
        boxes: names of box rules (see `boxrule`).
        flip_tests, methods: empty: the benchmark's.
    """

    boxes: tuple[str, ...] = ("annotation",)
    flip_tests: tuple[FlipTest, ...] = ()
    methods: tuple[Method, ...] = ()

    def variants(self, benchmark: Benchmark) -> list[Variant]:
        """All combinations, once each."""
        flips = self.flip_tests or (benchmark.protocol.flip_test,)
        methods = self.methods or (benchmark.protocol.method,)
        return list(dict.fromkeys(Variant(*each) for each in product(self.boxes, flips, methods)))


@dataclass(frozen=True)
class Other:
    """Another predictions file of the same faces: what it is called, its numbers, and the first file's minus its."""

    name: str
    file: Path
    report: Report
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found.

    Attributes:
        recipe: name of the benchmark.
        name: the way of predicting, or the file's name.
        file: the predictions that were measured.
        header: the first line of that file.
        report: their numbers.
        others: the same faces predicted in other ways or by other systems.
        points: (N, K, 2) image px, those predictions; infinite for faces that were not found.
        samples, schema: the annotated faces and their markup, as they were measured.
    """

    recipe: str
    name: str
    file: Path
    header: Mapping[str, Any]
    report: Report
    others: tuple[Other, ...]
    points: NDArray[np.float64]
    samples: tuple[Sample, ...]
    schema: KeypointSchema

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        others = [
            {
                "name": other.name,
                "file": str(other.file),
                **other.report.to_dict(),
                "first_minus_this": other.comparison.to_dict(),
            }
            for other in self.others
        ]
        return {
            "recipe": self.recipe,
            "name": self.name,
            "file": str(self.file),
            **self.report.to_dict(),
            "others": others,
        }

    def lines(self) -> list[str]:
        """Tables for people; the last line says which published row this should match."""
        lines = self.report.lines()
        if self.others:
            head = f"{'the same faces (NME: of those it found)':42}{'missed':>7}{'NME':>8}{'FR10':>8}"
            lines += ["", f"{head}   the first minus it"]
            lines.append(_row(self.name, self.report))
        lines += [f"{_row(other.name, other.report)}   {other.comparison.line()}" for other in self.others]
        return [*lines, f"predictions: {self.file}", self.report.published_line()]


def _row(name: str, report: Report) -> str:
    row = report.subsets["all"]
    return f"{name:42}{row.missed:7d}{row.nme:8.3f}{row.failure_rates[10]:8.2f}"


def evaluate_benchmark(
    benchmark: Benchmark,
    root: Path,
    predictions: Path | None,
    *,
    weights: str | None = None,
    choices: Choices = Choices(),
    against: Sequence[Path] = (),
    shared: bool = False,
    markup: str | None = None,
    device: str = "auto",
    workers: int = 0,
    shape_prior: str | Path | ShapePrior | None = None,
) -> Evaluation:
    """Evaluate on a benchmark: predict what the predictions files lack, then read them.

    Args:
        benchmark: the test set and protocol.
        root: folder of its data set.
        predictions: the file; of darkpose or, without `weights`, of any system (see `predictions`). Further ways to
            predict get files of their own beside it. None: files named by benchmark, weights, markup and way, here.
        weights: checkpoint to predict with, by path or name ("default": the shipped weights that are best at the
            markup); None: measure the file as it is.
        choices: ways to predict.
        against: other files of predictions, to compare with face by face.
        shared: where the predictions are of another markup, measure the landmarks that both markups share.
        markup: of weights that know several, the one to predict; None: the data set's.
        device: to predict on.
        workers: threads that read and cut images ahead of the network.
        shape_prior: measure the landmarks drawn towards it, too, and first; files keep those of the heatmaps.

    Raises:
        DarkposeError: data, weights or a file cannot be used, or do not fit each other.
    """
    samples, schema = benchmark.test_set.read(root), benchmark.test_set.schema
    published_lengths(samples, schema)  # a face that cannot be normalised is named before anything is predicted
    for file in against:
        _points(file, read_predictions(file), samples, benchmark, shared)
    if weights is None:
        if predictions is None:
            raise DarkposeError("an evaluation needs weights, or a file of predictions")
        files = [predictions]
    else:
        weights = resolve_name(weights, markup or schema.name)
        opened, variants = _open(weights, markup, schema, device), choices.variants(benchmark)
        _check_markup(weights, opened.schema, benchmark, shared)
        if predictions is None:
            base = _default_file(benchmark, weights, opened.schema)
            files = [_beside(base, variant) for variant in variants]
        else:
            files = [predictions, *(_beside(predictions, variant) for variant in variants[1:])]
        detectors = {each.boxes: _detector(each.boxes) for each in variants if is_detector(each.boxes)}
        rules = {each.boxes: box_rule(each.boxes, detectors.get(each.boxes)) for each in variants}
        headers = [_header(benchmark, samples, opened, weights, variant, detectors) for variant in variants]
        with ExitStack() as held:
            for file in files:
                held.enter_context(only_writer(file))
            writers = {
                variant: PredictionsWriter(file, header)
                for variant, file, header in zip(variants, files, headers, strict=True)
            }
            protocol = benchmark.protocol
            crops = CropSettings(
                opened.config.crop_size, opened.config.padding, protocol.kernel_size, protocol.batch_size
            )
            predict_to_files(writers, opened.network, samples, opened.schema, rules, crops, workers=workers)
    caveats = ["faces drawn by darkpose"] if is_drawn(root) else []
    return _measure(benchmark, samples, [*files, *against], shared, caveats, shape_prior)


def _measure(
    benchmark: Benchmark,
    samples: list[Sample],
    files: Sequence[Path],
    shared: bool,
    caveats: list[str],
    shape_prior: str | Path | ShapePrior | None,
) -> Evaluation:
    schema = benchmark.test_set.schema
    found = [read_predictions(file) for file in files]
    read = [_points(file, each, samples, benchmark, shared) for file, each in zip(files, found, strict=True)]
    markups, points = [markup for markup, _ in read], [each for _, each in read]
    if any(markup.names != markups[0].names for markup in markups):
        listed = ", ".join(f"{file} {markup.name}" for file, markup in zip(files, markups, strict=True))
        raise DarkposeError(f"predictions of different markups cannot be held against each other: {listed}")
    if markups[0].names != schema.names:
        samples = [_through_shared(sample, schema, markups[0]) for sample in samples]
    reasons = [caveats + _caveats(benchmark, samples, file.header, markups[0]) for file in found]
    names = _names(files, found)
    if shape_prior is not None:
        prior = as_shape_prior(shape_prior, markups[0])
        seen = sum(sample.image.name in set(prior.test_images) for sample in samples)
        told = [f"a shape prior{f' that has learnt from {seen} of these faces' if seen else ''}"]
        drawn = [_drawn(prior, each, plain, str(file)) for each, plain, file in zip(found, points, files, strict=True)]
        points, reasons = drawn + points, [each + told for each in reasons] + reasons
        names = [f"{name}, prior" for name in names] + names
        files, found = [*files, *files], found + found
    reports = [
        report(each, samples, markups[0], benchmark.published, why) for each, why in zip(points, reasons, strict=True)
    ]
    others = [
        Other(name, file, other, compare(points[0], each, samples, markups[0]))
        for name, file, other, each in zip(names[1:], files[1:], reports[1:], points[1:], strict=True)
    ]
    return Evaluation(
        benchmark.name,
        names[0],
        files[0],
        found[0].header,
        reports[0],
        tuple(others),
        points[0],
        tuple(samples),
        markups[0],
    )


def _drawn(prior: ShapePrior, file: Predictions, points: NDArray[np.float64], source: str) -> NDArray[np.float64]:
    """The landmarks of a predictions file drawn towards a prior, by the scores and boxes that it holds."""
    there = [face for face, found in file.keypoints.items() if found is not None]
    nothing, count = np.zeros(0), points.shape[1]
    shapes = {face: (file.scores.get(face, nothing).shape, file.boxes.get(face, nothing).shape) for face in there}
    lacking = [face for face, found in shapes.items() if found != ((count,), (4,))]
    if lacking:
        needs = f"{count} scores and a box of 4 numbers"
        raise DarkposeError(f"{source}: a shape prior needs {needs}, which face {lacking[0]} lacks")
    drawn = points.copy()
    if there:
        scores, boxes = (np.stack([values[face] for face in there]) for values in (file.scores, file.boxes))
        drawn[there] = prior(points[there], scores, boxes)
    return drawn


def _open(weights: str, markup: str | None, schema: KeypointSchema, device: str) -> OpenedWeights:
    """The weights for the schema asked for, else for that of the data set if they know it, else for their first."""
    file = weights_file(weights, markup or schema.name)
    if markup is None and file.suffix not in PICKLED:
        known = open_checkpoint(file).schema.parts
        markup = schema.name if schema.name in [part.name for part in known] else None
    return open_weights(weights, markup, Engine(device=device))


def _check_markup(source: str, found: KeypointSchema, benchmark: Benchmark, shared: bool) -> None:
    wanted = benchmark.test_set.schema
    if found.names == wanted.names:
        return
    theirs = f"the landmarks are of {found.name}, those of the data set {benchmark.test_set.name} of {wanted.name}"
    try:
        shared_points(wanted, found)
    except DarkposeError as error:
        raise DarkposeError(f"{source}: {theirs}; {error}") from error
    if not shared:
        raise DarkposeError(f"{source}: {theirs}; --shared measures the landmarks that both have")


def _points(
    file: Path, predictions: Predictions, samples: Sequence[Sample], benchmark: Benchmark, shared: bool
) -> tuple[KeypointSchema, NDArray[np.float64]]:
    """The markup and landmarks (N, K, 2) of a predictions file, which must be of these samples."""
    markup = _markup(file, predictions, benchmark, shared)
    points = predictions.as_array([sample.image.name for sample in samples], len(markup), str(file))
    said = predictions.header.get("faces_sha256")
    if said is not None and said != samples_digest(samples):
        raise DarkposeError(
            f"{file}: predictions of other faces than those here: annotations, boxes or their order were others; "
            "predict again"
        )
    return markup, points


def _markup(file: Path, predictions: Predictions, benchmark: Benchmark, shared: bool) -> KeypointSchema:
    """The markup of a predictions file; the data set's where it does not say."""
    named = predictions.header.get("data_set", benchmark.test_set.name)
    if named != benchmark.test_set.name:
        raise DarkposeError(f"{file}: predictions of the data set {named}, expected {benchmark.test_set.name}")
    markup = predictions.header.get("markup", benchmark.test_set.schema.name)
    if markup == benchmark.test_set.schema.name:
        return benchmark.test_set.schema
    if markup not in SCHEMAS:
        raise DarkposeError(f"{file}: of the markup {markup!r}, expected one of {', '.join(SCHEMAS)}")
    _check_markup(str(file), SCHEMAS[markup], benchmark, shared)
    return SCHEMAS[markup]


def _through_shared(sample: Sample, source: KeypointSchema, target: KeypointSchema) -> Sample:
    keypoints, visible = derive_shared(sample.keypoints, sample.visible, source, target)
    return replace(sample, keypoints=keypoints, visible=visible)


def _names(files: Sequence[Path], found: Sequence[Predictions]) -> list[str]:
    """What tells the files apart: the way one of darkpose's own was predicted; the file's name where that does not."""
    ways = [_way(each.header) or file.name for file, each in zip(files, found, strict=True)]
    return [
        f"{way} ({file.name})" if ways.count(way) > 1 and way != file.name else way
        for way, file in zip(ways, files, strict=True)
    ]


def _way(header: Mapping[str, Any]) -> str:
    """How the faces of one of darkpose's own files were predicted."""
    if header.get("system") != "darkpose" or not {"boxes", "flip_test", "method"} <= set(header):
        return ""
    boxes = header.get("detector", header["boxes"])
    return f"{boxes} boxes, flip {header['flip_test']}, {header['method']}"


def _default_file(benchmark: Benchmark, weights: str, markup: KeypointSchema) -> Path:
    own = "" if markup.names == benchmark.test_set.schema.names else f".{markup.name}"
    return Path(f"{benchmark.name.replace('/', '-')}.{Path(weights).stem}{own}.predictions.jsonl")


def _beside(file: Path, variant: Variant) -> Path:
    way = "-".join((variant.boxes.replace(":", ""), variant.flip_test, variant.method))
    return file.with_name(f"{file.name.removesuffix(file.suffix)}.{way}{file.suffix}")


def _detector(name: str) -> Detector:
    return named_detector("auto" if name == "detector" else name) or best_detector()[0]


def _header(
    benchmark: Benchmark,
    samples: Sequence[Sample],
    opened: OpenedWeights,
    weights: str,
    variant: Variant,
    detectors: Mapping[str, Detector],
) -> dict[str, Any]:
    used = {"detector": detectors[variant.boxes].name} if variant.boxes in detectors else {}
    return {
        "recipe": benchmark.name,
        "data_set": benchmark.test_set.name,
        "faces": len(samples),
        "faces_sha256": samples_digest(samples),
        "markup": opened.schema.name,
        "system": "darkpose",
        "weights": weights,
        "weights_sha256": opened.fingerprint(),
        "crop_size": opened.config.crop_size,
        "padding": opened.config.padding,
        "normalisation": asdict(opened.config.normalisation),
        "provenance": dict(opened.provenance),
        **variant._asdict(),
        "kernel_size": benchmark.protocol.kernel_size,
        **used,
    }


def _caveats(
    benchmark: Benchmark, samples: Sequence[Sample], header: Mapping[str, Any], markup: KeypointSchema
) -> list[str]:
    """Why numbers are not those that the published row should match, or not of unseen faces."""
    learnt = set(header.get("provenance", {}).get("test_images_learnt", ()))
    seen = sum(sample.image.name in learnt for sample in samples)
    found = [f"the weights have learnt from {seen} of these faces"] if seen else []
    found += _of_other_weights(benchmark, header)
    if not benchmark.published:
        return found
    published = benchmark.test_set.published.get("faces", len(samples))
    if published != len(samples):
        found.append(f"{len(samples)} faces here, {published} there")
    if markup.names != benchmark.test_set.schema.names:
        found.append(f"only the landmarks that {markup.name} shares")
    if header.get("boxes", "annotation") != "annotation":
        found.append(f"{header.get('detector', header['boxes'])} boxes")
    for name in ("flip_test", "method", "kernel_size"):
        there = getattr(benchmark.protocol, name)
        if header.get(name, there) != there:
            found.append(f"{name.replace('_', ' ')} {header[name]} instead of {there}")
    return found


def _of_other_weights(benchmark: Benchmark, header: Mapping[str, Any]) -> list[str]:
    """The row is of the published weights, and should be that of weights trained by the same recipe."""
    if header.get("system") != "darkpose" or header.get("weights") == benchmark.checkpoint:
        return []
    provenance = header.get("provenance", {})
    learnt = str(provenance.get("train_set", "")).split(",")[0]
    sets = {learnt, *JOINED.get(learnt, ())}
    if provenance.get("test_images_learnt"):  # in place of the training set, which was not there
        sets.discard("wflw-train")
    if benchmark.test_set.name in sets:
        return ["the weights have learnt from this set"]
    trained = str(provenance.get("recipe", "unknown"))
    same = {**BENCHMARKS, benchmark.name: benchmark}.get(trained)
    row = same.published if same else {}
    if benchmark.published and not benchmark.published.items() <= row.items() and "sha256" not in provenance:
        return [f"weights of the training {trained}"]
    return []
