"""Counts of tracks: clips worked out by hand, and what names of tracks must not change."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.evaluation.tracked import TrackedFrames
from darkpose.evaluation.tracks import TrackCounts, add_counts, count_tracks, follow_face, match_faces

SEEDS = st.integers(0, 2**32 - 1)
FACE = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])  # of size 10


def at(x: float) -> NDArray[np.float64]:
    return np.asarray(FACE + np.array([x, 0]))


def clip(*frames: Mapping[int, float]) -> TrackedFrames:
    """Of every frame: track -> x of its face."""
    faces = tuple({track: at(x) for track, x in frame.items()} for frame in frames)
    return TrackedFrames(np.arange(len(frames)) / 30, faces)


def counted(predicted: Sequence[Mapping[int, float]], annotated: Sequence[Mapping[int, float]]) -> TrackCounts:
    return count_tracks(clip(*predicted), clip(*annotated))


def test_a_perfect_track_has_no_faults() -> None:
    truth = [{0: 0, 1: 100}, {0: 1, 1: 99}]
    assert counted([{7: 0, 5: 100}, {7: 1, 5: 99}], truth) == TrackCounts(2, 4, 0, 0, 0, 0, 0)
    assert counted(truth, truth).mota == 1


def test_missed_and_false_faces() -> None:
    counts = counted([{7: 0}, {7: 50}, {}], [{0: 0}, {0: 0}, {0: 0, 1: 50}])
    assert (counts.faces, counts.missed, counts.false) == (4, 3, 1)
    assert counts.mota == 0
    assert np.isnan(counted([{1: 0}], [{}]).mota)


def test_a_face_half_its_size_away_is_another() -> None:
    assert counted([{7: 4.99}], [{0: 0}]).missed == 0
    assert counted([{7: 5.0}], [{0: 0}]).missed == 1


def test_tracks_that_swap_switch_twice() -> None:
    counts = counted([{7: 0, 8: 100}, {7: 100, 8: 0}], [{0: 0, 1: 100}, {0: 0, 1: 100}])
    assert (counts.switches, counts.returns, counts.fragments, counts.missed) == (2, 0, 0, 0)


def test_a_person_lost_behind_another_and_found_under_a_new_track_is_a_switch_and_a_fragment() -> None:
    counts = counted([{7: 0}, {}, {8: 0}, {8: 0}], [{0: 0}] * 4)
    assert (counts.missed, counts.switches, counts.returns, counts.fragments) == (1, 1, 0, 1)
    counts = counted([{7: 0}, {}, {7: 0}, {7: 0}], [{0: 0}] * 4)
    assert (counts.missed, counts.switches, counts.fragments) == (1, 0, 1)


def test_a_person_who_left_and_comes_back_under_a_new_track_is_a_return() -> None:
    truth: list[dict[int, float]] = [{0: 0}, {}, {0: 0}, {0: 0}]
    counts = counted([{7: 0}, {}, {8: 0}, {9: 0}], truth)
    assert (counts.switches, counts.returns, counts.fragments, counts.missed) == (2, 1, 0, 0)
    assert counted([{7: 0}, {}, {7: 0}, {7: 0}], truth).switches == 0


def test_a_pair_is_kept_while_it_is_within_the_limit() -> None:
    # In frame 1 the other track is nearer to the person, as when two faces cross.
    counts = counted([{7: 0}, {7: 3, 8: 1}], [{0: 0}, {0: 0}])
    assert (counts.switches, counts.false) == (0, 1)
    assert match_faces({0: FACE}, {7: at(3), 8: at(1)}, {}) == {0: 8}


def test_hidden_persons_may_be_missed_or_found_but_not_confused() -> None:
    truth = clip({0: 0}, {0: 0}, {0: 0})
    hidden: list[set[int]] = [set(), {0}, set()]
    missed = count_tracks(clip({7: 0}, {}, {7: 0}), truth, hidden=hidden)
    assert missed == TrackCounts(3, 2, 0, 0, 0, 0, 0)
    assert count_tracks(clip({7: 0}, {7: 0}, {7: 0}), truth, hidden=hidden) == TrackCounts(3, 3, 0, 0, 0, 0, 0)
    assert count_tracks(clip({7: 0}, {}, {8: 0}), truth, hidden=hidden) == TrackCounts(3, 2, 0, 0, 1, 0, 0)
    with pytest.raises(DarkposeError, match="hidden persons of 3 frames, got 2"):
        count_tracks(truth, truth, hidden=hidden[:2])


def test_one_face_is_followed_among_several() -> None:
    predicted = clip({3: 80, 4: 1}, {}, {5: 2})
    followed = follow_face(predicted, np.array([FACE] * 3))
    np.testing.assert_array_equal(followed[[0, 2]], [at(1), at(2)])
    assert np.isnan(followed[1]).all()


@given(seed=SEEDS)
def test_the_names_of_tracks_and_persons_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = [{i: 8 * i + rng.normal() for i in range(4) if rng.uniform() < 0.8} for _ in range(12)]
    tracks = [{i: 8 * i + 2 * rng.normal() for i in range(5) if rng.uniform() < 0.8} for _ in range(12)]
    one, two = rng.permutation(50), rng.permutation(50)
    renamed = [{int(one[i]): x for i, x in frame.items()} for frame in tracks]
    people = [{int(two[i]): x for i, x in frame.items()} for frame in truth]
    assert counted(renamed, people) == counted(tracks, truth)


@given(seed=SEEDS, scale=st.floats(0.01, 100))
def test_the_size_of_the_picture_changes_nothing(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = (clip(*({i: 8 * i + rng.normal() for i in range(4)} for _ in range(6))) for _ in range(2))

    def larger(one: TrackedFrames) -> TrackedFrames:
        return TrackedFrames(one.times, tuple({i: scale * face for i, face in each.items()} for each in one.faces))

    assert count_tracks(larger(first), larger(second)) == count_tracks(first, second)


def test_counts_of_clips_add_up() -> None:
    one = TrackCounts(1, 2, 3, 4, 5, 6, 7)
    assert add_counts([one, one]) == TrackCounts(2, 4, 6, 8, 10, 12, 14)
    assert add_counts([]) == TrackCounts(0, 0, 0, 0, 0, 0, 0)


def test_clips_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DarkposeError, match="tracks of 2 frames"):
        counted([{}], [{}, {}])
    points = TrackedFrames(np.zeros(1), ({0: FACE[:3]},))
    with pytest.raises(DarkposeError, match="4 landmarks"):
        count_tracks(points, clip({0: 0}))
    with pytest.raises(DarkposeError, match="on one line"):
        count_tracks(points, TrackedFrames(np.zeros(1), ({0: FACE[:3] * [1, 0]},)))
