"""Files of predictions, measured without a network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.catalogue import DATA_SETS
from darkpose.datasets.sample import samples_digest
from darkpose.errors import DarkposeError
from darkpose.evaluation.benchmarks import WFLW, Benchmark, find_benchmark
from darkpose.evaluation.evaluate import evaluate_benchmark
from small_300w import write_300w, write_predictions


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_300w(tmp_path / "lfpw" / "testset")
    return tmp_path


@pytest.fixture
def benchmark() -> Benchmark:
    return find_benchmark("300w-lfpw")


def test_another_systems_file_is_measured_without_a_network(root: Path, tmp_path: Path, benchmark: Benchmark) -> None:
    truth = np.stack([sample.keypoints for sample in benchmark.test_set.read(root)])
    file = write_predictions(tmp_path / "other.jsonl", truth + 1, system="somebody's")
    found = evaluate_benchmark(benchmark, root, file, against=[file])
    assert found.name == "other.jsonl"
    assert found.others[0].comparison.difference == 0
    assert found.report.subsets["all"].nme > 0


def test_a_file_of_another_data_set_or_schema_is_refused(root: Path, tmp_path: Path, benchmark: Benchmark) -> None:
    file = write_predictions(tmp_path / "p.jsonl", np.zeros((5, 68, 2)), data_set="wflw-test")
    with pytest.raises(DarkposeError, match=r"p\.jsonl: predictions of the data set wflw-test, expected 300w-lfpw"):
        evaluate_benchmark(benchmark, root, file)
    file = write_predictions(tmp_path / "p.jsonl", np.zeros((5, 68, 2)), markup="ours-5")
    with pytest.raises(DarkposeError, match="'ours-5', expected one of"):
        evaluate_benchmark(benchmark, root, file)


def test_a_file_with_the_digest_of_other_faces_is_refused(root: Path, tmp_path: Path, benchmark: Benchmark) -> None:
    samples = benchmark.test_set.read(root)
    truth = np.stack([sample.keypoints for sample in samples])
    own = write_predictions(tmp_path / "own.jsonl", truth, faces_sha256=samples_digest(samples))
    assert evaluate_benchmark(benchmark, root, own, against=[own]).report.subsets["all"].nme == 0
    other = write_predictions(tmp_path / "other.jsonl", truth, faces_sha256=samples_digest(samples[::-1]))
    for file, against in ((other, []), (own, [other])):
        with pytest.raises(DarkposeError, match=r"other\.jsonl: predictions of other faces"):
            evaluate_benchmark(benchmark, root, file, against=against)


def test_a_subset_has_the_published_row_of_weights_by_the_recipe(root: Path, tmp_path: Path) -> None:
    truth = np.stack([sample.keypoints for sample in find_benchmark("300w-lfpw").test_set.read(root)])

    def last_line(recipe: str, train_set: str = "wflw-train, 7500 faces") -> str:
        provenance = {"recipe": recipe, "train_set": train_set}
        file = write_predictions(tmp_path / "p.jsonl", truth, system="darkpose", provenance=provenance)
        row = {"pose": WFLW.published["pose"]}
        test_set = replace(DATA_SETS["300w-lfpw"], published={"faces": 5})
        tested = replace(find_benchmark("300w-lfpw"), test_set=test_set, published=row)
        return evaluate_benchmark(tested, root, file).lines()[-1]

    assert last_line("wflw-dark") == "published row: pose 6.99, not measured here"
    assert last_line("aflw-dark").endswith("not comparable: weights trained by the recipe aflw-dark")


def test_training_on_the_test_set_is_a_caveat(root: Path, tmp_path: Path) -> None:
    benchmark = replace(find_benchmark("300w-lfpw"), test_set=replace(DATA_SETS["300w-lfpw"], name="300w-train"))
    truth = np.stack([sample.keypoints for sample in benchmark.test_set.read(root)])
    for train_set in ("300w-train, 3148 faces", "faces-300w, 2017 faces", "faces, 9457 faces"):
        file = write_predictions(tmp_path / "p.jsonl", truth, system="darkpose", provenance={"train_set": train_set})
        found = evaluate_benchmark(benchmark, root, file)
        assert "the weights were trained on this set" in found.report.caveats
