"""The heatmap loss against the reference's value and gradient."""

from typing import Any

import numpy as np
import pytest
import torch

from conftest import Golden
from darkpose.codec.heatmap import encode
from darkpose.training.losses import heatmap_mse, keypoint_mse


def test_loss_and_gradient_are_the_references(golden: Golden) -> None:
    arrays = golden("f_train")
    output = torch.tensor(arrays["out"]).requires_grad_()
    loss = heatmap_mse(output, torch.tensor(arrays["target"]), torch.tensor(arrays["weight"])[..., 0])
    (gradient,) = torch.autograd.grad(loss, output)
    assert loss.item() == pytest.approx(float(arrays["loss"]), rel=1e-6)
    np.testing.assert_allclose(gradient, arrays["grad"], rtol=1e-5, atol=1e-9)


def test_a_landmark_without_weight_adds_nothing_but_counts() -> None:
    output, target = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)
    output[0, 0] = 2  # squared error 4 on half of the values
    output[0, 1] = 100
    assert heatmap_mse(output, target, torch.tensor([[1.0, 0.0]])).item() == 2
    assert heatmap_mse(output, target, torch.tensor([[0.5, 0.0]])).item() == 1


def some_keypoints() -> tuple[torch.Tensor, torch.Tensor]:
    """(3, 5, 2) heatmap px, some outside the map, one not finite; and their visibility."""
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(-12, 36, (3, 5, 2))
    keypoints[0, 0] = np.nan
    return torch.from_numpy(keypoints), torch.from_numpy(rng.choice([0.0, 0.4, 0.7, 1.0], (3, 5)))


@pytest.mark.parametrize("noise", [0.3, 0.01], ids=["untrained", "trained"])
@pytest.mark.parametrize("options", [{}, {"unbiased": False}, {"truncate": True}, {"sigma": 1.5}], ids=str)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_loss_without_targets_is_the_loss_with_them(
    kind: torch.dtype, options: dict[str, Any], noise: float
) -> None:
    keypoints, visible = some_keypoints()
    target, weights = encode(keypoints, visible, size=(24, 20), **options)
    torch.manual_seed(0)
    output = (target + noise * torch.randn(target.shape)).to(kind)
    output.requires_grad_()
    expected = heatmap_mse(output, target.to(kind), weights.to(kind))
    value = keypoint_mse(output, keypoints, visible, **options)
    (expected_gradient,) = torch.autograd.grad(3 * expected, output)
    (gradient,) = torch.autograd.grad(3 * value, output)
    assert value.dtype == kind
    rounding = 4e-7 * (weights[..., None, None] * target.square()).mean().item() if kind == torch.float32 else 0
    assert value.item() == pytest.approx(expected.item(), rel=1e-6, abs=rounding)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-6 * expected_gradient.abs().max().item())


def test_the_gradient_without_targets_is_that_of_finite_differences() -> None:
    keypoints, visible = some_keypoints()
    torch.manual_seed(0)
    output = torch.rand(3, 5, 6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda maps: keypoint_mse(maps, keypoints, visible), (output,))


def test_all_landmarks_are_visible_where_nothing_is_said() -> None:
    keypoints = torch.tensor([[[3.2, 4.1]]])
    target, weights = encode(keypoints, size=(8, 8))
    assert keypoint_mse(target, keypoints).item() == pytest.approx(0, abs=1e-7)
    assert keypoint_mse(0 * target, keypoints).item() == pytest.approx(heatmap_mse(0 * target, target, weights).item())
