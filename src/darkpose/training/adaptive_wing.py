"""The adaptive wing loss of heatmaps (Wang, Bo and Fuxin, ICCV 2019, section 4)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ALPHA, OMEGA, EPSILON, THETA = 2.1, 14.0, 1.0, 0.5  # as published
FOREGROUND, EMPHASIS = 0.2, 10.0  # of the weighted map
AT_ONCE = 16  # maps of 64x64 that stay in a processor core's cache


def adaptive_wing(output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean adaptive wing loss, foreground and difficult background counting eleven times.

    Where a target is high, small errors weigh much, as under a wing loss; where it is 0, little, as under a squared
    error. The foreground is the target above 0.2, grown by one cell.

    Args:
        output, target: (N, K, H, W), the target in [0, 1].
        weights: (N, K), 0 where a landmark is not annotated; such maps add nothing but count in the mean.

    Returns:
        A scalar tensor; its gradient flows to `output` alone.
    """
    loss: Tensor = _wing(output, target, weights)
    return loss


class _AdaptiveWing(torch.autograd.Function):
    """Value and gradient in one pass; on a processor over a few maps at a time, which then stay in its cache."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """The loss, a scalar."""
        maps, targets = (tensor.reshape(-1, *tensor.shape[2:]) for tensor in (output.contiguous(), target))
        share = (weights.to(maps) / output.numel()).reshape(-1, 1, 1)
        gradient, total = torch.empty_like(maps), maps.new_zeros(())
        step = AT_ONCE if maps.device.type == "cpu" else len(maps)
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
    """The wing (equation 3) of every cell, and its slope."""
    error = difference.abs()
    near = (error.clamp(1e-12, THETA) / EPSILON).log_().mul_(power).exp_()  # (error / epsilon) ^ power
    value = OMEGA * near.log1p()
    slope = OMEGA * power * near / ((1 + near) * error.clamp(min=1e-12))
    edge = (THETA / EPSILON) ** power  # beyond theta the curve goes on as its tangent there
    steepest = OMEGA * power * edge / (THETA * (1 + edge))
    far = error >= THETA
    value = torch.where(far, value + steepest * (error - THETA), value)
    return value, torch.where(far, steepest, slope).mul_(difference.sign())


def _foreground(target: Tensor) -> Tensor:
    """Cells whose target, or a neighbour's, is high: (N, H, W), bool."""
    high = target >= FOREGROUND
    wide = high.clone()
    wide[..., 1:] |= high[..., :-1]
    wide[..., :-1] |= high[..., 1:]
    grown = wide.clone()
    grown[..., 1:, :] |= wide[..., :-1, :]
    grown[..., :-1, :] |= wide[..., 1:, :]
    return grown
