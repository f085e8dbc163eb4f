"""The heatmap loss against the reference's value and gradient."""

import numpy as np
import pytest
import torch

from conftest import Golden
from darkpose.loss import heatmap_mse


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
