"""The folder with the report of an evaluation."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.evaluation.comparison import compare_predictions
from darkpose.evaluation.measure import Evaluation, Other
from darkpose.evaluation.report import measure_errors
from darkpose.evaluation.report_folder import mean_face, prepare_report, write_report
from darkpose.image.pixels import read_image, write_image
from darkpose.schema import AFLW_19

pytest.importorskip("matplotlib", reason="needs Matplotlib: pip install 'darkpose[report]'")


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    rng, samples = np.random.default_rng(0), []
    write_image(tmp_path / "face.png", rng.integers(0, 255, (120, 120, 3), np.uint8))
    for i in range(6):
        keypoints = rng.uniform(20, 100, (19, 2))
        subsets = frozenset({"frontal"} if i % 2 else set())
        box = np.array([10.0, 10, 110, 110])
        samples.append(Sample(tmp_path / "face.png", keypoints, np.ones(19), box, subsets, box_size=100.0))
    truth = np.stack([sample.keypoints for sample in samples])
    points = truth + np.arange(1, 7)[:, None, None] * np.array([0.6, 0.8])
    points[0] = np.inf
    others = truth + 1
    first, second = (measure_errors(each, samples, AFLW_19, {"full": 1.34}) for each in (points, others))
    other = Other("other", tmp_path / "other.jsonl", second, compare_predictions(points, others, samples, AFLW_19))
    header = {"system": "somebody's", "markup": "aflw-19"}
    return Evaluation(
        "aflw-dark", "p.jsonl", tmp_path / "p.jsonl", header, first, (other,), points, tuple(samples), AFLW_19
    )


def test_the_folder_holds_the_numbers_the_curves_and_the_pictures(tmp_path: Path, evaluation: Evaluation) -> None:
    write_report(tmp_path / "report", evaluation)
    files = {file.name for file in (tmp_path / "report").iterdir()}
    assert files == {"report.md", "ced.png", "ced.csv", "landmarks.png", "landmarks.csv", "worst.png"}
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| all | 6 | 1 | **4.000** |" in text  # 2 .. 6 px of 100, the face that was not found aside
    assert "| 1.34 |" in text
    assert "full 1.34, here 4.00 (+2.66)" in text
    assert "* 5: face.png, NME 6.00" in text
    assert "| other | 0 |" in text
    assert "system somebody's, schema aflw-19." in text
    for name in ("ced.png", "landmarks.png", "worst.png"):
        assert f"({name})" in text


def test_the_curve_rises_at_every_faces_error_and_ends_below_one_for_missed_faces(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    write_report(tmp_path, evaluation)
    rows = list(csv.DictReader((tmp_path / "ced.csv").read_text().splitlines()))
    shares = {float(row["nme_percent"]): float(row["all"]) for row in rows}
    assert shares[1.95] == 0
    assert shares[2.05] == pytest.approx(1 / 6)
    assert shares[20.0] == pytest.approx(5 / 6)
    landmarks = list(csv.DictReader((tmp_path / "landmarks.csv").read_text().splitlines()))
    assert [row["landmark"] for row in landmarks] == list(AFLW_19.names)
    assert {row["region"] for row in landmarks} == {"brows", "eyes", "nose", "mouth", "contour"}
    assert all(float(row["nme_percent"]) == pytest.approx(4.0) for row in landmarks)


def test_the_worst_faces_show_annotation_green_and_prediction_red(tmp_path: Path, evaluation: Evaluation) -> None:
    write_report(tmp_path, evaluation)
    picture = read_image(tmp_path / "worst.png").reshape(-1, 3)
    for colour in ((64, 220, 64), (240, 48, 48)):
        assert (picture == colour).all(axis=1).sum() > 19


def test_the_picture_of_an_earlier_report_is_removed(tmp_path: Path, evaluation: Evaluation) -> None:
    write_report(tmp_path / "report", evaluation)
    (tmp_path / "face.png").unlink()
    write_report(tmp_path / "report", evaluation)
    assert not (tmp_path / "report" / "worst.png").exists()
    assert "worst.png" not in (tmp_path / "report" / "report.md").read_text()


def test_a_report_that_cannot_be_written_is_reported_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DarkposeError, match="the folder cannot be made"):
        prepare_report(tmp_path / "file")
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "report.md").write_text("an earlier report")
    prepare_report(tmp_path / "earlier")
    assert [(path.name, path.read_text()) for path in (tmp_path / "earlier").iterdir()] == [
        ("report.md", "an earlier report")
    ]
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DarkposeError, match=r"pip install 'darkpose\[report\]'"):
        prepare_report(tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_the_mean_face_does_not_depend_on_the_place_and_size_of_faces() -> None:
    keypoints = np.random.default_rng(0).integers(0, 100, (98, 2)).astype(float)
    box = np.zeros(4)
    moved = [Sample(Path("a"), keypoints * size + shift, np.ones(98), box) for size, shift in ((1, 0), (3, 50))]
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    np.testing.assert_allclose(mean_face(moved), (keypoints - (low + high) / 2) / (high - low).max(), atol=1e-12)
