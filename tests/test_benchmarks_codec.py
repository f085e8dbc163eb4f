"""The line that growth is fitted by, the rounds that count, and the page of the numbers that are kept."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from needed import needs

ROOT = Path(__file__).parents[1]

pytestmark = needs("torch")


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield lambda name: import_module(name)
    for name in ("codec", "codec_page", "codec_peers", "codec_worker", "surroundings"):
        sys.modules.pop(name, None)


def rounds(codec: Any, medians: list[float], foreign: list[float]) -> Any:
    made = codec.Rounds()
    for value, cores in zip(medians, foreign, strict=True):
        made.add({"ms": [value, value, 0.5 * value], "foreign": cores})
    return made


def test_times_on_a_line_are_fitted_without_a_residual(scripts: Any) -> None:
    x = np.array([1.0, 10, 100, 1000])
    line = scripts("codec").fit_line(x, 0.25 + 0.03 * x)
    assert (line["offset"], line["slope"]) == pytest.approx((0.25, 0.03))
    assert line["relative_residuals"] == [0, 0, 0, 0]


def test_quadratic_growth_leaves_large_residuals(scripts: Any) -> None:
    x = np.array([1.0, 10, 100, 1000])
    assert max(map(abs, scripts("codec").fit_line(x, x**2)["relative_residuals"])) > 0.5


def test_loud_rounds_are_left_out_only_where_enough_quiet_ones_stay(scripts: Any) -> None:
    codec = scripts("codec")
    facts = rounds(codec, [1, 1, 1, 1, 1, 9, 9, 9], [0.1] * 5 + [0.9] * 3).facts()
    assert (facts["ms"], facts["shortest_ms"], facts["quiet_rounds"]) == (1, 0.5, 5)
    assert rounds(codec, [1, 1, 1, 1, 9, 9, 9, 9, 9], [0.1] * 4 + [0.9] * 5).facts()["ms"] == 9


def test_ratios_are_taken_within_rounds(scripts: Any) -> None:
    codec = scripts("codec")
    base, other = rounds(codec, [1, 2, 4, 8, 16], [0] * 5), rounds(codec, [3, 6, 12, 24, 48], [0] * 5)
    assert other.over(base) == {"median": 3, "shortest": 3}


def test_one_point_in_twenty_lies_near_a_border(scripts: Any) -> None:
    points = scripts("codec").make_points(np.random.default_rng(0), (200, 98, 64, 48))
    far = np.array([47, 63]) - points
    assert min(points.min(), far.min()) >= 0
    assert np.mean((np.minimum(points, far) < 3).any(-1)) == pytest.approx(0.05, abs=0.005)


def test_the_page_is_that_of_the_numbers_kept(scripts: Any) -> None:
    found, gpu = (
        json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text()) for name in ("codec", "gpu")
    )
    assert scripts("codec_page").page(found, gpu) == (ROOT / "docs" / "benchmarks.md").read_text()


def test_a_package_that_is_absent_leaves_its_rows_out(scripts: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "codec.json").read_text())
    found["absent"], found["goals"] = {"kornia": "no network"}, []
    for group in scripts("codec_page").DECODING:
        del found["results"][group]["kornia soft-argmax"]
    page = scripts("codec_page").page(found)
    assert "left out: kornia: no network" in page
    assert "| kornia soft-argmax" not in page


def test_a_module_is_imported_beside_absent_ones(scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "made_package" / "inner"
    inner.mkdir(parents=True)
    (inner.parent / "__init__.py").write_text("")
    (inner / "__init__.py").write_text("raise RuntimeError('this asks for too much')")
    (inner / "module.py").write_text("import absent_one.deeper\nfrom absent_two import name\nvalue = 3")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("made_package", "made_package.inner", "made_package.inner.module"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # and again at the end
    for name in ("absent_one", "absent_one.deeper", "absent_two"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = scripts("codec_peers").import_beside_absent("made_package.inner.module", bare=["made_package.inner"])
    assert module.value == 3


def test_a_module_that_the_package_itself_lacks_is_told_of(
    scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "another_package").mkdir()
    (tmp_path / "another_package" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match=r"another_package\.nothing"):
        scripts("codec_peers").import_beside_absent("another_package.nothing")
