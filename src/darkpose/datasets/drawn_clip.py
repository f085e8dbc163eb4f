"""Drawn clips whose landmarks are known exactly, to try out video without photographs.

The faces are those of `drawn_face`. Their motion is a function of the time in seconds, so that a scene shows the same
motion at any frame rate:

    scene = crossing(seed=1)
    for time in frame_times(30, 10):
        image, faces = scene.image(time), scene.faces(time)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.drawn_face import SCALE, draw_head, random_look
from darkpose.datasets.face_plan import PlannedFace, Pose, pose_face, random_for
from darkpose.datasets.head_model import CONTOUR
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, compress

BLINK = 0.12  # s, from open to open
SIZE = (640, 480)  # px
_SHUT = 0.06  # openness of a shut eye
_BACKGROUND = 90  # with the seed of a scene: its background is not that of one of its persons
Motion = Callable[[float], Pose | None]


@dataclass(frozen=True, eq=False)
class ClipFace:
    """One person in one frame.

    Attributes:
        person: its number, the same in all frames of the scene.
        keypoints: (98, 2) float64 image px in the order of `WFLW_98`; those outside the picture, too.
        visible: (98,) whether a landmark is inside the picture and in front of all other persons.
    """

    person: int
    keypoints: Floats
    visible: NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """Persons who move in front of a background.

    Attributes:
        paths: the pose of each person at a time in s, the farthest person first; None: it is out of the picture.
        seed: of the persons and of the background.
        size: width and height of the picture, px.
        pan: px/s by which the background moves to the left.
        cuts: times at which the background changes, s.
        noise: standard deviation of the noise of the sensor, grey values; every time has its own noise.
        quality: of the JPEG compression of every frame, 1 to 100; None: not compressed.
    """

    paths: Sequence[Motion]
    seed: int = 0
    size: tuple[int, int] = SIZE
    pan: float = 0.0
    cuts: tuple[float, ...] = ()
    noise: float = 2.0
    quality: int | None = None

    def faces(self, time: float) -> tuple[ClipFace, ...]:
        """The persons of whom a landmark is inside the picture at a time in s, the farthest first."""
        planned = [(person, pose_face(self.seed, person, pose)) for person, pose in self._poses(time)]
        found = []
        for i, (person, plan) in enumerate(planned):
            inside = _inside(plan.keypoints, self.size)
            if inside.any():
                hidden = [_covered(plan.keypoints, other) for _, other in planned[i + 1 :]]
                visible = np.asarray(inside & ~np.any(hidden, axis=0)) if hidden else inside
                found.append(ClipFace(person, plan.keypoints, visible))
        return tuple(found)

    def image(self, time: float) -> Pixels:
        """The picture (H, W, 3) uint8 RGB at a time in s; it depends on the scene and the time alone."""
        width, height = self.size
        part = sum(time >= cut for cut in self.cuts)
        canvas = _shifted(_background(self.seed, part, self.size), self.pan * time)
        for person, pose in self._poses(time):
            look = random_look(random_for(self.seed, person, "look"), makeup=False)
            draw_head(canvas, pose_face(self.seed, person, pose), look)
        image = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        if self.noise:
            rng = np.random.default_rng([self.seed, round(1e6 * time)])
            image += np.float32(self.noise) * rng.standard_normal(image.shape, np.float32)
        pixels = np.clip(np.round(image), 0, 255).astype(np.uint8)
        return pixels if self.quality is None else compress(pixels, self.quality)

    def _poses(self, time: float) -> list[tuple[int, Pose]]:
        poses = [(person, path(time)) for person, path in enumerate(self.paths)]
        return [(person, pose) for person, pose in poses if pose is not None]


def frame_times(rate: float, seconds: float) -> Floats:
    """Times (T,) of the frames of a clip, s, from 0.

    Raises:
        DarkposeError: the rate or the length is not positive.
    """
    if not (rate > 0 and seconds > 0):
        raise DarkposeError(f"expected a positive rate and length, got {rate} frames/s and {seconds} s")
    return np.arange(max(1, round(rate * seconds))) / rate


def crossing(seed: int = 0, pan: float = 20.0) -> Scene:
    """Three persons for 12 s: two walk past each other and in front of the third, one leaves and comes back.

    Person 2, in front, walks to the right from 1 to 4 s and back from 8 to 11 s. Person 1 walks to the left, behind
    person 2, from 1 to 4 s, is out of the picture from about 5 to 8 s and then comes back. Person 0 stands behind both.
    """
    first = _walk({0: (330, 130)}, 42, sway=10, blinks=(1.5, 6.0))
    second = _walk({1: (520, 215), 4: (110, 215), 5: (-160, 215), 8: (-160, 215), 10: (120, 215)}, 50, sway=5)
    third = _walk({1: (110, 260), 4: (520, 260), 8: (520, 260), 11: (420, 260)}, 60, sway=4, blinks=(5.0,))
    return Scene((first, second, third), seed, pan=pan)


def steady(seed: int = 0, speed: float = 100.0) -> Scene:
    """One person who moves to the right at a constant velocity in px/s, from 100 px on."""
    return Scene((lambda time: Pose(100 + speed * time, 220, 55),), seed, noise=2.0)


def still(seed: int = 0, noise: float = 4.0, quality: int | None = 70) -> Scene:
    """One person who does not move, with the noise of a sensor and compressed frames."""
    return Scene((lambda _: Pose(320, 220, 60, yaw=8, roll=3),), seed, noise=noise, quality=quality)


def blinking(seed: int = 0, blinks: Sequence[float] = (1.0,)) -> Scene:
    """One person who does not move but blinks at these times, s; each blink takes `BLINK` s."""
    return Scene((lambda time: Pose(320, 220, 80, openness=openness(time, blinks)),), seed)


def turning(seed: int = 0, yaw: float = 50.0, period: float = 4.0) -> Scene:
    """One person who turns to and fro by up to so many degrees, and nods."""

    def path(time: float) -> Pose:
        angle = 2 * np.pi * time / period
        return Pose(320, 220, 60, yaw=float(yaw * np.sin(angle)), pitch=float(10 * np.sin(2 * angle)))

    return Scene((path,), seed)


def cutting(seed: int = 0, cut: float = 2.0) -> Scene:
    """Two persons until a scene cut, then two others at nearly the same places in front of another background."""

    def until(path: Motion, before: bool) -> Motion:
        return lambda time: path(time) if (time < cut) == before else None

    places = ((200, 200, 55), (450, 230, 60), (215, 215, 60), (440, 220, 52))
    paths = [until(_walk({0: (x, y)}, size, sway=4), i < 2) for i, (x, y, size) in enumerate(places)]
    return Scene(paths, seed, cuts=(cut,))


def openness(time: float, blinks: Sequence[float]) -> float:
    """How far eyes are open that blink at these times, s, 1 for open; they are shut after half of `BLINK`."""
    since = next((time - start for start in blinks if 0 <= time - start < BLINK), 0.0)
    return float(1 - (1 - _SHUT) * np.sin(np.pi * since / BLINK) ** 2)


def _walk(ways: dict[float, tuple[float, float]], size: float, *, sway: float, blinks: Sequence[float] = ()) -> Motion:
    """A person who walks from place to place, each reached at its time, and moves its head by `sway` degrees."""
    times = np.array(sorted(ways), np.float64)
    places = np.array([ways[time] for time in sorted(ways)], np.float64)

    def path(time: float) -> Pose:
        after = int(np.clip(np.searchsorted(times, time, side="right"), 1, max(len(times) - 1, 1)))
        before, after = places[after - 1], places[min(after, len(times) - 1)]
        share = _share(times, time)
        x, y = before + (after - before) * share
        ahead = 25 * np.sign(after[0] - before[0]) * 4 * share * (1 - share)
        yaw = ahead + sway * np.sin(1.3 * time + size)
        pitch, roll = 0.6 * sway * np.sin(1.7 * time), 0.5 * sway * np.sin(0.9 * time + 1)
        return Pose(float(x), float(y), size, float(yaw), float(pitch), float(roll), openness(time, blinks))

    return path


def _share(times: Floats, time: float) -> float:
    """Which share of the way between two of the times is done: it starts and ends slowly."""
    if len(times) < 2:
        return 0.0
    done = np.interp(time, times, np.arange(len(times)))
    part = done - min(int(done), len(times) - 2)
    return float(part * part * (3 - 2 * part))


@lru_cache(maxsize=4)
def _background(seed: int, part: int, size: tuple[int, int]) -> Pixels:
    """A picture (H, 2 W, 3) that goes on where it ends: soft patches of colour with some boxes."""
    rng = np.random.default_rng([seed, _BACKGROUND, part])
    width, height = size
    colours = np.clip(rng.uniform(60, 190) + rng.normal(0, 30, (4, 5, 3)), 0, 255).astype(np.uint8)
    half = np.asarray(cv2.resize(colours, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    tile = np.concatenate([half, half[:, ::-1]], axis=1)
    for _ in range(16):
        x, y = (int(value) for value in rng.uniform(0, [1.8 * width, 0.9 * height]))
        w, h = (int(value) for value in rng.uniform(0.03, 0.2, 2) * size)
        tile[y : y + h, x : x + w] = rng.uniform(30, 220, 3)
    return tile


def _shifted(tile: Pixels, shift: float) -> Pixels:
    """The picture, enlarged by `SCALE`, that begins `shift` px to the right of the start of the tile."""
    height, width = tile.shape[0], tile.shape[1] // 2
    whole, rest = divmod(round(SCALE * shift), SCALE)
    part = np.take(tile, np.arange(whole, whole + width + 1), axis=1, mode="wrap")
    enlarged = cv2.resize(part, (SCALE * (width + 1), SCALE * height), interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(enlarged[:, rest : rest + SCALE * width], np.uint8)


def _inside(points: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which points (N, 2) are inside the picture."""
    return np.asarray(((points > -0.5) & (points < np.array(size) - 0.5)).all(axis=1))


def _covered(points: Floats, plan: PlannedFace) -> NDArray[np.bool_]:
    """Which points (N, 2) are behind a person."""
    outline = np.concatenate([plan.keypoints[CONTOUR], plan.forehead])
    polygons = [outline, *(polygon for _, polygon in plan.behind)]
    return np.asarray(np.any([_within(points, polygon) for polygon in polygons], axis=0))


def _within(points: Floats, polygon: Floats) -> NDArray[np.bool_]:
    """Which points (N, 2) are inside a polygon (M, 2): a ray to the right crosses its edges an odd number of times."""
    start, end = polygon[None], np.roll(polygon, -1, axis=0)[None]
    x, y = points[:, :1], points[:, 1:]
    spans = (start[..., 1] <= y) != (end[..., 1] <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = start[..., 0] + (y - start[..., 1]) / (end[..., 1] - start[..., 1]) * (end[..., 0] - start[..., 0])
    return np.asarray((spans & (x < at)).sum(axis=1) % 2 == 1)
