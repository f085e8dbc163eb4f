"""Files of other projects: random weights in every layout."""

import hashlib
import re
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from darkpose.errors import DarkposeError
from darkpose.network.checkpoint import read_safetensors, save_checkpoint
from darkpose.network.foreign import read_pth
from darkpose.schema import AFLW_19, COFW_29, W300_68, WFLW_98, KeypointSchema

GOLDEN = Path(__file__).parents[1] / "golden"
Weights = dict[str, Tensor]


def golden_shapes(name: str) -> dict[str, tuple[str, str]]:
    """Names, shapes and types of a published file, as the project that wrote it lists them."""
    lines = (GOLDEN / f"keys_{name}.txt").read_text().splitlines()
    return {key: (shape, dtype) for key, shape, dtype in map(str.split, lines)}


def random_weights(name: str) -> Weights:
    """Weights as a published file has them."""
    generator = torch.Generator().manual_seed(len(name))

    def one(shape: str, dtype: str) -> Tensor:
        size = [] if shape == "scalar" else [int(side) for side in shape.split("x")]
        return torch.tensor(9) if dtype == "int64" else torch.rand(size, generator=generator)

    return {key: one(*described) for key, described in golden_shapes(name).items()}


AFLW, WFLW = random_weights("0x_aflw"), random_weights("0x_wflw")


def renamed(weights: Weights, *rules: tuple[str, str]) -> Weights:
    """Weights under other names, by regular expressions."""

    def new(name: str) -> str:
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        return name

    return {new(name): value for name, value in weights.items()}


def as_ours(weights: Weights) -> Weights:
    return renamed(weights, (r"^keypoint_head\.final_layer", "head"))


def as_1x(weights: Weights) -> Weights:
    last = (r"^keypoint_head\.final_layer\.3", "head.final_layer")
    return renamed(weights, last, (r"^keypoint_head\.final_layer", "head.conv_layers"))


def as_face(weights: Weights) -> Weights:
    return renamed(as_ours(weights), (r"^backbone\.", ""))


META: dict[str, Any] = {
    "mmpose_version": "0.14.0+abc",
    "epoch": np.int64(60),
    "iter": 7080,
    "time": "Mon Jan 25 2021",
    "config": "log_level = 'INFO'",
    "hook_msgs": {"best_score": np.float64(0.0398), "best": np.bool_(True), "lr": np.float32(2e-3), "n": np.int32(3)},
    "dataset_meta": {"sigmas": np.ones(3, np.float32), "colors": np.zeros((2, 3), np.uint8)},
}
PREPROCESSOR = dict.fromkeys(("data_preprocessor.mean", "data_preprocessor.std"), torch.ones(3, 1, 1))
PARALLEL = {"state_dict": renamed(as_face(AFLW), ("^", "module.")), "epoch": 3, "best_nme": np.float64(0.1)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth"


def assert_same_weights(found: Weights, expected: Weights) -> None:
    assert found.keys() == expected.keys()
    assert [key for key, value in found.items() if not torch.equal(value, expected[key])] == []


@pytest.mark.parametrize("data", ["aflw", "wflw"])
def test_the_layouts_made_here_are_the_published_ones(data: str) -> None:
    weights = {"aflw": AFLW, "wflw": WFLW}[data]
    for name, made in ((f"0x_{data}", weights), (f"1x_{data}", as_1x(weights))):
        shapes = {key: "x".join(map(str, value.shape)) or "scalar" for key, value in made.items()}
        assert shapes == {key: shape for key, (shape, _) in golden_shapes(name).items()}


@pytest.mark.parametrize(
    ("content", "weights", "layout", "schema", "sigma"),
    [
        ({"meta": META, "state_dict": AFLW}, AFLW, "openmmlab-0.x", AFLW_19, 2.0),
        ({"meta": META, "state_dict": WFLW}, WFLW, "openmmlab-0.x", WFLW_98, 2.0),
        ({"meta": META, "state_dict": as_1x(WFLW)}, WFLW, "openmmlab-1.x", WFLW_98, 2.0),
        (as_1x(AFLW) | PREPROCESSOR, AFLW, "openmmlab-1.x", AFLW_19, 2.0),
        (as_face(WFLW), WFLW, "hrnet-facial-landmark-detection", WFLW_98, 1.5),
        (PARALLEL, AFLW, "hrnet-facial-landmark-detection", AFLW_19, 1.5),
        (as_ours(WFLW), WFLW, "darkpose", WFLW_98, 2.0),
    ],
    ids=["0.x-aflw", "0.x-wflw", "1.x-wflw", "1.x-aflw-preprocessor", "face-bare", "face-module", "ours"],
)
def test_every_layout_gives_the_same_network(
    content: Any, weights: Weights, layout: str, schema: KeypointSchema, sigma: float, path: Path
) -> None:
    torch.save(content, path)
    found = read_pth(path)
    assert_same_weights(dict(found.model.state_dict()), as_ours(weights))
    assert (found.schema, found.provenance["layout"], found.config.sigma) == (schema, layout, sigma)
    assert found.config.network.keypoints == len(schema)
    assert not found.model.training


def test_where_the_weights_come_from_is_kept_and_can_be_written(path: Path) -> None:
    torch.save({"meta": META, "state_dict": AFLW}, path)
    found = read_pth(path)
    assert found.provenance == {
        "layout": "openmmlab-0.x",
        "file": "model.pth",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "epoch": 60,
        "mmpose_version": "0.14.0+abc",
    }
    save_checkpoint(found, path.with_suffix(".safetensors"))
    again = read_safetensors(path.with_suffix(".safetensors"))
    assert again.provenance == found.provenance
    assert_same_weights(dict(again.model.state_dict()), as_ours(AFLW))


@pytest.mark.parametrize(("landmarks", "schema"), [(68, W300_68), (29, COFW_29)])
def test_the_number_of_landmarks_tells_the_markup(landmarks: int, schema: KeypointSchema, path: Path) -> None:
    torch.save(with_landmarks(landmarks), path)
    assert read_pth(path).schema == schema


def with_landmarks(landmarks: int) -> Weights:
    last = {"head.3.weight": torch.ones(landmarks, 270, 1, 1), "head.3.bias": torch.ones(landmarks)}
    return as_ours(AFLW) | last


def test_an_unknown_number_of_landmarks_asks_for_a_markup(path: Path) -> None:
    torch.save(with_landmarks(3), path)
    with pytest.raises(DarkposeError, match=r"finds 3 landmarks, and no known schema .* schema=KeypointSchema\("):
        read_pth(path)
    own = KeypointSchema("three", ("a", "b", "c"), ())
    assert read_pth(path, own).schema == own


def test_a_markup_that_does_not_fit_is_refused(path: Path) -> None:
    torch.save(AFLW, path)
    with pytest.raises(DarkposeError, match="finds 19 landmarks, but the schema wflw-98 names 98"):
        read_pth(path, WFLW_98)


@pytest.mark.parametrize(
    ("layout", "missing", "extra"),
    [
        (dict, "keypoint_head.final_layer.0.bias", "keypoint_head.deconv.weight"),
        (as_1x, "head.conv_layers.0.bias", "head.deconv.weight"),
        (as_face, "head.0.bias", "incre_modules.0.weight"),
        (as_ours, "head.0.bias", "neck.weight"),
    ],
)
def test_every_key_that_does_not_fit_is_listed_by_its_name_in_the_file(
    layout: Callable[[Weights], Weights], missing: str, extra: str, path: Path
) -> None:
    weights = dict(layout(AFLW))
    misshapen = next(name for name in weights if name.endswith("transition1.0.0.weight"))
    del weights[missing]
    torch.save(weights | {extra: torch.ones(2), misshapen: torch.ones(1)}, path)
    with pytest.raises(DarkposeError) as raised:
        read_pth(path)
    assert set(str(raised.value).partition("problems: 3: ")[2].split("; ")) == {
        f"missing: {missing} (270,)",
        f"not expected: {extra} (2,)",
        f"wrong shape: {misshapen} is (1,), expected (18, 256, 3, 3)",
    }


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            {"conv1.weight": torch.ones(1), "incre_modules.0.weight": torch.ones(1)},
            r"expected head\.3\.weight of shape",
        ),
        ({"keypoint_head.final_layer.weight": torch.ones(17, 32, 1, 1)}, r"expected keypoint_head\.final_layer\.3\.w"),
        ({"head.final_layer.weight": torch.tensor(1.0)}, r"expected head\.final_layer\.weight of shape"),
        ({"features.0.weight": torch.ones(1)}, r"not an HRNetV2 .* called features\.0\.weight"),
        ({"keypoint_head.final_layer.0.bias": torch.ones(1), "head.0.bias": torch.ones(1)}, "weights twice"),
        ({"state_dict": {"conv1.weight": torch.ones(1), "epoch": 3}}, "tensors alone, but it holds epoch"),
        ({"model": {}, 5: torch.ones(1)}, "tensors alone, but it holds model, 5"),
        ({"state_dict": {}}, "expected a state_dict"),
        ([torch.ones(1)], "expected a state_dict, .* got list"),
        (torch.ones(1), "expected a state_dict, .* got Tensor"),
    ],
)
def test_what_is_no_such_network_is_refused(content: Any, why: str, path: Path) -> None:
    torch.save(content, path)
    with pytest.raises(DarkposeError, match=rf"model\.pth: .*{why}"):
        read_pth(path)


@pytest.mark.parametrize("ending", [".pth", "_20210125.pth"])
def test_a_name_that_tells_another_hash_means_a_damaged_download(ending: str, path: Path) -> None:
    torch.save(AFLW, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right, wrong = (path.with_name(f"hrnet_dark-{told}{ending}") for told in (digest[:8], "219606c0"))
    assert read_pth(path.rename(right)).provenance["sha256"] == digest
    with pytest.raises(DarkposeError, match=rf"damaged; .* begins with 219606c0, but it is {digest}"):
        read_pth(right.rename(wrong))


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"none\.pth: cannot be read: No such file"):
        read_pth(tmp_path / "none.pth")
    with pytest.raises(DarkposeError, match="cannot be read: Is a directory"):
        read_pth(tmp_path)


def prefixed(weights: Weights, *prefixes: str) -> Weights:
    return {"".join(prefixes) + name: value for name, value in weights.items()}


OURS = as_ours(AFLW)
NO_COUNTERS = {name: value for name, value in OURS.items() if not name.endswith("num_batches_tracked")}
AVERAGED = AFLW | {f"ema_{name.replace('.', '_')}": value + 1 for name, value in AFLW.items()}


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": prefixed(OURS, "model."), "pytorch-lightning_version": "2.4.0", "epoch": 3},
        prefixed(OURS, "_orig_mod."),
        prefixed(OURS, "module.", "_orig_mod.", "model."),
        prefixed(OURS, "model.", "net.", "module."),
        {name.replace("backbone.", "backbone._orig_mod."): value for name, value in OURS.items()},
        {"model": OURS, "epoch": 1},
        {"net": prefixed(OURS, "module.")},
        {"model_state_dict": OURS, "optimizer": {"state": {}, "param_groups": []}},
        {"model": {"state_dict": OURS}},
        {"state_dict": AVERAGED, "meta": META},
    ],
    ids=["lightning", "compiled", "three", "others", "compiled inside", "model", "net", "named", "twice", "averages"],
)
def test_weights_are_found_in_what_training_programs_wrap_around_them(content: Any, path: Path) -> None:
    torch.save(content, path)
    assert_same_weights(dict(read_pth(path).model.state_dict()), OURS)


def test_the_counters_of_batch_norms_may_be_missing(path: Path) -> None:
    torch.save(NO_COUNTERS, path)
    found = read_pth(path).model.state_dict()
    assert_same_weights({name: value for name, value in found.items() if name in NO_COUNTERS}, NO_COUNTERS)


def test_what_remains_without_prefixes_is_read_strictly(path: Path) -> None:
    torch.save({"state_dict": prefixed(OURS, "model.") | {"loss.weight": torch.ones(3)}}, path)
    with pytest.raises(DarkposeError, match=r"its weights are called model\."):
        read_pth(path)
    torch.save({"state_dict": prefixed(OURS | {"loss.weight": torch.ones(3)}, "model.")}, path)
    with pytest.raises(DarkposeError, match=r"not expected: loss\.weight"):
        read_pth(path)


class HistoryBuffer:
    """As MMEngine's: a run leaves one for each number that it logs."""

    def __init__(self) -> None:
        self.max_length, self._log_history, self._count_history = 10**6, np.ones(3), np.ones(3, int)


@pytest.mark.parametrize(
    "module", ["mmengine.logging.history_buffer", "pytorch_lightning.utilities", "omegaconf.dictconfig"]
)
def test_objects_that_a_training_run_leaves_next_to_the_weights_are_dropped(
    module: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = module.split(".")
    names = [".".join(parts[: end + 1]) for end in range(len(parts))]
    for name in names:
        made = ModuleType(name)
        made.HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, made)
    monkeypatch.setattr(HistoryBuffer, "__module__", module)
    hub = {"log_scalars": OrderedDict({"train/loss": HistoryBuffer()}), "runtime_info": OrderedDict(epoch=60)}
    torch.save({"meta": META, "state_dict": as_1x(AFLW), "message_hub": hub}, path)
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    assert_same_weights(dict(read_pth(path).model.state_dict()), OURS)


FIRST = "backbone.conv1.weight"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(1).expand(2**40), "wrong shape"),
        (torch.zeros(64, 3, 3, 3).to_sparse(), "sparse_coo"),
        (torch.zeros(64, 3, 3, 3, device="meta"), "meta"),
        (torch.zeros(64, 3, 3, 3).to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (torch.zeros(64, 3, 3, 3, dtype=torch.complex64), "complex64"),
        (torch.full((64, 3, 3, 3), torch.inf), "not finite numbers"),
    ],
    ids=["expanded", "sparse", "meta", "float8", "complex", "infinite"],
)
def test_a_tensor_of_another_kind_is_named_before_its_numbers_are_read(value: Tensor, message: str, path: Path) -> None:
    torch.save(OURS | {FIRST: value}, path)
    with pytest.raises(DarkposeError, match=rf"{message}.*{FIRST}|{FIRST}.*{message}"):
        read_pth(path)


def test_a_compressed_archive_is_refused(path: Path) -> None:
    plain = path.with_name("plain.pth")
    torch.save({"state_dict": {"head.3.weight": torch.zeros(10**6)}}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            target.writestr(entry, source.read(entry))
    with pytest.raises(DarkposeError, match="got a compressed archive"):
        read_pth(path)


def test_weights_that_hold_themselves_are_refused(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    content["state_dict"] = content
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(DarkposeError, match=r"x\.pth: expected a state_dict of named tensors alone, .* state_dict$"):
        read_pth(tmp_path / "x.pth")


def test_a_tensor_with_any_number_of_landmarks_takes_no_memory_and_is_refused(tmp_path: Path) -> None:
    weights = {"head.3.weight": torch.zeros(1).expand(10**9, 270, 1, 1), "backbone.conv1.weight": torch.zeros(1)}
    torch.save(weights, tmp_path / "x.pth")
    with pytest.raises(DarkposeError, match=r"x\.pth: expected four widths .*keypoints=1000000000"):
        read_pth(tmp_path / "x.pth")
