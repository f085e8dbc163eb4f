"""Losses of heatmaps: mean squared error and adaptive wing."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from darkpose.codec.targets import centres_and_weights, profiles, widest

# Adaptive wing loss, as published.
ALPHA, OMEGA, EPSILON, THETA = 2.1, 14.0, 1.0, 0.5
FOREGROUND, EMPHASIS = 0.2, 10.0  # of the weighted map
MAPS_AT_ONCE = 16  # maps of 64x64 that fit into the cache of a CPU core


def heatmap_mse(output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean squared error of heatmaps, weighted by visibility.

    The mean is over all N*K*H*W values: invisible landmarks add nothing to the sum but count in the denominator, as in
    the published recipes.

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
    """`heatmap_mse` against the heatmaps of `encode`, without computing them.

    A Gaussian is the product of a column ey and a row ex, so |P - ey ex'|^2 = |P|^2 - 2 ey' P ex + |ey|^2 |ex|^2, and
    its gradient is 2 (P - ey ex'). Instead of targets, N*K*(H + W) numbers are computed on the output's device. In
    float32 the value is exact to about 1e-7 of |P|^2; the gradient is as exact as with targets.

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
    """Weighted mean squared difference of maps (N, K, H, W) and products of columns (N, K, H) and rows (N, K, W)."""

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


def adaptive_wing(output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean adaptive wing loss; the foreground counts eleven times.

    Small errors weigh much where the target is high, as in a wing loss, and little where it is 0, as in a squared
    error. The foreground is the cells whose target is at least 0.2, dilated by one cell.

    Source: Wang, Bo, Fuxin, "Adaptive Wing Loss for Robust Face Alignment via Heatmap Regression", ICCV 2019, section
    4.

    Args:
        output, target: (N, K, H, W), the target in [0, 1].
        weights: (N, K), 0 where a landmark is not annotated; such maps add nothing to the sum but count in the mean.

    Returns:
        A scalar tensor; its gradient flows to `output` alone.
    """
    loss: Tensor = _wing(output, target, weights)
    return loss


class _AdaptiveWing(torch.autograd.Function):
    """Value and gradient in one pass; on a CPU over a few maps at a time, which then stay in its cache."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """The loss, a scalar."""
        maps, targets = (tensor.reshape(-1, *tensor.shape[2:]) for tensor in (output.contiguous(), target))
        share = (weights.to(maps) / output.numel()).reshape(-1, 1, 1)
        gradient, total = torch.empty_like(maps), maps.new_zeros(())
        step = MAPS_AT_ONCE if maps.device.type == "cpu" else len(maps)
        for start in range(0, len(maps), step):
            some = slice(start, start + step)
            value, slope = _curve(maps[some] - targets[some], ALPHA - targets[some])
            factor = share[some] * (1 + EMPHASIS * _foreground(targets[some]).to(maps))
            total += (value * factor).sum()
            torch.mul(slope, factor, out=gradient[some])
        ctx.save_for_backward(gradient.reshape(output.shape))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient with respect to the maps."""
        (slopes,) = ctx.saved_tensors
        return slopes * gradient, None, None


_wing: Any = _AdaptiveWing.apply


def _curve(difference: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    """Value (equation 3) and slope of every cell."""
    error = difference.abs()
    near = (error.clamp(1e-12, THETA) / EPSILON).log_().mul_(power).exp_()  # (error / epsilon) ^ power
    value = OMEGA * near.log1p()
    slope = OMEGA * power * near / ((1 + near) * error.clamp(min=1e-12))
    edge = (THETA / EPSILON) ** power  # beyond theta the curve is its tangent there
    steepest = OMEGA * power * edge / (THETA * (1 + edge))
    far = error >= THETA
    value = torch.where(far, value + steepest * (error - THETA), value)
    return value, torch.where(far, steepest, slope).mul_(difference.sign())


def _foreground(target: Tensor) -> Tensor:
    """Cells (N, H, W) bool whose target, or a neighbour's, is high."""
    high = target >= FOREGROUND
    wide = high.clone()
    wide[..., 1:] |= high[..., :-1]
    wide[..., :-1] |= high[..., 1:]
    grown = wide.clone()
    grown[..., 1:, :] |= wide[..., :-1, :]
    grown[..., :-1, :] |= wide[..., 1:, :]
    return grown
