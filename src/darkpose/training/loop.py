"""The training loop. Accelerate handles devices, processes and mixed precision.

The folder of a run holds `log.jsonl` (one JSON line per step and per validation), `state.pt` (everything a killed run
needs to continue, replaced in one rename) and what `Validation.keep` writes. Random draws depend on (seed, epoch,
index) alone and the state holds the rest, so a resumed run equals an uninterrupted one.

Failures:

* Kill: the same call continues from the state, which is at most `save_every` seconds old.
* Ctrl-C, SIGTERM, time limit: the step is finished and the state saved.
* Unreadable image: another face replaces it, and the log counts it. Ten in a row end the run. So does an unreadable
  image in a validation; the state was saved before it.
* Full disk: the run continues with the old state and the log's lines in memory, and tries again. Only the save before
  the first validation, after each, and at the end of the run must succeed.
* Loss that is not finite: the run ends. Its batch is written to `not-finite-N.safetensors` (N: the process), and the
  state is an earlier one.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from tqdm import tqdm

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.network.hrnet import HRNet
from darkpose.schema import KeypointSchema
from darkpose.stopping import Stopping
from darkpose.training.config import DEFAULT_OPTIONS, RunOptions, TrainConfig
from darkpose.training.crops import Batch
from darkpose.training.epoch_steps import EpochSteps
from darkpose.training.feed import make_feed
from darkpose.training.log import RunLog
from darkpose.training.run import Run, start_run
from darkpose.training.run_folder import own_folder
from darkpose.training.state_file import StateFile, describe_faces, describe_origin
from darkpose.training.step import SentStep, finish_step, send_step, take_step
from darkpose.training.trackers import check_trackers, start_trackers

Stopped = Literal["", "signal", "time", "patience"]


class Trained(NamedTuple):
    """The end of a run.

    Attributes:
        model: after the last step (the average, if there is one), on the CPU and in evaluation mode.
        best_validation: lowest validation NME; inf if none.
        stopped: why it ended before its last epoch: "signal", "time" (the same call continues) or "patience"; else "".
        epoch, step: whole epochs, and steps of the next.
    """

    model: HRNet
    best_validation: float
    stopped: Stopped = ""
    epoch: int = 0
    step: int = 0

    def finished(self) -> "Trained":
        """The same, for a run that has ended.

        Raises:
            KeyboardInterrupt: it was stopped by a signal or the time limit.
        """
        if self.stopped in ("signal", "time"):
            raise KeyboardInterrupt
        return self


@dataclass(frozen=True)
class Validation:
    """The validation of a run.

    Attributes:
        nme: measures the NME of a network; called on the main process after the epochs that are to be validated.
        keep: called after a validation with the network and facts about it, if `config.select` selects this epoch.
        description: what `nme` measures; a run is not resumed with another.
    """

    nme: Callable[[HRNet], float]
    keep: Callable[[HRNet, dict[str, Any]], None] = lambda model, facts: None
    description: str = ""


def train(
    config: TrainConfig,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    folder: Path,
    *,
    initial: HRNet | None = None,
    teacher: HRNet | None = None,
    validation: Validation | None = None,
    options: RunOptions = DEFAULT_OPTIONS,
) -> Trained:
    """Train a network, or resume an interrupted run in `folder`.

    Args:
        config: settings of the run.
        samples: training faces.
        schema: their landmarks.
        folder: of the run; made if needed.
        initial: initial weights; None: He initialisation.
        teacher: the network that `config.teaching` needs, of the same landmarks, in evaluation mode.
        validation: how the network is validated; None: not at all.
        options: how the run is executed.

    Raises:
        DarkposeError: accelerate or a tracker is missing, there is no GPU for `options.graphs`, there are no samples, a
            batch of crops of 32 px would have one face, the folder holds another run or one that is still running, the
            loss is not finite, or images cannot be read.
    """
    _check_inputs(config, samples, schema, initial, teacher)
    check_trackers(options.track)
    with Stopping(options.max_time) as stopping, ExitStack() as held:
        run = start_run(config, schema, folder, initial=initial, teacher=teacher, options=options)
        order = run.epoch_steps(len(samples))
        held.enter_context(own_folder(folder, first=run.accelerator.is_main_process))
        origin = describe_origin(initial, teacher, validation.description if validation else "")
        faces = describe_faces(samples, schema, order.step_size)
        state = StateFile(folder / "state.pt", config, faces=faces, origin=origin, every=options.save_every)
        log = RunLog(folder / "log.jsonl", writes=run.accelerator.is_main_process)
        _resume(run, state, log, order)
        start_trackers(run.accelerator, options.track, config)
        feed = make_feed(config, samples, schema, run.accelerator, options)
        loop = _Loop(run, samples, log, state, stopping, validation)
        with feed.batches(_remaining_epochs(run, len(samples)), options.workers) as batches:
            stopped = loop.run_epochs(batches)
    run.accelerator.end_training()
    model = HRNet(config.network_for(schema))  # without accelerate's wrappers
    model.load_state_dict(run.result.state_dict())
    return Trained(model.eval(), run.best, stopped, run.epoch, run.step)


def _check_inputs(
    config: TrainConfig,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    initial: HRNet | None,
    teacher: HRNet | None,
) -> None:
    network = config.network_for(schema)
    if not samples:
        raise DarkposeError("there are no training samples")
    if initial is not None and initial.config != network:
        raise DarkposeError(
            f"the initial weights are of {initial.config}, but the schema {schema.name} needs {network}"
        )
    if bool(config.teaching) != (teacher is not None) or (teacher and teacher.config.keypoints != len(schema)):
        found = f"one of {teacher.config.keypoints}" if teacher else "none"
        raise DarkposeError(f"teaching = {config.teaching} of {len(schema)} landmarks, but the teacher is {found}")
    for sample in samples:
        if not (sample.box[2:] > sample.box[:2]).all():
            raise DarkposeError(f"{sample.source or sample.image}: the box {sample.box.tolist()} has no area")


def _resume(run: Run, state: StateFile, log: RunLog, order: EpochSteps) -> None:
    """Continue from a saved state, if there is one, and remove what follows it from the log."""
    main, config = run.accelerator.is_main_process, run.config
    if state.resume(run) and main:
        tqdm.write(f"continuing after epoch {run.epoch} of {config.epochs}, step {run.step}", file=sys.stderr)
    places = run.accelerator.gather(torch.tensor([[run.epoch, run.step]], device=run.accelerator.device))
    if len(torch.unique(places, dim=0)) > 1:
        raise DarkposeError("the processes found different states: all need the same folder of the run")
    wanted = config.batch_size * max(config.accumulate, run.accelerator.num_processes)
    if main and order.step_size != wanted:
        found = f"{run.accelerator.num_processes} processes do not divide accumulate = {config.accumulate}"
        tqdm.write(f"{found}: a step has {order.step_size} crops instead of {wanted}", file=sys.stderr)
    log.forget_after(run.epoch, run.epoch * order.steps + run.step)


def _remaining_epochs(run: Run, faces: int) -> Iterator[EpochSteps]:
    """The remaining steps of every epoch; the loader is ahead of the run, so they count from where the run is now."""
    now = replace(run)
    return (now.epoch_steps(faces, ahead) for ahead in range(run.config.epochs - now.epoch))


@dataclass(frozen=True, eq=False)
class _Loop:
    """Epochs of a run, with their steps, validations and saves."""

    run: Run
    samples: Sequence[Sample]
    log: RunLog
    state: StateFile
    stopping: Stopping
    validation: Validation | None

    def run_epochs(self, batches: Iterator[Batch]) -> Stopped:
        """Run the remaining epochs; returns why they ended early."""
        run, config, main = self.run, self.run.config, self.run.accelerator.is_main_process
        while run.epoch < config.epochs:
            if config.patience and run.stale >= config.patience:
                return "patience"
            stopped = self._run_epoch(batches)
            validates = not stopped and config.validates_after(run.epoch + 1)
            if validates and self.validation is not None and main:
                self.state.check_weights(run)
                # A validation may take long, and may fail. Kept weights without any state could not be gone on from.
                (self.state.save_or_warn if self.state.path.exists() else self.state.save)(run)
                self._validate(self.validation)
            if not stopped:
                run.epoch, run.step = run.epoch + 1, 0
                _share_validation(run)
            if main and (stopped or validates or self.state.is_due):
                self.state.save(run)
            run.accelerator.wait_for_everyone()
            if stopped:
                return stopped
        return ""

    def _run_epoch(self, batches: Iterator[Batch]) -> Literal["", "signal", "time"]:
        """Run the remaining steps of an epoch; returns why it was stopped.

        A step's loss is read after the next step has been sent to the device, so that the device does not wait.
        """
        run, main = self.run, self.run.accelerator.is_main_process
        order = run.epoch_steps(len(self.samples))
        run.model.train()
        title = f"epoch {run.epoch + 1}/{run.config.epochs}"
        steps = range(run.step, order.steps)
        previous: SentStep | None = None
        stop = stop_next = False
        with tqdm(steps, title, order.steps, initial=run.step, disable=None if main else True) as bar:
            for step in bar:
                began = time.perf_counter()
                sent = self._send_step(step, order, batches, began)
                # All processes learn of a step in the same turn, the next one, and so stop together.
                stop = stop_next if previous is None else self._finish(previous, bar, began)
                previous, run.step = sent, step + 1
                if stop:
                    break
                if main and self.state.is_due:
                    stop_next, previous = self._finish(previous, bar), None
                    self.state.save_or_warn(run)
            stop = (stop_next if previous is None else self._finish(previous, bar)) or stop
        return (self.stopping.reason or "signal") if stop else ""

    def _send_step(self, step: int, order: EpochSteps, batches: Iterator[Batch], began: float) -> SentStep:
        run, config = self.run, self.run.config
        group = list(islice(batches, order.own_in(step)))
        waited, iteration = time.perf_counter() - began, run.epoch * order.steps + step
        rate = config.schedule(iteration, order.steps, config.epochs * order.steps)
        line = {"mode": "train", "epoch": run.epoch + 1, "iter": iteration, "lr": rate, "data_time": waited}
        share = take_step(run, rate, group, order.faces_in(step), frozen=iteration < config.frozen)
        return send_step(run, share, group, line, began, stop=bool(self.stopping.reason))

    def _finish(self, step: SentStep, bar: "tqdm[int]", ended: float | None = None) -> bool:
        return finish_step(self.run, step, self.samples, self.log, bar, ended=ended)

    def _validate(self, validation: Validation) -> None:
        run, model, epoch = self.run, self.run.result, self.run.epoch + 1
        model.eval()
        nme = validation.nme(model)
        self.log.write(mode="val", epoch=epoch, NME=nme)
        iteration = run.epoch * run.epoch_steps(len(self.samples)).steps + run.step
        run.accelerator.log({"NME": nme, "epoch": epoch}, step=iteration)
        tqdm.write(f"epoch {epoch}: validation NME {100 * nme:.3f} %", file=sys.stderr)
        better = nme < run.best  # False for NaN
        run.stale = 0 if better else run.stale + run.config.validate_every
        run.best = nme if better else run.best
        if better or run.config.select == "last":
            validation.keep(model, {"epoch": epoch, "validation_nme": nme})


def _share_validation(run: Run) -> None:
    """Send the main process's validation results to all processes, which need them for `patience`."""
    if run.accelerator.num_processes > 1:
        known = torch.tensor([run.stale, run.best], dtype=torch.float64, device=run.accelerator.device)
        torch.distributed.broadcast(known, src=0)
        stale, run.best = known.tolist()
        run.stale = int(stale)
