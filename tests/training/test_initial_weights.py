"""What training starts from."""

from pathlib import Path

import pytest
import torch

from darkpose.errors import DarkposeError
from darkpose.network.hrnet import HRNet, HRNetConfig
from darkpose.schema import AFLW_19, W300_68, WFLW_98
from darkpose.training.initial_weights import IMAGENET, NOTHING, read_classifier, start_from
from darkpose.weights.checkpoint import Checkpoint, CheckpointConfig, save_checkpoint

FULL = HRNetConfig(19)


def classifier(path: Path, **changes: torch.Tensor | None) -> Path:
    """A file as the HRNet authors' ImageNet classifier: the backbone's names bare, and a classifier's."""
    torch.manual_seed(0)
    weights = {
        name: torch.randn_like(value) if value.is_floating_point() else value
        for name, value in HRNet(FULL).backbone.state_dict().items()
    }
    more = {"classifier.weight": torch.zeros(1000, 8), "incre_modules.0.0.conv1.weight": torch.zeros(3)}
    more |= {"downsamp_modules.0.0.bias": torch.zeros(3), "final_layer.0.bias": torch.zeros(3)}
    torch.save({name: value for name, value in (weights | more | changes).items() if value is not None}, path)
    return path


def test_nothing_is_nothing() -> None:
    assert start_from(NOTHING, WFLW_98, seed=0) is None


def test_a_classifiers_backbone_is_taken_whole_below_a_head_drawn_as_published(tmp_path: Path) -> None:
    path = classifier(tmp_path / "imagenet.pth")
    model = start_from(str(path), AFLW_19, seed=3)
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
    again, other = start_from(str(path), AFLW_19, seed=3), start_from(str(path), AFLW_19, seed=4)
    assert again is not None
    assert other is not None
    assert torch.equal(again.head[3].weight, model.head[3].weight)  # type: ignore[arg-type]
    assert not torch.equal(other.head[3].weight, model.head[3].weight)  # type: ignore[arg-type]


def test_a_classifier_that_lacks_or_exceeds_weights_is_refused_by_their_names(tmp_path: Path) -> None:
    lacking = classifier(tmp_path / "a.pth", **{"conv1.weight": None})
    with pytest.raises(DarkposeError, match=r"missing: conv1\.weight"):
        read_classifier(lacking, FULL, seed=0)
    with pytest.raises(DarkposeError, match=r"not expected: stage5\.x"):
        read_classifier(classifier(tmp_path / "b.pth", **{"stage5.x": torch.zeros(1)}), FULL, seed=0)


def test_where_imagenets_weights_cannot_be_had_the_ways_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKPOSE_CACHE", str(tmp_path))
    monkeypatch.setattr("darkpose.training.initial_weights.IMAGENET_URL", "http://127.0.0.1:9/hrnetv2_w18-00eb2006.pth")
    with pytest.raises(DarkposeError, match=r"name that file with --start, or --start nothing"):
        start_from(IMAGENET, WFLW_98, seed=0)


def test_a_checkpoint_of_another_markup_is_carried_over_to_the_nearest_landmarks(tmp_path: Path) -> None:
    network = HRNetConfig(68, widths=(2, 3, 4, 5), modules=(1, 1, 1), blocks=1, stem=4)
    known = Checkpoint(HRNet(network), CheckpointConfig(network), W300_68, {})
    save_checkpoint(known, tmp_path / "w.safetensors")
    model = start_from(str(tmp_path / "w.safetensors"), AFLW_19, seed=0)
    assert model is not None
    assert torch.equal(model.head[3].bias[18], known.model.head[3].bias[8])  # type: ignore[index]  # chin
