"""Requests to stop a run."""

import os
import signal

import pytest

from darkpose.stopping import SIGNALS, Stopping


@pytest.mark.parametrize("which", SIGNALS)
def test_a_signal_is_remembered_and_its_repetition_by_a_launcher_changes_nothing(which: signal.Signals) -> None:
    outside = signal.signal(which, signal.default_int_handler)  # the tests may run under nohup
    try:
        with Stopping() as stopping:
            assert not stopping.signalled
            for _ in range(3):
                os.kill(os.getpid(), which)
            assert stopping.reason == "signal"
        assert signal.getsignal(which) is signal.default_int_handler
    finally:
        signal.signal(which, outside)


def test_a_second_ctrl_c_stops_at_once_and_a_second_termination_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 11.5, 12.0])
    with Stopping():
        monkeypatch.setattr("time.monotonic", lambda: next(now))
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_time_runs_out() -> None:
    assert Stopping(max_time=3600).reason == ""
    assert Stopping(max_time=0).reason == "time"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_a_run_under_nohup_survives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopping.reason
    finally:
        signal.signal(signal.SIGHUP, before)
