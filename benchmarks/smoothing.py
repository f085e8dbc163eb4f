"""What smoothing does to drawn and real landmarks: smoothing.py [FOLDER]

The face is drawn (`datasets.head_model`, 98 landmarks), at 15, 30 and 60 frames per second. Its landmarks have noise
of NOISE of its size along x and y (rms over the landmarks, of which some have five times that of others), correlated by
0.7 with that of the next landmark; 15 per cent of its variance decay over a tenth of a second, the rest is new in each
frame. The covariance tells the noise of each landmark, as `Smoothing.believed` expects it. Measured are, per smoother:

jitter: rms difference between frames of a still face, over that without smoothing, without the first second.
lag: seconds behind a face that moves by 1.1 of its size per second.
blink: what is left of the depth of a blink: both upper lids move down by 0.04 of the face size and back in 0.12 s
    (raised cosine); at the frame in which they are lowest, mean over 16 blinks and the six landmarks of the lids.
nod, shake, walk, speech, turn: mean distance from the truth over that without smoothing, of a face that nods (15
    degrees, 1.2 Hz), shakes (30 degrees, 1 Hz), walks, speaks (4 Hz) and turns suddenly.

FOLDER holds arrays of real faces, `NAME.npz`: times (T,), keypoints (T, K, 2), covariance (T, K, 2, 2), and where the
face was moved, shift (T, 2). One second after the start, the rms difference between frames is measured as above, less
the shift; noise is the standard deviation of the landmarks of a face that is still but for its shift.

Files named clip... hold faces that move by themselves. Writes benchmarks/results/smoothing.json and, from
PICTURED in FOLDER, docs/video-still.png.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from darkpose.datasets.head_model import Person, head_landmarks, random_person
from darkpose.deploy.machine import made_with
from darkpose.files.figure import write_figure
from darkpose.image.geometry import Floats
from darkpose.video.smoothing import CausalSmoother, Smoothing, smooth

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks" / "results" / "smoothing.json"
PICTURE, PICTURED = ROOT / "docs" / "video-still.png", "box-moved-1-percent"
NOISE, SIZE, RATES = 0.003, 200.0, (15, 30, 60)
MOTIONS = ("nod", "shake", "walk", "speech", "turn")
LIDS = [61, 62, 63, 69, 70, 71]
BLINKS, DEPTH, BLINK = 16, 0.04, 0.12

Smoother = Callable[[Floats, Floats, Floats | None, Floats], Floats]  # as `smooth`


class OneEuroSmoother:
    """The One-Euro filter, for comparison (Casiez, Roussel, Vogel, 1 Euro Filter, CHI 2012): simpler, and with lag."""

    MIN_CUTOFF, BETA, DERIVATIVE_CUTOFF = 0.5, 60.0, 1.0  # Hz; Hz per face size per second; Hz

    def __init__(self) -> None:
        self._time = -np.inf
        self._position = self._velocity = np.zeros((0, 2))

    def update(self, time: float, keypoints: Floats, covariance: Floats | None, size: float) -> Floats:
        """As `CausalSmoother.update`; the covariance is not used."""
        seconds = time - self._time
        if not np.isfinite(seconds):
            self._position, self._velocity = keypoints, np.zeros_like(keypoints)
        else:
            moved = (keypoints - self._position) / (seconds * size)
            self._velocity = self._velocity + _weight(self.DERIVATIVE_CUTOFF, seconds) * (moved - self._velocity)
            cutoff = self.MIN_CUTOFF + self.BETA * np.linalg.norm(self._velocity, axis=1, keepdims=True)
            self._position = self._position + _weight(cutoff, seconds) * (keypoints - self._position)
        self._time = time
        return self._position


def _weight(cutoff: Floats | float, seconds: float) -> Floats | float:
    """Of a new value in a low-pass filter of this cutoff frequency."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * seconds))


def one_by_one(make: Callable[[], CausalSmoother | OneEuroSmoother]) -> Smoother:
    """A causal smoother as a function of a whole track."""

    def run(times: Floats, keypoints: Floats, covariance: Floats | None, size: Floats) -> Floats:
        smoother, spreads = make(), [None] * len(times) if covariance is None else covariance
        rows = zip(times.tolist(), keypoints, spreads, size.tolist(), strict=True)
        return np.stack([smoother.update(*row) for row in rows])

    return run


SMOOTHERS: dict[str, Smoother] = {
    "two-pass": smooth,
    "causal": one_by_one(CausalSmoother),
    "one-euro": one_by_one(OneEuroSmoother),
}


def face_size(keypoints: Floats) -> Floats:
    """The root of the area of the landmark boxes of (..., K, 2)."""
    return np.asarray(np.sqrt(np.ptp(keypoints, axis=-2).prod(axis=-1)))


@cache
def head() -> tuple[Person, Floats]:
    """A head and its landmarks (98, 3)."""
    person = random_person(np.random.default_rng(3), False)
    return person, head_landmarks(person, 0.0)


def face_at(motion: str, t: float) -> Floats:
    """The landmarks (98, 2) in px of a face of SIZE that moves, t seconds after its start."""
    person, solid = head()
    wave, scale = 2 * np.pi * t, SIZE / float(face_size(solid[:, :2]))
    yaw, pitch, shift = 0.0, 0.0, np.zeros(2)
    if motion == "nod":
        pitch = 15 * np.sin(1.2 * wave)
    elif motion == "shake":
        yaw = 30 * np.sin(wave)
    elif motion == "walk":
        shift, scale = np.array([0.5 * t + 0.03 * np.sin(0.9 * wave), 0.06 * np.sin(1.8 * wave)]), scale * (1 + 0.1 * t)
    elif motion == "speech":
        opening = 0.12 * (1 + np.sin(4 * wave)) * (1 + 0.5 * np.sin(1.3 * wave))
        solid = head_landmarks(person._replace(opening=max(opening, 0.01)), 0.0)
        shift = 0.01 * np.array([np.sin(0.5 * wave), np.sin(0.7 * wave)])
    elif motion == "turn":
        done = np.clip((t - 1) / 0.4, 0, 1)
        yaw = 40 * (done - np.sin(2 * np.pi * done) / (2 * np.pi))
    elif motion == "velocity":
        shift = np.array([1.0, 0.5]) * t
    (cy, cp), (sy, sp) = np.cos(np.deg2rad([yaw, pitch])), np.sin(np.deg2rad([yaw, pitch]))
    turned = np.array([[cy, 0, sy], [sp * sy, cp, -sp * cy]])
    return np.asarray(solid @ turned.T * scale + SIZE * shift)


def moving(motion: str, times: Floats) -> Floats:
    """(T, 98, 2) px."""
    return np.stack([face_at(motion, t) for t in times.tolist()])


def noise(rng: np.random.Generator, times: Floats, share: float) -> tuple[Floats, Floats]:
    """Noise (T, 98, 2) and its variance (98,) in px^2; share: its rms in sizes of the face."""
    each = np.exp(np.random.default_rng(1).normal(0, 0.5, 98))
    each *= share * SIZE / np.sqrt((each**2).mean())
    parts = rng.normal(size=(2, len(times), 98, 2))
    for landmark in range(1, 98):
        parts[:, :, landmark] = 0.7 * parts[:, :, landmark - 1] + np.sqrt(1 - 0.7**2) * parts[:, :, landmark]
    new, slow = parts
    for frame in range(1, len(times)):
        kept = np.exp(-(times[frame] - times[frame - 1]) / 0.1)
        slow[frame] = kept * slow[frame - 1] + np.sqrt(1 - kept**2) * slow[frame]
    return (np.sqrt(0.85) * new + np.sqrt(0.15) * slow) * each[:, None], each**2


def measure(smoother: Smoother, rate: int, share: float = NOISE, told: float = 1.0) -> dict[str, float]:
    """The numbers of the drawn face; told: noise that the covariance tells over the true one."""
    rng = np.random.default_rng(0)

    def smoothed(times: Floats, truth: Floats) -> tuple[Floats, Floats]:
        added, variance = noise(rng, times, share)
        spread = np.broadcast_to((told / Smoothing().believed) ** 2 * variance[:, None, None] * np.eye(2), (98, 2, 2))
        size = np.full(len(times), SIZE)
        covariance = np.broadcast_to(spread, (len(times), 98, 2, 2))
        return smoother(times, truth + added, covariance, size), truth + added

    times, found = np.arange(0, 5, 1 / rate), {}
    still, raw = smoothed(times, moving("still", times))
    found["jitter"] = rms(np.diff(still[rate:], axis=0)) / rms(np.diff(raw[rate:], axis=0))
    truth, velocity = moving("velocity", times), SIZE * np.array([1.0, 0.5])
    behind = (truth - smoothed(times, truth)[0])[rate:-rate]
    found["lag"] = float((behind @ velocity).mean() / (velocity @ velocity))
    found["blink"] = blink(smoothed, rate)
    times = np.arange(0, 4, 1 / rate)
    for motion in MOTIONS:
        truth = moving(motion, times)
        after, before = smoothed(times, truth)
        found[motion] = float(distances(after, truth).mean() / distances(before, truth).mean())
    return found


def blink(smoothed: Callable[[Floats, Floats], tuple[Floats, Floats]], rate: int) -> float:
    """What is left of the depth of a blink, mean over BLINKS that begin at any time between two frames."""
    middles = 1 + 0.6 * np.arange(BLINKS) + np.arange(BLINKS) * 5 % 8 / 8 / rate
    times = np.arange(0, middles[-1] + 1, 1 / rate)
    depth = np.zeros(len(times))
    for middle in middles:
        near = np.abs(times - middle) < BLINK / 2
        depth[near] = DEPTH * SIZE * (0.5 + 0.5 * np.cos(2 * np.pi * (times[near] - middle) / BLINK))
    still = np.broadcast_to(face_at("still", 0.0), (len(times), 98, 2))
    truth = still.copy()
    truth[:, LIDS, 1] += depth[:, None]
    after = (smoothed(times, truth)[0] - still)[:, LIDS, 1].mean(axis=1)
    lowest = [int(np.argmax(np.where(np.abs(times - middle) < 0.3, depth, -1))) for middle in middles]
    return float(np.mean(after[lowest] / depth[lowest]))


def rms(values: Floats) -> float:
    """The root of the mean of the squares."""
    return float(np.sqrt((values**2).mean()))


def distances(a: Floats, b: Floats) -> Floats:
    """(T, K) px."""
    return np.asarray(np.linalg.norm(a - b, axis=-1))


def measure_real(path: Path) -> dict[str, float]:
    """The numbers of one file of arrays."""
    arrays = np.load(path)
    times, keypoints, covariance = (arrays[name].astype(np.float64) for name in ("times", "keypoints", "covariance"))
    size, shift = face_size(keypoints), arrays["shift"][:, None] if "shift" in arrays else 0.0
    kept = times >= times[0] + 1
    raw = (keypoints - shift) / size.mean()
    found = {"size_px": float(size.mean()), "jitter_raw": rms(np.diff(raw[kept], axis=0))}
    if not path.stem.startswith("clip"):
        deviation = raw.std(axis=0)
        told = np.sqrt(np.einsum("tkii->tki", covariance)).mean(axis=0) / size.mean()
        found["noise"], found["noise_over_covariance"] = rms(deviation), float(np.median(deviation / told))
        found["correlation_of_next_frames"] = float(
            ((raw - raw.mean(axis=0))[1:] * (raw - raw.mean(axis=0))[:-1]).mean()
        )
        found["correlation_of_next_frames"] /= rms(deviation) ** 2
    for name, smoother in SMOOTHERS.items():
        after = (smoother(times, keypoints, covariance, size) - shift) / size.mean()
        found[f"jitter_{name}"] = rms(np.diff(after[kept], axis=0)) / found["jitter_raw"]
    return found


def milliseconds() -> float:
    """Median time of a frame of 98 landmarks, causal."""
    times = np.arange(600) / 30
    keypoints = moving("nod", times) + noise(np.random.default_rng(0), times, NOISE)[0]
    smoother, taken = CausalSmoother(), []
    for moment, points in zip(times.tolist(), keypoints, strict=True):
        start = time.perf_counter()
        smoother.update(moment, points, np.broadcast_to(np.eye(2), (98, 2, 2)), SIZE)
        taken.append(time.perf_counter() - start)
    return float(1000 * np.median(taken))


def draw(path: Path) -> None:
    """Plot the course of the landmark with the median noise along y."""
    arrays = np.load(path)
    times, keypoints, covariance = (arrays[name].astype(np.float64) for name in ("times", "keypoints", "covariance"))
    size, deviation = face_size(keypoints), keypoints[:, :, 1].std(axis=0)
    landmark = int(np.argsort(deviation)[len(deviation) // 2])

    def plot(axes: Any) -> None:
        ways = {"raw": keypoints, **{name: SMOOTHERS[name](times, keypoints, covariance, size) for name in WAYS}}
        for (name, course), style in zip(ways.items(), STYLES, strict=True):
            axes.plot(times - times[0], course[:, landmark, 1] - keypoints[:, landmark, 1].mean(), label=name, **style)
        axes.set(xlabel="s", ylabel="y of a landmark, px", title=f"A still face of {size.mean():.0f} px")
        axes.legend(loc="upper right", ncols=3, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)

    write_figure(PICTURE, (7, 3), plot)


WAYS = ("causal", "two-pass")
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "0.65", "linewidth": 1, "marker": ".", "markersize": 3},
    {"color": "tab:orange", "linewidth": 1.5},
    {"color": "tab:blue", "linewidth": 2},
)


def main(folder: Path | None = None) -> None:
    """Measure, print and write."""
    drawn: dict[str, dict[str, dict[str, float]]] = {}
    for name, smoother in SMOOTHERS.items():
        drawn[name] = {f"{rate} frames/s": rounded(measure(smoother, rate)) for rate in RATES}
        drawn[name]["30 frames/s, noise of 1 %"] = rounded(measure(smoother, 30, 0.01))
        for told in (0.5, 0.75, 1.5, 2.0):
            drawn[name][f"30 frames/s, {told} of the noise is told"] = rounded(measure(smoother, 30, told=told))
        for setting, row in drawn[name].items():
            print(name, setting, row)
    real = {path.stem: rounded(measure_real(path)) for path in sorted(folder.glob("*.npz"))} if folder else {}
    for stem, row in real.items():
        print(stem, row)
    content = {
        **made_with(),
        "method": __doc__,
        "ms_per_frame_causal": round(milliseconds(), 3),
        "drawn": drawn,
        "real": real,
    }
    OUT.write_text(json.dumps(content, indent=1) + "\n")
    if folder and (folder / f"{PICTURED}.npz").exists():
        draw(folder / f"{PICTURED}.npz")


def rounded(row: dict[str, float]) -> dict[str, float]:
    """Four decimal places; sizes of a still face's noise need them."""
    return {name: round(value, 5 if "raw" in name or name == "noise" else 3) for name, value in row.items()}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
