"""Faces followed from image to image: each has a track, whose number is its own for good.

The crop of a face is cut around its last landmarks, so that the detector has to run only now and then: every half
second, when a face is lost, after a scene cut, and more often while no face is followed or a lost one is looked for.
Times are seconds, not numbers of images, so that clips of any rate behave alike.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels, as_rgb, resized
from darkpose.predict.face import Face
from darkpose.predict.predictor import Predictor, Region
from darkpose.video.track import Place, Track, TrackState, crop_box_of, place_of

THUMBNAIL = (8, 5)  # px, of the images that are compared to find scene cuts: coarse, since cameras pan
EARLY = 1e-6  # s by which a time may come too early


@dataclass(frozen=True)
class Tracking:
    """When a face is the same face, and when it is lost.

    Distances are shares of the face's side: the root of the area of its landmark box.

    Attributes:
        detect_every: s between two runs of the detector.
        seek_every: s likewise, while no face is followed, or one that was lost is looked for.
        remembered: s for which a lost face is looked for; then its track has ended.
        found: mean score of the landmarks from which a detected face is followed. Of crops without a face, 99 in 100
            have less than 0.4.
        lost: mean score below which a face is lost; 95 in 100 of such crops have less than 0.31.
        hidden: share of the best of the last scores, below which a face is lost, too.
        unsure: likewise, below which a face beside another one is hidden by it. And below which the places before a
            face was lost do not tell where it went.
        doubtful: mean score below which a face is lost if the detector has not found it for `remembered`.
        near: distance of a face from where it is expected, at most.
        far: likewise of a face that was lost. And distance of two faces, below which one may hide the other.
        grown: factor between the sides of a face in two images, at most.
        same: distance of two followed faces below which they are one.
        settled: s; of two that are one, that one is lost which moved less as it did before this time.
        moved: distance of a face from the middle of its crop, from which it is looked at again in a crop around it.
        steady: distance by which the sides of a landmark box may move before the crop follows.
        cut: mean difference of pixels, 0 to 255, from which an image shows another scene. Of images of two clips, 85
            in 100 differ by 30 or more; within clips of talking heads, at most by 14 at 30 images/s and 22 at 5/s.
    """

    detect_every: float = 0.5
    seek_every: float = 0.2
    remembered: float = 1.0
    found: float = 0.42
    lost: float = 0.32
    hidden: float = 0.5
    unsure: float = 0.75
    doubtful: float = 0.55
    near: float = 0.6
    far: float = 1.0
    grown: float = 1.7
    same: float = 0.25
    settled: float = 0.2
    moved: float = 0.15
    steady: float = 0.04
    cut: float = 24.0


@dataclass(frozen=True)
class TrackerState:
    """The state of a tracker as JSON values."""

    next: int
    followed: tuple[TrackState, ...]
    lost: tuple[TrackState, ...]
    time: float | None
    detected: float | None
    detections: int
    thumbnail: tuple[float, ...]
    size: tuple[int, int]


class Tracker:
    """Follows faces through the images of a clip or a camera, given in the order of their times.

    Args:
        predictor: finds landmarks, and faces by its detector.
        config: when a face is the same face.

    Attributes:
        detections: number of images in which the detector has run.
    """

    def __init__(self, predictor: Predictor, config: Tracking = Tracking()) -> None:
        self.predictor, self.config, self.detections = predictor, config, 0
        self._next = 1  # number of the next track
        self._followed: list[Track] = []
        self._lost: list[Track] = []
        self._time = self._detected = -np.inf  # s, of the last image, and of the last with the detector
        self._thumbnail: Floats | None = None
        self._size = (0, 0)  # of the last image, px

    def update(self, image: Pixels, time: float) -> list[Face]:
        """The faces of the next image, each with its `track`, in the order of these.

        Args:
            image: (H, W, 3) uint8 RGB.
            time: s; it must grow.

        Raises:
            DarkposeError: the image cannot be used, or the time has not grown.
        """
        image = as_rgb(image)
        if not self._time < time < np.inf:
            raise DarkposeError(f"the times of images must grow, got {time:g} s after {self._time:g} s")
        self._time = time
        if self._is_other_scene(image):
            self._followed, self._lost, self._detected = [], [], -np.inf
        self._lost = [track for track in self._lost if time - track.past[-1].time <= self.config.remembered]
        is_due = time - self._detected >= self._interval() - EARLY
        found = self._detect(image) if is_due else []
        if self._follow(image, found) and not is_due:
            self._confirm(self._detect(image))
        self._followed.sort(key=lambda track: track.number)
        return [track.face for track in self._followed if track.face is not None]

    def state(self) -> TrackerState:
        """What the next faces depend on, besides the images."""
        thumbnail = () if self._thumbnail is None else tuple(self._thumbnail.ravel().tolist())
        followed, lost = (tuple(track.state() for track in tracks) for tracks in (self._followed, self._lost))
        time, detected = (each if np.isfinite(each) else None for each in (self._time, self._detected))
        return TrackerState(self._next, followed, lost, time, detected, self.detections, thumbnail, self._size)

    def restore(self, state: TrackerState) -> None:
        """Go on from a state."""
        self._next, self.detections, self._size = state.next, state.detections, state.size
        self._time, self._detected = (-np.inf if each is None else each for each in (state.time, state.detected))
        self._followed = [Track.restored(each) for each in state.followed]
        self._lost = [Track.restored(each) for each in state.lost]
        if state.thumbnail:
            self._thumbnail = np.array(state.thumbnail).reshape(THUMBNAIL[::-1])

    def _is_other_scene(self, image: Pixels) -> bool:
        """Whether the image shows another scene than the last one."""
        thumbnail, before = resized(image, THUMBNAIL).mean(axis=2), self._thumbnail
        size, size_before = image.shape[1::-1], self._size
        self._thumbnail, self._size = thumbnail, (int(size[0]), int(size[1]))
        return before is not None and (
            self._size != size_before or float(np.abs(thumbnail - before).mean()) > self.config.cut
        )

    def _interval(self) -> float:
        """Seconds between two runs of the detector."""
        return self.config.seek_every if self._lost or not self._followed else self.config.detect_every

    def _detect(self, image: Pixels) -> list[Region]:
        """The faces that the detector finds."""
        self.detections, self._detected = self.detections + 1, self._time
        return self.predictor.regions(image)

    def _follow(self, image: Pixels, found: list[Region]) -> bool:
        """Move the tracks into an image in which the detector found some faces; whether one was lost."""
        followed, time, config = self._followed, self._time, self.config
        of_track = self._pairs(found, followed, config.near)
        fresh = [region for number, region in enumerate(found) if number not in of_track.values()]
        regions = [track.region(image, time, config.steady) for track in followed]
        for number, detected in of_track.items():
            if _apart(_place(regions[number], time), _place(found[detected], time)) > config.moved:
                regions[number] = found[detected]._replace(may_turn=False)
        faces = self._settled(regions + fresh)
        kept, lost = [], []
        for number, (track, face) in enumerate(zip(followed, faces, strict=False)):
            region = found[of_track[number]] if number in of_track else None
            if region is not None and not self._is_same(track, face):
                (face,) = self.predictor.locate([region])
            if not self._is_same(track, face):
                track.forget(np.inf, config.unsure * track.usual_score)
                lost.append(track)
                continue
            track.move(face, time)
            if region is not None:
                track.confirm(region, time)
            kept.append(track)
        doubled = self._doubled(kept)
        self._followed = [track for track in kept if track not in doubled]
        self._lost += lost + doubled
        self._begin(fresh, faces[len(followed) :])
        return bool(lost or doubled)

    def _settled(self, regions: list[Region]) -> list[Face]:
        """The faces of some crops; where they lie beside the middle, those of crops around them if these are surer."""
        faces = self.predictor.locate(regions)
        beside = [
            number
            for number, (region, face) in enumerate(zip(regions, faces, strict=True))
            if face.score >= self.config.lost
            and _apart(_place(region, self._time), place_of(face.keypoints, self._time)) > self.config.moved
        ]
        around = [
            regions[n]._replace(crop_box=crop_box_of(faces[n].keypoints, regions[n].roll), may_turn=False)
            for n in beside
        ]
        for number, face in zip(beside, self.predictor.locate(around), strict=True):
            faces[number] = max(faces[number], face, key=lambda each: each.score)
        return faces

    def _confirm(self, found: list[Region]) -> None:
        """Take faces that the detector found after the tracks were moved into the image."""
        of_track = self._pairs(found, self._followed, self.config.near)
        for number, region in of_track.items():
            self._followed[number].confirm(found[region], self._time)
        fresh = [region for number, region in enumerate(found) if number not in of_track.values()]
        self._begin(fresh, self.predictor.locate(fresh))

    def _begin(self, regions: list[Region], faces: list[Face]) -> None:
        """Follow faces that the detector found: those that were lost go on, others get a new number."""
        of_track = {region: number for number, region in self._pairs(regions, self._lost, self.config.far).items()}
        back = []
        for number, (region, face) in enumerate(zip(regions, faces, strict=True)):
            place = place_of(face.keypoints, self._time)
            others = (track.past[-1] for track in self._followed)
            if face.score < self.config.found or any(self._are_one(place, other) for other in others):
                continue
            if number in of_track:
                track = self._lost[of_track[number]]
                track.move(face, self._time)
                track.confirm(region, self._time)
                back.append(track)
            else:
                track = Track.begin(self._next, face, region, self._time)
                self._next += 1
            self._followed.append(track)
        self._lost = [track for track in self._lost if track not in back]

    def _is_same(self, track: Track, face: Face) -> bool:
        """Whether landmarks found in the crop of a track are those of its face."""
        config, place = self.config, place_of(face.keypoints, self._time)
        forgotten = self._time - track.seen > config.remembered and face.score < config.doubtful
        height, width = face.image.shape[:2] if face.image is not None else (0, 0)
        is_inside = (place.center >= 0).all() and (place.center <= [width - 1, height - 1]).all()
        return bool(
            is_inside
            and face.score >= max(config.lost, config.hidden * track.usual_score)
            and not forgotten
            and self._off(place, track) <= config.near
            and _ratio(place, track.past[-1]) <= config.grown
        )

    def _off(self, place: Place, track: Track) -> float:
        """Distance of a face from where a track leads, or from where it last was: times of cameras may jitter."""
        return min(_apart(place, track.expected(self._time)), _apart(place, track.past[-1]))

    def _are_one(self, place: Place, other: Place) -> bool:
        return _apart(place, other) < self.config.same and _ratio(place, other) < self.config.grown

    def _doubled(self, tracks: list[Track]) -> list[Track]:
        """The tracks of faces that are behind another, and those that have come to the face of another.

        Of two that are one, the one that left its way.
        """
        config = self.config
        doubled: list[Track] = []
        for one, other in combinations(tracks, 2):
            if one in doubled or other in doubled or _apart(one.past[-1], other.past[-1]) > config.far:
                continue
            unsure = min(one, other, key=lambda track: track.past[-1].score / track.usual_score)
            if unsure.past[-1].score < config.unsure * unsure.usual_score:
                unsure.forget(np.inf, config.unsure * unsure.usual_score)
                doubled.append(unsure)
                continue
            if not self._are_one(one.past[-1], other.past[-1]):
                continue
            since = self._time - self.config.settled
            astray = max(one, other, key=lambda track: _apart(track.past[-1], track.expected(self._time, since)))
            astray.forget(since, 0.0)
            doubled.append(astray)
        return doubled

    def _pairs(self, found: list[Region], tracks: list[Track], reach: float) -> dict[int, int]:
        """Numbers of tracks -> numbers of the detected faces at their places, the nearest first."""
        apart = [
            (self._off(_place(region, self._time), track), number, face)
            for face, region in enumerate(found)
            for number, track in enumerate(tracks)
            if _ratio(_place(region, self._time), track.past[-1]) <= self.config.grown
        ]
        pairs: dict[int, int] = {}
        for distance, number, face in sorted(apart):
            if distance <= reach and number not in pairs and face not in pairs.values():
                pairs[number] = face
        return pairs


def _place(region: Region, time: float) -> Place:
    """Where a detected face is."""
    return place_of(region.crop_box.reshape(2, 2), time)


def _apart(place: Place, other: Place) -> float:
    """Distance of two places, in shares of the smaller side."""
    return float(np.linalg.norm(place.center - other.center)) / min(place.side, other.side)


def _ratio(place: Place, other: Place) -> float:
    """How many times as large the larger of two sides is."""
    return max(place.side, other.side) / min(place.side, other.side)
