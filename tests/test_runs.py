"""A recipe's run, in small."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkpose.catalogue import DataSet
from darkpose.checkpoint import Checkpoint, CheckpointConfig, read_safetensors, save_checkpoint
from darkpose.datasets.openmmlab import read_openmmlab
from darkpose.errors import DarkposeError
from darkpose.hrnet import HRNet, HRNetConfig
from darkpose.image import write_image
from darkpose.pts import format_pts
from darkpose.recipes import SMALL_FIRST, WFLW_DARK
from darkpose.runs import evaluate_recipe, train_recipe
from darkpose.sample import Sample
from darkpose.schema import WFLW_98


def test_a_run_keeps_a_checkpoint_that_says_where_it_comes_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("afw", "helen/trainset", "lfpw/trainset", "lfpw/testset"):
        (tmp_path / folder).mkdir(parents=True)
        write_image(tmp_path / folder / "a.png", rng.integers(0, 255, (80, 80, 3), np.uint8))
        (tmp_path / folder / "a.pts").write_text(format_pts(rng.uniform(10, 70, (68, 2))))
    quick = replace(SMALL_FIRST, train=replace(SMALL_FIRST.train, crop_size=64, epochs=1, precision="no"))
    best = train_recipe(quick, tmp_path, tmp_path / "run", workers=0)
    kept = read_safetensors(tmp_path / "run" / "best.safetensors")
    assert kept.config.crop_size == 64
    assert kept.schema.name == "300w-68"
    assert kept.provenance["validation_nme"] == best > 0
    assert kept.provenance["train_set"] == "300w-train, 3 faces"
    assert kept.provenance["recipe_values"]["epochs"] == 1
    assert kept.provenance["validation_set"] == "300w-lfpw, 1 faces"


def test_an_evaluation_gives_the_reference_error_on_real_images(
    shared_data: Path, tmp_path: Path, rule_filled_hrnet: Callable[[int], HRNet]
) -> None:
    folder, golden = shared_data / "openmmlab_samples" / "wflw", shared_data.parent / "parity" / "golden"
    if not golden.is_dir():
        pytest.skip(f"needs {golden}")
    weights = tmp_path / "rule.safetensors"
    config = CheckpointConfig(HRNetConfig(98))
    save_checkpoint(Checkpoint(rule_filled_hrnet(98), config, WFLW_98, {}), weights)

    def read(root: Path, *, broken: list[str] | None = None) -> list[Sample]:
        return read_openmmlab(root / "test_wflw.json", root, WFLW_98)

    data_set = DataSet("wflw-sample", WFLW_98, read, {})
    recipe = replace(WFLW_DARK, test_set=data_set)
    expected = np.load(golden / "g_e2e_wflw.npz")
    for kind, flip_test in (("noflip", "off"), ("flip", "published")):
        file = tmp_path / f"{kind}.jsonl"
        found = evaluate_recipe(recipe, folder, file, weights=str(weights), flip_test=flip_test, device="cpu")  # type: ignore[arg-type]
        assert found.subsets["all"].nme / 100 == pytest.approx(float(expected[f"nme_{kind}"]), abs=1e-4)
    again = evaluate_recipe(recipe, folder, file)  # the file alone, without weights
    assert again == found


def test_weights_of_another_markup_are_refused(small_weights: Path, shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="the weights find the landmarks of 300w-68"):
        evaluate_recipe(WFLW_DARK, shared_data / "wflw", tmp_path / "p.jsonl", weights=str(small_weights))
    assert not (tmp_path / "p.jsonl").exists()
