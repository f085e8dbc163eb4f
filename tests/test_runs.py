"""A recipe's run, in small."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from darkpose.checkpoint import read_safetensors
from darkpose.image import write_image
from darkpose.pts import format_pts
from darkpose.recipes import SMALL_FIRST
from darkpose.runs import train_recipe


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
