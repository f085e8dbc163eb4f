"""OpenCV, set up before it is loaded: every module of darkpose imports it from here.

Where a program has imported `cv2` earlier, or has set these variables itself, its own settings stay.
"""

import os

MAX_PIXELS = 1 << 28  # 268 megapixels, 0.8 GB once decoded

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))  # before anything is allocated
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what is wrong with an image is said once, by darkpose

import cv2  # noqa: E402

__all__ = ["MAX_PIXELS", "cv2"]
