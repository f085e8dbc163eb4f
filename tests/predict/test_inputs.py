"""Images that files, folders and globs name."""

import os
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.inputs import find_images


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_folders_are_searched_with_subfolders_and_sorted(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("b.jpg", "a.PNG", "sub/c.jpeg", "notes.txt", "d.tar")))
    found = find_images([str(tmp_path)])
    assert [str(item.name) for item in found] == ["a", "b", "sub/c"]


def test_globs_files_and_folders_may_be_mixed_and_each_image_is_given_once(tmp_path: Path) -> None:
    touch(tmp_path / "x1.jpg", tmp_path / "x2.jpg", tmp_path / "y.dat")
    found = find_images([str(tmp_path / "y.dat"), str(tmp_path / "x*.jpg"), str(tmp_path)])
    assert [item.path.name for item in found] == ["y.dat", "x1.jpg", "x2.jpg"]


def test_a_file_with_brackets_in_its_name_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path / "photo[1].jpg")
    assert len(find_images([str(tmp_path / "photo[1].jpg")])) == 1


def test_pictures_that_darkpose_has_drawn_are_left_out_of_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "a.landmarks.png", tmp_path / "a.aligned.png")
    assert [item.path.name for item in find_images([str(tmp_path)])] == ["a.jpg"]
    assert len(find_images([str(tmp_path / "a.landmarks.png")])) == 1  # unless they are named


def test_a_tar_file_is_refused_with_the_option_that_reads_it(tmp_path: Path) -> None:
    touch(tmp_path / "a.tar")
    with pytest.raises(DarkposeError, match="--format jsonl or parquet"):
        find_images([str(tmp_path / "a.tar")])


def test_images_of_the_same_name_get_different_output_names(tmp_path: Path) -> None:
    files = [tmp_path / "1" / "a.jpg", tmp_path / "1" / "a.png", tmp_path / "2" / "a.jpg", tmp_path / "3" / "a.jpg"]
    touch(*files)
    names = [str(item.name) for item in find_images([str(file) for file in files])]
    assert names == ["a", "a_png", "a_jpg", "a_2"]


@pytest.mark.parametrize("pattern", ["*", "**", "**/*", "[ab]*"])
def test_a_folder_that_a_glob_matches_is_searched_like_one_that_is_named(tmp_path: Path, pattern: str) -> None:
    touch(*(tmp_path / name for name in ("a.jpg", "album/1.jpg", "album/deep/2.jpg", "album/notes.txt", "album/t.tar")))
    (tmp_path / "b empty" / "too").mkdir(parents=True)
    found = find_images([str(tmp_path / pattern)])
    assert [str(item.path.relative_to(tmp_path)) for item in found] == ["a.jpg", "album/1.jpg", "album/deep/2.jpg"]
    from_folder = ["album/1", "album/deep/2"] if pattern == "**" else ["1", "deep/2"]  # as for the folder that matches
    assert [str(item.name) for item in found] == ["a", *from_folder]


def test_a_glob_whose_folders_have_no_images_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "album" / "notes.txt")
    with pytest.raises(DarkposeError, match=r"al\*: there are no images in the folders that match"):
        find_images([str(tmp_path / "al*")])


@pytest.mark.parametrize(
    ("argument", "message"),
    [("missing.jpg", "no such file"), ("none*.jpg", "nothing matches"), ("", "no images")],
)
def test_arguments_without_images_are_refused(tmp_path: Path, argument: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        find_images([str(tmp_path / argument)])


def test_a_subfolder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "closed" / "1.jpg")
    scan = os.scandir

    def guarded(folder: Path) -> Any:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", guarded)  # root reads every folder
    for argument in ("", "*", "c*", "closed"):
        with pytest.raises(DarkposeError, match=r"closed: .*cannot be read"):
            find_images([str(tmp_path / argument)])


def test_pictures_of_other_formats_in_a_folder_are_inputs_too(tmp_path: Path) -> None:
    names = ("a.jfif", "b.jpe", "c.gif", "d.HEIC", "e.avif", "f.dng")
    touch(*(tmp_path / name for name in (*names, "notes.txt", "page.svg")))
    assert [item.path.name for item in find_images([str(tmp_path)])] == list(names)


def test_an_image_that_is_named_in_several_ways_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "in" / "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    (found,) = find_images(["in/a.jpg", "./in/../in/a.jpg", str(tmp_path / "in"), "link", "link/a.jpg"])
    assert found.path == Path("in/a.jpg")


@pytest.mark.parametrize("argument", ["", "*.jpg"])
def test_what_is_no_file_but_has_the_name_of_an_image_is_an_input_whose_reader_says_so(
    tmp_path: Path, argument: str
) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "folder.jpg" / "notes.txt")
    os.mkfifo(tmp_path / "b.jpg")
    (tmp_path / "c.jpg").symlink_to("nowhere")
    found = find_images([str(tmp_path / argument)])
    assert [item.path.name for item in found] == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_long_name_is_shortened_so_that_its_outputs_can_be_written(tmp_path: Path) -> None:
    names = [f"{'m' * 230}{end}.png" for end in "ab"] + ["é" * 125 + ".png"]
    touch(*(tmp_path / name for name in names))
    found = [item.name.name for item in find_images([str(tmp_path)])]
    assert len(set(found)) == 3
    assert all(len(os.fsencode(name)) <= 200 for name in found)
    assert all(name.startswith(("m" * 180, "é" * 80)) for name in found)
