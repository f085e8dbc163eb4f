"""What a training run would be: counted from its data, and timed on two batches; nothing is written."""

import time
from dataclasses import dataclass

from torch.utils.data import DataLoader

from darkpose.training.crops import AugmentedFaces
from darkpose.training.epoch_steps import EpochSteps
from darkpose.training.feed import to_device
from darkpose.training.initial_weights import initial_model
from darkpose.training.loop import make_accelerator
from darkpose.training.recipe_run import Task, teacher_of
from darkpose.training.run import start_run
from darkpose.training.sent_step import memory_in_use
from darkpose.training.step import take_step


@dataclass(frozen=True)
class Plan:
    """A run, before it is made.

    Attributes:
        recipe: its name.
        faces, validation: how many are trained on and validated on.
        validated: what the faces to validate on are.
        landmarks, parameters: of the network.
        crop_size: side of a crop in px.
        processes, device: that would train.
        step_faces: faces of a step, in all processes.
        steps, epochs: steps of an epoch, and epochs.
        seconds_per_step: measured on the second of two batches, times the batches of a step.
        memory: peak in MiB, of the GPU or of this process, loaders not counted.
        peak_rate: learning rate after its warm-up.
    """

    recipe: str
    faces: int
    validation: int
    validated: str
    landmarks: int
    parameters: int
    crop_size: int
    processes: int
    device: str
    step_faces: int
    steps: int
    epochs: int
    seconds_per_step: float
    memory: int
    peak_rate: float

    @property
    def hours(self) -> float:
        """The whole run's steps, without validations."""
        return self.seconds_per_step * self.steps * self.epochs / 3600

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.recipe}: {self.landmarks} landmarks, {self.parameters / 1e6:.2f} M parameters",
                f"faces      {self.faces} to train on, {self.validation} to validate on: {self.validated}",
                f"crops      {self.crop_size} px, {self.step_faces} a step over {self.processes} x {self.device}",
                f"steps      {self.steps} an epoch, {self.epochs} epochs, learning rate {self.peak_rate:g} at its peak",
                f"a step     {self.seconds_per_step:.2f} s, measured on two batches",
                f"memory     {self.memory} MiB at its peak",
                f"all steps  {self.hours:.1f} h, validations not counted",
            ]
        )


def plan_run(task: Task, *, start: str | None = None, compiled: bool = False, graphs: bool = False) -> Plan:
    """Count a task's run, and take the steps of two batches to time them.

    Args:
        task: what to train.
        start: initial weights, if they are named (as in `initial_weights.initial_model`): the steps do not depend on
            them, but they must be available.
        compiled, graphs: as of `train.train`.

    Raises:
        DarkposeError: accelerate is missing, `start` or an image of the two batches cannot be read, or there is no such
            GPU for `graphs`.
    """
    config, schema = task.recipe.train, task.recipe.train_set.schema
    accelerator = make_accelerator(config)
    first = initial_model(start, schema, seed=config.seed, network=config.network) if start else None
    run = start_run(
        config,
        config.network_for(schema),
        accelerator,
        first,
        teacher=teacher_of(task.recipe),
        compiled=compiled,
        graphs=graphs,
    )
    order = EpochSteps(
        len(task.samples),
        config.batch_size,
        config.accumulate,
        seed=config.seed,
        epoch=0,
        process=accelerator.process_index,
        processes=accelerator.num_processes,
    )
    faces = AugmentedFaces(task.samples, schema, config.crop_size, config.augment, config.seed, padding=config.padding)
    run.model.train()
    took = []
    for batch, _ in zip(DataLoader(faces, batch_sampler=order), range(2), strict=False):
        began = time.perf_counter()
        loss = take_step(run, config, 0.0, [to_device(batch, accelerator.device)], len(batch.crops))
        loss.item()
        took.append(time.perf_counter() - began)
    return Plan(
        task.recipe.name,
        len(task.samples),
        len(task.validation),
        task.validated,
        len(schema),
        sum(parameter.numel() for parameter in run.bare.parameters()),
        config.crop_size,
        accelerator.num_processes,
        accelerator.device.type,
        order.faces_in(0),
        order.steps,
        config.epochs,
        took[-1] * order.own_in(0),
        memory_in_use(accelerator.device),
        config.schedule.peak,
    )
