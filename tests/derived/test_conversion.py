"""Derived landmarks: the points that schemas share, cubics between them, and weights that follow every affine map."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.datasets.sample import nme_normaliser
from darkpose.datasets.wflw import read_wflw
from darkpose.derived.conversion import convert, derivation, derive, derive_shared, shared_points
from darkpose.errors import DarkposeError
from darkpose.image.geometry import mirror_keypoints, transform
from darkpose.schema import AFLW_19, COFW_29, W300_68, WFLW_98, KeypointSchema

Floats = NDArray[np.float64]

WAYS = [(W300_68, WFLW_98), (WFLW_98, W300_68), (W300_68, AFLW_19), (WFLW_98, AFLW_19)]
EVERY_WAY = pytest.mark.parametrize(
    ("source", "target"), WAYS, ids=[f"{source.name} to {target.name}" for source, target in WAYS]
)
SEEDS = st.integers(0, 2**32 - 1)
COEFFICIENTS = st.lists(st.tuples(st.floats(-300, 300), st.floats(-300, 300)), min_size=4, max_size=4)

# The points that 300-W and WFLW share, from WFLW's definition (Wu et al., CVPR 2018): index of WFLW -> index of 300-W.
SHARED = {
    **{2 * i: i for i in range(17)},  # contour
    **{51 + i: 27 + i for i in range(9)},  # nose
    **{76 + i: 48 + i for i in range(20)},  # mouth
    **{60: 36, 64: 39, 68: 42, 72: 45},  # eye corners
}
UPPER_BROWS = {33: 17, 34: 18, 35: 19, 36: 20, 37: 21, 42: 22, 43: 23, 44: 24, 45: 25, 46: 26}
LOWER_BROWS = {  # index of WFLW -> brow point and lid points of 300-W
    **{38: (21, (39,)), 39: (20, (38,)), 40: (19, (37, 38)), 41: (18, (37,))},
    **{50: (22, (42,)), 49: (23, (43,)), 48: (24, (43, 44)), 47: (25, (44,))},
}
LIDS = {  # WFLW's points at quarters of a lid -> 300-W's at thirds, from the outer corner to the inner one
    (60, 61, 62, 63, 64): (36, 37, 38, 39),
    (60, 67, 66, 65, 64): (36, 41, 40, 39),
    (72, 71, 70, 69, 68): (45, 44, 43, 42),
    (72, 73, 74, 75, 68): (45, 46, 47, 42),
}
AFLW_SOURCES = {  # AFLW's 19 points, in order, as means of points of 300-W and of WFLW
    "300w-68": (
        *((17,), (19,), (21,), (22,), (24,), (26,)),  # brows
        *((36,), (37, 38, 40, 41), (39,), (42,), (43, 44, 46, 47), (45,)),  # eyes
        *((31,), (30,), (35,), (48,), (62, 66), (54,), (8,)),  # nose, mouth, chin
    ),
    "wflw-98": (
        *((33,), (35,), (37,), (42,), (44,), (46,)),
        *((60,), (61, 62, 63, 65, 66, 67), (64,), (68,), (69, 70, 71, 73, 74, 75), (72,)),
        *((55,), (54,), (59,), (76,), (90, 94), (82,), (16,)),
    ),
}


def face(schema: KeypointSchema, seed: int) -> Floats:
    return np.random.default_rng(seed).uniform(0, 300, (len(schema), 2))


def everything(schema: KeypointSchema) -> Floats:
    return np.ones(len(schema))


def one_hot(index: int, length: int) -> Floats:
    return np.asarray(np.eye(length)[index])


def cubic(values: Floats, nodes: Sequence[float], at: Sequence[float]) -> Floats:
    """The cubic through four points (4, 2), fitted by least squares, at other places."""
    return np.asarray(np.vander(at, 4) @ np.polyfit(nodes, values, 3))


def reference_wflw(points: Floats) -> Floats:
    """WFLW's landmarks from 300-W's, by index."""
    found = np.full((98, 2), np.nan)
    for wflw, w300 in {**SHARED, **UPPER_BROWS}.items():
        found[wflw] = points[w300]
    for i in range(1, 33, 2):
        first = min(max(i // 2 - 1, 0), 13)
        found[i] = cubic(points[first : first + 4], range(4), [i / 2 - first])[0]
    for wflw, (brow, lid) in LOWER_BROWS.items():
        found[wflw] = 0.7 * points[brow] + 0.3 * points[list(lid)].mean(axis=0)
    for quarters, thirds in LIDS.items():
        found[list(quarters)] = cubic(points[list(thirds)], [0, 1 / 3, 2 / 3, 1], [0, 0.25, 0.5, 0.75, 1])
    found[96], found[97] = points[[37, 38, 40, 41]].mean(axis=0), points[[43, 44, 46, 47]].mean(axis=0)
    return found


# ---------------------------------------------------------------------------------------------------------- weights


@EVERY_WAY
def test_weights_of_a_landmark_add_up_to_one_or_it_has_none(source: KeypointSchema, target: KeypointSchema) -> None:
    weights = derivation(source, target)
    assert weights.shape == (len(target), len(source))
    assert weights.dtype == np.float64
    expected = (weights != 0).any(axis=1).astype(float)
    np.testing.assert_allclose(weights.sum(axis=1), expected, rtol=0, atol=1e-14)


def test_all_of_wflw_and_aflw_can_be_derived_and_of_300w_what_wflw_shares() -> None:
    for source, target in WAYS:
        missing = np.flatnonzero(~derivation(source, target).any(axis=1)).tolist()
        brows_and_lids = [*range(17, 27), 37, 38, 40, 41, 43, 44, 46, 47]
        assert missing == (brows_and_lids if target is W300_68 else [])


def test_the_points_that_300w_and_wflw_share_are_taken_as_they_are_both_ways() -> None:
    forth, back = derivation(W300_68, WFLW_98), derivation(WFLW_98, W300_68)
    assert len(SHARED) == 50
    for wflw, w300 in SHARED.items():
        np.testing.assert_array_equal(forth[wflw], one_hot(w300, 68), err_msg=WFLW_98.names[wflw])
        np.testing.assert_array_equal(back[w300], one_hot(wflw, 98), err_msg=W300_68.names[w300])


def test_weights_are_handed_out_as_a_copy() -> None:
    first = derivation(W300_68, AFLW_19)
    expected = first.copy()
    first[:] = 7
    np.testing.assert_array_equal(derivation(W300_68, AFLW_19), expected)


@pytest.mark.parametrize("schema", [AFLW_19, W300_68, WFLW_98, COFW_29], ids=lambda schema: schema.name)
def test_a_schema_gives_itself(schema: KeypointSchema) -> None:
    np.testing.assert_array_equal(derivation(schema, schema), np.eye(len(schema)))


@pytest.mark.parametrize(
    ("source", "target"), [(COFW_29, WFLW_98), (AFLW_19, W300_68), (W300_68, COFW_29), (WFLW_98, COFW_29)]
)
def test_where_there_is_no_way_both_schemas_are_named(source: KeypointSchema, target: KeypointSchema) -> None:
    message = f"^landmarks of {target.name} cannot be derived from those of {source.name}$"
    with pytest.raises(DarkposeError, match=message):
        derivation(source, target)
    with pytest.raises(DarkposeError, match=message):
        derive(face(source, 0), everything(source), source, target)


# ------------------------------------------------------------------------------------------------------------ points


@given(seed=SEEDS)
def test_wflw_from_300w_is_what_the_reference_finds(seed: int) -> None:
    points = face(W300_68, seed)
    found, visible = derive(points, everything(W300_68), W300_68, WFLW_98)
    np.testing.assert_allclose(found, reference_wflw(points), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(visible, np.ones(98))


@pytest.mark.parametrize("source", [W300_68, WFLW_98], ids=lambda schema: schema.name)
def test_aflw_is_points_and_means_of_points(source: KeypointSchema) -> None:
    points = face(source, 1)
    found, visible = derive(points, everything(source), source, AFLW_19)
    expected = [points[list(indices)].mean(axis=0) for indices in AFLW_SOURCES[source.name]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(visible, np.ones(19))


@given(COEFFICIENTS)
def test_a_contour_on_a_cubic_is_followed_exactly(coefficients: list[tuple[float, float]]) -> None:
    def on_curve(at: Floats) -> Floats:
        return np.asarray(np.vander(at, 4) @ np.array(coefficients))

    points = face(W300_68, 2)
    points[:17] = on_curve(np.arange(17) / 16)
    found, _ = derive(points, everything(W300_68), W300_68, WFLW_98)
    np.testing.assert_allclose(found[:33], on_curve(np.arange(33) / 32), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("quarters", "thirds"), LIDS.items())
@given(COEFFICIENTS)
def test_a_lid_on_a_cubic_is_followed_exactly(
    quarters: tuple[int, ...], thirds: tuple[int, ...], coefficients: list[tuple[float, float]]
) -> None:
    points = face(W300_68, 3)
    points[list(thirds)] = np.vander(np.arange(4) / 3, 4) @ np.array(coefficients)
    found, _ = derive(points, everything(W300_68), W300_68, WFLW_98)
    expected = np.vander(np.arange(5) / 4, 4) @ np.array(coefficients)
    np.testing.assert_allclose(found[list(quarters)], expected, rtol=0, atol=1e-10)


@EVERY_WAY
@given(
    seed=SEEDS,
    turn=st.tuples(*[st.floats(-3, 3)] * 4),
    move=st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)),
)
def test_deriving_commutes_with_every_affine_map(
    source: KeypointSchema, target: KeypointSchema, seed: int, turn: tuple[float, ...], move: tuple[float, float]
) -> None:
    matrix = np.column_stack([np.reshape(turn, (2, 2)), move])
    points = face(source, seed)
    before, visible = derive(points, everything(source), source, target)
    after, _ = derive(transform(matrix, points), everything(source), source, target)
    known = visible > 0
    np.testing.assert_allclose(after[known], transform(matrix, before[known]), rtol=0, atol=1e-10)


@EVERY_WAY
@given(seed=SEEDS)
def test_a_mirrored_face_gives_the_mirrored_landmarks(
    source: KeypointSchema, target: KeypointSchema, seed: int
) -> None:
    points, seen, width = face(source, seed), np.random.default_rng(seed).integers(0, 2, len(source)), 301
    found, visible = derive(points, seen, source, target)
    mirrored = mirror_keypoints(points, source.flip_index, width)
    found_there, visible_there = derive(mirrored, seen[source.flip_index], source, target)
    np.testing.assert_array_equal(visible_there, visible[target.flip_index])
    expected, known = mirror_keypoints(found, target.flip_index, width), visible_there > 0
    np.testing.assert_allclose(found_there[known], expected[known], rtol=0, atol=1e-11)


def test_shared_points_survive_the_way_there_and_back() -> None:
    points = face(W300_68, 4)
    there = derive(points, everything(W300_68), W300_68, WFLW_98)
    back, visible = derive(*there, WFLW_98, W300_68)
    shared = sorted(SHARED.values())
    np.testing.assert_array_equal(np.flatnonzero(visible), shared)
    np.testing.assert_array_equal(back[shared], points[shared])


@pytest.mark.parametrize(
    ("source", "target", "same"),
    [
        pytest.param(W300_68, WFLW_98, SHARED, id="300w-68 to wflw-98"),
        pytest.param(WFLW_98, W300_68, {w300: wflw for wflw, w300 in SHARED.items()}, id="wflw-98 to 300w-68"),
        *(
            pytest.param(
                *(
                    source,
                    AFLW_19,
                    {i: from_[0] for i, from_ in enumerate(AFLW_SOURCES[source.name]) if len(from_) == 1},
                ),
                id=f"{source.name} to aflw-19",
            )
            for source in (W300_68, WFLW_98)
        ),
        pytest.param(COFW_29, COFW_29, {i: i for i in range(29)}, id="cofw-29 to itself"),
    ],
)
def test_shared_landmarks_alone_are_taken_where_one_asks_for_those(
    source: KeypointSchema, target: KeypointSchema, same: dict[int, int]
) -> None:
    points, seen = face(source, 8), everything(source)
    seen[[0, 8]] = 0
    found, visible = derive_shared(points, seen, source, target)
    expected = {i: j for i, j in same.items() if j not in (0, 8)}
    np.testing.assert_array_equal(np.flatnonzero(visible), sorted(expected))
    np.testing.assert_array_equal(found[[*expected]], points[[*expected.values()]])
    assert not found[visible == 0].any()


def test_a_batch_is_derived_face_by_face_and_nothing_given_is_changed() -> None:
    rng = np.random.default_rng(5)
    points, seen = rng.uniform(0, 300, (2, 3, 68, 2)), rng.integers(0, 2, (2, 3, 68))
    before = points.copy(), seen.copy()
    found, visible = derive(points, seen, W300_68, WFLW_98)
    assert (found.shape, visible.shape) == ((2, 3, 98, 2), (2, 3, 98))
    assert found.dtype == visible.dtype == np.float64
    for index in np.ndindex(2, 3):
        alone, seen_alone = derive(points[index], seen[index], W300_68, WFLW_98)
        np.testing.assert_allclose(found[index], alone, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(visible[index], seen_alone)
    np.testing.assert_array_equal(points, before[0])
    np.testing.assert_array_equal(seen, before[1])


# -------------------------------------------------------------------------------------------------------- visibility


@EVERY_WAY
@given(seed=SEEDS)
def test_a_derived_landmark_is_visible_if_all_that_it_needs_are(
    source: KeypointSchema, target: KeypointSchema, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    seen = rng.uniform(-1, 3, len(source)).clip(0)  # any number above 0 means seen
    found, visible = derive(face(source, seed), seen, source, target)
    for row, weights in enumerate(derivation(source, target)):
        needed = [k for k, weight in enumerate(weights) if weight != 0]
        assert visible[row] == float(bool(needed) and all(seen[k] > 0 for k in needed)), target.names[row]
    assert not found[visible == 0].any()


@pytest.mark.parametrize(
    ("hidden", "lost"),
    [
        pytest.param([3], {1, 3, 5, 6, 7, 9}, id="a contour point takes the cubics through it along"),
        pytest.param([16], {29, 31, 32}, id="the contour's end"),
        pytest.param([30], {54}, id="the nose's tip"),
        pytest.param([38], {61, 62, 63, 39, 40, 96}, id="a lid, the brow's edge above it and the pupil"),
        pytest.param([42], {68, 69, 70, 71, 73, 74, 75, 50}, id="an inner corner"),
        pytest.param([], set(), id="nothing"),
    ],
)
def test_a_hidden_landmark_hides_what_hangs_on_it(hidden: list[int], lost: set[int]) -> None:
    seen = everything(W300_68)
    seen[hidden] = 0
    _, visible = derive(face(W300_68, 6), seen, W300_68, WFLW_98)
    assert set(np.flatnonzero(visible == 0)) == lost


@pytest.mark.parametrize("target", [W300_68, WFLW_98, AFLW_19], ids=lambda schema: schema.name)
def test_whatever_stands_where_a_landmark_is_not_annotated_leaves_no_trace(target: KeypointSchema) -> None:
    points, seen = face(W300_68, 7), everything(W300_68)
    seen[[0, 20, 37, 66]] = 0
    expected = derive(np.where(seen[:, None] > 0, points, 0), seen, W300_68, target)
    points[[0, 20, 37, 66]] = np.array([[np.nan, np.nan], [np.inf, 5], [-1e300, 1e300], [-1, -1]])
    for found, wanted in zip(derive(points, seen, W300_68, target), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


# -------------------------------------------------------------------------------------------------------- real faces


def test_between_shared_points_the_contour_runs_where_people_marked_it(shared_data: Path) -> None:
    samples = read_wflw(shared_data / "wflw")
    points = np.stack([sample.keypoints for sample in samples])
    w300 = derive(points, np.ones(points.shape[:2]), WFLW_98, W300_68)
    found, visible = derive(*w300, W300_68, WFLW_98)
    assert visible[:, :33].all()
    normaliser = np.array([nme_normaliser(sample, WFLW_98) for sample in samples])
    errors = np.linalg.norm(found[:, :33] - points[:, :33], axis=-1) / normaliser[:, None]
    assert not errors[:, ::2].any()
    assert errors[:, 1::2].mean(axis=0).max() < 0.01  # of the distance of the outer eye corners; straight lines: 0.017


def test_shared_points_are_known_where_either_way_is() -> None:
    there, back = shared_points(W300_68, AFLW_19), shared_points(AFLW_19, W300_68)
    np.testing.assert_array_equal(there, back.T)
    assert back[W300_68.index("chin"), AFLW_19.index("chin")] == 1
    assert back.sum() == 16  # brows, corners of eyes and mouth, nostrils, tip of the nose, chin
    with pytest.raises(DarkposeError, match="cofw-29 and 300w-68 share"):
        shared_points(COFW_29, W300_68)


def test_converted_landmarks_say_which_are_the_same_points() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (68, 2))
    found = convert(points, W300_68, WFLW_98)
    assert found.schema is WFLW_98
    assert found.exact[WFLW_98.index("chin")]
    assert not found.exact[WFLW_98.index("left_pupil")]
    assert (found.keypoints[76:96] == points[48:68]).all()
    assert np.isfinite(found.keypoints).all()
    assert convert(points, W300_68, W300_68).exact.all()


def test_converted_landmarks_are_nan_where_what_they_need_is_not_known() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (68, 2))
    points[36] = np.nan  # outer corner of the left eye
    lost = np.isnan(convert(points, W300_68, WFLW_98).keypoints).any(axis=1)
    assert {WFLW_98.names[i] for i in np.flatnonzero(lost)} == {
        *(f"left_eye_{lid}_{part}" for lid in ("upper", "lower") for part in ("outer", "middle", "inner")),
        "left_eye_outer_corner",
    }
    back = convert(np.random.default_rng(0).uniform(0, 100, (98, 2)), WFLW_98, W300_68)
    assert np.isnan(back.keypoints[17:27]).all()  # the brows of the two are other points
    assert not back.exact[17:27].any()
