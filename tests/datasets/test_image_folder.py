"""Images by the names that files of annotations have for them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.datasets.image_folder import ImageFolder, find_image_folder
from darkpose.errors import DarkposeError
from own_annotations import picture


@pytest.mark.parametrize(
    "name",
    [
        "sub/a.png",
        "./sub/a.png",
        "sub\\a.png",
        "/sub/a.png",
        "/home/me/photos/sub/a.png",
        "C:\\photos\\sub\\a.png",
        "../sub/a.png",
        "../../photos/sub/a.png",
        "other/../sub/a.png",
        "photos/sub/a.png",
    ],
)
def test_an_image_is_found_by_the_end_of_its_name(tmp_path: Path, name: str) -> None:
    image = picture(tmp_path, "sub/a.png")
    assert ImageFolder(tmp_path).find(name, "here") == image


@given(
    parts=st.lists(
        st.sampled_from(["..", ".", "", "/", "\\", "C:", "a", "b.png", "/etc/passwd", "secret.png", "\0"]), max_size=6
    )
)
def test_no_name_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    outside = tmp_path_factory.getbasetemp() / "secret.png"
    outside.touch()
    folder = outside.parent / "photos"
    folder.mkdir(exist_ok=True)
    for name in ("/".join(parts), "\\".join(parts), str(outside), "../secret.png"):
        try:
            found = ImageFolder(folder, deep=True).find(name, "here")
        except DarkposeError:
            continue
        assert found.is_relative_to(folder)
        assert ".." not in found.parts


def test_names_that_lead_out_and_missing_images_are_told(tmp_path: Path) -> None:
    folder = ImageFolder(tmp_path)
    found = [folder.find(name, "here") for name in ("../x/a.png", "b.png")]
    assert found == [tmp_path / "a.png", tmp_path / "b.png"]
    outside, missing = folder.notes(found)
    assert "lead out" in outside
    assert "../x/a.png" in outside
    assert "missing images: 2, the first:" in missing


def test_an_empty_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"x\.csv:3: expected the name of an image"):
        ImageFolder(tmp_path).find("", "x.csv:3")


def test_a_given_folder_is_searched_whole_for_a_file_name_that_is_unique(tmp_path: Path) -> None:
    image = picture(tmp_path, "train/a.png")
    assert find_image_folder(tmp_path / "x.json", tmp_path, []).find("a.png", "here") == image
    picture(tmp_path, "test/a.png")
    assert find_image_folder(tmp_path / "x.json", tmp_path, []).find("a.png", "here") == tmp_path / "a.png"


@pytest.mark.parametrize(
    ("file", "image"),
    [
        ("x.json", "a.png"),
        ("x.json", "images/a.png"),
        ("annotations/person_keypoints_train.json", "images/a.png"),
        ("annotations/person_keypoints_train.json", "images/train/a.png"),
        ("annotations/x.json", "a.png"),
    ],
)
def test_the_folder_of_the_images_is_found_around_the_file(tmp_path: Path, file: str, image: str) -> None:
    expected = picture(tmp_path, image)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    assert find_image_folder(tmp_path / file, None, ["b.png", "a.png"]).find("a.png", "here") == expected


def test_images_beside_the_working_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = picture(tmp_path, "images/a.png")
    (tmp_path / "annotations").mkdir()
    monkeypatch.chdir(tmp_path / "annotations")
    assert find_image_folder(Path("x.json"), None, ["a.png"]).find("a.png", "here").resolve() == expected


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="expected the folder of the images"):
        find_image_folder(tmp_path / "x.json", tmp_path / "none", [])
