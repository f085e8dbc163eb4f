"""Models by name."""

import json
from pathlib import Path

import pytest

from darkpose.weights.models import HARD, LFPW, models
from darkpose.weights.zoo import SHIPPED, ZOO, downloaded_file


def test_the_shipped_models_come_first_and_are_here() -> None:
    found = models()
    assert [model.name for model in found] == [*SHIPPED, *ZOO]
    for model in found[: len(SHIPPED)]:
        assert model.schemas == {"300w-68": 68, "wflw-98": 98, "aflw-19": 19}
        assert Path(model.file).is_file()
        assert model.megabytes == pytest.approx(Path(model.file).stat().st_size / 1e6, abs=0.05)
    assert [model.default_for for model in found[:2]] == [("300w-68", "aflw-19"), ("wflw-98",)]
    assert "300w-hrnetv2-w18-dark, the default for 300w-68 and aflw-19" in found[0].lines()[0]
    assert json.loads(json.dumps([model.to_dict() for model in models()]))[0]["name"] == SHIPPED[0]


def test_the_errors_of_shipped_models_are_those_that_were_measured() -> None:
    root = Path(__file__).parents[2] / "benchmarks"
    found = {model.name: model.error for model in models()}
    for name in SHIPPED:
        results = json.loads((root / "accuracy" / f"{name}.json").read_text())["results"]
        assert found[name][LFPW] == round(results["lfpw_boxes"]["subsets"]["all"]["nme"], 2)
    for name in ("300w-hrnetv2-w18-dark", "300w-small-dark"):
        results = json.loads((root / "accuracy" / f"{name}.json").read_text())["results"]
        assert found[name][HARD] == round(results["wflw_boxes"]["subsets"]["all"]["nme"], 2)
    folds = json.loads((root / "cross_validation.json").read_text())["flip test off"]
    error = round(folds["subsets"]["all"]["nme"], 2)
    assert found["faces-hrnetv2-w18-dark"][f"{HARD} by cross-validation"] == error


def test_a_published_model_has_its_published_numbers_and_is_here_once_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKPOSE_CACHE", str(tmp_path))
    wflw = next(model for model in models() if model.name.startswith("wflw"))
    assert wflw.error["pose (published)"] == 6.99
    assert wflw.file == ""
    assert "downloaded at its first use, checked by the only 8 hex digits" in "\n".join(wflw.lines())
    downloaded_file(ZOO[wflw.name]).write_bytes(b"x" * 200_000)
    again = next(model for model in models() if model.name.startswith("wflw"))
    assert again.megabytes == 0.2
