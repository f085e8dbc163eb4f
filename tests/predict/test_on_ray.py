"""The same records by Ray Data, with two predictors on this machine."""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.image.pixels import read_image, write_image
from darkpose.predict.given_boxes import GivenBoxes
from darkpose.predict.on_ray import predict_dataset, predict_parts, start_ray
from darkpose.predict.shard_run import Step, predict_shards
from darkpose.predict.shards import Shards, read_shards
from darkpose.predict.sources import Source, find_sources
from needed import lacking

BOX = "30,20,90,80"
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    if find_spec("ray") is None:
        lacking("needs Ray: pip install 'darkpose[ray]'")
    found = import_module("ray")
    _start(found)
    yield found
    found.shutdown()


def _start(ray: Any, attempts: int = 4) -> None:
    """Start Ray, which gives up by itself after half a minute: on a busy machine, that is no fault of these tests."""
    for attempt in range(attempts):
        try:
            ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        except Exception:
            ray.shutdown()  # ends the processes that were started
            if attempt == attempts - 1:
                raise
        else:
            return


@pytest.fixture
def step(small_weights: Path) -> Step:
    options = {"weights": str(small_weights), "device": "cpu", "batch_size": 1}  # sums in one order everywhere
    return Step(options, "haar", GivenBoxes([BOX]), "landmarks")


@pytest.fixture
def inputs(astronaut: Path, tmp_path: Path) -> Path:
    """Six pictures of 128 px and a file that is none, at the places 0 .. 6."""
    folder = tmp_path / "in"
    folder.mkdir()
    photo = read_image(astronaut)
    for number in range(7):
        write_image(folder / f"{number}.png", photo[8 * number :: 4, ::4][:120])
    (folder / "3.png").write_text("words")
    return folder


def sources(folder: Path) -> Iterator[Source]:
    return find_sources([str(folder)])


def on_ray(folder: Path, inputs: Path, step: Step, size: int = 2) -> list[dict[str, int]]:
    with Shards(folder, "jsonl", step.facts(step.predictor()), size=size) as shards:
        return list(predict_parts(step, sources(inputs), shards, actors=2))


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_ray_makes_the_same_shards_and_continues_those_of_one_machine(tmp_path: Path, inputs: Path, step: Step) -> None:
    predictor = step.predictor()
    with Shards(tmp_path / "here", "jsonl", step.facts(predictor), size=2) as shards:
        expected = list(predict_shards(predictor, step, sources(inputs), shards))
    assert sorted(counts["part"] for counts in on_ray(tmp_path / "ray", inputs, step)) == [0, 1, 2, 3]
    assert list(read_shards(tmp_path / "ray")) == expected
    assert [record["status"] for record in expected] == ["done"] * 3 + ["unreadable"] + ["done"] * 3
    for name in ("run.json", "summary.json"):
        assert (tmp_path / "ray" / name).read_text() == (tmp_path / "here" / name).read_text()
    (tmp_path / "here" / "part-00001.jsonl").unlink()
    assert [counts["part"] for counts in on_ray(tmp_path / "here", inputs, step)] == [1]
    assert list(read_shards(tmp_path / "here")) == expected
    assert on_ray(tmp_path / "here", inputs, step) == []


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_an_incomplete_part_is_counted_once(tmp_path: Path, inputs: Path, step: Step) -> None:
    predictor = step.predictor()
    with Shards(tmp_path / "out", "jsonl", step.facts(predictor), size=4) as shards:
        running = predict_shards(predictor, step, sources(inputs), shards)
        next(running)
        shards.flush()
        running.close()
    on_ray(tmp_path / "out", inputs, step, size=4)
    assert [record["input"] for record in read_shards(tmp_path / "out")] == list(range(7))
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == {
        **{"inputs": 7, "done": 6, "no face": 0, "unreadable": 1, "faces": 6},
    }


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_a_data_set_of_image_files_is_turned_into_records(inputs: Path, step: Step) -> None:
    import ray.data

    files = ray.data.read_binary_files(str(inputs), include_paths=True)
    rows = sorted(predict_dataset(files, step, actors=1).take_all(), key=lambda row: row["image"])
    assert [Path(row["image"]).name for row in rows] == [f"{number}.png" for number in range(7)]
    assert [row["status"] for row in rows] == ["done"] * 3 + ["unreadable"] + ["done"] * 3
    assert [len(row["x"]) for row in rows if row["status"] == "done"] == [68] * 6


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_a_machine_with_other_settings_stops_the_run(tmp_path: Path, inputs: Path, step: Step) -> None:
    facts = {**step.facts(step.predictor()), "markup": "another"}
    with (
        Shards(tmp_path / "out", "jsonl", facts, size=4) as shards,
        pytest.raises(DarkposeError, match="would predict otherwise: markup"),
    ):
        list(predict_parts(step, sources(inputs), shards, actors=1))


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DarkposeError, match=r"needs Ray Data: pip install 'darkpose\[ray\]'"):
        start_ray()
