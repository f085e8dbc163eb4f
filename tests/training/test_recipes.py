"""Experiments as values."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from darkpose.datasets.catalogue import DATA_SETS
from darkpose.errors import DarkposeError
from darkpose.evaluation.benchmarks import BENCHMARKS
from darkpose.training.recipes import (
    AFLW_DARK,
    COFW_DARK,
    RECIPES,
    W300_DARK,
    WFLW_DARK,
    Recipe,
    find_recipe,
    on_test_faces,
)
from darkpose.training.schedule import Steps

CONFIGS = Path(__file__).parents[2] / "configs" / "face" / "darkpose"
FILES = {name: CONFIGS / name / f"hrnetv2_w18_{name}_256x256_dark.py" for name in ("aflw", "wflw", "300w", "cofw")}
VALUES = {"aflw": AFLW_DARK, "wflw": WFLW_DARK, "300w": W300_DARK, "cofw": COFW_DARK}


@pytest.mark.parametrize("name", FILES)
def test_the_file_at_the_published_path_is_the_recipe(name: str) -> None:
    assert find_recipe(str(FILES[name])) is VALUES[name]


def test_recipes_are_found_by_name_and_have_a_benchmark_of_that_name() -> None:
    assert all(find_recipe(name) is recipe for name, recipe in RECIPES.items())
    assert {name: recipe.benchmark for name, recipe in RECIPES.items()} == BENCHMARKS


@pytest.mark.parametrize("recipe", VALUES.values(), ids=VALUES)
def test_every_number_is_the_published_one(recipe: Recipe) -> None:
    train, augment, test = recipe.train, recipe.train.augment, recipe.benchmark.protocol
    assert (train.crop_size, train.sigma, train.unbiased, train.padding) == (256, 2.0, True, 1.25)
    assert (train.batch_size * train.accumulate, train.epochs, train.weight_decay, train.ema) == (512, 60, 0, 0)
    assert (train.schedule.peak, train.schedule.warmup, train.schedule.warmup_ratio) == (2e-3, 500, 0.001)
    assert train.schedule.decay == Steps((40, 55), 0.1)
    assert (augment.flip, augment.scale_std, augment.scale_limit, augment.shift_std) == (0.5, 0.25, 0.25, 0.0)
    assert (augment.rotation_std, augment.rotation_limit, augment.rotation_probability) == (30.0, 60.0, 0.6)
    assert (augment.gamma_std, augment.gain_std, augment.grey) == (0, 0, 0)
    assert (test.flip_test, test.method, test.kernel_size, test.batch_size) == ("published", "dark", 11, 32)
    assert recipe.start == "imagenet"
    assert (train.select, train.precision) == ("best-on-test-set", "no")


@pytest.mark.parametrize("name", FILES)
def test_the_numbers_can_be_read_in_the_file(name: str) -> None:
    page = ast.get_docstring(ast.parse(FILES[name].read_text())) or ""
    recipe = VALUES[name]
    numbers = ["256 x 256", "1.25", "0.485 0.456 0.406", "0.229 0.224 0.225", "sigma 2", "0.002", "500", "8 times 64"]
    numbers += ["epoch 40", "epoch 55 of 60", "mirror 0.5", "0.25 N(0, 1)", "30 N(0, 1)", "60 degrees", "0.6"]
    numbers += ["ImageNet", "hrnetv2_w18-00eb2006.pth", "N(0, 0.001)"]
    numbers += ["kernel 11", *(f"{value:.2f}" for value in recipe.benchmark.published.values())]
    numbers += [f"{each.published['faces']:,}" for each in (recipe.train_set, recipe.benchmark.test_set)]
    for number in numbers:
        assert number in page, number


def test_a_missing_recipe_and_a_file_without_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="the recipes are aflw-dark"):
        find_recipe("nonsense")
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(DarkposeError, match="expected a value named recipe"):
        find_recipe(str(tmp_path / "empty.py"))


@pytest.mark.parametrize("part", ["train_set", "benchmark", "train"])
def test_a_part_of_another_type_is_refused(part: str) -> None:
    recipe = RECIPES["wflw-dark"]
    with pytest.raises(DarkposeError, match=rf"recipe wflw-dark: {part} must be a \w+, got a str"):
        replace(recipe, **{part: "wflw"})  # type: ignore[arg-type]


def test_only_recipes_with_faces_of_wflw_train_on_its_test_faces() -> None:
    changed = on_test_faces(RECIPES["faces-gpu"])
    assert changed.train_set.name == "faces-wflw-test"
    assert replace(changed, train_set=DATA_SETS["faces"]) == RECIPES["faces-gpu"]
    with pytest.raises(DarkposeError, match="wflw-dark does not train on faces of WFLW"):
        on_test_faces(RECIPES["wflw-dark"])
