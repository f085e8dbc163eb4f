"""Frames per second of `darkpose video`: video.py [SECONDS]

Drawn clips of 640x480 px in H.264 at 30 frames/s (`datasets.drawn_clip`), with one face and with three, of SECONDS (5).
Measured is the analysis: decoding the clip, finding and following the faces, the rows of the table and the journal; and
beside it detection and landmarks in every frame of the same clip (`Predictor`, every fifth frame). Stages are timed by
wrapping the functions: video (decoding to RGB), detection, network, heatmaps (DARK and covariances); rest is all else.
The ways take turns in every round, and the median over ROUNDS is given. Then the time to draw and to encode a frame.
Writes benchmarks/results/video.json.
"""

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from darkpose import Predictor
from darkpose.datasets.drawn_clip import Scene, crossing, frame_times, steady
from darkpose.deploy.machine import made_with
from darkpose.files.journal import Journal
from darkpose.predict import landmarks
from darkpose.schema import SCHEMAS
from darkpose.video.analysis import analyse, journal_rows
from darkpose.video.annotated import AnnotatedClip
from darkpose.video.clip import open_clip
from darkpose.video.drawing import drawn
from darkpose.video.tracker import Tracker

OUT = Path(__file__).parent / "results" / "video.json"
ROUNDS, RATE = 3, 30.0
WAYS: dict[str, dict[str, Any]] = {
    "default, onnxruntime": {"runtime": "onnxruntime"},
    "default, OpenVINO": {"runtime": "openvino"},
    "default, OpenVINO, bf16": {"runtime": "openvino", "numbers": "bf16"},
    "300w-small-dark, onnxruntime": {"weights": "300w-small-dark", "runtime": "onnxruntime"},
    "300w-small-dark, OpenVINO, bf16": {"weights": "300w-small-dark", "runtime": "openvino", "numbers": "bf16"},
}


class Timed:
    """Seconds in functions, by name; each is a function that times another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def function(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return inner(*arguments, **named)
            finally:
                self.seconds[name] += time.perf_counter() - start

        return timed

    def steps(self, name: str, inner: Iterator[Any]) -> Iterator[Any]:
        """The steps of an iterator, timed."""
        following = self.function(name, lambda: next(inner, None))
        while (step := following()) is not None:
            yield step


class TimedDetector:
    """A detector whose time is measured."""

    def __init__(self, inner: Any, timed: Timed) -> None:
        self.name, self.correction, self.settings = inner.name, inner.correction, inner.settings
        self._call = timed.function("detection", inner)

    def __call__(self, image: Any) -> Any:
        """As the detector."""
        return self._call(image)


def write_clip(path: Path, scene: Scene, seconds: float) -> None:
    """Write a drawn clip."""
    with AnnotatedClip(path, scene.size) as written:
        for moment in frame_times(RATE, seconds):
            written.write(scene.image(moment), moment)


def followed(path: Path, predictor: Predictor) -> dict[str, float]:
    """Milliseconds per frame of the analysis, whole and by stage, and the detector's share of frames."""
    timed, network = Timed(), predictor._find.network
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal(Path(folder) / "journal", {}) as journal,
        open_clip(str(path)) as clip,
        patch.object(predictor, "_detector", TimedDetector(predictor.detector, timed)),
        patch.object(landmarks, "find_landmarks", timed.function("heatmaps", landmarks.find_landmarks)),
        patch.object(type(network), "__call__", timed.function("network", type(network).__call__)),
    ):
        tracker, start = Tracker(predictor), time.perf_counter()
        frames = sum(1 for _ in analyse(timed.steps("video", clip.frames()), tracker, journal, covariance=True))
        whole = time.perf_counter() - start
    found = {"whole": whole, **timed.seconds, "rest": whole - sum(timed.seconds.values())}
    return {**{name: 1000 * value / frames for name, value in found.items()}, "detector": tracker.detections / frames}


def every_frame(path: Path, predictor: Predictor) -> float:
    """Milliseconds per frame with detection and landmarks in each, of every fifth frame; decoding not counted."""
    with open_clip(str(path)) as clip:
        images = [frame.image for frame in clip.frames(every=5) if frame.image is not None]
    start = time.perf_counter()
    for image in images:
        predictor(image)
    return 1000 * (time.perf_counter() - start) / len(images)


def drawing(path: Path, predictor: Predictor) -> dict[str, float]:
    """Milliseconds per frame to decode and draw, and to encode."""
    timed = Timed()
    with tempfile.TemporaryDirectory() as folder, open_clip(str(path)) as clip:
        with Journal(Path(folder) / "journal", {}) as journal:
            for _ in analyse(clip.frames(end=1.0), Tracker(predictor), journal, covariance=True):
                pass
            rows = list(journal_rows(journal))
        count = 0
        with AnnotatedClip(Path(folder) / "drawn.mp4", clip.size) as written:
            write = timed.function("encode", written.write)
            for image, moment in timed.steps("draw", drawn(clip.frames(end=1.0), rows, "landmarks", SCHEMAS)):
                write(image, moment)
                count += 1
    return {name: 1000 * seconds / count for name, seconds in timed.seconds.items()}


def summary(rounds: list[dict[str, float]], alone: list[float]) -> dict[str, Any]:
    """Medians over the rounds."""
    median = {name: float(np.median([each[name] for each in rounds])) for name in rounds[0]}
    share = median.pop("detector")
    return {
        "frames_per_second": round(1000 / median["whole"], 1),
        "ms_per_frame": {name: round(value, 2) for name, value in median.items()},
        "rest_and_video_share": round((median["rest"] + median["video"]) / median["whole"], 3),
        "rest_share": round(median["rest"] / median["whole"], 3),
        "detector_share_of_frames": round(share, 3),
        "every_frame_ms": round(float(np.median(alone)), 1),
        "times_detection_in_every_frame": round(float(np.median(alone)) / (median["whole"] - median["video"]), 2),
    }


def main(seconds: float) -> None:
    """Measure and write."""
    predictors = {name: Predictor(covariance=True, **options) for name, options in WAYS.items()}
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for scene, make in (("one face", steady), ("three faces", crossing)):
            path = Path(folder) / f"{make.__name__}.mp4"
            write_clip(path, make(), seconds)
            for predictor in predictors.values():  # warm
                predictor(make().image(0.0))
            rounds: dict[str, list[dict[str, float]]] = defaultdict(list)
            alone: dict[str, list[float]] = defaultdict(list)
            for _ in range(ROUNDS):
                for name, predictor in predictors.items():
                    rounds[name].append(followed(path, predictor))
                    alone[name].append(every_frame(path, predictor))
            result[scene] = {name: summary(rounds[name], alone[name]) for name in predictors}
            draw = drawing(path, next(iter(predictors.values())))
            result[scene]["drawing_ms_per_frame"] = {name: round(value, 2) for name, value in draw.items()}
    runtimes = {name: predictor.runtime for name, predictor in predictors.items()}
    content = {**made_with(), "method": __doc__, "seconds": seconds, "runtimes": runtimes, "results": result}
    OUT.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 5.0)
