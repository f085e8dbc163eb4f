"""The faces of every optimizer step of an epoch, by process."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Key = tuple[int, int]  # (epoch, index of the face)


class EpochSteps(Sampler[list[Key]]):
    """The micro-batches of one process in one epoch: a batch sampler.

    The order of the faces depends on (seed, epoch) alone. A step takes `batch_size * accumulate` faces in micro-batches
    of `batch_size`, which the processes take in turn: two processes see the same faces as one that accumulates twice as
    many. The faces of the last step are split evenly, and repeated if there are fewer than processes.

    Args:
        faces: number of faces.
        batch_size: faces of a micro-batch.
        accumulate: micro-batches of a step in all processes, rounded to a multiple of their number.
        seed, epoch: of the order.
        first: first step; those before are done.
        process, processes: index of this process, and number of processes.
    """

    def __init__(
        self,
        faces: int,
        batch_size: int,
        accumulate: int = 1,
        *,
        seed: int,
        epoch: int,
        first: int = 0,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.order = np.random.default_rng((seed, epoch)).permutation(faces)
        self.epoch, self.first, self.process, self.processes = epoch, first, process, processes
        self.batch_size = batch_size
        self.step_size = max(1, accumulate // processes) * processes * batch_size
        self.steps = -(-faces // self.step_size)

    def micro_batches(self, step: int) -> list[NDArray[np.intp]]:
        """The faces of every micro-batch of a step, in all processes."""
        faces = self.order[step * self.step_size : (step + 1) * self.step_size]
        count = -(-len(faces) // (self.batch_size * self.processes)) * self.processes
        return np.array_split(faces if len(faces) >= count else np.resize(faces, count), count)

    def faces_in(self, step: int) -> int:
        """Number of faces in a step, in all processes."""
        return sum(map(len, self.micro_batches(step)))

    def own_in(self, step: int) -> int:
        """Number of micro-batches in a step, in this process."""
        return len(self.micro_batches(step)) // self.processes

    def __len__(self) -> int:
        return sum(self.own_in(step) for step in range(self.first, self.steps))

    def __iter__(self) -> Iterator[list[Key]]:
        for step in range(self.first, self.steps):
            for batch in self.micro_batches(step)[self.process :: self.processes]:
                yield [(self.epoch, int(index)) for index in batch]
