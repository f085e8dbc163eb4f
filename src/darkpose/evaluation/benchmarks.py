"""Benchmarks: a test set, the protocol of the evaluation, and the published result."""

import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from darkpose.codec.heatmap import Method
from darkpose.datasets.catalogue import DATA_SETS, JOINED, DataSet
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.runtime.flip import FlipTest
from darkpose.schema import KeypointSchema
from darkpose.weights.zoo import ZOO


@dataclass(frozen=True)
class Protocol:
    """How a network is evaluated; the defaults are the published settings.

    Attributes:
        flip_test: "published": the mean with the mirrored crop, moved by one heatmap px.
        method: decoder of the heatmaps.
        kernel_size: of DARK's blur.
        batch_size: crops per forward pass.
    """

    flip_test: FlipTest = "published"
    method: Method = "dark"
    kernel_size: int = 11
    batch_size: int = 32


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: name on the command line and in result files.
        test_set: faces to evaluate on.
        protocol: how the network is evaluated.
        published: subset -> published NME in per cent; "full" and "test" are the whole test set.
        checkpoint: name of the published weights that gave the published result, or "".
    """

    name: str
    test_set: DataSet
    protocol: Protocol = Protocol()
    published: Mapping[str, float] = field(default_factory=dict)
    checkpoint: str = ""


def _published_benchmark(name: str, test_set: str, checkpoint: str) -> Benchmark:
    return Benchmark(name, DATA_SETS[test_set], Protocol(), ZOO[checkpoint].published, checkpoint)


# The two with a published result.
AFLW = _published_benchmark("aflw-dark", "aflw-full", "aflw-hrnetv2-w18-dark")
WFLW = _published_benchmark("wflw-dark", "wflw-test", "wflw-hrnetv2-w18-dark")

_NO_FLIP = Protocol(flip_test="off", batch_size=16)
# One for every training recipe, with the same name.
BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        *(AFLW, WFLW),
        Benchmark("300w-dark", DATA_SETS["300w-full"]),
        Benchmark("cofw-dark", DATA_SETS["cofw-test"]),
        *(Benchmark(name, DATA_SETS["300w-lfpw"], _NO_FLIP) for name in ("300w-128", "300w-256")),
        *(
            Benchmark(name, DATA_SETS["faces-lfpw"], _NO_FLIP)
            for name in (
                *("faces-300w", "faces-300w-longer", "faces-300w-wing", "faces", "faces-300w-gpu", "faces-gpu"),
                *("faces-300w-long", "poses", "small-128", "small"),
            )
        ),
    )
}


def find_benchmark(name_or_path: str) -> Benchmark:
    """A benchmark by its name, the one of a recipe in a Python file, or a data set by its name.

    A data set is evaluated with the published protocol.

    Raises:
        DarkposeError: there is no such benchmark, data set or file, or the file has no recipe.
    """
    if name_or_path in BENCHMARKS:
        return BENCHMARKS[name_or_path]
    if name_or_path in DATA_SETS:
        data_set = DATA_SETS[name_or_path]
        return Benchmark(name_or_path, data_set, published=_published(data_set))
    if not name_or_path.endswith(".py"):
        known = ", ".join((*BENCHMARKS, *DATA_SETS))
        raise DarkposeError(f"there is no recipe, data set or Python file {name_or_path!r}; the names are {known}")
    recipe = read_recipe_file(Path(name_or_path))
    benchmark = getattr(recipe, "benchmark", None)
    if not isinstance(benchmark, Benchmark):
        raise DarkposeError(f"{name_or_path}: expected a value named recipe with a benchmark, got {recipe!r}")
    return replace(benchmark, name=recipe.name)


def benchmark_of(data_set: str) -> Benchmark:
    """The benchmark with a published result on a data set, or else the data set with the published protocol.

    Raises:
        DarkposeError: there is no such data set.
    """
    for benchmark in (AFLW, WFLW):
        if benchmark.test_set.name == data_set:
            return benchmark
    if data_set not in DATA_SETS:
        raise DarkposeError(f"there is no data set {data_set!r}; the names are {', '.join(DATA_SETS)}")
    return find_benchmark(data_set)


def read_recipe_file(path: Path) -> Any:
    """Run a Python file and return its value named `recipe`; None if there is none.

    Raises:
        DarkposeError: there is no such file, or it cannot be run.
    """
    if not path.is_file():
        raise DarkposeError(f"{path}: there is no such file")
    try:
        return runpy.run_path(str(path)).get("recipe")
    except (Exception, SystemExit) as error:  # whatever is wrong with the user's file
        raise DarkposeError(f"{path}: cannot be run ({type(error).__name__}: {error})") from error


def _published(data_set: DataSet) -> Mapping[str, float]:
    """The published NME of a whole test set, or of a data set that is a published subset."""
    for benchmark in (AFLW, WFLW):
        if benchmark.test_set.name == data_set.name:
            return benchmark.published
        subset = data_set.name.rpartition("-")[2]
        same_schema = benchmark.test_set.schema is data_set.schema
        if same_schema and subset in benchmark.published and subset in data_set.published:
            return {subset: benchmark.published[subset]}
    return {}


def find_caveats(
    benchmark: Benchmark, header: Mapping[str, Any], samples: Sequence[Sample], schema: KeypointSchema
) -> list[str]:
    """Reasons why the errors of predictions are not comparable with the published ones, or not of unseen faces.

    Args:
        benchmark: with the published result.
        header: first line of the file of predictions.
        samples: the faces that are measured.
        schema: of the landmarks.
    """
    provenance = header.get("provenance", {})
    test_images = set(provenance.get("test_images_learnt", ()))
    seen = sum(sample.image.name in test_images for sample in samples)
    found = [f"the weights were trained on {seen} of these faces"] if seen else []
    if header.get("system") == "darkpose" and header.get("weights") != benchmark.checkpoint:
        found += _training_caveats(benchmark, provenance)
    if not benchmark.published:
        return found
    published_count = benchmark.test_set.published.get("faces", len(samples))
    if published_count != len(samples):
        found.append(f"{len(samples)} faces instead of {published_count}")
    if schema.names != benchmark.test_set.schema.names:
        found.append(f"only the landmarks that {schema.name} shares")
    if header.get("boxes", "annotation") != "annotation":
        found.append(f"{header.get('detector', header['boxes'])} boxes")
    for name in ("flip_test", "method", "kernel_size"):
        published = getattr(benchmark.protocol, name)
        if header.get(name, published) != published:
            found.append(f"{name.replace('_', ' ')} {header[name]} instead of {published}")
    return found


def _training_caveats(benchmark: Benchmark, provenance: Mapping[str, Any]) -> list[str]:
    """The published result is that of the published weights, and of weights trained by the same recipe."""
    train_set = str(provenance.get("train_set", "")).split(",")[0]
    sets = {train_set, *JOINED.get(train_set, ())}
    if provenance.get("test_images_learnt"):  # of WFLW, by weights from before there was the set "faces-wflw-test"
        sets.discard("wflw-train")
    if benchmark.test_set.name in sets:
        return ["the weights were trained on this set"]
    recipe = str(provenance.get("recipe", "unknown"))
    same = {**BENCHMARKS, benchmark.name: benchmark}.get(recipe)
    row = same.published if same else {}
    if benchmark.published and not benchmark.published.items() <= row.items() and "sha256" not in provenance:
        return [f"weights trained by the recipe {recipe}"]
    return []
