"""A network as torch runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Normalisation
from darkpose.network.hrnet import HRNet
from darkpose.network.load import load_checkpoint
from darkpose.predict.predictor import Predictor
from darkpose.runtime.network import NumberType
from darkpose.runtime.torch import TorchNetwork, fast_network, find_device, fold_norms

CPU, NORMALISATION = torch.device("cpu"), Normalisation()
NUMBERS: tuple[NumberType, ...] = ("fp32", "bf16")
BOX = [[178, 90, 270, 182]]


def some_crops(count: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, size, size, 3), np.uint8)


def ready(network: nn.Module, *, numbers: NumberType = "fp32", compiled: bool = False) -> TorchNetwork:
    return fast_network(network, NORMALISATION, CPU, 64, numbers=numbers, compiled=compiled)


@pytest.fixture
def network(small_weights: Path) -> HRNet:
    return load_checkpoint(small_weights).model


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """torch.compile traces, but generates no code, which would take a compiler and minutes; the modes asked for."""
    modes: list[str] = []
    whole = cast(Callable[..., nn.Module], torch.compile)

    def compile_quickly(network: nn.Module, mode: str) -> nn.Module:
        modes.append(mode)
        return whole(network, backend="eager", fullgraph=True)

    monkeypatch.setattr(torch, "compile", compile_quickly)
    return modes


@pytest.mark.parametrize("name", ["meta", "mps", "hpu", "opengl", "mkldnn", "lazy", "privateuseone", "", "3", "cpu:-4"])
def test_a_device_that_cannot_calculate_here_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(DarkposeError, match=f"the device '{name}' cannot be used; this torch has cpu") as refused:
        find_device(name)
    assert "\n" not in str(refused.value)


def test_crops_that_the_network_cannot_take_are_refused_in_one_line(network: HRNet) -> None:
    with pytest.raises(DarkposeError, match=r"^torch cannot run it on crops of shape \(1, 40, 40, 3\): ") as refused:
        ready(network)(some_crops(1, 40))
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("numbers", ["fp32", "bf16"])
def test_a_compiled_network_gives_the_same_heatmaps_for_every_number_of_crops(
    network: HRNet, traced: list[str], numbers: NumberType
) -> None:
    plain, compiled = (ready(network, numbers=numbers, compiled=way) for way in (False, True))
    for count in (1, 3, 2):
        np.testing.assert_allclose(compiled(some_crops(count)), plain(some_crops(count)), rtol=1e-5, atol=1e-6)
    assert traced == ["default"]


def test_folded_norms_give_the_same_heatmaps_and_leave_the_network_alone(network: HRNet) -> None:
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in module.state_dict(keep_vars=True).values():
                if tensor.is_floating_point():
                    tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
    network, crops = network.double(), torch.randn(2, 3, 64, 64, dtype=torch.float64, generator=generator)
    folded = fold_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    with torch.inference_mode():
        torch.testing.assert_close(folded(crops), network(crops), rtol=1e-10, atol=1e-12)


def test_bfloat16_is_near_and_not_the_same(network: HRNet) -> None:
    full, half = (np.asarray(ready(network, numbers=numbers)(some_crops(2))) for numbers in NUMBERS)
    assert 0 < np.abs(full - half).max() < 0.05 * np.abs(full).max()
    assert full.dtype == half.dtype == np.float32


def test_crops_are_normalised_as_for_training(network: HRNet) -> None:
    crops = some_crops(3)
    with torch.inference_mode():
        expected = network(torch.from_numpy(NORMALISATION(crops)))
    np.testing.assert_allclose(TorchNetwork(network, NORMALISATION, CPU)(crops), expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_predictor_with_a_compiled_network_finds_the_same(
    small_weights: Path, astronaut: Path, traced: list[str]
) -> None:
    plain, compiled = (Predictor(small_weights, "cpu", True, compiled=way, runtime="torch") for way in (False, True))
    np.testing.assert_allclose(
        compiled(astronaut, BOX)[0].keypoints, plain(astronaut, BOX)[0].keypoints, rtol=0, atol=1e-3
    )
    assert compiled.runtime == plain.runtime.replace("fp32)", "fp32, compiled)")
    assert traced == ["default"]


def test_where_torch_cannot_compile_that_is_said(network: HRNet, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("InvalidCxxCompiler: no compiler\nlong\nstory")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: refuse)
    with pytest.raises(DarkposeError, match=r"torch cannot compile .* here, leave compiled out: Invalid.*no compiler$"):
        ready(network, compiled=True)


def test_only_torch_compiles(small_weights: Path, exported_small: Path) -> None:
    with pytest.raises(DarkposeError, match="compiled is for torch"):
        Predictor(small_weights, runtime="onnxruntime", compiled=True)
    with pytest.raises(DarkposeError, match=r"torch does not run \.onnx"):
        Predictor(exported_small, compiled=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch itself
def test_code_made_by_inductor_gives_the_same_heatmaps(network: HRNet) -> None:
    plain, compiled = ready(network), ready(network, compiled=True)
    np.testing.assert_allclose(compiled(some_crops(2)), plain(some_crops(2)), rtol=1e-4, atol=1e-4)
