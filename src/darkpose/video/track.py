"""One face that is followed: where it was, where it should be now, and the crop for its landmarks."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.image.geometry import Floats, landmark_box, similarity, transform
from darkpose.image.pixels import Pixels
from darkpose.predict.face import Face
from darkpose.predict.predictor import Region
from darkpose.predict.turned import UPRIGHT

RECENT = 0.5  # s; the motion of a face is a straight line through its places of this time
AHEAD = 0.8  # s; a line is followed no farther
SHIFT = 0.3  # share of the side by which a crop moves ahead of the last landmarks, at most


class Place(NamedTuple):
    """Where a face was.

    Time in s, centre of the landmark box in image px, side: root of the box's area, and mean score of the landmarks.
    """

    time: float
    center: Floats
    side: float
    score: float


class Anchor(NamedTuple):
    """A face as the detector last found it; what has moved since, has moved its box and its roll.

    keypoints (K, 2) and box (4,) are in image px, the roll in degrees clockwise.
    """

    keypoints: Floats
    box: Floats
    roll: float


@dataclass(frozen=True)
class TrackState:
    """A track as JSON values."""

    number: int
    keypoints: tuple[tuple[float, float], ...]
    box: tuple[float, ...]
    found_by: str
    detection_score: float
    anchor: tuple[tuple[tuple[float, float], ...], tuple[float, ...], float]
    seen: float
    roll: float
    crop_box: tuple[float, ...] | None
    past: tuple[tuple[float, tuple[float, float], float, float], ...]


def place_of(keypoints: NDArray[np.floating], time: float, score: float = 1.0) -> Place:
    """Where landmarks (K, 2) with a mean score are."""
    low, high = (np.asarray(each, np.float64) for each in (keypoints.min(axis=0), keypoints.max(axis=0)))
    return Place(time, (low + high) / 2, float(np.sqrt((high - low).clip(min=1e-3).prod())), score)


@dataclass(eq=False)
class Track:
    """A face that is followed, or was lost a moment ago.

    Attributes:
        number: of the track.
        keypoints: (K, 2) as last found, image px.
        box: (4,) of the face, as the detector draws it, image px.
        found_by, detection_score: of the detector when it last found the face.
        anchor: the face as the detector last found it.
        seen: s, when that was.
        roll: degrees clockwise, as last found.
        crop_box: (4,) around which its last crop was cut.
        past: its places in the last moments, oldest first.
    """

    number: int
    keypoints: Floats
    box: Floats
    found_by: str
    detection_score: float
    anchor: Anchor
    seen: float
    roll: float
    crop_box: Floats | None = None
    past: deque[Place] = field(default_factory=deque)
    face: Face | None = field(default=None, repr=False)  # with its image, once found by this process

    @classmethod
    def begin(cls, number: int, face: Face, region: Region, time: float) -> "Track":
        """The track of a face that the detector has found."""
        points = np.asarray(face.keypoints, np.float64)
        roll = region.roll if np.isfinite(region.roll) else _signed(face.rolled)
        anchor = Anchor(points, region.box, roll)
        track = cls(number, points, region.box, region.found_by, region.detection_score, anchor, time, roll)
        track.past.append(place_of(points, time, face.score))
        track.face = track.labelled(face)
        return track

    def move(self, face: Face, time: float) -> None:
        """Take a face as the same one, a moment later."""
        self.keypoints = np.asarray(face.keypoints, np.float64)
        matrix = similarity(self.anchor.keypoints, self.keypoints)
        self.roll = _signed(self.anchor.roll + float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))))
        self.box = _moved_box(self.anchor.box, matrix)
        self.face = self.labelled(face)
        self.past.append(place_of(self.keypoints, time, face.score))
        while time - self.past[0].time > 2 * RECENT:
            self.past.popleft()

    def confirm(self, region: Region, time: float) -> None:
        """The detector has found the face, at the place where it now is."""
        self.roll = region.roll if np.isfinite(region.roll) else self.roll
        self.box, self.found_by, self.detection_score = region.box, region.found_by, region.detection_score
        self.anchor, self.seen = Anchor(self.keypoints, self.box, self.roll), time
        self.face = None if self.face is None else self.labelled(self.face)

    def labelled(self, face: Face) -> Face:
        """A face with what is known from its track."""
        return replace(
            face, box=self.box, found_by=self.found_by, detection_score=self.detection_score, track=self.number
        )

    def state(self) -> TrackState:
        """Everything but the face with its image."""
        anchor = (_tuples(self.anchor.keypoints), tuple(self.anchor.box.tolist()), self.anchor.roll)
        return TrackState(
            self.number,
            _tuples(self.keypoints),
            tuple(self.box.tolist()),
            self.found_by,
            self.detection_score,
            anchor,
            self.seen,
            self.roll,
            None if self.crop_box is None else tuple(self.crop_box.tolist()),
            tuple((time, (float(x), float(y)), side, score) for time, (x, y), side, score in self.past),
        )

    @classmethod
    def restored(cls, state: TrackState) -> "Track":
        """The track with a state."""
        return cls(
            state.number,
            np.array(state.keypoints),
            np.array(state.box),
            state.found_by,
            state.detection_score,
            Anchor(np.array(state.anchor[0]), np.array(state.anchor[1]), state.anchor[2]),
            state.seen,
            state.roll,
            None if state.crop_box is None else np.array(state.crop_box),
            deque(Place(time, np.array(center), side, score) for time, center, side, score in state.past),
        )

    @property
    def usual_score(self) -> float:
        """The best of its last scores."""
        return max(place.score for place in self.past)

    def forget(self, since: float, score: float) -> None:
        """Forget the last places, after a time (s) or below a score: they may be another face's. One is kept."""
        while len(self.past) > 1 and (self.past[-1].time > since or self.past[-1].score < score):
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
        return last._replace(time=time, center=offset + slope * min(time - last.time, AHEAD))

    def region(self, image: Pixels, time: float, steady: float) -> Region:
        """The crop for its landmarks in the next image; that of the last image if the box moved less than `steady`."""
        last, box = self.past[-1], crop_box_of(self.keypoints, self.roll)
        ahead = self.expected(time).center - last.center
        box = box + np.tile(np.clip(ahead, -SHIFT * last.side, SHIFT * last.side), 2)
        if self.crop_box is None or np.abs(box - self.crop_box).max() > steady * last.side:
            self.crop_box = box
        return Region(image, self.box, self.crop_box, self.found_by, self.detection_score, self.roll, may_turn=False)


def crop_box_of(keypoints: NDArray[np.floating], roll: float) -> Floats:
    """The box (4,) to cut a crop around landmarks (K, 2); of a turned crop, in the frame of the face."""
    points = np.asarray(keypoints, np.float64)
    if abs(roll) <= UPRIGHT:
        return landmark_box(points)
    angle, around = np.deg2rad(-roll), points.mean(axis=0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    box = landmark_box((points - around) @ turn.T)
    middle, half = (box[:2] + box[2:]) / 2 @ turn + around, (box[2:] - box[:2]) / 2
    return np.concatenate([middle - half, middle + half])


def _tuples(points: Floats) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)


def _moved_box(box: Floats, matrix: Floats) -> Floats:
    """An upright box of the same shape where a turn, scale and shift bring its middle."""
    middle = transform(matrix, ((box[:2] + box[2:]) / 2)[None])[0]
    half = (box[2:] - box[:2]) / 2 * np.hypot(matrix[0, 0], matrix[1, 0])
    return np.concatenate([middle - half, middle + half])


def _signed(degrees: float) -> float:
    """The same angle from -180 to 180."""
    return (degrees + 180) % 360 - 180
