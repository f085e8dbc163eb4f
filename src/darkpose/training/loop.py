"""The training loop. Accelerate carries devices, processes and mixed precision; the loop stays ours.

A run lives in a folder: `log.jsonl` (one JSON line per step and per validation), `state.pt` (all that a killed run
needs to go on, replaced in one rename) and whatever the caller keeps of a validation. Draws depend on (seed, epoch,
index) alone and the state holds the rest, so a run that is resumed equals one that was never stopped.

What goes wrong, and what becomes of it:

* killed: the same call goes on from the state, at most `save_every` seconds old, or from before the validation;
* Ctrl-C, a terminating signal, the time limit: the step is finished and the state saved;
* an image that cannot be read: another face takes its place; the log counts it. Ten in a row end the run; so does one
  to validate on, behind the state that was saved before;
* a full disk: the run goes on, with the old state and the log's lines in memory, and tries again; only the end of an
  epoch, whose weights are to be kept, insists;
* a loss that is not finite: the run ends, its batch lies in `not-finite-N.safetensors` (N: the process), the state is
  one from before.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from tqdm import tqdm

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.opencv import use_one_thread
from darkpose.network.checkpoint import model_fingerprint
from darkpose.network.hrnet import HRNet
from darkpose.schema import KeypointSchema
from darkpose.stopping import Stopping
from darkpose.training.config import TrainConfig
from darkpose.training.crops import Batch
from darkpose.training.epoch_steps import EpochSteps
from darkpose.training.feed import Feed, make_feed
from darkpose.training.log import RunLog
from darkpose.training.memory import keep_freed_memory
from darkpose.training.run import Run, StateFile, start_run
from darkpose.training.run_folder import own_folder
from darkpose.training.sent_step import SentStep, look_at, send_step
from darkpose.training.step import take_step
from darkpose.training.trackers import check_trackers, start_trackers

if TYPE_CHECKING:
    from accelerate import Accelerator

PATIENCE = timedelta(hours=3)  # of processes that wait while the first one validates or cuts crops
Validate = Callable[[HRNet], float]
Stopped = Literal["", "signal", "time", "patience"]
Keep = Callable[[HRNet, dict[str, Any]], None]


class Trained(NamedTuple):
    """How a run ended.

    Attributes:
        model: after the last step (the averaged one, if there is one), on the CPU and in evaluation mode.
        best_validation: lowest validation NME; inf if none.
        stopped: why it ended before its last epoch: "signal", "time" (the same call goes on) or "patience"; else empty.
        epoch, step: where it ended: whole epochs, and steps of the next.
    """

    model: HRNet
    best_validation: float
    stopped: Stopped = ""
    epoch: int = 0
    step: int = 0

    def finished(self) -> "Trained":
        """The same, of a run that came to its end.

        Raises:
            KeyboardInterrupt: it was stopped before, by a signal or the clock.
        """
        if self.stopped in ("signal", "time"):
            raise KeyboardInterrupt
        return self


def train(
    config: TrainConfig,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    folder: Path,
    *,
    start: HRNet | None = None,
    teacher: HRNet | None = None,
    validate: Validate | None = None,
    keep: Keep | None = None,
    cache: Path | None = None,
    uncompressed: bool = False,
    workers: int = 1,
    save_every: float = 300.0,
    max_time: float | None = None,
    track: Sequence[str] = (),
    compiled: bool = False,
    graphs: bool = False,
    validation: str = "",
) -> Trained:
    """Train a network, resuming from `folder` if an interrupted run lies there.

    Args:
        config: the run.
        samples: training faces.
        schema: their markup.
        folder: of the run; made if needed.
        start: weights to start from; None: He initialisation.
        teacher: the network that `config.teaching` asks for, of the same landmarks, in evaluation mode.
        validate: called after epochs that are to be validated, with the model to keep, on the main process; returns its
            NME.
        keep: called after a validation with the model and facts about it, if `config.select` takes this epoch so far.
        cache: folder for the faces' crops, cut once (see `crop_cache`), to draw from; on a GPU, augmentation is made
            there, of crops that it holds if they fit. None: image files are read anew for every crop.
        uncompressed: keep those crops as pixels instead of JPEGs: more space, no decoding.
        workers: loader processes.
        save_every: seconds between two savings of the state within an epoch.
        max_time: seconds after which to stop; None: never.
        track: trackers besides the log: "tensorboard", "wandb".
        compiled: let torch compile the network's blocks.
        graphs: replay the network's passes as CUDA graphs, for one process on a GPU, without `compiled`.
        validation: what `validate` measures, in words: a run is not resumed with another.

    Raises:
        DarkposeError: accelerate or a tracker is missing, there is no such GPU for `graphs`, there is nothing to train
            on, the folder holds another run or one that is still going on, the loss is not finite, or no image can be
            read any more.
    """
    if not samples:
        raise DarkposeError("there are no training samples")
    network = config.network_for(schema)
    if start is not None and start.config != network:
        got = f"{start.config}, the markup {schema.name} needs {network}"
        raise DarkposeError(f"the weights to start from are of {got}")
    if bool(config.teaching) != (teacher is not None) or (teacher and teacher.config.keypoints != len(schema)):
        got = f"one of {teacher.config.keypoints}" if teacher else "none"
        raise DarkposeError(f"teaching = {config.teaching} of {len(schema)} landmarks, but the teacher is {got}")
    check_trackers(track)
    _check_boxes(samples)
    with Stopping(max_time) as stopping, ExitStack() as held:
        accelerator = make_accelerator(config, folder, track)
        run = start_run(config, network, accelerator, start, teacher=teacher, compiled=compiled, graphs=graphs)
        main = accelerator.is_main_process
        held.enter_context(own_folder(folder, first=main))
        order = _order(run, config, len(samples))
        learns, origin = _in_words(samples, schema, order), _origin(start, teacher, validation)
        state = StateFile(folder / "state.pt", config, learns, save_every, origin)
        log = RunLog(folder / "log.jsonl", writes=main)
        if state.resume(run) and main:
            tqdm.write(f"going on after epoch {run.epoch} of {config.epochs}, step {run.step}", file=sys.stderr)
        _check_places(run)
        whole = config.batch_size * max(config.accumulate, accelerator.num_processes)
        if main and order.step_size != whole:
            told = f"{accelerator.num_processes} processes do not divide accumulate = {config.accumulate}"
            tqdm.write(f"{told}: a step sees {order.step_size} crops, not {whole}", file=sys.stderr)
        log.forget_after(run.epoch, run.epoch * order.steps + run.step)
        start_trackers(accelerator, track, config)
        feed = make_feed(config, samples, schema, accelerator, cache=cache, uncompressed=uncompressed)
        stopped: Stopped = ""
        with feed.batches(_orders(run, config, len(samples)), workers) as batches:
            while run.epoch < config.epochs and not stopped:
                if config.patience and run.stale >= config.patience:
                    stopped = "patience"
                    break
                stopped = _train_epoch(run, config, feed, batches, stopping, log, state)
                validated = not stopped and config.validates_after(run.epoch + 1)
                if validated and validate is not None and main:
                    state.check(run)
                    state.save_or_warn(run)  # a validation may be long, and may fail
                    _validate(run, config, validate, keep, log, run.epoch * order.steps + run.step)
                if not stopped:
                    run.epoch, run.step = run.epoch + 1, 0
                    _share_validation(run)
                if main and (stopped or validated or state.due):
                    state.save(run)
                accelerator.wait_for_everyone()
    accelerator.end_training()
    model = HRNet(network)  # without what accelerate wraps around it
    model.load_state_dict(run.kept.state_dict())
    return Trained(model.eval(), run.best, stopped, run.epoch, run.step)


def _check_boxes(samples: Sequence[Sample]) -> None:
    for sample in samples:
        if not (sample.box[2:] > sample.box[:2]).all():
            raise DarkposeError(f"{sample.source or sample.image}: the box {sample.box.tolist()} has no side")


def _in_words(samples: Sequence[Sample], schema: KeypointSchema, order: EpochSteps) -> str:
    """What a run learns and in which steps: a state belongs to it."""
    digest = sha256()
    for sample in samples:
        digest.update(sample.image.name.encode(errors="surrogateescape"))
        digest.update(sample.box.tobytes() + sample.keypoints.tobytes() + sample.visible.tobytes())
    faces = f"{len(samples)} faces ({digest.hexdigest()[:8]}) with the landmarks of {schema.name}"
    return f"{faces}, {order.step_size} a step"


def _origin(start: HRNet | None, teacher: HRNet | None, validation: str) -> str:
    """What a run starts from, who teaches, and what it is validated on, in words."""
    words = [f"from {'nothing' if start is None else f'weights {model_fingerprint(start)[:8]}'}"]
    words += [] if teacher is None else [f"taught by {model_fingerprint(teacher)[:8]}"]
    return ", ".join([*words, *([validation] if validation else [])])


def _check_places(run: Run) -> None:
    """Whether all processes go on from the same place: with folders of their own they would not."""
    places = run.accelerator.gather(torch.tensor([[run.epoch, run.step]], device=run.accelerator.device))
    if len(torch.unique(places, dim=0)) > 1:
        raise DarkposeError("the processes found different states: the folder of the run must be one that all share")


def make_accelerator(config: TrainConfig, folder: Path | None = None, track: Sequence[str] = ()) -> "Accelerator":
    """Devices, processes and precision of a run, and its random numbers.

    Raises:
        DarkposeError: accelerate is missing, or the precision is of no use on this device.
    """
    try:  # here, so that reading a recipe or a checkpoint does not need it
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs, set_seed
    except ModuleNotFoundError as error:
        raise DarkposeError("training needs accelerate: pip install 'darkpose[train]'") from error
    if config.precision == "fp16" and not torch.cuda.is_available():
        raise DarkposeError('precision "fp16" needs a GPU; "bf16" and "no" do not')
    use_one_thread()  # loaders and the network share the cores
    keep_freed_memory()
    torch.backends.cudnn.benchmark = True  # crops have one size
    accelerator = Accelerator(
        mixed_precision=config.precision,
        cpu=not torch.cuda.is_available(),
        log_with=list(track) or None,
        project_dir=folder,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    set_seed(config.seed)
    return accelerator


def _order(run: Run, config: TrainConfig, faces: int, ahead: int = 0) -> EpochSteps:
    """What is left of the run's epoch, or one of those ahead."""
    return EpochSteps(
        faces,
        config.batch_size,
        config.accumulate,
        seed=config.seed,
        epoch=run.epoch + ahead,
        first=0 if ahead else run.step,
        process=run.accelerator.process_index,
        processes=run.accelerator.num_processes,
    )


def _orders(run: Run, config: TrainConfig, faces: int) -> Iterator[EpochSteps]:
    """What is left of the run, epoch by epoch, made as it is asked for."""
    here = replace(run)  # the loader is ahead of the steps
    return (_order(here, config, faces, ahead) for ahead in range(config.epochs - here.epoch))


def _train_epoch(
    run: Run,
    config: TrainConfig,
    feed: Feed,
    batches: Iterator[Batch],
    stopping: Stopping,
    log: RunLog,
    state: StateFile,
) -> Literal["", "signal", "time"]:
    """The steps that are left of an epoch; says why, if it is to be stopped.

    A step's loss is looked at when the next step has been sent to the device, which so does not wait for the host.
    """
    order, main = _order(run, config, len(feed.faces.samples)), run.accelerator.is_main_process
    run.model.train()
    left = range(run.step, order.steps)
    title = f"epoch {run.epoch + 1}/{config.epochs}"
    bar = tqdm(left, title, order.steps, initial=run.step, disable=None if main else True)
    before: SentStep | None = None
    asked = asked_early = False
    with bar:
        for step in bar:
            began = time.perf_counter()
            if before is not None:
                before.line["time"] = began - before.began
            group = list(islice(batches, order.own_in(step)))
            waited, iteration = time.perf_counter() - began, run.epoch * order.steps + step
            rate = config.schedule(iteration, order.steps, config.epochs * order.steps)
            line = {"mode": "train", "epoch": run.epoch + 1, "iter": iteration, "lr": rate, "data_time": waited}
            share = take_step(run, config, rate, group, order.faces_in(step))
            sent = send_step(run, share, bool(stopping.reason), group, line, began)
            # All processes learn of a step in the same turn, the next, and so leave together.
            asked = look_at(run, before, feed.faces, log, bar) if before is not None else asked_early
            before, run.step = sent, step + 1
            if asked:
                break
            if main and state.due:
                asked_early, before = look_at(run, before, feed.faces, log, bar), None
                state.save_or_warn(run)
        asked = (look_at(run, before, feed.faces, log, bar) if before is not None else asked_early) or asked
    return (stopping.reason or "signal") if asked else ""


def _validate(
    run: Run, config: TrainConfig, validate: Validate, keep: Keep | None, log: RunLog, iteration: int
) -> None:
    model, epoch = run.kept, run.epoch + 1
    model.eval()
    value = validate(model)
    log.write(mode="val", epoch=epoch, NME=value)
    run.accelerator.log({"NME": value, "epoch": epoch}, step=iteration)
    tqdm.write(f"epoch {epoch}: validation NME {100 * value:.3f} %", file=sys.stderr)
    better = value < run.best  # false for NaN
    run.stale = 0 if better else run.stale + config.validate_every
    run.best = value if better else run.best
    if keep is not None and (better or config.select == "last"):
        keep(model, {"epoch": epoch, "validation_nme": value})


def _share_validation(run: Run) -> None:
    """Every process has to know when patience ends, and the lowest error; only the main one validates."""
    if run.accelerator.num_processes > 1:
        known = torch.tensor([run.stale, run.best], dtype=torch.float64, device=run.accelerator.device)
        torch.distributed.broadcast(known, src=0)
        stale, run.best = known.tolist()
        run.stale = int(stale)
