"""Trackers are checked before a run starts; the tracked values are tested in test_loop."""

import pytest

from darkpose.errors import DarkposeError
from darkpose.training import trackers
from darkpose.training.trackers import check_trackers


def test_an_unknown_tracker_and_one_that_is_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_trackers([])
    with pytest.raises(DarkposeError, match=r"no tracker 'aim'.* tensorboard, wandb"):
        check_trackers(["aim"])
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(DarkposeError, match="wandb is not installed"):
        check_trackers(["wandb"])
