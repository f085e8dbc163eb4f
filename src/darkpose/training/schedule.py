"""Learning rate schedules: warm-up, then steps or a cosine."""

from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True)
class Steps:
    """Multiply by `factor` at each of these epochs (0-based)."""

    epochs: tuple[int, ...] = (40, 55)
    factor: float = 0.1

    def __call__(self, iteration: int, per_epoch: int, total: int) -> float:
        """Factor at an iteration."""
        return self.factor ** sum(iteration // per_epoch >= epoch for epoch in self.epochs)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to `final` over the whole run."""

    final: float = 0.0

    def __call__(self, iteration: int, per_epoch: int, total: int) -> float:
        """Factor at an iteration."""
        return self.final + (1 - self.final) * 0.5 * (1 + cos(pi * iteration / total))


@dataclass(frozen=True)
class Schedule:
    """Learning rate of every iteration.

    Attributes:
        peak: the rate after warm-up.
        decay: factor over the run.
        warmup: iterations of linear warm-up (published: 500).
        warmup_ratio: factor at iteration 0.
    """

    peak: float
    decay: Steps | Cosine
    warmup: int = 500
    warmup_ratio: float = 0.001

    def __call__(self, iteration: int, per_epoch: int, total: int) -> float:
        """The rate at an iteration (0-based) of a run of `total` iterations, `per_epoch` in an epoch."""
        rate = self.peak * self.decay(iteration, per_epoch, total)
        if iteration < self.warmup:
            rate *= 1 - (1 - iteration / self.warmup) * (1 - self.warmup_ratio)
        return rate
