"""Benchmarks by name, by data set and by file."""

from pathlib import Path

import pytest

from darkpose.datasets.catalogue import DATA_SETS
from darkpose.errors import DarkposeError
from darkpose.evaluation.benchmarks import AFLW, BENCHMARKS, WFLW, benchmark_of, find_benchmark
from needed import needs

CONFIG = Path(__file__).parents[2] / "configs" / "face" / "darkpose" / "wflw" / "hrnetv2_w18_wflw_256x256_dark.py"


def test_the_published_numbers_are_the_corrected_ones() -> None:
    assert AFLW.published == {"full": 1.34, "frontal": 1.20}
    assert list(WFLW.published.values()) == [3.98, 6.99, 3.96, 4.78, 4.57, 3.87, 4.30]


@needs("torch")
def test_a_benchmark_is_found_by_name_and_by_the_file_of_a_recipe() -> None:
    assert all(find_benchmark(name) is benchmark for name, benchmark in BENCHMARKS.items())
    assert find_benchmark(str(CONFIG)) == WFLW


@needs("torch")
def test_the_benchmark_of_a_file_has_the_name_of_its_recipe(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from darkpose.training.recipes import WFLW_DARK\n"
        "recipe = replace(WFLW_DARK, name='mine')\n"
    )
    found = find_benchmark(str(file))
    assert (found.name, found.test_set.name, found.published) == ("mine", "wflw-test", WFLW.published)


def test_a_data_set_is_a_benchmark_and_a_published_subset_keeps_its_number() -> None:
    assert find_benchmark("wflw-test").published == WFLW.published
    assert find_benchmark("wflw-pose").published == {"pose": 6.99}
    assert find_benchmark("wflw-pose").protocol == WFLW.protocol
    assert find_benchmark("aflw-frontal").published == {"frontal": 1.20}
    assert find_benchmark("300w-lfpw").published == {}


def test_the_benchmark_of_a_data_set_is_the_published_one_or_the_data_set() -> None:
    assert benchmark_of("wflw-test") is WFLW
    assert benchmark_of("aflw-full") is AFLW
    assert benchmark_of("cofw-train").test_set is DATA_SETS["cofw-train"]


def test_unknown_names_and_files_without_a_recipe_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"'wflw-profile'; the names are aflw-dark, .*wflw-pose"):
        find_benchmark("wflw-profile")
    with pytest.raises(DarkposeError, match="no data set 'wflw-profile'"):
        benchmark_of("wflw-profile")
    with pytest.raises(DarkposeError, match="no such file"):
        find_benchmark(str(tmp_path / "missing.py"))
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(DarkposeError, match="value named recipe"):
        find_benchmark(str(tmp_path / "empty.py"))
    (tmp_path / "broken.py").write_text("import nonsense_module\n")
    with pytest.raises(DarkposeError, match="cannot be run"):
        find_benchmark(str(tmp_path / "broken.py"))
