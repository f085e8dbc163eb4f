"""Losses against reference values, the papers' formulas and finite differences."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Golden
from darkpose.codec.heatmap import encode
from darkpose.training.losses import adaptive_wing, heatmap_mse, keypoint_mse


def test_loss_and_gradient_equal_the_reference(golden: Golden) -> None:
    arrays = golden("f_train")
    output = torch.tensor(arrays["out"]).requires_grad_()
    loss = heatmap_mse(output, torch.tensor(arrays["target"]), torch.tensor(arrays["weight"])[..., 0])
    (gradient,) = torch.autograd.grad(loss, output)
    assert loss.item() == pytest.approx(float(arrays["loss"]), rel=1e-6)
    np.testing.assert_allclose(gradient, arrays["grad"], rtol=1e-5, atol=1e-9)


def test_a_landmark_of_weight_0_adds_nothing_but_counts() -> None:
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


def test_without_visibility_all_landmarks_are_visible() -> None:
    keypoints = torch.tensor([[[3.2, 4.1]]])
    target, weights = encode(keypoints, size=(8, 8))
    assert keypoint_mse(target, keypoints).item() == pytest.approx(0, abs=1e-7)
    assert keypoint_mse(0 * target, keypoints).item() == pytest.approx(heatmap_mse(0 * target, target, weights).item())


def wing_in_loops(output: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """Equations 3 and 5 of the paper and its weighted map, cell by cell."""
    alpha, omega, epsilon, theta = 2.1, 14.0, 1.0, 0.5
    total = 0.0
    for i, j, y, x in np.ndindex(*output.shape):
        goal, error = target[i, j, y, x], abs(target[i, j, y, x] - output[i, j, y, x])
        power = alpha - goal
        a = omega / (1 + (theta / epsilon) ** power) * power * (theta / epsilon) ** (power - 1) / epsilon
        c = theta * a - omega * math.log(1 + (theta / epsilon) ** power)
        value = omega * math.log(1 + (error / epsilon) ** power) if error < theta else a * error - c
        near = target[i, j, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        total += float(value * weights[i, j] * (11.0 if (near >= 0.2).any() else 1.0))
    return total / output.size


def test_the_adaptive_wing_loss_equals_the_papers_formulas() -> None:
    rng = np.random.default_rng(0)
    target, output = rng.random((2, 3, 6, 5)) ** 6, rng.normal(0.3, 0.8, (2, 3, 6, 5))
    weights = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    found = adaptive_wing(*map(torch.from_numpy, (output, target, weights)))
    assert float(found) == pytest.approx(wing_in_loops(output, target, weights), rel=1e-9)


def test_the_adaptive_wing_gradient_is_right_and_finite_at_zero_error() -> None:
    torch.manual_seed(0)
    target = torch.rand(1, 2, 4, 4, dtype=torch.float64) ** 4
    output = (target + torch.randn_like(target) * 0.6).requires_grad_()
    weights = torch.ones(1, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda maps: adaptive_wing(maps, target, weights), output)
    same = target.clone().requires_grad_()
    adaptive_wing(same, target, weights).backward()  # type: ignore[no-untyped-call]
    assert same.grad is not None
    assert torch.isfinite(same.grad).all()
    assert float(adaptive_wing(target, target, weights)) == pytest.approx(0, abs=1e-9)
