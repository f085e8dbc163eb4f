"""OpenCV with a limit on the size of images, which must be set before `cv2` is loaded, and its messages.

Every module of darkpose imports `cv2` from here. If a program has imported `cv2` or set the variable before, its own
limit holds.
"""

import os
import threading

MAX_PIXELS = 1 << 28  # 268 megapixels, 0.8 GB once decoded

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))

import cv2  # noqa: E402

__all__ = ["MAX_PIXELS", "cv2", "quiet", "use_one_thread"]


def use_one_thread() -> None:
    """Limit OpenCV to one thread in this process and in those that it forks."""
    cv2.setNumThreads(1)


class _Quiet:
    """Counts the threads that want silence: OpenCV has one log level for the whole process."""

    def __init__(self) -> None:
        self._lock, self._wanted, self._level = threading.Lock(), 0, cv2.utils.logging.LOG_LEVEL_SILENT

    def __enter__(self) -> None:
        with self._lock:
            if not self._wanted:
                self._level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            self._wanted += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._wanted -= 1
            if not self._wanted:
                cv2.utils.logging.setLogLevel(self._level)

    def in_new_process(self) -> None:
        """Forget the threads of the process that was forked."""
        if self._wanted:
            cv2.utils.logging.setLogLevel(self._level)
        self._lock, self._wanted = threading.Lock(), 0


# `with quiet:` OpenCV logs nothing, for errors that darkpose reports itself; afterwards the level is as before. What
# other threads do with OpenCV meanwhile is not logged either. libjpeg does not log: it writes to standard error itself.
quiet = _Quiet()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=quiet.in_new_process)
