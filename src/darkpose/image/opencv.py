"""OpenCV with a limit on the size of images, which must be set before `cv2` is loaded.

Every module of darkpose imports `cv2` from here. If a program has imported `cv2` or set the variable before, its own
limit holds.
"""

import os

MAX_PIXELS = 1 << 28  # 268 megapixels, 0.8 GB once decoded

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))

import cv2  # noqa: E402

__all__ = ["MAX_PIXELS", "cv2", "use_one_thread"]


def use_one_thread() -> None:
    """Limit OpenCV to one thread in this process and in those that it forks."""
    cv2.setNumThreads(1)
