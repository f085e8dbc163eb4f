"""How well tracks follow the faces of a clip, counted as in CLEAR-MOT.

Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics", 2008. The distance
of a face from an annotated one is the mean distance of their landmarks over the annotated face's size, sqrt(w h) of the
landmarks' extent; from `LIMIT` on, they are not the same face.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.evaluation.assignment import assign
from darkpose.evaluation.tracked import TrackedFrames
from darkpose.image.geometry import Floats

LIMIT = 0.5  # face sizes


@dataclass(frozen=True)
class TrackCounts:
    """Counts over the frames of a clip, or of several clips.

    Attributes:
        frames: their number.
        faces: annotated faces, summed over the frames; without hidden ones that were not found.
        missed: annotated faces that no face was matched with.
        false: faces that match no annotated one.
        switches: how often a person is matched with another track than the last time.
        returns: those of the switches before which the person had been out of the picture.
        fragments: how often a person is matched again after frames in the picture without a match.
    """

    frames: int
    faces: int
    missed: int
    false: int
    switches: int
    returns: int
    fragments: int

    @property
    def mota(self) -> float:
        """Tracking accuracy: 1 - (missed + false + switches) / faces; NaN without annotated faces."""
        wrong = self.missed + self.false + self.switches
        return 1 - wrong / self.faces if self.faces else float("nan")


def count_tracks(
    predicted: TrackedFrames,
    annotated: TrackedFrames,
    limit: float = LIMIT,
    hidden: Sequence[Collection[int]] | None = None,
) -> TrackCounts:
    """Count what tracks miss, invent and confuse.

    In each frame, pairs of person and track of the frame before are kept while they are within the limit; the other
    faces are assigned so that as many as possible are matched, at the lowest sum of distances.

    Args:
        predicted: tracks.
        annotated: all persons in all frames, each with one number, also after they were away.
        limit: largest distance, face sizes.
        hidden: of every frame, the annotated persons who need not be found, but may be; None: nobody.

    Raises:
        DarkposeError: the numbers of frames or landmarks differ, or an annotated face has no size.
    """
    if len(predicted) != len(annotated):
        raise DarkposeError(f"expected tracks of {len(annotated)} frames, as annotated, got {len(predicted)}")
    if hidden is not None and len(hidden) != len(annotated):
        raise DarkposeError(f"expected the hidden persons of {len(annotated)} frames, got {len(hidden)}")
    counter = _Counter(limit)
    for i, (truth, tracks) in enumerate(zip(annotated.faces, predicted.faces, strict=True)):
        counter.add(truth, tracks, () if hidden is None else hidden[i])
    return counter.counts()


def add_counts(counts: Sequence[TrackCounts]) -> TrackCounts:
    """The counts of several clips together."""
    return TrackCounts(**{each.name: sum(getattr(one, each.name) for one in counts) for each in fields(TrackCounts)})


def match_faces(
    truth: Mapping[int, Floats], tracks: Mapping[int, Floats], last: Mapping[int, int], limit: float = LIMIT
) -> dict[int, int]:
    """The track of each person that is matched in one frame.

    Args:
        truth: person -> landmarks (K, 2).
        tracks: track -> landmarks (K, 2).
        last: person -> track in the frame before, kept while it is within the limit.
        limit: largest distance, face sizes.
    """
    people, names = sorted(truth), sorted(tracks)
    costs = _distances([truth[person] for person in people], [tracks[name] for name in names])
    costs[costs >= limit] = np.inf
    for row, person in enumerate(people):
        column = names.index(last[person]) if last.get(person) in tracks else -1
        if column >= 0 and np.isfinite(costs[row, column]):
            kept = costs[row, column]
            costs[row], costs[:, column] = np.inf, np.inf
            costs[row, column] = kept
    return {people[row]: names[column] for row, column in assign(costs)}


def follow_face(predicted: TrackedFrames, annotated: Floats, limit: float = LIMIT) -> Floats:
    """Of the faces of every frame, the landmarks (T, K, 2) of the one on an annotated face (T, K, 2); NaN: none is."""
    found = np.full(annotated.shape, np.nan)
    for points, truth, faces in zip(found, annotated, predicted.faces, strict=True):
        for track in match_faces({0: truth}, faces, {}, limit).values():
            points[:] = faces[track]
    return found


def _distances(truth: Sequence[Floats], faces: Sequence[Floats]) -> Floats:
    """Distances (A, B) of faces from annotated ones, in sizes of these."""
    if not truth or not faces:
        return np.zeros((len(truth), len(faces)))
    first, second = np.array(truth), np.array(faces)
    if first.shape[1:] != second.shape[1:]:
        raise DarkposeError(f"expected faces with {first.shape[1]} landmarks, as annotated, got {second.shape[1]}")
    size = np.sqrt(np.ptp(first, axis=1).prod(axis=1))
    if not (size > 0).all():
        raise DarkposeError("annotated landmarks of a face lie on one line along an axis")
    between = np.linalg.norm(first[:, None] - second[None], axis=3).mean(axis=2)
    return np.asarray(between / size[:, None])


class _Counter:
    """Counts frame by frame.

    Attributes:
        before: person -> track, in the frame before.
        latest: person -> track of their latest match.
        away: persons who were out of the picture since their latest match.
        lost: persons who were in the picture and not hidden, but not matched, since their latest match.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.frames = self.faces = self.missed = self.false = self.switches = self.returns = self.fragments = 0
        self.before: dict[int, int] = {}
        self.latest: dict[int, int] = {}
        self.away: set[int] = set()
        self.lost: set[int] = set()

    def add(self, truth: Mapping[int, Floats], tracks: Mapping[int, Floats], hidden: Collection[int]) -> None:
        """Count one frame."""
        matched = match_faces(truth, tracks, self.before, self.limit)
        missed = set(truth) - set(matched) - set(hidden)
        self.frames += 1
        self.faces += len(matched) + len(missed)
        self.missed += len(missed)
        self.false += len(tracks) - len(matched)
        for person, track in matched.items():
            switched = self.latest.get(person, track) != track
            self.switches += switched
            self.returns += switched and person in self.away
            self.fragments += person in self.lost
        self.before = matched
        self.latest |= matched
        self.away = (self.away | (set(self.latest) - set(truth))) - set(matched)
        self.lost = (self.lost | (set(self.latest) & missed)) - set(matched)

    def counts(self) -> TrackCounts:
        """The counts so far."""
        return TrackCounts(**{each.name: getattr(self, each.name) for each in fields(TrackCounts)})
