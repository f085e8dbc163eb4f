"""The wish to stop."""

import os
import signal

import pytest

from darkpose.stopping import Stopping


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_remembered_and_a_second_one_stops_at_once(which: signal.Signals) -> None:
    before = signal.getsignal(which)
    with Stopping() as stopping:
        assert not stopping.signalled
        os.kill(os.getpid(), which)
        assert stopping.why == "signal"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(which)
    assert signal.getsignal(which) is before


def test_the_time_runs_out() -> None:
    assert Stopping(max_time=3600).why == ""
    assert Stopping(max_time=0).why == "time"
