"""XML files of imglab."""

from pathlib import Path

import pytest

from darkpose.datasets.annotations import read_annotations
from darkpose.errors import DarkposeError
from own_annotations import XML, picture

BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><dataset><name>&b;</name></dataset>'
FILE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><dataset><name>&a;</name></dataset>'


def written(folder: Path, text: str | bytes) -> Path:
    picture(folder)
    (folder / "x.xml").write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
    return folder / "x.xml"


def of_boxes(*boxes: str) -> str:
    return f"<dataset><images><image file='a.png'>{''.join(boxes)}</image></images></dataset>"


def box(*parts: str, label: str = "") -> str:
    return f"<box top='1' left='2' width='30' height='40'>{label}{''.join(parts)}</box>"


A, B = "<part name='a' x='3' y='4'/>", "<part name='b' x='5' y='6'/>"
CAT, DOG = "<label>cat</label>", "<label>dog</label>"


def test_boxes_with_parts_are_read_and_others_are_counted(tmp_path: Path) -> None:
    found = read_annotations(written(tmp_path, XML))
    (sample,) = found.samples
    assert found.schema.names == ("0", "1", "2", "10"), "names that are numbers are in their order"
    assert sample.keypoints.tolist() == [[10, 20], [30, 20], [1, 2], [50, 44]]
    assert sample.box.tolist() == [5, 6, 55, 46]
    assert sample.image == tmp_path / "a.png"
    assert sample.source.endswith("x.xml:5")
    assert (found.category, found.format) == ("cat", "imglab")
    assert "1 of 2 boxes are left out: 1 to be ignored" in found.notes


def test_a_part_that_a_box_lacks_is_not_annotated(tmp_path: Path) -> None:
    found = read_annotations(written(tmp_path, of_boxes(box(B), box(A, B))))
    assert found.schema.names == ("a", "b")
    assert [each.visible.tolist() for each in found.samples] == [[0, 1], [1, 1]]


def test_one_of_several_labels_is_chosen(tmp_path: Path) -> None:
    file = written(tmp_path, of_boxes(box(A, B, label=CAT), box(A, label=DOG), box(label=DOG)))
    with pytest.raises(DarkposeError, match="choose with --category: 'cat', 'dog'"):
        read_annotations(file)
    found = read_annotations(file, category="dog")
    assert (len(found.samples), found.schema.names, found.schema.name) == (1, ("a",), "dog")
    assert "2 of 3 boxes are left out: 1 of another label, 1 without parts" in found.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "without a document type"),
        (FILE, "without a document type"),
        ("<dataset>", "not XML"),
        ("<dataset/>", "expected annotated faces, found none"),
        (of_boxes(box()), "expected annotated faces, found none"),
        (of_boxes(box(A, A)), r":1: the part 'a' is there twice"),
        (of_boxes(box("<part name='a' x='?' y='4'/>", B)), r":1: part 'a': expected numbers"),
        (of_boxes(box("<part name='a' y='4'/>", B)), r":1: part 'a': expected numbers"),
        (of_boxes(box("<part name='a' x='nan' y='4'/>", B)), r":1: a landmark is not a finite number"),
        (of_boxes("<box top='?'>" + A + B + "</box>"), r":1: expected numbers"),
        ("<dataset><images><image><box>" + A + B + "</box></image></images></dataset>", "the name of an image"),
        ("<a>" * 200, "in each other"),
        (b"<?xml version='1.0' encoding='none'?><dataset/>", "not XML"),
        (b"<dataset>\xff</dataset>", "not XML"),
    ],
)
def test_another_file_is_one_sentence(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DarkposeError, match=rf"x\.xml.*{message}"):
        read_annotations(written(tmp_path, text))


def test_the_encoding_of_the_file_counts(tmp_path: Path) -> None:
    text = "<?xml version='1.0' encoding='ISO-8859-1'?>" + of_boxes(box(A, B, label="<label>Käse</label>"))
    assert read_annotations(written(tmp_path, text)).category == "Käse"
