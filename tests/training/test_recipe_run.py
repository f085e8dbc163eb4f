"""Small runs of recipes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from darkpose.datasets.catalogue import DATA_SETS, DataSet
from darkpose.datasets.joined import FACES
from darkpose.errors import DarkposeError
from darkpose.files.pts import format_pts
from darkpose.image.pixels import write_image
from darkpose.network.checkpoint import Checkpoint, read_safetensors, save_checkpoint, with_provenance
from darkpose.network.hrnet import HRNet, initialise
from darkpose.network.load import load_checkpoint
from darkpose.schema import COFW_29, W300_68
from darkpose.training.config import RunOptions
from darkpose.training.log import read_log
from darkpose.training.recipe_run import load_teacher, overfit_task, read_task, run_task, train_recipe
from darkpose.training.recipes import FACES_300W, W300_128
from darkpose.training.schedule import Cosine, Schedule
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig


def write_300w(root: Path) -> None:
    """Write three training faces and a test face, of noise."""
    rng = np.random.default_rng(0)
    for folder in ("afw", "helen/trainset", "lfpw/trainset", "lfpw/testset"):
        (root / folder).mkdir(parents=True)
        write_image(root / folder / "a.png", rng.integers(0, 255, (80, 80, 3), np.uint8))
        (root / folder / "a.pts").write_text(format_pts(rng.uniform(10, 70, (68, 2))))


NETWORK = HRNetConfig(1, widths=(4, 4, 4, 4), modules=(1, 1, 1), blocks=1, stem=8)
HERE = RunOptions(workers=0)
QUICK = replace(
    W300_128, train=replace(W300_128.train, network=NETWORK, crop_size=64, epochs=1, precision="no", batch_size=4)
)


def test_a_run_keeps_a_checkpoint_with_its_provenance(tmp_path: Path) -> None:
    write_300w(tmp_path)
    best = train_recipe(QUICK, tmp_path, tmp_path / "run", options=HERE).best_validation
    kept = read_safetensors(tmp_path / "run" / "weights.safetensors")
    assert kept.config.crop_size == 64
    assert kept.schema.name == "300w-68"
    assert kept.provenance["validation_nme"] == best > 0
    assert kept.provenance["train_set"] == "300w-train, 3 faces"
    assert kept.provenance["recipe_values"]["epochs"] == 1
    assert kept.provenance["validation_set"] == "the test set 300w-lfpw, 1 faces"


@pytest.mark.slow
def test_a_run_can_start_from_weights_of_another_schema(tmp_path: Path) -> None:
    write_300w(tmp_path / "300w")
    model = HRNet(HRNetConfig(68)).eval()
    initialise(model, seed=1, head_std=0.1)
    torch.nn.init.normal_(model.head[3].bias)  # type: ignore[arg-type]
    save_checkpoint(Checkpoint(model, CheckpointConfig(model.config), W300_68, {}), tmp_path / "first.safetensors")
    still = replace(FACES_300W.train, crop_size=64, epochs=1, precision="no", ema=0.0, schedule=Schedule(0.0, Cosine()))
    recipe = replace(FACES_300W, train=still)
    trained = train_recipe(recipe, tmp_path, tmp_path / "run", start=str(tmp_path / "first.safetensors"), options=HERE)
    best = trained.best_validation
    kept = read_safetensors(tmp_path / "run" / "weights.safetensors")
    assert kept.schema == FACES
    assert kept.provenance["start"] == "first.safetensors"
    assert kept.provenance["validation_nme"] == best > 0
    before, after = dict(model.named_parameters()), dict(kept.model.named_parameters())
    assert len(after) == len(before)
    # 300-W; then WFLW's contour, nose and mouth, which 300-W has; then AFLW's brow, nose tip and chin.
    wflw, w300 = [*range(0, 33, 2), *range(51, 60), *range(76, 96)], [*range(17), *range(27, 36), *range(48, 68)]
    found, expected = [*range(68), *(68 + i for i in wflw), 166, 166 + 13, 166 + 18], [*range(68), *w300, 17, 30, 8]
    for name, value in after.items():
        if name.startswith("head.3."):
            assert torch.equal(value[found], before[name][expected]), name
        else:
            assert torch.equal(value, before[name]), name
    assert load_checkpoint(tmp_path / "run" / "weights.safetensors").schema == W300_68


def test_the_provenance_has_the_test_images_of_initial_weights_teacher_and_training_set(
    tmp_path: Path, small_weights: Path
) -> None:
    write_300w(tmp_path)
    whole = load_checkpoint(small_weights, whole=True)
    for name in ("start", "teacher"):
        knows = with_provenance(whole, test_images_learnt=[f"{name}.png", "both.png"])
        save_checkpoint(knows, tmp_path / f"{name}.safetensors")
    taught = replace(
        QUICK,
        train=replace(QUICK.train, network=whole.config.network, teaching=0.5),
        train_set=DATA_SETS["300w-lfpw"],
        teacher=str(tmp_path / "teacher.safetensors"),
    )
    train_recipe(taught, tmp_path, tmp_path / "run", start=str(tmp_path / "start.safetensors"), options=HERE)
    found = load_checkpoint(tmp_path / "run" / "weights.safetensors").provenance["test_images_learnt"]
    assert found == ["a.png", "both.png", "start.png", "teacher.png"]


def test_a_run_starts_from_weights_of_other_landmarks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_300w(tmp_path)
    network = replace(NETWORK, keypoints=29)
    cofw = Checkpoint(HRNet(network).eval(), CheckpointConfig(network), COFW_29, {})
    save_checkpoint(cofw, tmp_path / "cofw.safetensors")
    train_recipe(QUICK, tmp_path, tmp_path / "run", start=str(tmp_path / "cofw.safetensors"), options=HERE)
    assert "68 of the 68 landmarks of 300w-68 are not among those of" in capsys.readouterr().err
    kept = load_checkpoint(tmp_path / "run" / "weights.safetensors")
    assert (kept.schema, kept.provenance["start"]) == (W300_68, "cofw.safetensors")


def test_the_teacher_of_a_recipe_is_loaded_and_must_have_the_same_landmarks(
    tmp_path: Path, small_weights: Path
) -> None:
    write_300w(tmp_path)
    taught = replace(QUICK, train=replace(QUICK.train, teaching=0.5), teacher=str(small_weights))
    train_recipe(taught, tmp_path, tmp_path / "run", options=HERE)
    assert load_checkpoint(tmp_path / "run" / "weights.safetensors").provenance["teacher"] == "small.safetensors"
    other = replace(FACES_300W, train=replace(FACES_300W.train, teaching=0.5), teacher=str(small_weights))
    with pytest.raises(DarkposeError, match=r"teacher is for 300w-68"):
        load_teacher(other)


def test_all_faces_of_an_image_are_held_out_and_the_same_images_again(tmp_path: Path) -> None:
    write_300w(tmp_path)
    faces = QUICK.train_set.read(tmp_path)
    twice = DataSet("twice", W300_68, lambda root, broken=None: faces * 2, {})
    recipe = replace(QUICK, train_set=twice, train=replace(QUICK.train, held_out=0.3, select="best"))
    task, again = read_task(recipe, tmp_path), read_task(recipe, tmp_path)
    assert (len(task.samples), len(task.validation), task.validation_set) == (4, 1, "held out of twice")
    assert not {face.image for face in task.samples} & {face.image for face in task.validation}
    assert [face.image for face in task.validation] == [face.image for face in again.validation]
    with pytest.raises(DarkposeError, match="90% of 3 images cannot be held out"):
        read_task(replace(recipe, train=replace(recipe.train, held_out=0.9)), tmp_path)


def test_the_best_epoch_on_held_out_faces_is_kept(tmp_path: Path) -> None:
    write_300w(tmp_path)
    config = replace(QUICK.train, held_out=0.3, select="best", epochs=2)
    trained = train_recipe(replace(QUICK, train=config), tmp_path, tmp_path / "run", options=HERE)
    kept = read_safetensors(tmp_path / "run" / "weights.safetensors")
    assert kept.provenance["validation_set"] == "held out of 300w-train, 1 faces"
    assert kept.provenance["train_set"] == "300w-train, 2 faces"
    assert kept.provenance["validation_nme"] == trained.best_validation


def test_selection_on_the_test_set_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_300w(tmp_path)
    recipe = replace(QUICK, train=replace(QUICK.train, select="best-on-test-set"))
    train_recipe(recipe, tmp_path, tmp_path / "run", options=HERE)
    assert "300w-128 keeps the epoch that is best on its test set" in capsys.readouterr().err


def test_a_network_overfits_a_face(tmp_path: Path) -> None:
    write_300w(tmp_path)
    task = overfit_task(read_task(QUICK, tmp_path), 1)
    assert task.samples == task.validation * 50
    config = replace(task.recipe.train, batch_size=1, epochs=2, network=replace(NETWORK, widths=(8, 8, 8, 8)))
    run_task(task._replace(recipe=replace(task.recipe, train=config)), tmp_path / "run", options=HERE)
    lines = read_log(tmp_path / "run" / "log.jsonl")
    losses = [line["loss"] for line in lines if line["mode"] == "train"]
    assert losses[-1] < 0.5 * losses[0]
    with pytest.raises(DarkposeError, match=r"from 1 to 3 faces.* got 4"):
        overfit_task(read_task(QUICK, tmp_path), 4)
