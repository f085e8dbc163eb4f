"""The adaptive wing loss of heatmaps (Wang, Bo and Fuxin, ICCV 2019, section 4)."""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

ALPHA, OMEGA, EPSILON, THETA = 2.1, 14.0, 1.0, 0.5  # as published
FOREGROUND, EMPHASIS = 0.2, 10.0  # of the weighted map


def adaptive_wing(output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean adaptive wing loss, foreground and difficult background counting eleven times.

    Where a target is high, small errors weigh much, as under a wing loss; where it is 0, little, as under a squared
    error. The foreground is the target above 0.2, grown by one cell.

    Args:
        output, target: (N, K, H, W), the target in [0, 1].
        weights: (N, K), 0 where a landmark is not annotated; such maps add nothing but count in the mean.

    Returns:
        A scalar tensor.
    """
    error, power = (output - target).abs(), ALPHA - target
    ratio = THETA / EPSILON
    slope = OMEGA * power * ratio ** (power - 1) / ((1 + ratio**power) * EPSILON)
    offset = THETA * slope - OMEGA * torch.log1p(ratio**power)
    # Beyond theta the curve is not used: clamping keeps its gradient finite.
    curve = OMEGA * torch.log1p((error.clamp(max=THETA) / EPSILON).clamp(min=1e-12) ** power)
    loss = torch.where(error < THETA, curve, slope * error - offset)
    foreground = max_pool2d((target >= FOREGROUND).to(loss.dtype), kernel_size=3, stride=1, padding=1)
    return (loss * (1 + EMPHASIS * foreground) * weights[:, :, None, None]).mean()
