"""Plots are pictures of what they were given."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.evaluation.plots import plot_by_crop_size, plot_ced, plot_landmark_errors, plot_training
from darkpose.image.pixels import read_image
from darkpose.schema import AFLW_19

pytest.importorskip("matplotlib", reason="needs Matplotlib: pip install 'darkpose[report]'")
THRESHOLDS = np.linspace(0, 20, 41)


def test_error_distributions_are_drawn(tmp_path: Path) -> None:
    plot_ced(tmp_path / "ced.png", THRESHOLDS, {"all": THRESHOLDS / 20, "pose": np.zeros(41)}, "inter_ocular")
    picture = read_image(tmp_path / "ced.png")
    assert picture.shape[0] > 300
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    assert [file.name for file in tmp_path.iterdir()] == ["ced.png"]


def test_landmarks_without_an_error_are_left_out(tmp_path: Path) -> None:
    face = np.random.default_rng(0).uniform(-0.5, 0.5, (19, 2))
    errors = np.full(19, np.nan)
    plot_landmark_errors(tmp_path / "none.png", face, errors, AFLW_19, "box")
    errors[3] = 2.0
    plot_landmark_errors(tmp_path / "one.png", face, errors, AFLW_19, "box")
    assert not np.array_equal(read_image(tmp_path / "none.png"), read_image(tmp_path / "one.png"))


def lines_of_a_run(epochs: int) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for epoch in range(1, epochs + 1):
        lines += [{"mode": "train", "epoch": epoch, "iter": epoch * 10 - 1, "lr": 1e-3, "loss": 1 / epoch}]
        lines += [{"mode": "val", "epoch": epoch, "NME": 0.1 / epoch}]
    return lines


def test_training_runs_are_drawn_with_and_without_validation(tmp_path: Path) -> None:
    runs = {"long": lines_of_a_run(5), "no validation": [line for line in lines_of_a_run(2) if line["mode"] == "train"]}
    plot_training(tmp_path / "t.png", runs)
    assert read_image(tmp_path / "t.png").shape[1] > 1000
    with pytest.raises(DarkposeError, match="empty: expected a training log"):
        plot_training(tmp_path / "u.png", {"empty": []})
    assert not (tmp_path / "u.png").exists()


def test_errors_are_drawn_by_the_size_of_the_crop(tmp_path: Path) -> None:
    curves = {"argmax": [12.0, 7.0, 4.5], "DARK": [8.0, 5.0, 4.0]}
    plot_by_crop_size(tmp_path / "sizes.png", [64, 128, 256], curves, "NME (%)")
    assert read_image(tmp_path / "sizes.png").shape[1] > 700
