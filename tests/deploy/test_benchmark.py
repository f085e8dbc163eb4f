import json
from pathlib import Path

import numpy as np
import pytest
import torch

from darkpose.deploy import benchmark as speed
from darkpose.deploy.benchmark import EAGER, benchmark, find_ways
from darkpose.deploy.benchmark_report import IN_GRAPH, Speed, Timing, Way
from darkpose.deploy.export import ExportOptions, export_onnx
from darkpose.detect.boxes import Detections
from darkpose.detect.haar import Haar
from darkpose.detect.yunet import YuNet
from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.network.load import load_checkpoint


class Blind(Haar):
    name = "blind"

    def __call__(self, image: Pixels) -> Detections:
        found = super().__call__(image)
        return Detections(found.boxes[:0], found.scores[:0])


class Everywhere(YuNet):
    """Finds a face in the middle of every picture."""

    def __init__(self) -> None: ...

    def __call__(self, image: Pixels) -> Detections:
        height, width = image.shape[:2]
        return Detections(np.array([[0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height]]), np.ones(1))


@pytest.fixture(scope="module")
def measured(small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Speed:
    """A quick network and its file, in every runtime that is here."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    file = tmp_path_factory.mktemp("files") / "mine.onnx"
    file.write_bytes(export_onnx(load_checkpoint(small_weights), ExportOptions()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "FACES", 2)
        patch.setattr(speed, "exported_once", lambda *_: file)
        return benchmark(
            *(str(small_weights),),
            files=[file],
            detector=Everywhere(),
            batches=(2, 1),
            threads=1,
            rounds=1,
            seconds=0.0,
            memory=False,
        )


def test_every_way_is_measured_at_every_batch_size_beside_plain_torch(measured: Speed) -> None:
    names = [each.way.name for each in measured.ways]
    assert names[:3] == [EAGER, "torch", "torch bf16"]
    assert {"onnxruntime", "onnxruntime, mine.onnx"} <= set(names)
    assert len(set(names)) == len(names)
    for each in measured.ways:
        assert list(each.total) == [1, 2]
        for batch, stages in each.stages.items():
            kinds = ["normalise", "network", "DARK", "map back"] if each.way.runtime == "torch" else [IN_GRAPH]
            assert list(stages) == kinds
            assert sum(stage.shortest for stage in stages.values()) <= each.total[batch].shortest * 1.0001
    assert list(measured.front) == ["decode image", "detect", "crop"]
    assert measured.ways[0].total[1].over(measured.ways[0].total[1]) == {"median": 1.0, "shortest": 1.0}


def test_the_whole_way_is_the_sum_of_its_stages(measured: Speed) -> None:
    facts = json.loads(json.dumps(measured.to_dict(), allow_nan=False))
    for name, found in facts["results"].items():
        for batch, each in found["ms_per_face"].items():
            before = sum(stage["ms"] for stage in facts["before_the_network"].values())
            assert each["whole_way_ms"] == pytest.approx(before + sum(each["stages_ms"].values()), rel=1e-2)
            assert each["faces_per_second"] == pytest.approx(1000 / each["whole_way_ms"], rel=1e-2)
            counted = sum(each["stages_ms"].get(kind, 0) for kind in ("network", IN_GRAPH))
            counted += sum(facts["before_the_network"][kind]["ms"] for kind in ("decode image", "detect"))
            assert each["rest_share"] == pytest.approx(1 - counted / each["whole_way_ms"], abs=0.02), (name, batch)
    assert facts["photographs"].startswith("2 JPEG files of faces drawn by darkpose, 0.07 megapixels")
    assert facts["method"]
    told = "\n".join(measured.lines())
    assert all(each.way.name in told for each in measured.ways)


def test_times_are_medians_of_rounds_and_ratios_are_within_a_round() -> None:
    slow, fast = Timing((10.0, 30.0, 12.0), 9.0), Timing((5.0, 5.0, 6.0), 4.5)
    assert slow.ms == 12.0
    assert fast.over(slow) == {"median": 2.0, "shortest": 2.0}
    stages = speed._stages([[{"a": 0.2, "b": 0.1}, {"a": 0.4, "b": 0.1}], [{"a": 0.1, "b": 0.1}]], 2)
    assert stages["a"].rounds == pytest.approx((150.0, 50.0))
    assert stages[""].shortest == pytest.approx(100.0)


def test_runtimes_that_are_not_there_are_named_with_what_to_install(
    small_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "find_spec", lambda name: None)
    ways, left_out = find_ways(str(small_weights), load_checkpoint(small_weights), [])
    assert {way.runtime for way in ways} == {"torch"}
    assert left_out["openvino"] == "not installed: pip install 'darkpose[openvino]'"
    assert "pip install 'darkpose[onnxruntime]'" in left_out["onnxruntime"]


def test_the_memory_of_a_way_is_that_of_a_process_of_its_own(small_weights: Path) -> None:
    ballast = torch.zeros(150_000_000)  # 600 MB
    found = speed._memory(Way("torch", "torch", str(small_weights)), None, "cpu", 1)
    assert found is None or 50 < found < 600, ballast.shape


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with speed._use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batches": (1, 0)}, "batch must be a whole number of at least 1, got 1, 0"),
        ({"threads": 0}, "threads must be a whole number of at least 1, got 0"),
        ({"rounds": 0}, "rounds must be a whole number of at least 1, got 0"),
        ({"files": [Path("nowhere.onnx")]}, r"nowhere\.onnx"),
        ({"files": [Path("a/x.onnx"), Path("b/x.onnx")]}, r"told apart by their names, got a/x\.onnx, b/x\.onnx"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    small_weights: Path, arguments: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "RUNTIMES", ("onnxruntime",))
    monkeypatch.setattr(speed, "exported_once", lambda *_: "unused.onnx")
    monkeypatch.setattr(speed, "FACES", 1)
    given: dict[str, object] = {"detector": Everywhere(), "threads": 1, **arguments}
    with pytest.raises(DarkposeError, match=message):
        benchmark(str(small_weights), **given)  # type: ignore[arg-type]


def test_files_that_are_no_photographs_are_passed_over(astronaut: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(astronaut.read_bytes()[:1000])
    paths = [tmp_path / "nowhere.jpg", tmp_path / "broken.jpg", astronaut]
    (found,) = speed._with_faces(speed._readable(paths), Everywhere())
    assert found[0] == astronaut.read_bytes()


def test_photographs_without_faces_are_refused(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "FACES", 1)
    monkeypatch.setattr(speed, "find_ways", lambda *_: ([], {}))
    with pytest.raises(DarkposeError, match="blind finds no face to measure with: name photographs with faces"):
        benchmark(str(small_weights), detector=Blind(), threads=1)
