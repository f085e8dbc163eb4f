"""Heatmap regression loss."""

from torch import Tensor


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
