"""Faces of several sets under one joined schema: annotated, derived, or invisible."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from darkpose.datasets.joined import DIFFERENT_POINTS, FACES, read_faces, to_joined_schema
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.files.pts import format_pts
from darkpose.image.geometry import mirror_keypoints
from darkpose.schema import AFLW_19, COFW_29, W300_68, WFLW_98, KeypointSchema, join_schemas

LIST = "wflw/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{}.txt"
W300, WFLW, AFLW = slice(0, 68), slice(68, 166), slice(166, 185)
# What 300-W shares with WFLW, in 300-W's order, and where WFLW has it (Wu et al., CVPR 2018).
SHARED = [*range(17), *range(27, 37), 39, 42, 45, *range(48, 68)]
SHARED_IN_WFLW = [*range(0, 33, 2), *range(51, 60), 60, 64, 68, 72, *range(76, 96)]


def sample(schema: KeypointSchema, seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    keypoints, box = rng.uniform(0, 300, (len(schema), 2)), np.array([1.0, 2, 290, 280])
    return Sample(Path("a.png"), keypoints, np.ones(len(schema)), box, frozenset(["pose"]), 7.5, "list:3")


def test_the_joined_schema_holds_300w_wflw_and_aflw_in_this_order() -> None:
    assert FACES.parts == (W300_68, WFLW_98, AFLW_19)
    assert (FACES.rows("300w-68"), FACES.rows("wflw-98"), FACES.rows("aflw-19")) == (W300, WFLW, AFLW)
    assert FACES.names[16] == "300w-68/right_contour_0"
    assert FACES.names[68 + 96 :][:3] == ("wflw-98/left_pupil", "wflw-98/right_pupil", "aflw-19/left_brow_outer")


def test_a_300w_face_has_all_landmarks_of_all_schemas() -> None:
    face = sample(W300_68)
    found = to_joined_schema(face, W300_68)
    np.testing.assert_array_equal(found.keypoints[W300], face.keypoints)
    np.testing.assert_array_equal(found.keypoints[WFLW][SHARED_IN_WFLW], face.keypoints[SHARED])
    np.testing.assert_array_equal(found.keypoints[AFLW][[13, 18]], face.keypoints[[30, 8]])  # nose tip and chin
    np.testing.assert_array_equal(found.visible, np.ones(185))


def test_a_wflw_face_has_of_300w_what_both_share() -> None:
    face = sample(WFLW_98)
    found = to_joined_schema(face, WFLW_98)
    np.testing.assert_array_equal(np.flatnonzero(found.visible[W300]), SHARED)
    np.testing.assert_array_equal(found.keypoints[W300][SHARED], face.keypoints[SHARED_IN_WFLW])
    assert not found.keypoints[W300][found.visible[W300] == 0].any()
    np.testing.assert_array_equal(found.keypoints[WFLW], face.keypoints)
    np.testing.assert_array_equal(found.visible[68:], np.ones(117))


def test_a_landmark_that_is_not_annotated_is_invisible_in_every_schema() -> None:
    visible = np.ones(68)
    visible[[8, 36]] = 0  # chin and the left eye's outer corner
    found = to_joined_schema(replace(sample(W300_68), visible=visible), W300_68)
    hidden = {FACES.names[i] for i in np.flatnonzero(found.visible == 0)}
    assert {"300w-68/chin", "wflw-98/chin", "aflw-19/chin"} <= hidden
    assert {f"{schema}/left_eye_outer_corner" for schema in ("300w-68", "wflw-98", "aflw-19")} <= hidden
    # Cubics through the chin: four contour points of WFLW around it; through the corner: three points on either lid.
    assert len(hidden) == 6 + 4 + 6


def test_everything_but_the_landmarks_stays_and_the_given_face_too() -> None:
    face = sample(W300_68)
    keypoints = face.keypoints.copy()
    found = to_joined_schema(face, W300_68)
    assert (found.image, found.subsets) == (Path("a.png"), frozenset(["pose"]))
    assert (found.box_size, found.source) == (7.5, "list:3")
    np.testing.assert_array_equal(found.box, face.box)
    found.keypoints[:] = 0
    np.testing.assert_array_equal(face.keypoints, keypoints)


@pytest.mark.parametrize("schema", [W300_68, WFLW_98], ids=lambda schema: schema.name)
def test_a_mirrored_face_has_the_mirrored_landmarks_of_the_joined_schema(schema: KeypointSchema) -> None:
    visible = np.random.default_rng(1).integers(0, 2, len(schema)).astype(float)
    face = replace(sample(schema), visible=visible)
    mirrored = replace(
        face,
        keypoints=mirror_keypoints(face.keypoints, schema.flip_index, 301),
        visible=visible[schema.flip_index],
    )
    found, there = to_joined_schema(face, schema), to_joined_schema(mirrored, schema)
    np.testing.assert_array_equal(there.visible, found.visible[FACES.flip_index])
    expected, known = mirror_keypoints(found.keypoints, FACES.flip_index, 301), there.visible > 0
    np.testing.assert_allclose(there.keypoints[known], expected[known], rtol=0, atol=1e-11)


def test_another_joined_schema_can_be_asked_for() -> None:
    face = sample(WFLW_98)
    found = to_joined_schema(face, WFLW_98, join_schemas(AFLW_19, WFLW_98))
    np.testing.assert_array_equal(found.keypoints[19:], face.keypoints)
    np.testing.assert_array_equal(found.keypoints[18], face.keypoints[16])  # chin


def test_a_schema_from_which_nothing_follows_is_refused() -> None:
    with pytest.raises(DarkposeError, match=r"no landmark of 300w-68\+.* can be derived from those of cofw-29"):
        to_joined_schema(sample(COFW_29), COFW_29)


def test_an_aflw_face_has_no_landmarks_of_the_finer_schemas() -> None:
    face = sample(AFLW_19)
    found = to_joined_schema(face, AFLW_19)
    np.testing.assert_array_equal(found.keypoints[AFLW], face.keypoints)
    np.testing.assert_array_equal(found.visible, [0.0] * 166 + [1.0] * 19)


# ------------------------------------------------------------------------------------------------------------- reading


def landmarks(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(5, 55, (count, 2)).round(6)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four faces of 300-W, the last one a test face, and three of WFLW: two to train on and one to test on."""
    folders = ("afw", "helen/trainset", "lfpw/trainset", "lfpw/testset")
    for seed, folder in enumerate(folders):
        image = tmp_path / "300w" / folder / f"{seed}.png"
        image.parent.mkdir(parents=True)
        cv2.imwrite(str(image), np.zeros((60, 60, 3), np.uint8))
        image.with_suffix(".pts").write_text(format_pts(landmarks(68, seed)))
    for split, seeds in (("train", (10, 11)), ("test", (12,))):
        path = tmp_path / LIST.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [[*landmarks(98, seed).ravel().tolist(), 1, 2, 50, 40, *[0] * 6, f"a/{seed}.jpg"] for seed in seeds]
        path.write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))
    return tmp_path


def names(faces: list[Sample]) -> list[str]:
    return [face.image.stem for face in faces]


def test_the_training_faces_of_the_sets_come_one_set_after_the_other(root: Path) -> None:
    faces = read_faces(root, {"300w": 1, "wflw": 1})
    assert names(faces) == ["0", "1", "2", "10", "11"]  # no test face of either set
    assert {face.keypoints.shape for face in faces} == {(185, 2)}
    np.testing.assert_allclose(faces[2].keypoints[W300], landmarks(68, 2), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(faces[3].keypoints[WFLW], landmarks(98, 10))
    w300, wflw = (
        DIFFERENT_POINTS["300w-68"],
        DIFFERENT_POINTS["wflw-98"],
    )  # what a set places elsewhere, only its own faces say
    assert [face.visible.sum() for face in faces] == [185 - len(wflw)] * 3 + [167 - len(w300)] * 2
    assert not any(face.visible[wflw].any() for face in faces[:3])
    assert not any(face.visible[w300].any() for face in faces[3:])
    assert all(face.visible[wflw].all() for face in [*faces[3:], *read_faces(root, {"300w": 1})])
    assert all(face.visible[w300].all() for face in [*faces[:3], *read_faces(root, {"wflw": 1})])


def test_what_two_sets_place_elsewhere_is_numbered_alike_in_both() -> None:
    names = {part.name: np.array(FACES.names) for part in FACES.parts}
    w300 = [name.partition("/")[2] for name in names["300w-68"][DIFFERENT_POINTS["300w-68"]]]
    wflw = [name.partition("/")[2] for name in names["wflw-98"][DIFFERENT_POINTS["wflw-98"]]]
    assert w300[-8:] == wflw[-8:]  # the lips
    assert (len(w300), len(wflw)) == (16 + 8, 32 + 8)
    assert not any("chin" in name for name in [*w300, *wflw])


def test_sets_may_come_in_any_order(root: Path) -> None:
    assert names(read_faces(root, {"wflw": 1, "300w": 1})) == ["10", "11", "0", "1", "2"]


def test_a_face_comes_as_often_as_asked(root: Path) -> None:
    assert names(read_faces(root, {"300w": 1, "wflw": 3})) == ["0", "1", "2", *["10", "11"] * 3]
    assert names(read_faces(root, {"300w": 2, "wflw": 0})) == ["0", "1", "2"] * 2


def test_wflws_test_faces_are_read_only_if_asked_for(root: Path) -> None:
    (face,) = read_faces(root, {"wflw-test": 1})
    assert (face.image.stem, face.subsets) == ("12", frozenset(["wflw-test"]))
    (root / LIST.format("train")).unlink()
    with pytest.raises(DarkposeError, match=r"list_98pt_rect_attr_train\.txt: cannot be read"):
        read_faces(root, {"wflw": 1})


def test_faces_in_large_poses_join_with_their_weights(root: Path) -> None:
    points = landmarks(68, 20).tolist()
    for folder in ("cfp", "merlrav", "ytf"):
        (root / folder).mkdir()
        lines = [
            {"file": f"{i}.jpg", "kind": "profile", "person": i, "video": i, "image": i, "pose": pose, "pts68": points}
            for i, pose in enumerate(["frontal", "left"] * 10)
        ]
        for line in lines:
            line["vis"] = [2] * 68
        (root / folder / "annotations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    whole = read_faces(root, {"merlrav": 1})
    turned = read_faces(root, {"merlrav-turned": 1})
    assert 0 < len(turned) < len(whole)
    assert {frozenset(face.subsets) for face in turned} == {frozenset(["profile"])}
    (weak,) = {weight for face in read_faces(root, {"ytf": 1}) for weight in face.visible}
    (usual,) = {weight for face in read_faces(root, {"cfp": 1}) for weight in face.visible}
    assert (weak, usual) == (0.3, 1.0)
    first = read_faces(root, {"cfp": 1, "wflw": 1})[0]
    assert not first.visible[DIFFERENT_POINTS["wflw-98"]].any()  # as of 300-W's faces
    assert first.visible[W300].all()


def test_an_unknown_or_missing_set_is_named(root: Path) -> None:
    with pytest.raises(DarkposeError, match="there is no data set to join 'cofw'; choose one of cfp, merlrav, ytf"):
        read_faces(root, {"300w": 1, "cofw": 1})
    for folder, problem in (("300w", "expected .pts files"), ("wflw", "list_98pt_rect_attr_train.txt: cannot be read")):
        with pytest.raises(DarkposeError, match=problem):
            read_faces(root / "elsewhere", {folder: 1})


def test_faces_that_cannot_be_read_raise_or_are_collected(root: Path) -> None:
    (root / "300w/afw/0.png").unlink()
    with (root / LIST.format("train")).open("a") as file:
        file.write("1 2 3\n")
    with pytest.raises(DarkposeError, match=r"0\.pts: expected an image"):
        read_faces(root, {"300w": 1, "wflw": 1})
    broken: list[str] = []
    assert names(read_faces(root, {"300w": 1, "wflw": 2}, broken=broken)) == ["1", "2", *["10", "11"] * 2]
    assert [Path(text.split(": ")[0]).name for text in broken] == ["0.pts", "list_98pt_rect_attr_train.txt:3"]
