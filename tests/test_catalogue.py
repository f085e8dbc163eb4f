"""The published data sets by name."""

from pathlib import Path

import pytest

from darkpose.catalogue import DATA_SETS
from darkpose.errors import DarkposeError

NAMES = """wflw-train wflw-test aflw-train aflw-full aflw-frontal 300w-train 300w-common 300w-challenge 300w-full
300w-private 300w-lfpw cofw-train cofw-test"""


def test_the_names_are_these() -> None:
    assert sorted(DATA_SETS) == sorted(NAMES.split())


@pytest.mark.parametrize("name", sorted(DATA_SETS))
def test_an_empty_folder_is_one_clear_error_that_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=str(tmp_path)):
        DATA_SETS[name].read(tmp_path)


def test_the_published_counts_are_the_papers() -> None:
    counts = {name: each.published["faces"] for name, each in DATA_SETS.items()}
    assert (counts["wflw-train"], counts["wflw-test"]) == (7500, 2500)
    assert (counts["aflw-train"], counts["aflw-full"], counts["aflw-frontal"]) == (20000, 4386, 1314)
    assert (counts["300w-train"], counts["300w-full"]) == (3148, 689)


def test_real_faces_are_read_by_name(shared_data: Path) -> None:
    faces = DATA_SETS["wflw-test"].read(shared_data / "wflw")
    assert len(faces) == 310
    assert all(len(face.keypoints) == 98 for face in faces)
