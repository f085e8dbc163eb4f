"""The training loop: it reduces the loss, resumes exactly, and reports failures."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.pixels import write_image
from darkpose.network.hrnet import HRNet
from darkpose.schema import KeypointSchema, flip_pairs_from_names
from darkpose.training import step
from darkpose.training.config import RunOptions, TrainConfig
from darkpose.training.epoch_steps import EpochSteps
from darkpose.training.loop import Trained, Validation, train
from darkpose.training.schedule import Cosine, Schedule
from darkpose.weights.checkpoint import HRNetConfig

NAMES = ("left_dot", "right_dot", "middle_dot")
DOTS = KeypointSchema("dots", NAMES, flip_pairs_from_names(NAMES))
SMALL = HRNetConfig(3, widths=(4, 4, 4, 4), modules=(1, 1, 1), blocks=1, stem=8)
QUICK = TrainConfig(
    network=SMALL,
    crop_size=32,
    batch_size=4,
    epochs=2,
    schedule=Schedule(2e-3, Cosine(), warmup=2),
    precision="no",
)


def dots(folder: Path, count: int = 6) -> list[Sample]:
    """Write images with three bright dots of different colours."""
    rng, samples = np.random.default_rng(0), []
    for number in range(count):
        image = rng.integers(0, 60, (48, 48, 3), np.uint8)
        keypoints = rng.integers(10, 38, (3, 2)).astype(float)
        for channel, (x, y) in enumerate(keypoints.astype(int)):
            image[y - 1 : y + 2, x - 1 : x + 2, channel] = 255
        write_image(folder / f"{number}.png", image)
        samples.append(Sample(folder / f"{number}.png", keypoints, np.ones(3), np.array([4.0, 4, 44, 44])))
    return samples


def train_dots(
    config: TrainConfig,
    samples: list[Sample],
    folder: Path,
    *,
    initial: HRNet | None = None,
    teacher: HRNet | None = None,
    validate: Callable[[HRNet], float] | None = None,
    keep: Callable[[HRNet, dict[str, Any]], None] = lambda model, facts: None,
    validation: str = "",
    workers: int = 0,
    **options: Any,
) -> Trained:
    """Train on dots; `options` are those of `RunOptions`."""
    measured = Validation(validate or (lambda _: 0.5), keep, validation) if validate or validation else None
    chosen = RunOptions(workers=workers, **options)
    return train(config, samples, DOTS, folder, initial=initial, teacher=teacher, validation=measured, options=chosen)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return dots(tmp_path_factory.mktemp("dots"))


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights(model: HRNet) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_every_second_epoch_and_the_last_are_validated_and_patience_counts_epochs(
    samples: list[Sample], tmp_path: Path
) -> None:
    config = replace(QUICK, epochs=5, validate_every=2)
    train_dots(config, samples, tmp_path / "all", validate=lambda _: 0.5)
    assert [line["epoch"] for line in log(tmp_path / "all") if line["mode"] == "val"] == [2, 4, 5]
    impatient = replace(config, epochs=9, patience=2, held_out=0.5)
    ended = train_dots(impatient, samples, tmp_path / "stale", validate=lambda _: 0.5)
    assert (ended.stopped, ended.epoch) == ("patience", 4)


def test_a_run_stopped_between_epochs_ends_with_the_same_weights(samples: list[Sample], tmp_path: Path) -> None:
    straight = weights(train_dots(QUICK, samples, tmp_path / "straight").model)

    def stop(_: object) -> float:
        raise KeyboardInterrupt

    calls: list[int] = []

    def validate_once(model: torch.nn.Module) -> float:
        calls.append(1)
        return stop(model) if len(calls) == 2 else 0.5

    with pytest.raises(KeyboardInterrupt):
        train_dots(QUICK, samples, tmp_path / "stopped", validate=validate_once)
    resumed = weights(train_dots(QUICK, samples, tmp_path / "stopped").model)
    for name, value in straight.items():
        assert torch.equal(resumed[name], value), name


def test_the_loss_falls_and_the_log_has_the_usual_keys(samples: list[Sample], tmp_path: Path) -> None:
    longer = replace(QUICK, epochs=4, schedule=Schedule(5e-3, Cosine(), warmup=2), select="best-on-test-set")
    seen: list[dict[str, Any]] = []
    trained = train_dots(
        longer,
        samples,
        tmp_path,
        validate=lambda model: 0.25 if model.training else 0.5,
        keep=lambda model, facts: seen.append(facts),
    )
    lines = log(tmp_path)
    steps = [line for line in lines if line["mode"] == "train"]
    assert [line["iter"] for line in steps] == list(range(8))
    assert {"mode", "epoch", "iter", "lr", "loss", "time", "data_time", "memory"} == set(steps[0])
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert [line["NME"] for line in lines if line["mode"] == "val"] == [0.5] * 4
    assert seen == [{"epoch": 1, "validation_nme": 0.5}]  # kept once: later ones are not lower
    assert trained.best_validation == 0.5
    assert not trained.model.training


@pytest.mark.parametrize(("select", "epochs"), [("last", [1, 2, 3]), ("best-on-test-set", [1, 2])])
def test_the_last_weights_are_kept_or_the_best_even_if_the_run_was_stopped_between(
    samples: list[Sample], tmp_path: Path, select: Literal["last", "best-on-test-set"], epochs: list[int]
) -> None:
    config = replace(QUICK, epochs=3, batch_size=2, select=select)
    errors = [0.5, 0.3, None, 0.4]  # stopped while the third epoch is validated, which is then run again
    kept: list[tuple[dict[str, Any], dict[str, torch.Tensor]]] = []

    def validate(_: HRNet) -> float:
        error = errors.pop(0)
        if error is None:
            raise KeyboardInterrupt
        return error

    def run() -> Trained:
        return train_dots(
            config,
            samples[:2],
            tmp_path,
            validate=validate,
            keep=lambda model, facts: kept.append((facts, weights(model))),
        )

    with pytest.raises(KeyboardInterrupt):
        run()
    trained = run()
    assert trained.best_validation == 0.3
    nme = {1: 0.5, 2: 0.3, 3: 0.4}
    assert [facts for facts, _ in kept] == [{"epoch": epoch, "validation_nme": nme[epoch]} for epoch in epochs]
    final, last_kept = weights(trained.model), kept[-1][1]
    same = all(torch.equal(last_kept[name], value) for name, value in final.items())
    assert same == (select == "last")


def test_initial_weights_are_used_and_without_an_average_the_last_weights_are_kept(
    samples: list[Sample], tmp_path: Path
) -> None:
    start = HRNet(SMALL)
    still = replace(QUICK, epochs=1, ema=0.0, weight_decay=0.0, schedule=Schedule(0.0, Cosine()))
    model = train_dots(still, samples, tmp_path, initial=start).model
    for name, parameter in start.named_parameters():
        assert torch.equal(dict(model.named_parameters())[name], parameter)


def test_accumulated_batches_give_the_loss_and_gradient_of_one_batch(samples: list[Sample], tmp_path: Path) -> None:
    start = HRNet(SMALL)  # with a constant output batch norm sees, but does not change, the result
    torch.nn.init.zeros_(start.head[3].weight)  # type: ignore[arg-type]
    gradients: dict[str, list[torch.Tensor]] = {}

    def recorded(optimizer: torch.optim.AdamW, *_: object) -> None:
        gradients[name].append(optimizer.param_groups[0]["params"][-1].grad.clone())  # the last bias

    for name, batch_size, accumulate in (("whole", 4, 1), ("parts", 2, 2)):
        gradients[name] = []
        config = replace(QUICK, epochs=1, batch_size=batch_size, accumulate=accumulate)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim.AdamW, "step", recorded)
            train_dots(config, samples, tmp_path / name, initial=start)
    whole, parts = (
        [line["loss"] for line in log(tmp_path / name) if line["mode"] == "train"] for name in ("whole", "parts")
    )
    assert len(whole) == len(parts) == 2  # six faces: four, then two
    np.testing.assert_allclose(parts, whole, rtol=1e-5)
    for one, other in zip(gradients["whole"], gradients["parts"], strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-9)


def test_no_samples_and_a_loss_that_is_not_finite_are_named(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="no training samples"):
        train_dots(QUICK, [], tmp_path)
    broken = HRNet(SMALL)
    torch.nn.init.constant_(broken.head[3].weight, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(DarkposeError, match="loss is nan at epoch 1, iteration 0"):
        train_dots(QUICK, samples, tmp_path, initial=broken)


@pytest.mark.parametrize(("faces", "batch_size"), [(5, 4), (6, 1), (1, 4)], ids=["the last", "all", "the only one"])
def test_a_batch_of_one_crop_of_32_px_is_refused_before_the_run(
    faces: int, batch_size: int, samples: list[Sample], tmp_path: Path
) -> None:
    config = replace(QUICK, batch_size=batch_size, epochs=1)
    with pytest.raises(DarkposeError, match=f"two faces in every batch, but {faces} faces in batches of {batch_size}"):
        train_dots(config, samples[:faces], tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train_dots(replace(config, crop_size=64), samples[:faces], tmp_path / "run")


def test_without_accelerate_the_extra_is_named(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(DarkposeError, match=r"darkpose\[train\]"):
        train_dots(QUICK, samples, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_initial_weights_of_another_schema_a_damaged_state_and_a_file_as_folder_are_named(
    samples: list[Sample], tmp_path: Path
) -> None:
    with pytest.raises(DarkposeError, match=r"HRNetConfig\(keypoints=5.* schema dots"):
        train_dots(QUICK, samples, tmp_path / "a", initial=HRNet(replace(SMALL, keypoints=5)))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "state.pt").write_bytes(b"junk")
    with pytest.raises(DarkposeError, match=r"state\.pt: not the state"):
        train_dots(QUICK, samples, tmp_path / "b")
    (tmp_path / "c").write_text("a file")
    with pytest.raises(DarkposeError, match="folder cannot be made"):
        train_dots(QUICK, samples, tmp_path / "c")


def test_initial_weights_of_another_width_are_refused(samples: list[Sample], tmp_path: Path) -> None:
    small = HRNet(replace(SMALL, stem=4))
    with pytest.raises(DarkposeError, match="initial weights"):
        train_dots(QUICK, samples, tmp_path, initial=small)


def test_a_run_stopped_within_an_epoch_ends_with_the_same_weights_and_log(
    samples: list[Sample], tmp_path: Path
) -> None:
    config = replace(QUICK, batch_size=2)  # three steps an epoch
    straight = weights(train_dots(config, samples, tmp_path / "straight").model)
    ends = []
    for _ in range(12):
        part = train_dots(config, samples, tmp_path / "parts", max_time=0)
        ends.append((part.stopped, part.epoch, part.step))
        if not part.stopped:
            break
    assert ends[0] == ("time", 0, 2)
    assert ends[-1] == ("", 2, 0)
    assert len(ends) > 3
    for name, value in straight.items():
        assert torch.equal(weights(part.model)[name], value), name
    whole, parts = (
        [(x["epoch"], x["iter"], x["lr"], x["loss"]) for x in log(tmp_path / name)] for name in ("straight", "parts")
    )
    assert parts == whole


def test_training_ends_when_the_error_on_held_out_faces_no_longer_falls(samples: list[Sample], tmp_path: Path) -> None:
    config = replace(QUICK, epochs=9, batch_size=6, held_out=0.2, select="best", patience=2)
    errors = iter([0.5, 0.4, 0.45, 0.41, 0.3])
    kept: list[int] = []
    trained = train_dots(
        config,
        samples,
        tmp_path,
        validate=lambda _: next(errors),
        keep=lambda _, facts: kept.append(facts["epoch"]),
    )
    assert (trained.stopped, trained.epoch, trained.best_validation) == ("patience", 4, 0.4)
    assert kept == [1, 2]
    again = train_dots(config, samples, tmp_path, validate=lambda _: next(errors))
    assert again.epoch == 4  # it does not train further


def test_an_unreadable_image_is_replaced_and_counted(samples: list[Sample], tmp_path: Path) -> None:
    broken = replace(samples[2], image=tmp_path / "gone.png")
    faces = [*samples[:2], broken, *samples[3:]]
    train_dots(replace(QUICK, epochs=2), faces, tmp_path / "run", workers=1)
    assert [line.get("unreadable") for line in log(tmp_path / "run")][-1] == 2  # once an epoch
    with pytest.raises(DarkposeError, match=r"10 images .* cannot be read.*gone\.png"):
        train_dots(QUICK, [broken] * 3, tmp_path / "none", workers=1)


def test_a_run_with_the_adaptive_wing_loss_reduces_it(samples: list[Sample], tmp_path: Path) -> None:
    train_dots(replace(QUICK, loss="adaptive_wing", epochs=4), samples, tmp_path)
    losses = [line["loss"] for line in log(tmp_path)]
    assert losses[-1] < losses[0]


def test_a_run_with_a_teacher_reduces_the_loss(samples: list[Sample], tmp_path: Path) -> None:
    """With the teacher alone, landmarks need no annotation; the teacher does not change."""
    teacher = train_dots(replace(QUICK, epochs=3), samples, tmp_path / "teacher").model
    before = weights(teacher)
    blank = [replace(sample, visible=np.zeros(3)) for sample in samples]
    taught = replace(QUICK, network=replace(SMALL, stem=4), teaching=1.0, epochs=4)
    train_dots(taught, blank, tmp_path / "taught", teacher=teacher)
    losses = [line["loss"] for line in log(tmp_path / "taught")]
    assert losses[-1] < losses[0]
    assert all((value == before[name]).all() for name, value in teacher.state_dict().items())
    alone = train_dots(replace(taught, teaching=0.0), blank, tmp_path / "alone")
    assert {line["loss"] for line in log(tmp_path / "alone")} == {0.0}
    assert alone.stopped == ""


def test_a_taught_loss_is_the_mean_of_both_losses(samples: list[Sample], tmp_path: Path) -> None:
    teacher = HRNet(SMALL).eval()
    first = {}
    for share in (0.0, 0.25, 1.0):
        config, folder = replace(QUICK, teaching=share, epochs=1), tmp_path / str(share)
        train_dots(config, samples, folder, teacher=teacher if share else None)
        first[share] = log(folder)[0]["loss"]
    assert first[0.25] == pytest.approx(0.75 * first[0.0] + 0.25 * first[1.0], rel=1e-5)


def test_a_teacher_needs_teaching_and_the_same_landmarks(samples: list[Sample], tmp_path: Path) -> None:
    other = HRNet(replace(SMALL, keypoints=2))
    for share, teacher, told in ((0.5, None, "none"), (0.0, HRNet(SMALL), "one of 3"), (0.5, other, "one of 2")):
        with pytest.raises(DarkposeError, match=f"teaching = {share} of 3 landmarks.* {told}"):
            train_dots(replace(QUICK, teaching=share), samples, tmp_path, teacher=teacher)


def test_cached_crops_train_as_well(samples: list[Sample], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    trained = [train_dots(QUICK, samples, tmp_path / name, workers=1, cache=cache) for name in ("one", "two")]
    assert len(list(cache.glob("crops-*"))) == 1
    for name, value in weights(trained[0].model).items():
        assert torch.equal(weights(trained[1].model)[name], value), name
    train_dots(QUICK, samples, tmp_path / "pixels", workers=1, cache=cache, uncompressed=True)
    assert len(list(cache.glob("crops-*"))) == 2
    files = train_dots(QUICK, samples, tmp_path / "files")
    assert not torch.equal(files.model.head[3].weight, trained[0].model.head[3].weight)  # type: ignore[arg-type]
    losses = [[line["loss"] for line in log(tmp_path / name)] for name in ("one", "pixels", "files")]
    np.testing.assert_allclose(losses[:2], [losses[2]] * 2, rtol=0.1)
    assert losses[0] != losses[1]


def test_a_loss_that_is_not_finite_ends_the_run_and_its_batch_is_written(samples: list[Sample], tmp_path: Path) -> None:
    config = replace(QUICK, batch_size=2)
    train_dots(config, samples, tmp_path, max_time=0)
    state = (tmp_path / "state.pt").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "heatmap_mse", lambda output, *_: output.mean() * float("nan"))
        with pytest.raises(DarkposeError, match=r"loss is nan at epoch 1, iteration 2.* crops"):
            train_dots(config, samples, tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == state
    batch = load_file(tmp_path / "not-finite-0.safetensors")
    order = EpochSteps(6, 2, seed=0, epoch=0)
    assert batch["wanted"].tolist() == order.micro_batches(2)[0].tolist()
    assert batch["crops"].shape == (2, 3, 32, 32)
    assert not train_dots(config, samples, tmp_path).stopped  # and it can continue


def test_a_validation_that_failed_is_repeated_when_the_run_resumes(samples: list[Sample], tmp_path: Path) -> None:
    def fail(_: HRNet) -> float:
        raise DarkposeError("test.png: cannot be read")

    with pytest.raises(DarkposeError, match="cannot be read"):
        train_dots(QUICK, samples, tmp_path, validate=fail)
    trained = train_dots(QUICK, samples, tmp_path, validate=lambda _: 0.5)
    assert [line["iter"] for line in log(tmp_path) if line["mode"] == "train"] == [0, 1, 2, 3]
    assert [line["epoch"] for line in log(tmp_path) if line["mode"] == "val"] == [1, 2]
    assert trained.finished().best_validation == 0.5


def test_a_validation_of_nan_is_not_the_best(samples: list[Sample], tmp_path: Path) -> None:
    errors, kept = iter([0.5, float("nan"), 0.3]), []
    config = replace(QUICK, epochs=3, select="best-on-test-set")
    trained = train_dots(
        config,
        samples,
        tmp_path,
        validate=lambda _: next(errors),
        keep=lambda _, facts: kept.append(facts["epoch"]),
    )
    assert (trained.best_validation, kept) == (0.3, [1, 3])


def test_a_run_in_half_precision_resumes_exactly_and_gives_a_plain_network(
    samples: list[Sample], tmp_path: Path
) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    config = replace(QUICK, precision="bf16", ema=0.0)
    straight = train_dots(config, samples, tmp_path / "straight").model
    while (trained := train_dots(config, samples, tmp_path / "parts", max_time=0)).stopped:
        pass
    for name, value in weights(straight).items():
        assert torch.equal(weights(trained.model)[name], value), name
    plain = HRNet(SMALL)
    plain.load_state_dict(straight.state_dict())
    crops = torch.rand(1, 3, 32, 32)
    assert torch.equal(plain.eval()(crops), straight(crops))
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_a_gpu_trains_from_files_and_from_cached_crops(
    samples: list[Sample], tmp_path: Path, precision: Literal["no", "bf16", "fp16"]
) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    config = replace(QUICK, precision=precision)
    for cache, compiled in ((None, False), (tmp_path / "cache", True)):
        trained = train_dots(config, samples, tmp_path / str(compiled), workers=1, cache=cache, compiled=compiled)
        assert all(line["loss"] < 1 for line in log(tmp_path / str(compiled)))
        assert next(trained.model.parameters()).device.type == "cpu"
    AcceleratorState._reset_state(reset_partial_state=True)


FAILING_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_loop import QUICK, dots, train_dots
from darkpose.training import step
def fail(*_):
    raise RuntimeError("out of memory")
step.heatmap_mse = fail
folder = Path({folder!r})
train_dots(QUICK, dots(folder), folder / "run", workers=2)
"""


@pytest.mark.slow
def test_an_error_within_an_epoch_ends_the_process_and_its_loaders(tmp_path: Path) -> None:
    code = FAILING_RUN.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "out of memory" in done.stderr


def test_a_tracker_gets_losses_and_validations(samples: list[Sample], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the tracker tensorboard is not installed")
    train_dots(QUICK, samples, tmp_path, validate=lambda _: 0.5, track=["tensorboard"])
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(next(tmp_path.rglob("events.out.tfevents.*")).parent)).Reload()
    assert [event.step for event in events.Scalars("NME")] == [2, 4]
    assert [event.step for event in events.Scalars("loss")] == [0, 1, 2, 3]


KILLED_RUN = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_loop import QUICK, dots, train_dots
from darkpose.training import state_file
import torch
torch.set_num_threads(1)
from dataclasses import replace
folder = Path({folder!r})
samples = dots(folder)
config = replace(QUICK, epochs=12, batch_size=2)
saves = 0
def write_or_die(path, write):
    global saves
    saves += 1
    if saves == {dies_at}:
        def half(temporary):
            write(temporary)
            os.truncate(temporary, temporary.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        write_atomically(path, half)
    write_atomically(path, write)
write_atomically, state_file.write_atomically = state_file.write_atomically, write_or_die
trained = train_dots(config, samples, folder / "run", workers=1, save_every={every})
torch.save(trained.model.state_dict(), folder / "final.pt")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kill", "every", "kills"),
    [
        pytest.param("while a state is written", 0, 1, id="while a state is written"),
        pytest.param("0.15 s after a state", 0, 2, id="soon after a state"),
        pytest.param("0.4 s after a state", 300, 2, id="with a state an epoch"),
        pytest.param(f"{random.uniform(0, 0.6):.3f} s after a state", 0.3, 2, id="at random"),
    ],
)
def test_a_run_killed_at_any_moment_ends_with_the_same_weights(
    tmp_path: Path, kill: str, every: float, kills: int
) -> None:
    finals = []
    for name, times in (("straight", 0), ("killed", kills)):
        folder = tmp_path / name
        folder.mkdir()
        values = {"tests": str(Path(__file__).parent), "folder": str(folder), "every": every}
        code = [sys.executable, "-c", KILLED_RUN.format(**values, dies_at=0)]
        for _ in range(times):
            if kill == "while a state is written":
                dies = [sys.executable, "-c", KILLED_RUN.format(**values, dies_at=3)]
                assert subprocess.run(dies, check=False).returncode == -signal.SIGKILL
                assert len(list((folder / "run").glob(".*.partial"))) == 1
            else:
                _kill_after_a_state(subprocess.Popen(code), folder / "run", float(kill.split()[0]))
            assert (folder / "run" / "state.pt").exists()
        subprocess.run(code, check=True)
        finals.append(torch.load(folder / "final.pt", weights_only=True))
        assert sorted(p.name for p in (folder / "run").iterdir()) == [".lock", "log.jsonl", "state.pt"]
    for key, value in finals[0].items():
        assert torch.equal(finals[1][key], value), key


def _kill_after_a_state(process: subprocess.Popen[bytes], run: Path, delay: float) -> None:
    """`kill -9` some time after the state has been replaced."""
    state = run / "state.pt"
    before = state.stat().st_mtime_ns if state.exists() else 0
    while process.poll() is None and not (state.exists() and state.stat().st_mtime_ns != before):
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it had not ended"
