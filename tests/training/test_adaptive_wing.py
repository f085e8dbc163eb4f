"""The adaptive wing loss against the paper's formulas, cell by cell."""

import math

import numpy as np
import pytest
import torch

from darkpose.training.adaptive_wing import adaptive_wing


def written_out(output: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """Equations 3 and 5 of the paper, and its weighted map, in loops."""
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


def test_the_loss_equals_the_papers_formulas() -> None:
    rng = np.random.default_rng(0)
    target, output = rng.random((2, 3, 6, 5)) ** 6, rng.normal(0.3, 0.8, (2, 3, 6, 5))
    weights = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    found = adaptive_wing(*map(torch.from_numpy, (output, target, weights)))
    assert float(found) == pytest.approx(written_out(output, target, weights), rel=1e-9)


def test_its_gradient_is_right_and_finite_where_nothing_is_wrong() -> None:
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
