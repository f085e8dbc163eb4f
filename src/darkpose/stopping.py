"""When a run is asked to stop: by Ctrl-C, by a terminating signal, or by the clock."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Literal

from tqdm import tqdm

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Collects the wish to stop, so that a step is finished and saved first.

    A second Ctrl-C, a second later or more, stops at once: launchers repeat signals faster than people do.

    Args:
        max_time: seconds from now after which to stop; None: never.
    """

    def __init__(self, max_time: float | None = None) -> None:
        self.deadline = None if max_time is None else time.monotonic() + max_time
        self.signalled = 0.0  # when, by `time.monotonic`
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    @property
    def why(self) -> Literal["", "signal", "time"]:
        """Why to stop; empty: go on."""
        if self.signalled:
            return "signal"
        return "time" if self.deadline is not None and time.monotonic() >= self.deadline else ""

    def _take(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if not self.signalled:
            self.signalled = now
            tqdm.write("stopping after this step; Ctrl-C once more to stop at once", file=sys.stderr)
        elif number == signal.SIGINT and now - self.signalled >= 1:
            raise KeyboardInterrupt

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._take) for each in SIGNALS}
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let a terminating signal be what Ctrl-C is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def leave_signals_to_the_parent(_: int = 0) -> None:
    """For a loader's process: its parent ends it by a message; a signal to all processes must not."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
