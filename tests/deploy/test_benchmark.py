import json
from pathlib import Path

import numpy as np
import pytest
import torch

from darkpose.deploy import benchmark as bench
from darkpose.deploy import benchmark_faces, benchmark_ways
from darkpose.deploy.benchmark import benchmark
from darkpose.deploy.benchmark_faces import Clock, find_faces
from darkpose.deploy.benchmark_report import Speed, Timing
from darkpose.deploy.benchmark_ways import EAGER, Way, check_same_weights, find_ways, measure_memory, open_way
from darkpose.deploy.export import ExportOptions, export_onnx
from darkpose.detect.boxes import Detections
from darkpose.detect.haar import Haar
from darkpose.detect.yunet import YuNet
from darkpose.errors import DarkposeError
from darkpose.image.geometry import heatmap_to_image
from darkpose.image.pixels import Pixels
from darkpose.network.load import load_checkpoint
from darkpose.predict.landmarks import LandmarkFinder


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
def small_file(small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime")
    file = tmp_path_factory.mktemp("files") / "mine.onnx"
    file.write_bytes(export_onnx(load_checkpoint(small_weights), ExportOptions()))
    return file


@pytest.fixture(scope="module")
def measured(small_weights: Path, small_file: Path) -> Speed:
    """A quick network and its file, in every installed runtime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark_faces, "FACES", 2)
        return benchmark(
            str(small_weights),
            files=[small_file],
            detector=Everywhere(),
            batches=(2, 1),
            threads=1,
            rounds=1,
            seconds=0.0,
            memory=False,
        )


def test_every_way_is_measured_at_every_batch_size_and_by_the_same_stages(measured: Speed) -> None:
    names = [each.way.name for each in measured.ways]
    assert names[:3] == [EAGER, "torch", "torch bf16"]
    assert {"onnxruntime", "onnxruntime, mine.onnx"} <= set(names)
    assert len(set(names)) == len(names)
    for each in measured.ways:
        assert list(each.total) == [1, 2]
        for batch, stages in each.stages.items():
            assert list(stages) == ["network", "DARK", "map back"]
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
            counted = each["stages_ms"]["network"]
            counted += sum(facts["before_the_network"][kind]["ms"] for kind in ("decode image", "detect"))
            assert each["rest_share"] == pytest.approx(1 - counted / each["whole_way_ms"], abs=0.02), (name, batch)
    assert facts["photographs"].startswith("2 JPEG files of faces drawn by darkpose, 0.07 megapixels")
    assert facts["method"]
    told = "\n".join(measured.lines())
    assert all(each.way.name in told for each in measured.ways)


def test_every_way_gives_the_heatmaps_of_plain_torch(small_weights: Path, small_file: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    ways, _ = find_ways(str(small_weights), [small_file])
    expected = np.asarray(open_way(ways[0], None, "cpu", 1).network(crops))
    for way in ways[1:]:
        opened = open_way(way, None, "cpu", 1)
        found = np.asarray(opened.network(crops))
        assert found.dtype == np.float32
        close = (0.05 if way.numbers == "bf16" else 1e-5) * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=close, err_msg=way.name)
        assert way.numbers in opened.network.name or way.runtime == "onnxruntime"


def test_the_timed_stages_are_those_of_a_landmark_finder(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same network, decoder and map into the image."""
    mapped = []
    monkeypatch.setattr(benchmark_ways, "heatmap_to_image", lambda *a: mapped.append(heatmap_to_image(*a)))
    opened = open_way(Way("torch", "torch", str(small_weights)), None, "cpu", 1)
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    center, sides = np.array([[5.0, 6.0], [7.0, 9.0]]), np.array([[64.0, 64.0], [128.0, 128.0]])
    opened.time(crops, center, sides)
    find = LandmarkFinder(opened.network, load_checkpoint(small_weights).schema)
    np.testing.assert_array_equal(mapped[0], find(crops, center, sides).keypoints)


def test_times_are_medians_of_rounds_and_ratios_are_within_a_round() -> None:
    slow, fast = Timing((10.0, 30.0, 12.0), 9.0), Timing((5.0, 5.0, 6.0), 4.5)
    assert slow.ms == 12.0
    assert fast.over(slow) == {"median": 2.0, "shortest": 2.0}
    stages = bench._timings([[{"a": 0.2, "b": 0.1}, {"a": 0.4, "b": 0.1}], [{"a": 0.1, "b": 0.1}]], 2)
    assert stages["a"].rounds == pytest.approx((150.0, 50.0))
    assert stages[""].shortest == pytest.approx(100.0)


def test_a_clock_tells_the_seconds_of_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 3.0, 3.5])
    monkeypatch.setattr("darkpose.deploy.benchmark_faces.time.perf_counter", lambda: next(times))
    clock = Clock()
    clock("first")
    clock("second")
    assert clock.seconds == {"first": 2.0, "second": 0.5}


def test_runtimes_that_are_not_installed_are_named_with_the_command_that_installs_them(
    small_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_ways, "file_runtimes", lambda: [])
    ways, left_out = find_ways(str(small_weights), [])
    assert {way.runtime for way in ways} == {"torch"}
    assert left_out["openvino"] == "not installed: pip install 'darkpose[openvino]'"
    assert "pip install 'darkpose[onnxruntime]'" in left_out["onnxruntime"]


def test_a_way_whose_graph_cannot_be_made_is_left_out(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(way: Way, *_: object) -> object:
        if way.runtime == "onnxruntime":
            raise DarkposeError("needs onnx")
        return way

    monkeypatch.setattr(bench, "open_way", refuse)
    ways = [Way(EAGER, "torch", "weights"), Way("onnxruntime", "onnxruntime", "weights")]
    opened, left_out = bench._open_ways(ways, "weights", None, "cpu", 1)
    assert list(opened) == ways[:1]
    assert left_out == {"onnxruntime": "needs onnx"}
    with pytest.raises(DarkposeError, match="needs onnx"):
        bench._open_ways([Way("onnxruntime, x.onnx", "onnxruntime", "x.onnx")], "weights", None, "cpu", 1)


@pytest.mark.slow
def test_the_memory_of_a_way_is_that_of_a_new_process(small_weights: Path) -> None:
    ballast = torch.zeros(150_000_000)  # 600 MB
    found = measure_memory(Way("torch", "torch", str(small_weights)), None, "cpu", 1)
    assert found is None or 50 < found < 600, ballast.shape


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with bench._use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batches": (1, 0)}, "batch must be a whole number of at least 1 and at most 4096, got 1, 0"),
        ({"batches": (10**20,)}, "batch must be .* at most 4096, got 1000"),
        ({"threads": 0}, "threads must be a whole number of at least 1 and at most 1024, got 0"),
        ({"threads": 10**20}, "threads must be .* at most 1024, got 1000"),
        ({"rounds": 0}, "rounds must be a whole number of at least 1 and at most 10000, got 0"),
        ({"files": [Path("nowhere.onnx")]}, r"nowhere\.onnx"),
        ({"files": [Path("a/x.onnx"), Path("b/x.onnx")]}, r"different names, got a/x\.onnx, b/x\.onnx"),
    ],
)
def test_what_cannot_be_measured_is_refused(small_weights: Path, arguments: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"detector": Everywhere(), "threads": 1, **arguments}
    with pytest.raises(DarkposeError, match=message):
        benchmark(str(small_weights), **given)  # type: ignore[arg-type]


def test_a_file_of_other_weights_is_refused(small_file: Path, small_weights: Path) -> None:
    check_same_weights(small_file, str(small_weights), load_checkpoint(small_weights))
    with pytest.raises(DarkposeError, match=r"mine\.onnx: .*other weights .*300w-68.* than default, 300w-68"):
        check_same_weights(small_file, "default", load_checkpoint("default"))


def test_files_that_are_not_photographs_are_named_and_passed_over(
    small_weights: Path, astronaut: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(astronaut.read_bytes()[:1000])
    paths = [tmp_path / "nowhere.jpg", tmp_path / "broken.jpg", astronaut]
    told: list[str] = []
    found = find_faces(paths, Everywhere(), load_checkpoint(small_weights).config, told.append)
    assert found.files == [astronaut.read_bytes()]
    assert [line.partition(":")[0] for line in told[:2]] == [str(path) for path in paths[:2]]
    assert told[2:] == ["of 3 photographs 2 could not be used, 0 without a face"]
    with pytest.raises(DarkposeError, match="found 0 in 2 files by yunet: 2 could not be used"):
        find_faces(paths[:2], Everywhere(), load_checkpoint(small_weights).config)


def test_photographs_without_faces_are_refused(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_faces, "FACES", 1)
    with pytest.raises(DarkposeError, match="blind finds no face"):
        find_faces([], Blind(), load_checkpoint(small_weights).config)


def test_faces_repeat_in_a_large_batch(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_faces, "FACES", 2)
    faces = find_faces([], Everywhere(), load_checkpoint(small_weights).config)
    crops, center, sides = faces.batch(3)
    assert len(crops) == len(center) == len(sides) == 3
    assert (crops[2] == crops[0]).all()
