"""Heatmap regression loss."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from darkpose.codec.targets import centres_and_weights, profiles, widest


def heatmap_mse(output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean squared error of heatmaps, weighted by visibility.

    The mean runs over all N*K*H*W values: invisible landmarks add nothing to the sum but count in the denominator, as
    in the published recipes.

    Args:
        output, target: (N, K, H, W).
        weights: (N, K).

    Returns:
        A scalar tensor.
    """
    return (weights[:, :, None, None] * (output - target).square()).mean()


def keypoint_mse(
    output: Tensor,
    keypoints: Tensor,
    visible: Tensor | None = None,
    *,
    sigma: float = 2.0,
    unbiased: bool = True,
    truncate: bool = False,
) -> Tensor:
    """`heatmap_mse` against the heatmaps that `encode` would draw, which are never made.

    A Gaussian is a product of a column ey and a row ex, so |P - ey ex'|^2 = |P|^2 - 2 ey' P ex + |ey|^2 |ex|^2, and its
    gradient is 2 (P - ey ex'). Instead of targets, N*K*(H + W) numbers are computed on the output's device. The value
    is rounded as its terms are, in float32 to some 1e-7 of |P|^2; the gradient is as exact as with targets.

    Args:
        output: (N, K, H, W), float32 or float64.
        keypoints: (N, K, 2) heatmap px, on its device.
        visible, sigma, unbiased, truncate: as in `encode`.

    Returns:
        A scalar tensor; its gradient flows to `output` alone.
    """
    size = (output.shape[3], output.shape[2])
    seen = torch.ones_like(keypoints[..., 0]) if visible is None else visible
    centres, weights = centres_and_weights(keypoints.detach().to(widest(keypoints.device)), seen, size, sigma, unbiased)
    along_x, along_y = profiles(centres, size, sigma, 3.0 * sigma if truncate or not unbiased else np.inf)
    loss: Tensor = _separable_mse(output, along_x.to(output), along_y.to(output), weights.to(output))
    return loss


class _SeparableMse(torch.autograd.Function):
    """Weighted mean squared distance of maps (N, K, H, W) from products of columns (N, K, H) and rows (N, K, W)."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, along_x: Tensor, along_y: Tensor, weights: Tensor) -> Tensor:
        """The loss, a scalar."""
        ctx.save_for_backward(output, along_x, along_y, weights)
        wide = widest(output.device)
        squares = torch.linalg.vector_norm(output, dim=(2, 3)).to(wide).square()
        products = (along_y[..., None, :] @ output @ along_x[..., :, None])[..., 0, 0].to(wide)
        targets = along_x.to(wide).square().sum(-1) * along_y.to(wide).square().sum(-1)
        total: Tensor = (weights * (squares - 2 * products + targets)).sum()
        return total.to(output.dtype) / output.numel()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient with respect to the maps."""
        output, along_x, along_y, weights = ctx.saved_tensors
        distance = torch.addcmul(output, along_y[..., :, None], along_x[..., None, :], value=-1)
        return distance.mul_((2 * gradient / output.numel() * weights)[..., None, None]), None, None, None


_separable_mse: Any = _SeparableMse.apply
