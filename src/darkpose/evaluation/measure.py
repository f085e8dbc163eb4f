"""Files of predictions and annotated faces -> an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from darkpose.datasets.predictions_file import Predictions, read_predictions
from darkpose.datasets.sample import Sample, samples_digest
from darkpose.derived.conversion import derive_shared, shared_points
from darkpose.errors import DarkposeError
from darkpose.evaluation.benchmarks import Benchmark, find_caveats
from darkpose.evaluation.comparison import Comparison, compare_predictions
from darkpose.evaluation.report import WHOLE, ErrorReport, measure_errors
from darkpose.image.geometry import Floats
from darkpose.predict.shape_prior import ShapePrior, as_shape_prior
from darkpose.schema import SCHEMAS, KeypointSchema


@dataclass(frozen=True)
class Other:
    """Other predictions of the same faces.

    Attributes:
        name: how they were predicted, or the name of the file.
        file: of the predictions.
        report: their errors.
        comparison: of the main predictions with these.
    """

    name: str
    file: Path
    report: ErrorReport
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        recipe: name of the benchmark.
        name: how the faces were predicted, or the name of the file.
        file: the predictions.
        header: the first line of that file.
        report: the errors of the predictions.
        others: other predictions of the same faces.
        points: (N, K, 2) image px, the predictions; infinite for faces that were not found.
        samples, schema: the annotated faces and their schema, as measured.
    """

    recipe: str
    name: str
    file: Path
    header: Mapping[str, Any]
    report: ErrorReport
    others: tuple[Other, ...]
    points: Floats
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
        first = {"recipe": self.recipe, "name": self.name, "file": str(self.file), **self.report.to_dict()}
        return {**first, "others": others}

    def lines(self) -> list[str]:
        """Tables for people; the last line compares with the published numbers, or says why it does not."""
        lines = self.report.lines()
        if self.others:
            head = f"{'the same faces (NME: of those it found)':42}{'missed':>7}{'NME':>8}{'FR10':>8}"
            lines += ["", f"{head}   the first minus it", _row(self.name, self.report)]
        lines += [f"{_row(other.name, other.report)}   {other.comparison.line()}" for other in self.others]
        return [*lines, f"predictions: {self.file}", self.report.published_line()]


def _row(name: str, report: ErrorReport) -> str:
    row = report.subsets[WHOLE]
    return f"{name:42}{row.missed:7d}{row.nme:8.3f}{row.failure_rates[10]:8.2f}"


@dataclass(frozen=True, eq=False)
class AnnotatedFaces:
    """The faces that predictions are compared with.

    Attributes:
        benchmark: the test set and the published result.
        samples: the annotated faces, in the order of the test set.
        shared: of predictions in another schema, measure the landmarks that both schemas have.
        caveats: reasons why results on these faces are not comparable with published ones.
    """

    benchmark: Benchmark
    samples: Sequence[Sample]
    shared: bool = False
    caveats: tuple[str, ...] = ()

    @property
    def schema(self) -> KeypointSchema:
        """The schema of the test set."""
        return self.benchmark.test_set.schema

    def in_schema(self, schema: KeypointSchema) -> Sequence[Sample]:
        """The samples with the landmarks of another schema, as far as both share them."""
        if schema.names == self.schema.names:
            return self.samples
        return [_to_schema(sample, self.schema, schema) for sample in self.samples]

    def check_schema(self, source: str, schema: KeypointSchema) -> None:
        """Check that landmarks in a schema can be measured.

        Raises:
            DarkposeError: the schemas share no landmarks that are known, or `shared` is not set.
        """
        if schema.names == self.schema.names:
            return
        test_set = self.benchmark.test_set
        theirs = f"the landmarks are in {schema.name}, those of the data set {test_set.name} in {test_set.schema.name}"
        try:
            shared_points(self.schema, schema)
        except DarkposeError as error:
            raise DarkposeError(f"{source}: {theirs}; {error}") from error
        if not self.shared:
            raise DarkposeError(f"{source}: {theirs}; --shared measures the landmarks that both have")


def _to_schema(sample: Sample, source: KeypointSchema, target: KeypointSchema) -> Sample:
    keypoints, visible = derive_shared(sample.keypoints, sample.visible, source, target)
    return replace(sample, keypoints=keypoints, visible=visible)


@dataclass(frozen=True, eq=False)
class AlignedPredictions:
    """Predictions in the order of the annotated faces.

    Attributes:
        file: of the predictions.
        content: of the file.
        schema: of the landmarks.
        points: (N, K, 2) image px; infinite for faces that were not found.
        name: how they were predicted, or the name of the file.
        caveats: reasons why the published numbers are not comparable.
    """

    file: Path
    content: Predictions
    schema: KeypointSchema
    points: Floats
    name: str = ""
    caveats: tuple[str, ...] = ()


def align_predictions(file: Path, faces: AnnotatedFaces) -> AlignedPredictions:
    """Read a file of predictions and check that it is of these faces.

    Raises:
        DarkposeError: the file cannot be read, or its faces, data set or schema are others.
    """
    content = read_predictions(file)
    schema = _schema(file, content.header, faces)
    points = content.as_array([sample.image.name for sample in faces.samples], len(schema), str(file))
    digest = content.header.get("faces_sha256")
    if digest is not None and digest != samples_digest(faces.samples):
        raise DarkposeError(
            f"{file}: predictions of other faces: the annotations, the boxes or their order have changed; predict again"
        )
    return AlignedPredictions(file, content, schema, points)


def _schema(file: Path, header: Mapping[str, Any], faces: AnnotatedFaces) -> KeypointSchema:
    """The schema of a file of predictions; that of the data set if the file does not name it."""
    test_set = faces.benchmark.test_set
    named = header.get("data_set", test_set.name)
    if named != test_set.name:
        raise DarkposeError(f"{file}: predictions of the data set {named}, expected {test_set.name}")
    schema = header.get("markup", test_set.schema.name)
    if schema == test_set.schema.name:
        return test_set.schema
    if schema not in SCHEMAS:
        raise DarkposeError(f"{file}: predictions in the schema {schema!r}, expected one of {', '.join(SCHEMAS)}")
    faces.check_schema(str(file), SCHEMAS[schema])
    return SCHEMAS[schema]


def check_one_schema(schemas: Mapping[str, KeypointSchema]) -> None:
    """Refuse to compare predictions in different schemas, given by their files.

    Raises:
        DarkposeError: the landmarks of two schemas differ.
    """
    if len({schema.names for schema in schemas.values()}) > 1:
        listed = ", ".join(f"{file} {schema.name}" for file, schema in schemas.items())
        raise DarkposeError(f"predictions in different schemas cannot be compared: {listed}")


def measure_files(
    files: Sequence[Path], faces: AnnotatedFaces, shape_prior: str | Path | ShapePrior | None = None
) -> Evaluation:
    """Measure files of predictions, and compare the others with the first.

    Args:
        files: at least one, in one schema.
        faces: the annotations.
        shape_prior: also measure landmarks pulled towards it, and put them first.

    Raises:
        DarkposeError: a file or the prior cannot be used, or their schemas differ.
    """
    systems = [align_predictions(file, faces) for file in files]
    schema = systems[0].schema
    check_one_schema({str(system.file): system.schema for system in systems})
    samples, benchmark = faces.in_schema(schema), faces.benchmark
    systems = [
        replace(
            system,
            name=name,
            caveats=(*faces.caveats, *find_caveats(benchmark, system.content.header, samples, schema)),
        )
        for name, system in zip(_names(systems), systems, strict=True)
    ]
    if shape_prior is not None:
        prior = as_shape_prior(shape_prior, schema)
        systems = [_pull(system, prior, samples) for system in systems] + systems
    reports = [
        measure_errors(system.points, samples, schema, benchmark.published, system.caveats) for system in systems
    ]
    main = systems[0]
    others = [
        Other(other.name, other.file, report, compare_predictions(main.points, other.points, samples, schema))
        for other, report in zip(systems[1:], reports[1:], strict=True)
    ]
    return Evaluation(
        recipe=benchmark.name,
        name=main.name,
        file=main.file,
        header=main.content.header,
        report=reports[0],
        others=tuple(others),
        points=main.points,
        samples=tuple(samples),
        schema=schema,
    )


def _pull(system: AlignedPredictions, prior: ShapePrior, samples: Sequence[Sample]) -> AlignedPredictions:
    """Landmarks pulled towards a prior, by the scores and boxes in the file."""
    content, count = system.content, len(system.schema)
    found = [face for face, points in content.keypoints.items() if points is not None]
    none = np.zeros(0)
    for face in found:
        if content.scores.get(face, none).shape != (count,) or content.boxes.get(face, none).shape != (4,):
            needs = f"{count} scores and a box of 4 numbers"
            raise DarkposeError(f"{system.file}: a shape prior needs {needs} for every face; face {face} lacks them")
    points = system.points.copy()
    if found:
        scores, boxes = (np.stack([values[face] for face in found]) for values in (content.scores, content.boxes))
        points[found] = prior(points[found], scores, boxes)
    fitted = set(prior.test_images)
    seen = sum(sample.image.name in fitted for sample in samples)
    caveat = f"a shape prior{f' that was fitted to {seen} of these faces' if seen else ''}"
    return replace(system, points=points, name=f"{system.name}, prior", caveats=(*system.caveats, caveat))


def _names(systems: Sequence[AlignedPredictions]) -> list[str]:
    """How each file was predicted, with the name of the file if several are alike; else the name of the file."""
    ways = [_way(system.content.header) or system.file.name for system in systems]
    return [
        f"{way} ({system.file.name})" if ways.count(way) > 1 and way != system.file.name else way
        for way, system in zip(ways, systems, strict=True)
    ]


def _way(header: Mapping[str, Any]) -> str:
    """How darkpose predicted the faces of a file; empty if another system did."""
    if header.get("system") != "darkpose" or not {"boxes", "flip_test", "method"} <= set(header):
        return ""
    boxes = header.get("detector", header["boxes"])
    return f"{boxes} boxes, flip {header['flip_test']}, {header['method']}"
