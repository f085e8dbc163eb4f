"""Requests to stop a run: Ctrl-C, SIGTERM, a closed terminal (SIGHUP) or a time limit."""

import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Literal

# Windows has no SIGHUP.
TERMINATIONS = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
SIGNALS = (signal.SIGINT, *TERMINATIONS)


def unless_ignored(signals: Iterable[signal.Signals]) -> list[signal.Signals]:
    """The signals that the process does not ignore: `nohup` makes it ignore SIGHUP."""
    return [each for each in signals if signal.getsignal(each) is not signal.SIG_IGN]


class Stopping:
    """Records requests to stop, so that a step can be finished and saved first.

    A second Ctrl-C stops at once if it comes a second or more after the first request: launchers repeat signals faster
    than people do.

    Args:
        max_time: seconds from now after which to stop; None: no limit.
    """

    def __init__(self, max_time: float | None = None) -> None:
        self.deadline = None if max_time is None else time.monotonic() + max_time
        self.signalled = 0.0  # time of the first signal, by `time.monotonic`
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    @property
    def reason(self) -> Literal["", "signal", "time"]:
        """The reason to stop; empty: continue."""
        if self.signalled:
            return "signal"
        return "time" if self.deadline is not None and time.monotonic() >= self.deadline else ""

    def _handle(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if not self.signalled:
            self.signalled = now
            _write_above_bars("stopping after this step; press Ctrl-C again to stop at once")
        elif number == signal.SIGINT and now - self.signalled >= 1:
            raise KeyboardInterrupt

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is threading.main_thread():
            wanted = [signal.SIGINT, *unless_ignored(TERMINATIONS)]
            self._before = {each: signal.signal(each, self._handle) for each in wanted}
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and when the terminal is closed, as on Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, signal.default_int_handler) for each in unless_ignored(TERMINATIONS)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _write_above_bars(message: str) -> None:
    """Write a line to stderr, above the progress bars."""
    from tqdm import tqdm  # slow to import

    tqdm.write(message, file=sys.stderr)


def ignore_signals(_: int = 0) -> None:
    """Ignore signals in a data loader's worker process, which the parent process ends by a message."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
