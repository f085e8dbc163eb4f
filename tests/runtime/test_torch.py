"""A network as torch runs it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from darkpose.errors import DarkposeError
from darkpose.network.hrnet import HRNet
from darkpose.network.load import load_checkpoint
from darkpose.predict.predictor import Predictor
from darkpose.runtime.torch import fold_norms, ready

CPU = torch.device("cpu")
BOX = [[178, 90, 270, 182]]


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


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_compiled_network_gives_the_same_heatmaps_for_every_number_of_crops(
    network: HRNet, traced: list[str], bfloat16: bool
) -> None:
    plain = ready(network, CPU, 64, bfloat16=bfloat16)
    compiled = ready(network, CPU, 64, bfloat16=bfloat16, compiled=True)
    for count in (1, 3, 2):
        crops = torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))
        with torch.inference_mode():
            torch.testing.assert_close(compiled(crops), plain(crops))
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
    crops = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        full, half = ready(network, CPU, 64)(crops), ready(network, CPU, 64, bfloat16=True)(crops).float()
    assert 0 < (full - half).abs().max() < 0.05 * full.abs().max()


def test_a_predictor_with_a_compiled_network_finds_the_same(
    small_weights: Path, astronaut: Path, traced: list[str]
) -> None:
    plain, compiled = (Predictor(small_weights, "cpu", True, compiled=way) for way in (False, True))
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
        ready(network, CPU, 64, compiled=True)


def test_only_torch_compiles(small_weights: Path, exported_default: Path) -> None:
    for ask in (partial(Predictor, small_weights, runtime="onnxruntime"), partial(Predictor, exported_default)):
        with pytest.raises(DarkposeError, match="compiled is for torch"):
            ask(compiled=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch itself
def test_code_made_by_inductor_gives_the_same_heatmaps(network: HRNet) -> None:
    crops = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    plain, compiled = ready(network, CPU, 64), ready(network, CPU, 64, compiled=True)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(crops), plain(crops), rtol=1e-4, atol=1e-4)
