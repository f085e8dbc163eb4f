import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))
import deploy_page  # noqa: E402

PRECISION, RESULTS = ROOT / "benchmarks" / "precision.json", ROOT / "benchmarks" / "results"


def test_the_page_says_what_was_measured(tmp_path: Path) -> None:
    page = tmp_path / "deploy.md"
    page.write_text((ROOT / "docs" / "deploy.md").read_text())
    deploy_page.main(PRECISION, RESULTS, page)
    assert page.read_text() == (ROOT / "docs" / "deploy.md").read_text()


def test_whether_int8_is_accepted_follows_from_what_it_costs() -> None:
    found = json.loads(PRECISION.read_text())
    assert {way for way in found["accepted"] if way.endswith("int8 file")}
    for way, sets in found["accepted"].items():
        for name, each in sets.items():
            facts = found["results"][name]["ways"][way]
            assert each["accepted"] == (facts["difference"] < 0.05)
            assert each["shown"] == (facts["difference_interval"][1] < 0.05)
            assert facts["difference_interval"][0] <= facts["difference"] <= facts["difference_interval"][1]


def test_a_page_without_a_place_for_the_numbers_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "deploy.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="expected a place for precision"):
        deploy_page.main(PRECISION, RESULTS, page)
