"""One face that is followed: where it was, where it should be now, and the crop for its landmarks."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.image.geometry import Floats, landmark_box, transform
from darkpose.image.pixels import Pixels
from darkpose.predict.face import Face
from darkpose.predict.predictor import Region
from darkpose.predict.turned import UPRIGHT

RECENT = 0.5  # s; the motion of a face is a straight line through its places of this time
AHEAD = 0.5  # s; a line is followed no farther
SHIFT = 0.3  # share of the side by which a crop moves ahead of the last landmarks, at most


class Place(NamedTuple):
    """Where a face was: time in s, centre of its landmark box in image px, and side: the root of the box's area."""

    time: float
    center: Floats
    side: float


class Anchor(NamedTuple):
    """A face as the detector found it; what has moved since, has moved its box and its roll (degrees, clockwise)."""

    face: Face
    roll: float


def place_of(keypoints: NDArray[np.floating], time: float) -> Place:
    """Where landmarks (K, 2) are."""
    low, high = (np.asarray(each, np.float64) for each in (keypoints.min(axis=0), keypoints.max(axis=0)))
    return Place(time, (low + high) / 2, float(np.sqrt((high - low).clip(min=1e-3).prod())))


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> Floats:
    """The turn, scale and shift (2, 3) that bring points (K, 2) nearest to others, by least squares."""
    p, q = (points @ [1, 1j] for points in (source, target))
    centre, other = p.mean(), q.mean()
    factor = np.vdot(p - centre, q - other) / max(np.vdot(p - centre, p - centre).real, 1e-9)
    shift = other - factor * centre
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


@dataclass
class Track:
    """A face that is followed, or was lost a moment ago.

    Attributes:
        number: of the track.
        face: as last found.
        anchor: as the detector last found it.
        seen: s, when the detector last found it.
        roll: degrees clockwise, as last found.
        crop_box: (4,) around which its last crop was cut.
        past: its places in the last moments, oldest first.
    """

    number: int
    face: Face
    anchor: Anchor
    seen: float
    roll: float
    crop_box: Floats | None = None
    past: deque[Place] = field(default_factory=deque)

    @classmethod
    def begin(cls, number: int, face: Face, region: Region, time: float) -> "Track":
        """The track of a face that the detector has found."""
        roll = region.roll if np.isfinite(region.roll) else float(_signed(face.rolled))
        track = cls(number, replace(face, track=number), Anchor(face, roll), time, roll)
        track.past.append(place_of(face.keypoints, time))
        return track

    def move(self, face: Face, time: float) -> None:
        """Take a face as the same one, a moment later."""
        matrix = similarity(self.anchor.face.keypoints, face.keypoints)
        self.roll = _signed(self.anchor.roll + float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))))
        self.face = replace(face, box=_moved_box(self.anchor.face.box, matrix), track=self.number)
        self.past.append(place_of(face.keypoints, time))
        while time - self.past[0].time > 2 * RECENT:
            self.past.popleft()

    def confirm(self, region: Region, time: float) -> None:
        """The detector has found the face, at the place where it now is."""
        roll = region.roll if np.isfinite(region.roll) else self.roll
        self.face = replace(self.face, box=region.box, detection_score=region.detection_score)
        self.anchor, self.roll, self.seen = Anchor(self.face, roll), roll, time

    def forget(self, since: float) -> None:
        """Forget the places since a time (s), but never the first one: they were another face's."""
        while len(self.past) > 1 and self.past[-1].time > since:
            self.past.pop()

    def expected(self, time: float, until: float = np.inf) -> Place:
        """Where the face should be, by its places until a time (s)."""
        places = [place for place in self.past if place.time <= until] or [self.past[0]]
        last = places[-1]
        places = [place for place in places if last.time - place.time <= RECENT]
        if len(places) < 3:
            return last._replace(time=time)
        times = np.array([place.time for place in places]) - last.time
        slope, offset = np.polyfit(times, [place.center for place in places], 1)
        return Place(time, offset + slope * min(time - last.time, AHEAD), last.side)

    def region(self, image: Pixels, time: float, steady: float) -> Region:
        """The crop for its landmarks in the next image; that of the last image if the box moved less than `steady`."""
        points, last = np.asarray(self.face.keypoints, np.float64), self.past[-1]
        if abs(self.roll) > UPRIGHT:  # the box in the frame of the face
            angle = np.deg2rad(-self.roll)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            box = landmark_box((points - last.center) @ turn.T)
            middle = (box[:2] + box[2:]) / 2 @ turn  # back into the image
            box = np.concatenate([middle - (box[2:] - box[:2]) / 2, middle + (box[2:] - box[:2]) / 2])
            box += np.tile(last.center, 2)
        else:
            box = landmark_box(points)
        ahead = self.expected(time).center - last.center
        box = box + np.tile(np.clip(ahead, -SHIFT * last.side, SHIFT * last.side), 2)
        if self.crop_box is None or np.abs(box - self.crop_box).max() > steady * last.side:
            self.crop_box = box
        return Region(
            image,
            self.face.box,
            self.crop_box,
            self.face.found_by,
            self.face.detection_score,
            self.roll,
            may_turn=False,
        )


def _moved_box(box: Floats, matrix: Floats) -> Floats:
    """An upright box of the same shape where a turn, scale and shift bring its middle."""
    middle = transform(matrix, ((box[:2] + box[2:]) / 2)[None])[0]
    half = (box[2:] - box[:2]) / 2 * np.hypot(matrix[0, 0], matrix[1, 0])
    return np.concatenate([middle - half, middle + half])


def _signed(degrees: float) -> float:
    """The same angle from -180 to 180."""
    return (degrees + 180) % 360 - 180
