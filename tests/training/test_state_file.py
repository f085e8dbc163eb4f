"""States of runs: what they refuse, and when they are saved."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from test_loop import DOTS, QUICK, dots, train_dots, weights

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.files import atomic
from darkpose.network.hrnet import HRNet, initialise
from darkpose.training import state_file
from darkpose.training.run import Run
from darkpose.training.schedule import Cosine, Schedule


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return dots(tmp_path_factory.mktemp("dots"))


def resume(path: Path) -> bool:
    """Resume from a state that is refused before anything is restored."""
    return state_file.StateFile(path, QUICK, faces="", origin="", every=1).resume(cast(Run, None))


def test_a_folder_of_another_run_is_refused(samples: list[Sample], tmp_path: Path) -> None:
    train_dots(replace(QUICK, epochs=1), samples, tmp_path)
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(DarkposeError, match="another configuration"):
        train_dots(replace(QUICK, epochs=1, seed=1), samples, tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == before


def test_a_state_of_other_faces_is_refused(samples: list[Sample], tmp_path: Path) -> None:
    train_dots(QUICK, samples, tmp_path, max_time=0)
    with pytest.raises(DarkposeError, match=r"6 faces \(\w+\) .* 4 faces .*, 4 a step"):
        train_dots(QUICK, samples[:4], tmp_path)
    moved = [replace(sample, box=sample.box + 1) for sample in samples]
    with pytest.raises(DarkposeError, match="another folder"):
        train_dots(QUICK, moved, tmp_path)
    flat = replace(samples[0], box=np.array([4.0, 4, 4, 44]))
    with pytest.raises(DarkposeError, match=r"box \[4.0, 4.0, 4.0, 44.0\]"):
        train_dots(QUICK, [flat], tmp_path / "flat")


def test_a_state_of_other_initial_weights_or_another_validation_is_refused(
    samples: list[Sample], tmp_path: Path
) -> None:
    networks = [HRNet(QUICK.network_for(DOTS)).eval() for _ in range(2)]
    for seed, network in enumerate(networks):
        initialise(network, seed=seed)
    train_dots(QUICK, samples, tmp_path, max_time=0, initial=networks[0], validation="validated on a")
    with pytest.raises(DarkposeError, match=r"from weights \w{8}, validated on a; .* from weights \w{8}, "):
        train_dots(QUICK, samples, tmp_path, initial=networks[1], validation="validated on a")
    with pytest.raises(DarkposeError, match=r"from weights .* from nothing, validated on a; "):
        train_dots(QUICK, samples, tmp_path, validation="validated on a")
    with pytest.raises(DarkposeError, match=r"validated on a; .* validated on b"):
        train_dots(QUICK, samples, tmp_path, initial=networks[0], validation="validated on b")
    assert train_dots(QUICK, samples, tmp_path, initial=networks[0], validation="validated on a").epoch == 2


def test_a_state_with_a_flipped_bit_or_without_its_end_is_refused(samples: list[Sample], tmp_path: Path) -> None:
    train_dots(QUICK, samples, tmp_path, max_time=0)
    whole = (tmp_path / "state.pt").read_bytes()
    places = [0, 30, 100, *(round(part * (len(whole) - 1)) for part in (0.01, 0.2, 0.5, 0.9, 1.0))]
    flipped = [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in places]
    for damaged in (*flipped, whole[:-100], b""):
        (tmp_path / "state.pt").write_bytes(damaged)
        with pytest.raises(DarkposeError, match=r"not the state of a run \((damaged|of another version)"):
            resume(tmp_path / "state.pt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "'config'"),
        ([1], "indices"),
        ({"model": {}, "config": QUICK.to_json()}, "'faces'"),
        (HRNet, "refused, because opening it would run code"),
    ],
)
def test_what_is_not_the_state_of_a_run_is_refused_without_advice_to_trust_it(
    tmp_path: Path, content: object, reason: str
) -> None:
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(DarkposeError, match="not the state of a run") as refused:
        resume(tmp_path / "state.pt")
    assert reason in str(refused.value)
    assert "weights_only" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["model", "optimizer", "place"])
def test_a_state_that_does_not_fit_the_network_is_refused(samples: list[Sample], tmp_path: Path, key: str) -> None:
    train_dots(QUICK, samples, tmp_path, max_time=0)
    state = torch.load(BytesIO((tmp_path / "state.pt").read_bytes().partition(b"\n")[2]), weights_only=True)
    del state[key]
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(DarkposeError, match="it does not fit the network of this run"):
        train_dots(QUICK, samples, tmp_path)


def test_without_any_state_on_the_disk_nothing_is_validated_or_kept(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: Callable[[Path], object]) -> None:
        raise DarkposeError(f"{path}: cannot be written: No space left on device") from OSError(28)

    kept: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(state_file, "write_atomically", full)
        with pytest.raises(DarkposeError, match="No space left on device"):
            train_dots(QUICK, samples, tmp_path, validate=lambda _: 0.5, keep=lambda *facts: kept.append(facts))
    assert not kept
    assert train_dots(QUICK, samples, tmp_path, validate=lambda _: 0.5).epoch == 2


def test_weights_that_are_not_finite_are_never_saved(samples: list[Sample], tmp_path: Path) -> None:
    poisoned = replace(QUICK, epochs=1, batch_size=6, schedule=Schedule(float("inf"), Cosine()), weight_decay=0.0)

    def never(*_: object) -> Any:
        raise AssertionError

    with pytest.raises(DarkposeError, match=r"weights are no longer finite; .*state\.pt"):
        train_dots(poisoned, samples, tmp_path, validate=never, keep=never)
    assert not (tmp_path / "state.pt").exists()


def test_on_a_full_disk_a_run_continues_and_saves_later(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    straight = weights(train_dots(QUICK, samples, tmp_path / "straight").model)
    refused: list[Path] = []

    def full(path: Path, content: Callable[[Path], object]) -> None:
        if len(refused) < 2:
            refused.append(path)
            raise DarkposeError(f"{path}: cannot be written: No space left on device") from OSError(28)
        atomic.write_atomically(path, content)

    monkeypatch.setattr(state_file, "write_atomically", full)
    trained = train_dots(replace(QUICK), samples, tmp_path / "full", save_every=0)
    assert "No space left on device; training continues" in capsys.readouterr().err
    for name, value in straight.items():
        assert torch.equal(weights(trained.model)[name], value), name
