"""CUDA graphs: when passes are replayed, and that training on a GPU gives the same result."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from accelerate.state import AcceleratorState
from test_loop import QUICK, dots, train_dots
from torch import Tensor, nn

from darkpose.errors import DarkposeError
from darkpose.training.gpu.cuda_graphs import GraphedPasses, replay_passes


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Shapes recorded by a fake of torch's recorder, which runs the network and replaces its `forward`."""
    shapes: list[torch.Size] = []

    def record(network: nn.Module, crops: tuple[Tensor], pool: object) -> nn.Module:
        assert pool == "pool"
        shapes.append(crops[0].shape)
        plain: Callable[[Tensor], Tensor] = network.forward
        network(*crops)
        network.forward = lambda given: plain(given) + 100
        return network

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    return shapes


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def test_training_passes_are_recorded_once_for_every_shape(recordings: list[torch.Size]) -> None:
    network = small_network()
    replay_passes(network, accumulates=False)
    for count in (4, 2, 4, 4, 2):
        assert (network(torch.zeros(count, 3, 8, 8)) > 50).all()
    assert recordings == [(4, 3, 8, 8), (2, 3, 8, 8)]


def test_evaluation_and_passes_without_gradients_are_not_replayed(recordings: list[torch.Size]) -> None:
    network = small_network()
    replay_passes(network, accumulates=False)
    with torch.no_grad():
        assert (network(torch.zeros(1, 3, 8, 8)) < 50).all()
    assert (network.eval()(torch.zeros(1, 3, 8, 8)) < 50).all()
    assert recordings == []


def test_recording_does_not_change_the_statistics_of_batch_norm(recordings: list[torch.Size]) -> None:
    network = small_network()
    before = [buffer.clone() for buffer in network.buffers()]
    GraphedPasses(network)._record(torch.rand(4, 3, 8, 8))
    assert recordings
    assert all(torch.equal(*pair) for pair in zip(network.buffers(), before, strict=True))


def test_weights_cached_by_autocast_are_not_recorded(
    recordings: list[torch.Size], monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[bool] = []
    monkeypatch.setattr(torch, "clear_autocast_cache", lambda: cleared.append(True))
    network = small_network()
    replay_passes(network, accumulates=False)
    network(torch.zeros(4, 3, 8, 8))
    assert len(cleared) >= 2 * len(recordings) > 0


def test_accumulated_gradients_exist_before_the_first_pass() -> None:
    network = small_network()
    replay_passes(network, accumulates=True)
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_without_a_gpu_the_error_says_what_graphs_need(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DarkposeError, match="one process on a GPU, got 1 on cpu"):
        train_dots(QUICK, dots(tmp_path), tmp_path / "run", graphs=True)
    assert not (tmp_path / "run").exists()


def test_compiled_blocks_are_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="compiled blocks"):
        train_dots(QUICK, dots(tmp_path), tmp_path / "run", compiled=True, graphs=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("precision", "accumulate"), [("no", 1), ("no", 2), ("bf16", 1), ("fp16", 1)])
def test_on_a_gpu_replayed_passes_give_the_same_losses(
    tmp_path: Path, precision: Literal["no", "bf16", "fp16"], accumulate: int
) -> None:
    faces, losses = dots(tmp_path, 11), []  # so that an epoch ends with a smaller batch
    for graphs in (False, True):
        AcceleratorState._reset_state(reset_partial_state=True)
        config = replace(QUICK, precision=precision, accumulate=accumulate, epochs=3)
        run = tmp_path / str(graphs)
        train_dots(config, faces, run, cache=tmp_path / "cache", graphs=graphs)
        lines = map(json.loads, (run / "log.jsonl").read_text().splitlines())
        losses.append([line["loss"] for line in lines])
    AcceleratorState._reset_state(reset_partial_state=True)
    assert losses[1] == pytest.approx(losses[0], rel=0.02)  # float32 is TF32 there; weights that stand still: 0.16
