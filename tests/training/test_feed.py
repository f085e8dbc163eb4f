"""Loader processes that die or hang end a run with one sentence."""

import os
import time
from typing import Any, cast

import pytest
import torch

from darkpose.errors import DarkposeError
from darkpose.training import feed
from darkpose.training.crops import AugmentedFaces, Batch
from darkpose.training.epoch_steps import EpochSteps
from darkpose.training.feed import Feed

ORDER = EpochSteps(4, 2, 1, seed=0, epoch=0)


class Faces:
    """Numbers in place of faces; one of them ends or stops the process that reads it."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __getitem__(self, index: int) -> int:
        if self.what == "dies":
            os._exit(3)
        if self.what == "hangs":
            time.sleep(1000)
        if self.what == "full":
            raise OSError(28, "No space left on device")
        return index


def read(what: str, workers: int) -> list[Any]:
    faces = Feed(cast(AugmentedFaces, Faces(what)), lambda batch: cast(Batch, batch), torch.device("cpu"))
    with faces.batches([ORDER], workers) as batches:
        return list(batches)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("dies", "exited unexpectedly"),
        pytest.param("hangs", "timed out", marks=pytest.mark.slow),
        ("full", "No space left on device"),
    ],
)
def test_loader_processes_that_cannot_go_on_are_told_in_one_line(
    what: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PATIENCE", 1.0)
    with pytest.raises(DarkposeError, match=rf"cannot go on \(.*{reason}.*--workers 0") as refused:
        read(what, 1)
    assert "\n" not in str(refused.value)


def test_loader_processes_give_the_batches_of_the_order() -> None:
    first, second = (read("", workers) for workers in (1, 0))
    assert len(first) == 2
    assert str(first) == str(second)
