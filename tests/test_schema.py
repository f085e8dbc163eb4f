"""Schemas: published flip pairs, shared points, joined schemas and invalid ones."""

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json, parse_json
from darkpose.files.records import parse_record
from darkpose.schema import (
    AFLW_19,
    COFW_29,
    SCHEMAS,
    W300_68,
    WFLW_98,
    KeypointSchema,
    flip_pairs_from_names,
    join_schemas,
    mirrored,
    name_for_schema,
    regions,
)


def pairs(first: list[int], second: list[int]) -> set[tuple[int, int]]:
    return {(min(i, j), max(i, j)) for i, j in zip(first, second, strict=True)}


PUBLISHED_PAIRS = {
    "aflw-19": {(0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9), (12, 14), (15, 17)},
    "wflw-98": pairs([*range(16)], [*range(32, 16, -1)])
    | pairs([*range(33, 38)], [*range(46, 41, -1)])
    | pairs([38, 39, 40, 41], [50, 49, 48, 47])
    | pairs([60, 61, 62, 63, 64, 65, 66, 67], [72, 71, 70, 69, 68, 75, 74, 73])
    | pairs([55, 56, 76, 77, 78, 87, 86], [59, 58, 82, 81, 80, 83, 84])
    | pairs([88, 89, 95, 96], [92, 91, 93, 97]),
    "300w-68": pairs([*range(8)], [*range(16, 8, -1)])
    | pairs([*range(17, 22)], [*range(26, 21, -1)])
    | pairs([31, 32, 36, 37, 38, 39, 40, 41], [35, 34, 45, 44, 43, 42, 47, 46])
    | pairs([48, 49, 50, 59, 58, 60, 61, 67], [54, 53, 52, 55, 56, 64, 63, 65]),
    "cofw-29": {(0, 1), (2, 3), (4, 6), (5, 7), (8, 9), (10, 11), (12, 14), (13, 15), (16, 17), (18, 19), (22, 23)},
}
SIZES = {"aflw-19": 19, "wflw-98": 98, "300w-68": 68, "cofw-29": 29}


@pytest.mark.parametrize("name", SIZES)
def test_flip_pairs_are_the_published_ones_and_follow_from_the_names(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema.name == name
    assert len(schema) == SIZES[name]
    assert set(schema.flip_pairs) == PUBLISHED_PAIRS[name]
    assert flip_pairs_from_names(schema.names) == schema.flip_pairs


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_the_flip_index_undoes_itself(schema: KeypointSchema) -> None:
    np.testing.assert_array_equal(schema.flip_index[schema.flip_index], np.arange(len(schema)))


def test_a_changed_flip_index_leaves_the_schema_alone() -> None:
    index = WFLW_98.flip_index
    index[0] = 5
    assert WFLW_98.flip_index[0] == 32


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_a_mirrored_schema_means_the_same(schema: KeypointSchema) -> None:
    index = schema.flip_index
    assert [schema.names[i] for i in index] == [mirrored(name) for name in schema.names]
    if schema.nme_pair:
        assert {int(index[i]) for i in schema.nme_pair} == set(schema.nme_pair)
    assert {int(index[i]) for i in schema.left_eye} == set(schema.right_eye)
    edges = {frozenset(edge) for line in schema.outlines for edge in pairwise(line)}
    assert {frozenset(int(index[i]) for i in edge) for edge in edges} == edges


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        (WFLW_98, ("left_eye_outer_corner", "right_eye_outer_corner")),
        (W300_68, ("left_eye_outer_corner", "right_eye_outer_corner")),
        (COFW_29, ("left_eye_outer_corner", "right_eye_outer_corner")),
    ],
    ids=["wflw-98", "300w-68", "cofw-29"],
)
def test_errors_are_normalised_by_the_outer_eye_corners(schema: KeypointSchema, names: tuple[str, str]) -> None:
    assert schema.nme_pair == tuple(schema.index(name) for name in names)


def test_aflw_errors_are_normalised_by_the_box() -> None:
    assert AFLW_19.nme_pair is None


def test_points_that_wflw_and_300w_share_have_the_same_names_but_for_the_contours_number() -> None:
    shared = {
        **{51 + i: 27 + i for i in range(9)},  # nose
        **{76 + i: 48 + i for i in range(20)},  # mouth
        **{60: 36, 64: 39, 68: 42, 72: 45},  # eye corners
        16: 8,  # chin
    }
    for wflw, w300 in shared.items():
        assert WFLW_98.names[wflw] == W300_68.names[w300]
    for i in (*range(8), *range(9, 17)):  # contour: every second point, numbered by 2
        side, number = W300_68.names[i].rsplit("_", 1)
        assert WFLW_98.names[2 * i] == f"{side}_{2 * int(number)}"


def test_a_landmark_is_found_by_name_and_a_wrong_name_is_told_the_nearest() -> None:
    assert AFLW_19.index("chin") == 18
    with pytest.raises(DarkposeError, match=r"aflw-19 has no landmark 'chim'; .*chin"):
        AFLW_19.index("chim")


def test_indices_may_be_lists_and_arrays() -> None:
    plain = KeypointSchema("three", ("a", "b", "c"), ((0, 1),), ((0, 1, 2),), (0, 1), (0,), (1, 2))
    pairs: Any = np.array([[0, 1]])
    lines: Any = [[0, np.int64(1), 2]]
    pair: Any = np.array([0, 1])
    eye: Any = [np.int32(0)]
    assert KeypointSchema("three", plain.names, pairs, lines, pair, eye, pair + 1) == plain
    with pytest.raises(DarkposeError, match="indices must be whole numbers"):
        KeypointSchema("three", plain.names, pairs * 1.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"names": ("a", "b", "a")}, r"these repeat: \['a'\]", id="a name twice"),
        pytest.param({"flip_pairs": ((0, 1), (1, 2))}, "one flip pair only", id="a landmark in two pairs"),
        pytest.param({"flip_pairs": ((1, 1),)}, "one flip pair only", id="a pair with itself"),
        pytest.param({"flip_pairs": ((0, 3),)}, r"uses the indices \[3\]", id="a pair outside"),
        pytest.param({"outlines": ((0, -1),)}, r"uses the indices \[-1\]", id="an outline outside"),
        pytest.param({"nme_pair": (0, 9)}, r"uses the indices \[9\]", id="a normaliser outside"),
        pytest.param({"named_regions": (("ear", (0, 5)),)}, r"uses the indices \[5\]", id="a region outside"),
        pytest.param({"nme_box": "width"}, "nme_box must be side or diagonal", id="another length of the box"),
        pytest.param({"left_eye": (4,)}, r"uses the indices \[4\]", id="an eye outside"),
        pytest.param({"parts": (AFLW_19,)}, "three has 3 landmarks, but its parts have 19", id="other parts"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(fields: dict[str, object], message: str) -> None:
    valid: dict[str, object] = {"name": "three", "names": ("a", "b", "c"), "flip_pairs": ()}
    assert len(KeypointSchema(**valid)) == 3  # type: ignore[arg-type]
    with pytest.raises(DarkposeError, match=message):
        KeypointSchema(**(valid | fields))  # type: ignore[arg-type]


def test_a_schemas_own_regions_count_and_come_back_from_json() -> None:
    own = KeypointSchema(
        "cat", ("a", "left_eye", "c"), (), named_regions=(("ears", (0, 2)), ("none", ())), nme_box="diagonal"
    )
    assert {name: part.tolist() for name, part in regions(own).items()} == {"ears": [0, 2]}
    values = parse_json(format_json(asdict(own)))
    assert parse_record(KeypointSchema, values) == own
    older = {name: value for name, value in values.items() if name not in ("named_regions", "nme_box")}
    assert {name: part.tolist() for name, part in regions(parse_record(KeypointSchema, older)).items()} == {"eyes": [1]}


# -------------------------------------------------------------------------------------------------------------- joined

JOINED = join_schemas(COFW_29, WFLW_98, AFLW_19)


def test_a_joined_schema_has_the_landmarks_of_its_parts_one_after_the_other() -> None:
    assert JOINED.name == "cofw-29+wflw-98+aflw-19"
    assert JOINED.parts == (COFW_29, WFLW_98, AFLW_19)
    assert len(JOINED) == 29 + 98 + 19
    assert JOINED.names[0] == "cofw-29/left_brow_outer"
    assert JOINED.names[29 + 16] == "wflw-98/chin"
    assert JOINED.names[-1] == "aflw-19/chin"
    assert JOINED.index("wflw-98/left_pupil") == 29 + 96


def test_a_joined_schema_mirrors_every_part_within_itself() -> None:
    firsts = {"cofw-29": 0, "wflw-98": 29, "aflw-19": 29 + 98}
    expected = {(i + first, j + first) for name, first in firsts.items() for i, j in PUBLISHED_PAIRS[name]}
    assert set(JOINED.flip_pairs) == expected
    np.testing.assert_array_equal(JOINED.flip_index[JOINED.flip_index], np.arange(146))
    for part in JOINED.parts:
        rows = JOINED.rows(part.name)
        np.testing.assert_array_equal(JOINED.flip_index[rows] - rows.start, part.flip_index)


def test_a_joined_schema_knows_where_its_parts_lie() -> None:
    assert [JOINED.rows(part.name) for part in JOINED.parts] == [slice(0, 29), slice(29, 127), slice(127, 146)]
    assert JOINED.rows("cofw-29+wflw-98+aflw-19") == slice(0, 146)
    for part in JOINED.parts:
        assert JOINED.names[JOINED.rows(part.name)] == tuple(f"{part.name}/{name}" for name in part.names)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_a_schema_that_joins_no_others_is_all_its_own(schema: KeypointSchema) -> None:
    assert schema.parts == ()
    assert schema.rows(schema.name) == slice(0, len(schema))


def test_a_schema_that_is_not_held_is_told_the_held_ones() -> None:
    with pytest.raises(DarkposeError, match="cofw-29, wflw-98, aflw-19, got '300w-68'"):
        JOINED.rows("300w-68")
    with pytest.raises(DarkposeError, match="aflw-19, got ''"):
        AFLW_19.rows("")


def test_a_schema_cannot_be_joined_with_itself() -> None:
    with pytest.raises(DarkposeError, match=r"unique.*'aflw-19/chin'"):
        join_schemas(AFLW_19, WFLW_98, AFLW_19)


def test_regions_and_mirror_images_are_known_in_joined_schemas_too() -> None:
    joined = join_schemas(W300_68, AFLW_19)
    found = regions(joined)
    assert sum(map(len, found.values())) == len(joined)
    assert len(found["mouth"]) == 20 + 3
    assert flip_pairs_from_names(joined.names) == joined.flip_pairs


@pytest.mark.parametrize("name", ["", "../../x", "/etc/passwd", "a/b", "a\\b", ".hidden", "x" * 101, "a\0b", "a\nb"])
def test_a_name_that_cannot_be_part_of_a_file_name_is_refused(name: str) -> None:
    with pytest.raises(DarkposeError, match="becomes part of file names"):
        KeypointSchema(name, ("a",), ())
    assert len(KeypointSchema(name_for_schema(name), ("a",), ())) == 1
