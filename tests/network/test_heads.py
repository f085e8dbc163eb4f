"""Networks with some of the heatmaps of another network."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from darkpose.network.heads import with_rows
from darkpose.network.hrnet import HRNet
from darkpose.schema import AFLW_19, W300_68, WFLW_98, join_schemas
from darkpose.weights.checkpoint import HRNetConfig

SMALL = HRNetConfig(7, widths=(2, 3, 4, 5), modules=(1, 1, 1), blocks=1, stem=4)
LAST = {"head.3.weight", "head.3.bias"}
JOINED = join_schemas(W300_68, WFLW_98, AFLW_19)


@pytest.fixture
def model() -> HRNet:
    torch.manual_seed(0)
    model = HRNet(SMALL).eval()
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape) if name.endswith("var") else torch.randn(value.shape) / 2)
    return model


def copied(model: HRNet) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    "rows", [[4], [6, 0, 3], [2, 2, 5, 2], [*range(7)], [*range(6, -1, -1)] * 2], ids=lambda rows: f"{len(rows)} rows"
)
def test_the_chosen_rows_are_the_originals_heatmaps_in_this_order(model: HRNet, rows: list[int]) -> None:
    crops = torch.randn(2, 3, 32, 64)
    with torch.inference_mode():
        expected = model(crops)[:, rows]
        found = with_rows(model, rows)(crops)
    assert found.shape == (2, len(rows), 8, 16)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [(1, 5), np.array([1, 5]), range(1, 6, 4)], ids=["tuple", "array", "range"])
def test_rows_may_be_any_sequence_of_indices(model: HRNet, rows: Sequence[int]) -> None:
    chosen = with_rows(model, rows).state_dict()
    assert torch.equal(chosen["head.3.weight"], model.state_dict()["head.3.weight"][[1, 5]])
    assert torch.equal(chosen["head.3.bias"], model.state_dict()["head.3.bias"][[1, 5]])


def test_all_other_weights_are_shared_and_the_rows_are_copies(model: HRNet) -> None:
    before, chosen = copied(model), with_rows(model, [3, 3, 0])
    original, new = model.state_dict(), chosen.state_dict()
    assert list(new) == list(original)
    for name, value in original.items():
        assert (new[name].data_ptr() == value.data_ptr()) == (name not in LAST), name
    for name in LAST:
        new[name].fill_(7)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_the_original_stays_as_it_was_and_the_new_one_is_in_its_mode(model: HRNet, training: bool) -> None:
    before = copied(model.train(training))
    chosen = with_rows(model, [6, 1])
    assert chosen.config == HRNetConfig(2, widths=(2, 3, 4, 5), modules=(1, 1, 1), blocks=1, stem=4)
    assert {module.training for module in chosen.modules()} == {training}
    assert not any(parameter.requires_grad for parameter in chosen.parameters())
    assert model.config == SMALL
    assert {module.training for module in model.modules()} == {training}
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_rows_of_a_network_whose_pixels_lie_channel_by_channel_give_the_same(model: HRNet) -> None:
    crops = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        expected = model(crops)[:, [5, 2]]
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        found = with_rows(model, [5, 2])(crops.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_row_that_is_not_there_is_refused(model: HRNet) -> None:
    with pytest.raises(IndexError):
        with_rows(model, [0, 7])
