from pathlib import Path

import numpy as np
import pytest

from darkpose.deploy.face_crops import drawn_crops, found_crops
from darkpose.detect.haar import Haar
from darkpose.errors import DarkposeError
from darkpose.image.geometry import box_to_crop, image_to_crop
from darkpose.image.pixels import cut_crops, read_image, warp_image, write_image
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig

CONFIG = CheckpointConfig(HRNetConfig(2), crop_size=64)


def test_crops_are_cut_as_the_network_takes_them(astronaut: Path) -> None:
    image, box = read_image(astronaut), np.array([170.0, 80, 280, 190])
    crops, center, sides = cut_crops([image], box, CONFIG.crop_size, CONFIG.padding)
    middle, side = box_to_crop(box, padding=CONFIG.padding)
    (crop,) = crops
    assert (crop == warp_image(image, image_to_crop(middle, side[0], (64, 64)), (64, 64))).all()
    assert (center == middle).all()
    assert (sides == side).all()


def test_drawn_faces_are_always_the_same() -> None:
    first, again = drawn_crops(3, CONFIG), drawn_crops(3, CONFIG)
    assert first.crops.shape == (3, 64, 64, 3)
    assert (first.crops == again.crops).all()
    assert (first.sides == again.sides).all()
    part = first.part(1)
    assert len(part.crops) == len(part.center) == len(part.sides) == 2


def test_faces_are_found_in_photographs_and_broken_files_are_named_and_passed_over(
    tmp_path: Path, astronaut: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    write_image(tmp_path / "grey.png", np.full((64, 64, 3), 128, np.uint8))
    files = [tmp_path / "broken.png", tmp_path / "grey.png", astronaut, astronaut]
    told: list[str] = []
    found = found_crops(files, CONFIG, Haar(), 1, tell=told.append)
    assert found.crops.shape == (1, 64, 64, 3)
    assert found.source == "1 faces found in 4 photographs by haar"
    broken, counted = told
    assert broken.startswith(f"{tmp_path}/broken.png: not an image")
    assert counted == "of 3 photographs 1 could not be used, 1 without a face"
    assert len(found_crops(files, CONFIG, Haar(), 5).crops) == 2
    with pytest.raises(DarkposeError, match="at least 3 faces, found 2 in 4 files by haar: 1 could not be used"):
        found_crops(files, CONFIG, Haar(), 5, least=3)
    with pytest.raises(DarkposeError, match=r"with a face, found 0 in 2 .*: 1 could not be used, 1 without a face"):
        found_crops(files[:2], CONFIG, Haar(), 5)


def test_nothing_is_told_of_photographs_that_all_have_a_face(astronaut: Path) -> None:
    told: list[str] = []
    found_crops([astronaut], CONFIG, Haar(), 1, tell=told.append)
    assert not told
