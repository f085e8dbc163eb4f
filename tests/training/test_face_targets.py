"""Targets and loss of the face detector."""

import numpy as np
import pytest
import torch

from darkpose.detect.cells import faces_of, without_duplicates
from darkpose.training.face_pictures import TrainingPicture
from darkpose.training.face_targets import detector_losses, targets_of

SIZE = 256
FACES = np.array(
    [[40.3, 50.7, 20, 24, 0.3], [128, 130, 70, 90, -2.0], [200, 60, 30, 36, 1.5], [150, 200, 150, 160, 0.0]]
)


def picture(faces: np.ndarray, **changes: object) -> TrainingPicture:
    values = {
        "image": np.zeros((SIZE, SIZE, 3), np.uint8),
        "faces": faces,
        "certainty": np.ones(len(faces)),
        "ignored": np.zeros((0, 4)),
        "counts": np.ones(len(faces), bool),
        "doubtful": np.zeros((SIZE, SIZE), bool),
        **changes,
    }
    return TrainingPicture(**values)  # type: ignore[arg-type]


def grids_that_say(targets: list[np.ndarray]) -> list[torch.Tensor]:
    """What a network says that has learnt the targets."""
    grids = []
    for target in targets:
        score = np.clip(target[:1], 1e-4, 1 - 1e-4)
        grids.append(torch.from_numpy(np.concatenate([np.log(score / (1 - score)), target[1:7]])[None]))
    return grids


def test_the_targets_decode_to_the_faces() -> None:
    grids = grids_that_say(targets_of(picture(FACES)))
    cells = np.concatenate([grid[0].flatten(1).numpy() for grid in grids], axis=1)
    found = without_duplicates(faces_of(cells, (SIZE, SIZE), 0.5))
    order = [int(np.argmin(np.linalg.norm(found.center - face[:2], axis=1))) for face in FACES]
    assert sorted(order) == list(range(len(FACES)))
    np.testing.assert_allclose(found.center[order], FACES[:, :2], atol=1e-3)
    np.testing.assert_allclose(found.size[order], FACES[:, 2:4], rtol=1e-5)
    np.testing.assert_allclose(found.roll[order], FACES[:, 4], atol=1e-5)
    assert (found.scores > 0.99).all()


def test_a_network_that_says_the_targets_has_no_loss() -> None:
    targets = targets_of(picture(FACES))
    losses = detector_losses(grids_that_say(targets), [torch.from_numpy(target[None]) for target in targets])
    assert max(float(loss) for loss in losses) < 2e-5


def test_what_is_ignored_or_does_not_count_has_no_weight() -> None:
    boxes = np.array([[100.0, 100, 140, 130]])
    fine, _, _ = targets_of(picture(FACES[:1], ignored=boxes, counts=np.array([False])))
    assert (fine[0] == 0).all()
    assert (fine[8][13:16, 13:17] == 0).all()
    assert (fine[8][6, 5], fine[8][31, 31]) == (0, 1)


def test_doubtful_places_weigh_less_but_for_the_face() -> None:
    fine, _, _ = targets_of(picture(FACES[:1], doubtful=np.ones((SIZE, SIZE), bool)))
    assert fine[8][6, 5] == 1
    assert fine[8][31, 31] == pytest.approx(0.15)


def test_the_smaller_of_two_faces_at_one_place_is_in_front() -> None:
    near = np.array([[64.0, 64, 39, 39, 0], [66, 64, 20, 20, 0]])
    fine, _, _ = targets_of(picture(near))
    assert fine[0].max() == 1
    assert np.exp(fine[3][fine[0] == 1]).min() * 8 == pytest.approx(20, rel=1e-5)


def test_the_loss_of_a_picture_without_faces_has_finite_gradients() -> None:
    targets = [torch.from_numpy(target[None]) for target in targets_of(picture(np.zeros((0, 5))))]
    grids = [torch.zeros(1, 7, *target.shape[2:], requires_grad=True) for target in targets]
    sum(detector_losses(grids, targets)).backward()  # type: ignore[union-attr]
    assert all(torch.isfinite(grid.grad).all() for grid in grids if grid.grad is not None)


def test_box_losses_are_one_minus_the_giou_of_plain_boxes() -> None:
    face = np.array([[64.0, 64, 24, 24, 0.0]])
    targets = [torch.from_numpy(target[None]) for target in targets_of(picture(face))]
    grids = [torch.from_numpy(grid[0].numpy()[None].copy()) for grid in grids_that_say([t[0].numpy() for t in targets])]
    grids[0][:, 1] += 1  # the box lies 8 px = 1/3 of its side to the right: IoU 1/2, hull 4/3 of a side, union 4/3
    loss = detector_losses(grids, targets).box
    assert float(loss) == pytest.approx(1.5 * (1 - 0.5), abs=1e-5)
