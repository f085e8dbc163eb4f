"""Initial weights of a training run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from darkpose.derived.conversion import derivation
from darkpose.errors import DarkposeError
from darkpose.network.checkpoint import Checkpoint, save_checkpoint
from darkpose.network.hrnet import HRNet
from darkpose.schema import (
    AFLW_19,
    COFW_29,
    SCHEMAS,
    W300_68,
    WFLW_98,
    KeypointSchema,
    flip_pairs_from_names,
    join_schemas,
)
from darkpose.training.initial_weights import (
    IMAGENET,
    NOTHING,
    initial_model,
    named_start,
    nearest_rows,
    read_classifier,
)
from darkpose.training.recipes import SMALL_SHAPE
from darkpose.weights.checkpoint import W18, CheckpointConfig, HRNetConfig
from darkpose.weights.zoo import FACES, SMALL, W300_ONLY

FULL = HRNetConfig(19)
JOINED = join_schemas(W300_68, WFLW_98, AFLW_19)
TINY = HRNetConfig(68, widths=(2, 3, 4, 5), modules=(1, 1, 1), blocks=1, stem=4)
OWN = ("left_eye", "right_eye", "nose_tip", "left_mouth_corner", "right_mouth_corner")
MINE = KeypointSchema("mine", OWN, flip_pairs_from_names(OWN))


def tiny(path: Path) -> HRNet:
    """Write a small checkpoint of 68 landmarks."""
    known = Checkpoint(HRNet(TINY).eval(), CheckpointConfig(TINY), W300_68, {})
    save_checkpoint(known, path)
    return known.model


def classifier(path: Path, **changes: torch.Tensor | None) -> Path:
    """Write a file like the HRNet authors' ImageNet classifier: backbone names without prefix, and the classifier."""
    torch.manual_seed(0)
    weights = {
        name: torch.randn_like(value) if value.is_floating_point() else value
        for name, value in HRNet(FULL).backbone.state_dict().items()
    }
    more = {"classifier.weight": torch.zeros(1000, 8), "incre_modules.0.0.conv1.weight": torch.zeros(3)}
    more |= {"downsamp_modules.0.0.bias": torch.zeros(3), "final_layer.0.bias": torch.zeros(3)}
    torch.save({name: value for name, value in (weights | more | changes).items() if value is not None}, path)
    return path


def test_nothing_gives_no_network() -> None:
    assert initial_model(NOTHING, WFLW_98, seed=0) is None


def test_a_classifiers_backbone_is_used_with_a_random_head_as_published(tmp_path: Path) -> None:
    path = classifier(tmp_path / "imagenet.pth")
    model = initial_model(str(path), AFLW_19, seed=3)
    assert model is not None
    known = torch.load(path, weights_only=True)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, known[name]), name
    for layer in (model.head[0], model.head[3]):
        assert isinstance(layer, torch.nn.Conv2d)
        assert layer.bias is not None
        assert layer.weight.std().item() == pytest.approx(0.001, rel=0.05)
        assert not layer.bias.any()
    norm = model.head[1]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    assert (norm.weight == 1).all()
    again, other = initial_model(str(path), AFLW_19, seed=3), initial_model(str(path), AFLW_19, seed=4)
    assert again is not None
    assert other is not None
    assert torch.equal(again.head[3].weight, model.head[3].weight)  # type: ignore[arg-type]
    assert not torch.equal(other.head[3].weight, model.head[3].weight)  # type: ignore[arg-type]


def test_missing_and_unexpected_weights_of_a_classifier_are_named(tmp_path: Path) -> None:
    lacking = classifier(tmp_path / "a.pth", **{"conv1.weight": None})
    with pytest.raises(DarkposeError, match=r"conv1\.weight"):
        read_classifier(lacking, FULL, seed=0)
    with pytest.raises(DarkposeError, match=r"not expected: stage5\.x"):
        read_classifier(classifier(tmp_path / "b.pth", **{"stage5.x": torch.zeros(1)}), FULL, seed=0)


def test_if_imagenets_weights_are_not_available_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKPOSE_CACHE", str(tmp_path))
    monkeypatch.setattr("darkpose.training.initial_weights.IMAGENET_URL", "http://127.0.0.1:9/hrnetv2_w18-00eb2006.pth")
    with pytest.raises(DarkposeError, match=r"--start nothing"):
        initial_model(IMAGENET, WFLW_98, seed=0)


def test_heatmaps_of_another_schema_are_copied_from_the_nearest_landmarks(tmp_path: Path) -> None:
    known = tiny(tmp_path / "w.safetensors")
    model = initial_model(str(tmp_path / "w.safetensors"), AFLW_19, seed=0, network=TINY)
    assert model is not None
    assert torch.equal(model.head[3].bias[18], known.head[3].bias[8])  # type: ignore[index]  # chin


def test_ones_own_landmarks_start_with_a_new_last_layer_and_all_other_layers_of_the_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, path = tiny(tmp_path / "w.safetensors"), str(tmp_path / "w.safetensors")
    model = initial_model(path, join_schemas(MINE, W300_68), seed=1, network=TINY)
    assert f"5 of the 73 landmarks of mine+300w-68 are not among those of {path}" in capsys.readouterr().err
    assert model is not None
    theirs, ours = known.state_dict(), model.state_dict()
    for name in theirs:
        rows = ours[name][5:] if name.startswith("head.3.") else ours[name]
        assert torch.equal(rows, theirs[name]), name
    assert ours["head.3.weight"][:5].std().item() == pytest.approx(0.001, rel=0.3)
    assert not ours["head.3.bias"][:5].any()
    again = initial_model(path, join_schemas(MINE, W300_68), seed=1, network=TINY)
    assert again is not None
    assert torch.equal(again.state_dict()["head.3.weight"], ours["head.3.weight"])


def test_default_means_the_shipped_weights_of_the_recipes_network() -> None:
    assert named_start("default", MINE, replace(W18, keypoints=9)) == W300_ONLY
    assert named_start("default", WFLW_98, W18) == FACES
    assert named_start("default", MINE, SMALL_SHAPE) == SMALL
    with pytest.raises(DarkposeError, match="no weights of the package have the recipe's network"):
        named_start("default", MINE, TINY)


def test_weights_of_another_network_are_refused_with_a_way_on(tmp_path: Path) -> None:
    tiny(tmp_path / "w.safetensors")
    with pytest.raises(DarkposeError, match=r"stem=4\), the recipe's is .* stem=64\); start from weights of that"):
        initial_model(str(tmp_path / "w.safetensors"), MINE, seed=0)


def test_a_file_of_another_project_with_any_number_of_landmarks_is_a_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = HRNet(HRNetConfig(5)).eval()
    torch.save(known.state_dict(), tmp_path / "five.pt")
    same = initial_model(str(tmp_path / "five.pt"), MINE, seed=0)
    assert same is not None
    assert torch.equal(same.state_dict()["head.3.weight"], known.state_dict()["head.3.weight"])
    assert not capsys.readouterr().err
    other = initial_model(str(tmp_path / "five.pt"), AFLW_19, seed=0)
    assert other is not None
    assert torch.equal(other.state_dict()["head.0.weight"], known.state_dict()["head.0.weight"])
    assert "19 of the 19 landmarks of aflw-19 are not among those of" in capsys.readouterr().err


@pytest.mark.parametrize("schema", [*SCHEMAS.values(), JOINED], ids=lambda schema: schema.name)
def test_a_schema_starts_from_itself_row_by_row(schema: KeypointSchema) -> None:
    np.testing.assert_array_equal(nearest_rows(schema, schema), np.arange(len(schema)))


@pytest.mark.parametrize(
    ("wanted", "first"), [(W300_68, 0), (WFLW_98, 68), (AFLW_19, 166)], ids=["300w-68", "wflw-98", "aflw-19"]
)
def test_a_joined_schema_gives_its_own_part_before_the_others(wanted: KeypointSchema, first: int) -> None:
    np.testing.assert_array_equal(nearest_rows(JOINED, wanted), np.arange(first, first + len(wanted)))


def test_a_joined_schema_in_another_order_is_found_part_by_part() -> None:
    wanted = join_schemas(AFLW_19, W300_68)
    expected = [*range(166, 185), *range(68)]
    np.testing.assert_array_equal(nearest_rows(JOINED, wanted), expected)


def test_a_part_without_a_derivation_is_skipped() -> None:
    known = join_schemas(COFW_29, AFLW_19, W300_68)  # neither COFW nor AFLW lead to WFLW
    np.testing.assert_array_equal(nearest_rows(known, WFLW_98), 48 + nearest_rows(W300_68, WFLW_98))


def test_shared_points_initial_model_themselves_and_others_from_a_neighbour() -> None:
    rows = nearest_rows(W300_68, WFLW_98)
    assert rows.shape == (98,)
    assert rows.dtype == np.intp
    np.testing.assert_array_equal(rows[0:33:2], np.arange(17))  # contour
    for i in range(1, 33, 2):
        assert rows[i] in (i // 2, i // 2 + 1)
    np.testing.assert_array_equal(rows[51:60], np.arange(27, 36))  # nose
    np.testing.assert_array_equal(rows[76:96], np.arange(48, 68))  # mouth
    upper, lower = [17, 18, 19, 20, 21], [21, 20, 19, 18]  # brows, the lower edge from the inner end
    np.testing.assert_array_equal(rows[33:42], upper + lower)
    np.testing.assert_array_equal(rows[42:51], [22, 23, 24, 25, 26, 25, 24, 23, 22])
    np.testing.assert_array_equal(rows[[60, 61, 63, 64, 65, 67]], [36, 37, 38, 39, 40, 41])
    np.testing.assert_array_equal(rows[[68, 69, 71, 72, 73, 75]], [42, 43, 44, 45, 46, 47])
    lids = {62: (37, 38), 66: (40, 41), 70: (43, 44), 74: (46, 47), 96: (37, 38, 40, 41), 97: (43, 44, 46, 47)}
    for i, neighbours in lids.items():
        assert rows[i] in neighbours, WFLW_98.names[i]


@pytest.mark.parametrize(
    ("known", "wanted"), [(W300_68, WFLW_98), (W300_68, AFLW_19), (WFLW_98, AFLW_19)], ids=lambda x: x.name
)
def test_every_landmark_starts_from_the_one_with_the_largest_weight(
    known: KeypointSchema, wanted: KeypointSchema
) -> None:
    weights = derivation(known, wanted)
    for row, chosen in enumerate(nearest_rows(known, wanted)):
        assert weights[row, chosen] == max(weights[row]), wanted.names[row]


def test_landmarks_of_a_schema_that_do_not_correspond_have_no_row() -> None:
    assert (nearest_rows(COFW_29, W300_68) == -1).all()
    assert (nearest_rows(JOINED, COFW_29) == -1).all()
    rows = nearest_rows(W300_68, join_schemas(W300_68, MINE))
    np.testing.assert_array_equal(rows, [*range(68), *[-1] * 5])


def test_300w_can_start_from_wflw_since_most_of_their_points_are_shared() -> None:
    rows = nearest_rows(WFLW_98, W300_68)
    np.testing.assert_array_equal(rows[:17], np.arange(0, 33, 2))
    np.testing.assert_array_equal(rows[27:36], np.arange(51, 60))
    np.testing.assert_array_equal(rows[48:], np.arange(76, 96))
