"""HRNetV2-W18: heatmaps, features, names and sizes of the reference, and three of its training steps."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from conftest import Arrays, Golden, published_name, rule_values
from darkpose.codec.heatmap import decode
from darkpose.image.geometry import heatmap_to_image
from darkpose.network.hrnet import HRNet, initialise
from darkpose.runtime.flip import mirror_back
from darkpose.schema import AFLW_19, WFLW_98, KeypointSchema
from darkpose.training.losses import heatmap_mse
from darkpose.weights.checkpoint import HRNetConfig

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def network_input(images: NDArray[np.uint8]) -> Tensor:
    """(N, H, W, 3) RGB, normalised in float32 in the reference's order of operations."""
    return torch.from_numpy(np.ascontiguousarray(((images / np.float32(255) - MEAN) / STD).transpose(0, 3, 1, 2)))


class Run(NamedTuple):
    """One image through one network: heatmaps (1, K, 64, 64) and branches in float64, heatmaps in float32."""

    name: str
    schema: KeypointSchema
    golden: Arrays
    heatmaps: Tensor
    mirrored: Tensor
    branches: list[Tensor]
    single: Tensor


@pytest.fixture(scope="module", params=["aflw", "wflw"])
def run(request: pytest.FixtureRequest, golden: Golden, rule_filled_hrnet: Callable[[int], HRNet]) -> Run:
    name, schema = request.param, {"aflw": AFLW_19, "wflw": WFLW_98}[request.param]
    arrays = golden(f"e_model_{name}")
    crops = network_input(arrays["image_u8"][None])
    np.testing.assert_allclose(crops[0, :, ::16, ::16], arrays["input_slice"], rtol=0, atol=1e-6)
    model = rule_filled_hrnet(len(schema))
    branches: list[Tensor] = []
    with torch.inference_mode():
        single = model(crops)
        model.double()
        hook = model.backbone.register_forward_hook(lambda *call: branches.extend(call[2]))
        heatmaps = model(crops.double())
        hook.remove()
        mirrored = model(crops.double().flip(-1))
    return Run(name, schema, arrays, heatmaps, mirrored, branches, single)


def test_the_rule_that_fills_the_network_gives_the_spots_of_the_specification() -> None:
    for name, shape, values in (
        ("backbone.conv1.weight", (64, 3, 3, 3), [0.19294444, 0.11448142, 0.09824190]),
        ("backbone.bn1.weight", (64,), [0.6432761, 0.7991573, 0.7358578]),
        ("keypoint_head.final_layer.3.weight", (19, 270, 1, 1), [0.03016642, 0.00169816, 0.02086517]),
        ("keypoint_head.final_layer.3.bias", (19,), [0.04646726, -0.02581955, -0.05219413]),
    ):
        np.testing.assert_allclose(rule_values(name, shape).ravel()[:3], values, rtol=0, atol=5e-8)


def test_heatmaps_are_the_references_in_float64_and_nearly_in_float32(run: Run) -> None:
    expected = run.golden["heatmap_sel"]
    np.testing.assert_allclose(run.heatmaps[0].numpy()[run.golden["sel"]], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(run.single[0].numpy()[run.golden["sel"]], expected, rtol=0, atol=5e-4)
    assert run.single.dtype == torch.float32


def statistics(heatmaps: Tensor) -> NDArray[np.float64]:
    flat = heatmaps.flatten(1).numpy()
    return np.stack([flat.mean(1), flat.std(1), flat.min(1), flat.max(1), flat.argmax(1)], axis=1)


def test_statistics_of_every_heatmap_are_the_references(run: Run) -> None:
    np.testing.assert_allclose(statistics(run.heatmaps[0]), run.golden["heatmap_stats"], rtol=0, atol=1e-5)


def test_every_branch_is_the_references(run: Run) -> None:
    for i, branch in enumerate(run.branches):
        assert branch.shape == tuple(run.golden[f"feat{i}_shape"])
        np.testing.assert_allclose(branch[0, :, ::4, ::4], run.golden[f"feat{i}_slice"], rtol=0, atol=1e-5)
        mean_std = [float(branch.mean()), float(branch.std())]
        np.testing.assert_allclose(mean_std, run.golden[f"feat{i}_meanstd"], rtol=0, atol=1e-5)


def test_the_published_flip_test_is_the_references(run: Run) -> None:
    index = run.schema.flip_index
    mean = (run.heatmaps + mirror_back(run.mirrored, index, "published")) / 2
    np.testing.assert_allclose(mean[0].numpy()[run.golden["sel"]], run.golden["flip_heatmap_sel"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(statistics(mean[0]), run.golden["flip_heatmap_stats"], rtol=0, atol=1e-5)
    unshifted = (run.heatmaps + run.mirrored[:, index].flip(-1)) / 2
    # The reference kept these rows in float32.
    np.testing.assert_allclose(mean[0, :, 31], run.golden["flip_row31"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(unshifted[0, :, 31], run.golden["flip_noshift_row31"], rtol=0, atol=1e-4)


def test_decoded_landmarks_are_the_references_in_image_px(run: Run) -> None:
    index = run.schema.flip_index
    back = run.mirrored[:, index].flip(-1)
    for name, heatmaps in (
        ("kpt_noflip", run.heatmaps),
        ("kpt_flip", (run.heatmaps + mirror_back(run.mirrored, index, "published")) / 2),
        ("kpt_flip_noshift", (run.heatmaps + back) / 2),
    ):
        decoded = decode(heatmaps.float().numpy())
        side = 200 * run.golden["scale"].astype(np.float64)
        points = heatmap_to_image(decoded.points, run.golden["center"], side, (64, 64))[0]
        expected = run.golden[name]
        np.testing.assert_allclose(decoded.scores[0], expected[:, 2], rtol=0, atol=1e-4)
        # The reference decoded float32 heatmaps, which differ by 7e-5; a nearly flat maximum magnifies that.
        errors = np.abs(points - expected[:, :2]).max(axis=1)
        assert np.median(errors) < 2e-4
        assert errors.max() < 0.02


@pytest.mark.parametrize(
    ("name", "keypoints", "head", "total"), [("aflw", 19, 78_859, 9_641_119), ("wflw", 98, 100_268, 9_662_528)]
)
def test_names_shapes_and_counts_of_parameters_are_the_published_ones(
    golden_keys: Callable[[str], list[tuple[str, tuple[int, ...]]]], name: str, keypoints: int, head: int, total: int
) -> None:
    model = HRNet(HRNetConfig(keypoints))
    ours = [(published_name(key), tuple(values.shape)) for key, values in model.state_dict().items()]
    assert ours == golden_keys(f"keys_0x_{name}")
    assert len(ours) == 1839
    assert sum(p.numel() for p in model.head.parameters()) == head
    assert sum(p.numel() for p in model.parameters()) == total


def test_three_training_steps_are_the_references(golden: Golden, rule_filled_hrnet: Callable[[int], HRNet]) -> None:
    arrays, image = golden("f_train"), golden("e_model_aflw")["image_u8"]
    crops = network_input(np.stack([image[0:64, 0:64], image[100:164, 30:94]])).double()
    target = torch.tensor(arrays["step_target"]).double()
    weights = torch.tensor(arrays["step_weight"])[..., 0].double()
    model = rule_filled_hrnet(19).double().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0)
    losses, gradients, state = [], {}, {}  # gradients and running statistics are the first step's
    for step, rate in enumerate(arrays["step_lrs"]):
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        optimizer.zero_grad()
        loss = heatmap_mse(model(crops), target, weights)
        torch.autograd.backward(loss)
        losses.append(loss.item())
        if step == 0:
            gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
            state = {name: values.clone() for name, values in model.state_dict().items()}
        optimizer.step()
    np.testing.assert_allclose(losses, arrays["step_losses"], rtol=1e-7)
    norm = torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt()
    np.testing.assert_allclose(norm, arrays["step_gradnorm"], rtol=1e-7)
    np.testing.assert_allclose(gradients["head.3.bias"], arrays["step_grad_final_bias"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(gradients["backbone.conv1.weight"], arrays["step_grad_conv1"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(state["backbone.bn1.running_mean"], arrays["step_bn1_running_mean"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(state["backbone.bn1.running_var"], arrays["step_bn1_running_var"], rtol=0, atol=1e-8)


SMALL = HRNetConfig(5, widths=(4, 6, 8, 10), modules=(1, 1, 1), blocks=1, stem=8)


@pytest.mark.parametrize("size", [(32, 32), (64, 96)], ids=["the smallest", "rectangular"])
def test_heatmaps_have_a_quarter_of_the_crops_size(size: tuple[int, int]) -> None:
    model = HRNet(SMALL).eval()
    with torch.inference_mode():
        heatmaps = model(torch.zeros(2, 3, *size))
    assert heatmaps.shape == (2, 5, size[0] // 4, size[1] // 4)


def test_a_crop_is_answered_alike_alone_and_in_a_batch() -> None:
    model = HRNet(SMALL).double().eval()
    crops = torch.randn(3, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model(crops)[1:2], model(crops[1:2]), rtol=0, atol=1e-12)


def test_initialisation_depends_on_the_seed_alone_and_starts_near_blank_maps() -> None:
    models = [HRNet(SMALL) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        initialise(model, seed=seed)
    first, again, other = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["backbone.conv1.weight"], other["backbone.conv1.weight"])
    full = HRNet(HRNetConfig(98))
    initialise(full, seed=0)
    state = full.state_dict()
    assert state["head.3.weight"].std().item() == pytest.approx(0.001, rel=0.03)  # of 26,460 values: 0.4 % expected
    assert state["head.3.bias"].abs().max() == 0
    narrowing = state["backbone.transition1.0.0.weight"]  # 256 -> 18 channels, 3x3: its fan-out is 162
    assert narrowing.std().item() == pytest.approx((2 / 162) ** 0.5, rel=0.03)
