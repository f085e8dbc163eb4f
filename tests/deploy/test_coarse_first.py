"""The head that mixes the coarsest branch first: the same heatmaps."""

import pytest
import torch

from darkpose.deploy.coarse_first import CoarseFirst
from darkpose.network.hrnet import HRNet, initialise
from darkpose.weights.checkpoint import HRNetConfig


def network(seed: int) -> HRNet:
    """With statistics and weights of batch norm that are none of its first."""
    model = HRNet(HRNetConfig(5, widths=(4, 6, 8, 10), modules=(1, 1, 1), blocks=1, stem=8))
    initialise(model, seed=seed, head_std=0.5)
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in module.state_dict(keep_vars=True).values():
                if tensor.is_floating_point():
                    tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
    return model.eval()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
def test_heatmaps_are_those_of_the_network(seed: int, size: tuple[int, int]) -> None:
    model = network(seed).double()
    crops = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(CoarseFirst(model)(crops), model(crops), rtol=1e-12, atol=1e-12)


def test_the_network_stays_as_it_was() -> None:
    model = network(0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    CoarseFirst(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
