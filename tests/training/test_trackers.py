"""Trackers are checked before a run begins; what they get is tested in test_train."""

import pytest

from darkpose.errors import DarkposeError
from darkpose.training import trackers
from darkpose.training.trackers import check_trackers


def test_an_unknown_tracker_and_one_that_is_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_trackers([])
    with pytest.raises(DarkposeError, match="there is no tracker 'aim'; there are tensorboard and wandb"):
        check_trackers(["aim"])
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(DarkposeError, match="the tracker wandb is not installed: pip install wandb"):
        check_trackers(["wandb"])
