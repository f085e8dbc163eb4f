"""Heads: a choice of a network's heatmaps, and which heatmaps another markup may start from."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from darkpose.datasets.derive import derivation
from darkpose.errors import DarkposeError
from darkpose.network.heads import nearest_rows, with_rows
from darkpose.network.hrnet import HRNet
from darkpose.schema import AFLW_19, COFW_29, SCHEMAS, W300_68, WFLW_98, KeypointSchema, join_schemas
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


# ------------------------------------------------------------------------------------------------------ nearest rows


@pytest.mark.parametrize("schema", [*SCHEMAS.values(), JOINED], ids=lambda schema: schema.name)
def test_a_markup_starts_from_itself_row_by_row(schema: KeypointSchema) -> None:
    np.testing.assert_array_equal(nearest_rows(schema, schema), np.arange(len(schema)))


@pytest.mark.parametrize(
    ("wanted", "first"), [(W300_68, 0), (WFLW_98, 68), (AFLW_19, 166)], ids=["300w-68", "wflw-98", "aflw-19"]
)
def test_a_joined_markup_gives_its_own_part_before_what_others_say(wanted: KeypointSchema, first: int) -> None:
    np.testing.assert_array_equal(nearest_rows(JOINED, wanted), np.arange(first, first + len(wanted)))


def test_a_joined_markup_in_another_order_is_found_part_by_part() -> None:
    wanted = join_schemas(AFLW_19, W300_68)
    expected = [*range(166, 185), *range(68)]
    np.testing.assert_array_equal(nearest_rows(JOINED, wanted), expected)


def test_a_part_that_says_nothing_is_passed_over() -> None:
    known = join_schemas(COFW_29, AFLW_19, W300_68)  # neither COFW nor AFLW lead to WFLW
    np.testing.assert_array_equal(nearest_rows(known, WFLW_98), 48 + nearest_rows(W300_68, WFLW_98))


def test_shared_points_start_from_themselves_and_others_from_a_neighbour() -> None:
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
def test_no_landmark_starts_from_a_lighter_one_than_another(known: KeypointSchema, wanted: KeypointSchema) -> None:
    weights = derivation(known, wanted)
    for row, chosen in enumerate(nearest_rows(known, wanted)):
        assert weights[row, chosen] == max(weights[row]), wanted.names[row]


def test_markups_that_have_nothing_to_do_with_each_other_are_both_named() -> None:
    with pytest.raises(DarkposeError, match="weights for cofw-29 are no start for 300w-68: not all"):
        nearest_rows(COFW_29, W300_68)
    with pytest.raises(DarkposeError, match=r"weights for 300w-68\+wflw-98\+aflw-19 are no start for cofw-29"):
        nearest_rows(JOINED, COFW_29)


def test_wflw_is_a_start_for_300w_since_most_of_their_points_are_shared() -> None:
    rows = nearest_rows(WFLW_98, W300_68)
    np.testing.assert_array_equal(rows[:17], np.arange(0, 33, 2))
    np.testing.assert_array_equal(rows[27:36], np.arange(51, 60))
    np.testing.assert_array_equal(rows[48:], np.arange(76, 96))
