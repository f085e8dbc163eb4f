"""An evaluation from annotation file and image to the published row, interrupted or not."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.catalogue import DATA_SETS, DataSet
from darkpose.datasets.drawn_data_sets import make_wflw
from darkpose.datasets.openmmlab import read_openmmlab
from darkpose.datasets.predictions_file import read_predictions
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.evaluation.benchmarks import AFLW, WFLW, Benchmark, Protocol, find_benchmark
from darkpose.evaluation.evaluate import PredictOptions, evaluate_benchmark
from darkpose.evaluation.fitting import fit_shape_prior
from darkpose.evaluation.measure import Evaluation
from darkpose.evaluation.predictions import only_writer
from darkpose.image.geometry import box_to_crop
from darkpose.network.checkpoint import Checkpoint, read_safetensors, save_checkpoint
from darkpose.network.hrnet import HRNet, initialise
from darkpose.predict.shape_prior import ShapePrior
from darkpose.schema import AFLW_19, COFW_29, W300_68, WFLW_98, KeypointSchema, join_schemas
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig
from darkpose.weights.zoo import FACES, W300_ONLY
from small_300w import write_300w, write_predictions

TINY = {"widths": (2, 3, 4, 5), "modules": (1, 1, 1), "blocks": 1, "stem": 4}
CPU = PredictOptions(device="cpu")
SAMPLES = {"wflw": (WFLW_98, WFLW), "aflw": (AFLW_19, AFLW)}


def tiny_weights(path: Path, schema: KeypointSchema, seed: int = 0, **provenance: object) -> str:
    network = HRNetConfig(len(schema), **TINY)  # type: ignore[arg-type]
    model = HRNet(network)
    initialise(model, seed=seed, head_std=1.0)
    save_checkpoint(Checkpoint(model.eval(), CheckpointConfig(network, crop_size=64), schema, provenance), path)
    return str(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_300w(tmp_path / "lfpw" / "testset")
    return tmp_path


@pytest.fixture
def benchmark() -> Benchmark:
    return replace(find_benchmark("300w-lfpw"), protocol=Protocol(batch_size=2))


def some_prior(schema: KeypointSchema, test_images: Sequence[str] = ()) -> ShapePrior:
    points = np.random.default_rng(3).uniform(15, 65, (6, len(schema), 2))
    return fit_shape_prior(points, np.concatenate([points.min(1), points.max(1)], 1), schema, test_images=test_images)


@pytest.mark.parametrize("data_set", SAMPLES)
def test_annotation_file_and_jpeg_give_the_references_predictions_and_error(
    data_set: str, shared_data: Path, tmp_path: Path, rule_filled_hrnet: Callable[[int], HRNet]
) -> None:
    schema, published = SAMPLES[data_set]
    folder, golden = shared_data / "openmmlab_samples" / data_set, shared_data.parent / "parity" / "golden"
    if not golden.is_dir():
        pytest.skip(f"needs {golden}")
    expected = np.load(golden / f"g_e2e_{data_set}.npz")
    weights = tmp_path / "rule.safetensors"
    config = CheckpointConfig(HRNetConfig(len(schema)))
    save_checkpoint(Checkpoint(rule_filled_hrnet(len(schema)), config, schema, {}), weights)

    def read(root: Path, *, broken: list[str] | None = None) -> list[Sample]:
        return read_openmmlab(root / f"test_{data_set}.json", root, schema)

    sampled = replace(published, test_set=DataSet(f"{data_set}-sample", schema, read, {}))
    ways = PredictOptions(flip_tests=("published", "off"), device="cpu")
    found = evaluate_benchmark(sampled, folder, tmp_path / "p.jsonl", weights=str(weights), options=ways)
    again = evaluate_benchmark(sampled, folder, tmp_path / "p.jsonl")  # the file alone, without weights
    assert again.report == found.report
    files = {"flip": (found.report, found.file), "noflip": (found.others[0].report, found.others[0].file)}
    for kind, (report, file) in files.items():
        assert report.subsets["all"].nme / 100 == pytest.approx(float(expected[f"nme_{kind}"]), abs=1e-4)
        reference, margin = expected[f"preds_{kind}"], expected[f"margin_{kind}"]
        points = read_predictions(file).as_array([s.image.name for s in found.samples], len(schema), str(file))
        distance = np.linalg.norm(points - reference[..., :2], axis=-1)
        # A nearly singular Hessian throws a point out of its crop, in the reference, too; rounding decides how far.
        center, sides = box_to_crop(np.stack([sample.box for sample in found.samples]))
        inside = (np.abs(reference[..., :2] - center[:, None]) < sides[:, None] / 2).all(axis=-1)
        compared = inside & (margin > 1e-3)
        assert compared.mean() > 0.9
        assert distance[compared].max() < 0.01


def test_an_interrupted_evaluation_continues(root: Path, tmp_path: Path, benchmark: Benchmark) -> None:
    weights, peaks = (
        tiny_weights(tmp_path / "w.safetensors", W300_68),
        PredictOptions(methods=("argmax",), device="cpu"),
    )

    def evaluate(file: Path) -> Evaluation:
        return evaluate_benchmark(benchmark, root, file, weights=weights, options=peaks)

    whole = evaluate(tmp_path / "whole.jsonl")
    picture = root / "lfpw" / "testset" / "3.png"
    kept = picture.read_bytes()
    picture.write_bytes(b"")
    with pytest.raises(DarkposeError, match=r"3\.pts: .*3\.png: .*; 3 faces are predicted and kept"):
        evaluate(tmp_path / "cut.jsonl")
    before = (tmp_path / "cut.jsonl").read_text()
    assert set(read_predictions(tmp_path / "cut.jsonl").keypoints) == {0, 1, 2}
    picture.write_bytes(kept)
    resumed = evaluate(tmp_path / "cut.jsonl")
    assert (tmp_path / "cut.jsonl").read_text().startswith(before)
    np.testing.assert_allclose(resumed.points, whole.points, atol=1e-3)


def test_reading_threads_do_not_change_the_files(root: Path, tmp_path: Path, benchmark: Benchmark) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    for name, workers in (("alone", 0), ("two", 2)):
        evaluate_benchmark(
            benchmark, root, tmp_path / f"{name}.jsonl", weights=weights, options=replace(CPU, workers=workers)
        )
    assert (tmp_path / "alone.jsonl").read_text() == (tmp_path / "two.jsonl").read_text()


def test_each_of_several_variants_is_as_if_alone_and_is_compared_with_the_first(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    ways = PredictOptions(("annotation", "jitter:0.1"), ("off", "exact"), ("dark", "argmax"), device="cpu")
    found = evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=ways)
    assert found.name == "annotation boxes, flip off, dark"
    assert len(found.others) == 7
    for other in found.others:
        header = read_predictions(other.file).header
        one = PredictOptions((header["boxes"],), (header["flip_test"],), (header["method"],), device="cpu")
        alone = evaluate_benchmark(benchmark, root, tmp_path / f"alone.{other.file.name}", weights=weights, options=one)
        assert alone.report == other.report
        difference = found.report.subsets["all"].nme - other.report.subsets["all"].nme
        assert other.comparison.difference == pytest.approx(difference, abs=1e-9)
    text = "\n".join(found.lines())
    assert "jitter:0.1 boxes, flip exact, argmax" in text
    assert found.lines()[-1] == "published row: none for this set-up"
    assert json.loads(json.dumps(found.to_dict()))["others"][0]["name"] == "annotation boxes, flip off, argmax"


def test_landmarks_pulled_towards_a_prior_come_first_and_the_predicted_ones_second(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    file, prior = tmp_path / "p.jsonl", some_prior(W300_68, ["0.png", "elsewhere.png"])
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    plain = evaluate_benchmark(benchmark, root, file, weights=weights, options=CPU)
    written = file.read_bytes()
    drawn = evaluate_benchmark(benchmark, root, file, weights=weights, options=CPU, shape_prior=prior)
    assert file.read_bytes() == written
    lines = [json.loads(line) for line in written.decode().splitlines()[1:]]
    expected = prior(*([line[name] for line in lines] for name in ("keypoints", "scores", "box")))
    np.testing.assert_allclose(drawn.points, expected, rtol=0, atol=1e-9)
    assert drawn.name == f"{plain.name}, prior"
    assert [(other.name, other.report.to_dict()) for other in drawn.others] == [(plain.name, plain.report.to_dict())]
    assert "a shape prior that was fitted to 1 of these faces" in str(drawn.to_dict())
    bare = write_predictions(tmp_path / "bare.jsonl", plain.points)
    with pytest.raises(DarkposeError, match=r"bare\.jsonl: a shape prior needs 68 scores and a box"):
        evaluate_benchmark(benchmark, root, bare, shape_prior=prior)
    with pytest.raises(DarkposeError, match=r"wflw-98.*shape prior.*300w-68"):
        evaluate_benchmark(benchmark, root, file, shape_prior="wflw-98")


def test_changed_weights_do_not_continue_the_predictions_of_others(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68, seed=1)
    evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=CPU)
    tiny_weights(tmp_path / "w.safetensors", W300_68, seed=2)
    with pytest.raises(DarkposeError, match="the predictions of another run"):
        evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=CPU)


def test_a_prior_that_cannot_be_used_is_refused_before_anything_is_predicted(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    for prior, message in (("wflw-98", "schema wflw-98"), (tmp_path / "gone", "not a readable shape prior")):
        with pytest.raises(DarkposeError, match=message):
            evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=CPU, shape_prior=prior)
    assert not (tmp_path / "p.jsonl").exists()


def test_weights_for_another_schema_are_refused_unless_shared_landmarks_are_asked_for(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    weights, file = tiny_weights(tmp_path / "w.safetensors", WFLW_98), tmp_path / "p.jsonl"
    with pytest.raises(DarkposeError, match=r"wflw-98.*300w-lfpw.*300w-68; --shared"):
        evaluate_benchmark(benchmark, root, file, weights=weights, options=CPU)
    assert not file.exists()
    found = evaluate_benchmark(benchmark, root, file, weights=weights, shared=True, options=CPU)
    known = [name for name, value in found.report.nme_by_landmark.items() if not np.isnan(value)]
    assert len(known) == 50
    assert "left_brow_0" not in known
    with pytest.raises(DarkposeError, match="--shared"):
        evaluate_benchmark(benchmark, root, file)


def test_weights_with_several_schemas_predict_the_one_of_the_data_set(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", join_schemas(WFLW_98, W300_68))
    found = evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=CPU)
    assert found.schema.names == W300_68.names
    other = evaluate_benchmark(
        benchmark, root, tmp_path / "q.jsonl", weights=weights, shared=True, options=replace(CPU, schema="wflw-98")
    )
    assert other.schema.names == WFLW_98.names
    with pytest.raises(DarkposeError, match="--shared"):
        evaluate_benchmark(
            benchmark, root, tmp_path / "r.jsonl", weights=weights, options=replace(CPU, schema="wflw-98")
        )
    with pytest.raises(DarkposeError, match="wflw-98, 300w-68, got 'ours'"):
        evaluate_benchmark(benchmark, root, tmp_path / "r.jsonl", weights=weights, options=replace(CPU, schema="ours"))


@pytest.mark.parametrize(
    ("mistake", "message"),
    [(PredictOptions(("jitter:9",)), "boxes must be"), (PredictOptions(device="abacus"), "'abacus' cannot be used")],
)
def test_a_mistake_leaves_no_file_behind(
    root: Path, tmp_path: Path, benchmark: Benchmark, mistake: PredictOptions, message: str
) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    with pytest.raises(DarkposeError, match=message):
        evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=mistake)
    assert not (tmp_path / "p.jsonl").exists()


def published(root: Path, file: Path, faces: int, **changes: object) -> str:
    test_set = replace(DATA_SETS["300w-lfpw"], published={"faces": faces})
    row = replace(find_benchmark("300w-lfpw"), test_set=test_set, published={"full": 3.0, "pose": 7.0})
    return evaluate_benchmark(row, root, file, **changes).lines()[-1]  # type: ignore[arg-type]


def test_the_last_line_gives_the_distance_from_the_published_row_or_why_there_is_none(
    root: Path, tmp_path: Path
) -> None:
    truth = np.stack([sample.keypoints for sample in find_benchmark("300w-lfpw").test_set.read(root)])
    file = write_predictions(tmp_path / "p.jsonl", truth)
    assert published(root, file, 5) == "published row: full 3.00, here 0.00 (-3.00); pose 7.00, not measured here"
    assert published(root, file, 224).endswith("not comparable: 5 faces instead of 224")
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68, test_images_learnt=["1.png", "x.png"], recipe="mine")
    ways = PredictOptions(("landmarks",), ("off",), ("argmax",), device="cpu")
    line = published(root, tmp_path / "q.jsonl", 5, weights=weights, options=ways)
    assert line.removeprefix("published row: full 3.00, pose 7.00; not comparable: ").split("; ") == [
        *("the weights were trained on 1 of these faces", "weights trained by the recipe mine", "landmarks boxes"),
        *("flip test off instead of published", "method argmax instead of dark"),
    ]


def test_training_on_the_test_set_is_reported_without_a_published_row_too(root: Path, tmp_path: Path) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68, train_set="300w-lfpw, 5 faces")
    found = evaluate_benchmark(find_benchmark("300w-lfpw"), root, tmp_path / "p.jsonl", weights=weights, options=CPU)
    assert found.lines()[-1] == "published row: none for this set-up; the weights were trained on this set"


def test_the_default_file_names_tell_how_they_were_predicted(
    root: Path, tmp_path: Path, benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = tiny_weights(tmp_path / "w.safetensors", WFLW_98)
    found = evaluate_benchmark(benchmark, root, None, weights=weights, shared=True, options=CPU)
    assert str(found.file) == "300w-lfpw.w.wflw-98.predictions.annotation-published-dark.jsonl"
    assert found.file.exists()
    assert found.lines()[-2] == f"predictions: {found.file}"


def test_predictions_of_changed_annotations_are_not_continued(root: Path, tmp_path: Path, benchmark: Benchmark) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=CPU)
    write_300w(root / "lfpw" / "testset", seed=1)
    with pytest.raises(DarkposeError, match=r"another run \(faces_sha256: there"):
        evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=CPU)


def test_a_missing_file_to_compare_with_is_reported_before_anything_is_predicted(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    against = [tmp_path / "nothing.jsonl"]
    with pytest.raises(DarkposeError, match=r"nothing\.jsonl: cannot be read"):
        evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, against=against, options=CPU)
    assert not (tmp_path / "p.jsonl").exists()


def test_a_file_in_another_schema_to_compare_with_is_reported_before_anything_is_predicted(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    other = write_predictions(tmp_path / "other.jsonl", np.zeros((5, 98, 2)), markup="wflw-98")
    with pytest.raises(
        DarkposeError, match=r"different schemas cannot be compared: .* 300w-68, .*other\.jsonl wflw-98"
    ):
        evaluate_benchmark(
            benchmark, root, tmp_path / "p.jsonl", weights=weights, against=[other], shared=True, options=CPU
        )
    assert not (tmp_path / "p.jsonl").exists()


def test_drawn_faces_are_not_compared_with_a_published_row(tmp_path: Path) -> None:
    make_wflw(tmp_path, train=1, test=6)
    weights = tiny_weights(tmp_path / "w.safetensors", WFLW_98)
    found = evaluate_benchmark(WFLW, tmp_path, tmp_path / "p.jsonl", weights=weights, options=CPU)
    assert set(found.report.subsets) == {"all", *WFLW.published} - {"test"}
    assert "not comparable: faces drawn by darkpose; " in found.lines()[-1]
    assert "6 faces instead of 2500" in found.lines()[-1]


@pytest.mark.slow
def test_the_default_weights_are_the_best_for_the_schema(tmp_path: Path) -> None:
    make_wflw(tmp_path, train=1, test=1)
    for schema, name in ((None, FACES), ("wflw-98", FACES), ("300w-68", W300_ONLY)):
        file = tmp_path / f"{schema}.jsonl"
        evaluate_benchmark(WFLW, tmp_path, file, weights="default", shared=True, options=replace(CPU, schema=schema))
        assert read_predictions(file).header["weights"] == name


def test_an_unfinished_file_to_compare_with_is_reported_before_anything_is_predicted(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    against = [write_predictions(tmp_path / "half.jsonl", np.zeros((2, 68, 2)))]
    with pytest.raises(DarkposeError, match=r"half\.jsonl: .* lacks 3 of 5 faces"):
        evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, against=against, options=CPU)
    assert not (tmp_path / "p.jsonl").exists()


def test_weights_with_another_crop_do_not_continue_a_file(root: Path, tmp_path: Path, benchmark: Benchmark) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", W300_68)
    evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=CPU)
    known = read_safetensors(Path(weights))
    save_checkpoint(replace(known, config=replace(known.config, padding=1.9)), Path(weights))
    with pytest.raises(DarkposeError, match=r"another run \(padding: there 1.25, here 1.9\)"):
        evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, options=CPU)


def test_two_evaluations_do_not_write_to_one_file(root: Path, tmp_path: Path, benchmark: Benchmark) -> None:
    weights, file = tiny_weights(tmp_path / "w.safetensors", W300_68), tmp_path / "p.jsonl"
    with only_writer(file), pytest.raises(DarkposeError, match=r"p\.jsonl: another evaluation is writing to it"):
        evaluate_benchmark(benchmark, root, file, weights=weights, options=CPU)
    assert not file.exists()  # nothing was begun
    assert (
        len(read_predictions(evaluate_benchmark(benchmark, root, file, weights=weights, options=CPU).file).keypoints)
        == 5
    )


def test_sharing_is_not_suggested_for_schemas_without_known_common_landmarks(
    root: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    weights = tiny_weights(tmp_path / "w.safetensors", COFW_29)
    for shared in (False, True):
        with pytest.raises(DarkposeError, match="300w-68 and cofw-29") as caught:
            evaluate_benchmark(benchmark, root, tmp_path / "p.jsonl", weights=weights, shared=shared, options=CPU)
        assert "--shared" not in str(caught.value)
    assert not (tmp_path / "p.jsonl").exists()
