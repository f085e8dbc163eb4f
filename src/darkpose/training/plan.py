"""Plan of a training run: counted from its data and timed on some batches, without writing anything."""

import time
from dataclasses import dataclass
from statistics import median

from torch.utils.data import DataLoader

from darkpose.training.config import DEFAULT_OPTIONS, RunOptions
from darkpose.training.crops import AugmentedFaces
from darkpose.training.epoch_steps import EpochSteps
from darkpose.training.initial_weights import initial_model
from darkpose.training.memory import peak_memory
from darkpose.training.recipe_run import Task, load_teacher
from darkpose.training.run import Run, start_run
from darkpose.training.step import take_step

BATCHES, QUICK = 12, 15.0  # at most; seconds after which two are enough


@dataclass(frozen=True)
class Plan:
    """A run before its start.

    Attributes:
        recipe: its name.
        faces, validation: number of faces to train on and to validate on.
        validated: description of the faces to validate on.
        landmarks, parameters: of the network.
        crop_size: side of a crop in px.
        processes, device: of the training.
        step_faces: faces of a step, in all processes.
        steps, epochs: steps of an epoch, and epochs.
        seconds_per_step: median of some batches after the first, times the batches of a step.
        memory: peak in MiB, of the GPU or of this process, without loader processes.
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
        """Duration of all steps, without validations."""
        return self.seconds_per_step * self.steps * self.epochs / 3600

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.recipe}: {self.landmarks} landmarks, {self.parameters / 1e6:.2f} M parameters",
                f"faces      {self.faces} to train on, {self.validation} to validate on: {self.validated}",
                f"crops      {self.crop_size} px, {self.step_faces} a step over {self.processes} x {self.device}",
                f"steps      {self.steps} an epoch, {self.epochs} epochs, peak learning rate {self.peak_rate:g}",
                f"a step     {self.seconds_per_step:.2f} s, measured on some batches",
                f"memory     {self.memory} MiB at its peak",
                f"all steps  {self.hours:.1f} h, without validations",
            ]
        )


def plan_run(task: Task, *, start: str | None = None, options: RunOptions = DEFAULT_OPTIONS) -> Plan:
    """Count the faces and steps of a task, and time the steps of some batches.

    Args:
        task: what to train.
        start: initial weights, if they are named (as in `initial_weights.initial_model`): the time does not depend on
            them, but they must be available.
        options: how the run is executed; `compiled` and `graphs` are used.

    Raises:
        DarkposeError: accelerate is missing, `start` or an image of these batches cannot be read, or there is no GPU
            for `options.graphs`.
    """
    config, schema = task.recipe.train, task.recipe.train_set.schema
    initial = initial_model(start, schema, seed=config.seed, network=config.network) if start else None
    run = start_run(config, schema, initial=initial, teacher=load_teacher(task.recipe), options=options)
    order = run.epoch_steps(len(task.samples))
    return Plan(
        task.recipe.name,
        len(task.samples),
        len(task.validation),
        task.validation_set,
        len(schema),
        sum(parameter.numel() for parameter in run.network.parameters()),
        config.crop_size,
        run.accelerator.num_processes,
        run.accelerator.device.type,
        order.faces_in(0),
        order.steps,
        config.epochs,
        _seconds_per_batch(run, task, order) * order.own_in(0),
        peak_memory(run.accelerator.device),
        config.schedule.peak,
    )


def _seconds_per_batch(run: Run, task: Task, order: EpochSteps) -> float:
    """Median duration of the batches after the first, without loading them: two to `BATCHES`, as many as are quick."""
    config, schema = run.config, task.recipe.train_set.schema
    faces = AugmentedFaces(task.samples, schema, config.crop_size, config.augment, config.seed, padding=config.padding)
    run.model.train()
    seconds: list[float] = []
    for batch in DataLoader(faces, batch_sampler=order):
        began = time.perf_counter()
        loss = take_step(run, 0.0, [batch.to(run.accelerator.device)], len(batch.crops))
        loss.item()
        seconds.append(time.perf_counter() - began)
        if len(seconds) >= BATCHES or (len(seconds) > 1 and sum(seconds) > QUICK):
            break
    return median(seconds[1:] or seconds)
