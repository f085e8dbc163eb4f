"""Which faces every optimizer step of an epoch sees, and in which process."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Key = tuple[int, int]  # (epoch, index of the face)


class EpochSteps(Sampler[list[Key]]):
    """The micro-batches of one process in one epoch: a batch sampler.

    The order of the faces depends on (seed, epoch) alone. A step takes `batch_size * accumulate` faces in micro-batches
    of `batch_size`, dealt out to the processes in turn, so that two processes see what one sees that accumulates twice
    as many. What is left for the last step is split evenly, and repeated where it has fewer faces than processes.

    Args:
        faces: how many there are.
        batch_size: faces of a micro-batch.
        accumulate: micro-batches of a step, all processes together; brought to a multiple of their number.
        seed, epoch: of the order.
        first: the step to begin with: those before are done.
        process, processes: this one, of how many.
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
        """The faces of every micro-batch of a step, those of all processes."""
        faces = self.order[step * self.step_size : (step + 1) * self.step_size]
        count = -(-len(faces) // (self.batch_size * self.processes)) * self.processes
        return np.array_split(faces if len(faces) >= count else np.resize(faces, count), count)

    def faces_in(self, step: int) -> int:
        """How many faces a step sees, in all processes."""
        return sum(map(len, self.micro_batches(step)))

    def own_in(self, step: int) -> int:
        """How many micro-batches of a step are this process's."""
        return len(self.micro_batches(step)) // self.processes

    def __len__(self) -> int:
        return sum(self.own_in(step) for step in range(self.first, self.steps))

    def __iter__(self) -> Iterator[list[Key]]:
        for step in range(self.first, self.steps):
            for batch in self.micro_batches(step)[self.process :: self.processes]:
                yield [(self.epoch, int(index)) for index in batch]
