"""A picture of faces that cross, with their tracks: tracking_page.py DOCS

The drawn clip of benchmarks/tracking.py from 1.5 to 3.4 s at 15 frames/s; writes DOCS/video-crossing.png.
"""

import sys
from pathlib import Path

import numpy as np

from darkpose import Predictor
from darkpose.datasets.drawn_clip import crossing, frame_times
from darkpose.image.pixels import resized, write_image
from darkpose.predict.draw import draw_faces
from darkpose.video.tracker import Tracker

SHOWN = (1.6, 2.2, 2.4, 2.6, 2.8, 3.3)  # s
SIZE = (400, 300)  # px of a frame in the picture


def main(docs: Path) -> None:
    """Follow and draw."""
    scene, tracker, frames = crossing(), Tracker(Predictor(schema="wflw-98")), []
    wanted = list(SHOWN)
    for time in frame_times(15, 3.4):
        if time < 1.5:
            continue
        faces = tracker.update(scene.image(time), float(time))
        if wanted and time >= wanted[0] - 1e-6:
            wanted.pop(0)
            frames.append(resized(draw_faces(scene.image(time), faces), SIZE))
    rows = [np.concatenate(frames[first : first + 3], axis=1) for first in (0, 3)]
    write_image(docs / "video-crossing.png", np.ascontiguousarray(np.concatenate(rows, axis=0)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
