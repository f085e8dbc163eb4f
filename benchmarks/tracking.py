"""Tracks of drawn faces: tracking.py [SECONDS]

Scenes of `datasets.drawn_clip`, at several rates: three faces that cross, leave and return; a scene cut; a face that
turns. The first SECONDS (12) of each are followed by `Tracker`. For comparison the detector looks for the faces in
every frame. Counted as in CLEAR-MOT (`evaluation.tracks`); faces of which a tenth is hidden need not be found.
The error is the mean distance of landmarks from the drawn ones, in shares of the face's size, over the faces that both
find. Writes benchmarks/results/tracking.json.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darkpose import Face, Predictor
from darkpose.datasets.drawn_clip import ClipFace, Scene, crossing, cutting, frame_times, turning
from darkpose.deploy.machine import made_with
from darkpose.evaluation.tracked import TrackedFrames
from darkpose.evaluation.tracks import count_tracks, match_faces
from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels
from darkpose.video.tracker import Tracker

OUT = Path(__file__).parent / "results" / "tracking.json"
SCENES: dict[str, tuple[Callable[[], Scene], float, tuple[float, ...]]] = {  # scene, seconds, rates
    "crossing": (crossing, 12.0, (5, 30)),
    "cut": (cutting, 4.0, (5, 30)),
    "turning": (turning, 4.0, (5, 30)),
}
SEEN = 0.9  # share of landmarks in front of others from which a face must be found


def as_tracked(times: Floats, faces: Sequence[Sequence[Face]]) -> TrackedFrames:
    """Faces of frames by their tracks, or by their order where they have none."""
    named = [
        {face.track or number: np.asarray(face.keypoints, np.float64) for number, face in enumerate(each, 1)}
        for each in faces
    ]
    return TrackedFrames(times, tuple(named))


def errors(found: TrackedFrames, truth: TrackedFrames) -> dict[tuple[int, int], float]:
    """(frame, person) -> mean distance of landmarks in shares of the face's size."""
    result = {}
    for frame, (here, there) in enumerate(zip(found.faces, truth.faces, strict=True)):
        for person, track in match_faces(there, here, {}).items():
            points = there[person]
            distance = np.linalg.norm(here[track] - points, axis=1).mean()
            result[frame, person] = float(distance / np.sqrt(np.ptp(points, axis=0).prod()))
    return result


def measure(predictor: Predictor, scene: Scene, rate: float, seconds: float) -> dict[str, Any]:
    """Tracks and errors of a scene, and of detection in every frame (every sixth at 30/s)."""
    times, tracker = frame_times(rate, seconds), Tracker(predictor)
    drawn: list[tuple[ClipFace, ...]] = [scene.faces(time) for time in times]
    images: list[Pixels] = [scene.image(time) for time in times]
    tracked = as_tracked(times, [tracker.update(*frame) for frame in zip(images, times.tolist(), strict=True)])
    truth = TrackedFrames(times, tuple({face.person: face.keypoints for face in faces} for faces in drawn))
    hidden = [{face.person for face in faces if face.visible.mean() < SEEN} for faces in drawn]
    counts = count_tracks(tracked, truth, hidden=hidden)
    some = range(0, len(times), max(1, round(rate / 5)))
    each = as_tracked(times[list(some)], [predictor(images[frame]) for frame in some])
    alone = errors(each, TrackedFrames(each.times, tuple(truth.faces[frame] for frame in some)))
    alone = {(frame * some.step, person): error for (frame, person), error in alone.items()}
    both = errors(tracked, truth)
    shared = [key for key in alone if key in both]
    return {
        "rate": rate,
        **vars(counts),
        "detector_share": round(tracker.detections / len(times), 3),
        "error": round(float(np.mean([both[key] for key in shared])), 4),
        "error_of_detection_in_every_frame": round(float(np.mean([alone[key] for key in shared])), 4),
        "faces_compared": len(shared),
    }


def main(limit: float) -> None:
    """Measure and write."""
    predictor = Predictor(schema="wflw-98")
    found = {
        name: [measure(predictor, make(), rate, min(seconds, limit)) for rate in rates]
        for name, (make, seconds, rates) in SCENES.items()
    }
    content = {**made_with(), "method": __doc__, "scenes": found}
    OUT.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 12.0)
