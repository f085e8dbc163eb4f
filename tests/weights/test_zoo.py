"""Checkpoints by path and by name."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from darkpose.errors import DarkposeError
from darkpose.network.checkpoint import Checkpoint, save_checkpoint
from darkpose.network.hrnet import HRNet
from darkpose.network.load import convert, load_checkpoint
from darkpose.schema import AFLW_19, COFW_29, SCHEMAS, WFLW_98, KeypointSchema, join_schemas
from darkpose.weights import zoo
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig
from darkpose.weights.zoo import ZOO

JOINED = join_schemas(AFLW_19, COFW_29)
SMALL = HRNetConfig(48, widths=(2, 3, 4, 5), modules=(1, 1, 1), blocks=1, stem=4)

OTHER = replace(AFLW_19, name="other")


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    network = HRNetConfig(19)
    return Checkpoint(HRNet(network).eval(), CheckpointConfig(network), AFLW_19, {"from": "here"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> Path:
    """Holds the checkpoint as darkpose's own and as a state_dict."""
    folder = tmp_path_factory.mktemp("zoo")
    save_checkpoint(checkpoint, folder / "own.safetensors")
    torch.save(checkpoint.model.state_dict(), folder / "model.pth")
    return folder


def assert_same_network(found: Checkpoint, expected: Checkpoint) -> None:
    weights = expected.model.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in found.model.state_dict().items())


def test_the_zoo_holds_the_published_models() -> None:
    assert {name: model.schema for name, model in ZOO.items()} == {
        "aflw-hrnetv2-w18-dark": AFLW_19,
        "wflw-hrnetv2-w18-dark": WFLW_98,
    }
    for name, model in ZOO.items():
        assert model.name == name
        assert model.url.startswith("https://download.openmmlab.com/mmpose/face/darkpose/hrnetv2_w18_")
        assert f"-{model.sha256_prefix}_20210125.pth" in model.url
        assert SCHEMAS[model.schema.name] is model.schema


@pytest.mark.parametrize("name", ["own.safetensors", "model.pth"])
def test_a_path_may_lead_to_either_kind(name: str, folder: Path, checkpoint: Checkpoint) -> None:
    for path in (folder / name, str(folder / name)):
        found = load_checkpoint(path)
        assert_same_network(found, checkpoint)
        assert found.schema == AFLW_19


@pytest.mark.parametrize("ending", [".pt", ".ckpt", ".tar", ".pth.tar"])
def test_other_endings_of_state_dicts_are_read_too(ending: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / f"model{ending}").symlink_to(folder / "model.pth")
    assert load_checkpoint(tmp_path / f"model{ending}").provenance["layout"] == "darkpose"


@pytest.mark.parametrize("name", ["own.safetensors", "model.pth"])
def test_a_given_markup_counts_if_it_fits(name: str, folder: Path) -> None:
    assert load_checkpoint(folder / name, schema=OTHER).schema == OTHER
    with pytest.raises(DarkposeError, match="finds 19 landmarks, but the schema x names 1"):
        load_checkpoint(folder / name, schema=KeypointSchema("x", ("a",), ()))


def test_what_is_neither_file_nor_name_is_told_with_the_names(tmp_path: Path) -> None:
    names = ", ".join(("default", *zoo.SHIPPED, *zoo.ZOO))
    with pytest.raises(DarkposeError, match=f"^wflw: there is no such file, and no model with that name; .* {names}$"):
        load_checkpoint("wflw")
    with pytest.raises(DarkposeError, match="there is no such file"):
        load_checkpoint("x" * 300)


def test_a_folder_and_an_unknown_ending_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DarkposeError, match=r"expected a checkpoint file, or the folder of a training run with weights\.safetensors"
    ):
        load_checkpoint(tmp_path)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(DarkposeError, match=r"ends in one of \.safetensors, \.pth, \.pt, \.ckpt, \.tar, got '\.onnx'"):
        load_checkpoint(tmp_path / "model.onnx")


@pytest.mark.parametrize("schema", [None, OTHER])
def test_a_name_is_downloaded_into_the_cache(
    schema: KeypointSchema | None, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str, target: Path, *, sha256_prefix: str) -> Path:
        asked.append((url, target, sha256_prefix))
        return folder / "model.pth"

    asked: list[tuple[str, Path, str]] = []
    monkeypatch.setattr(zoo, "fetch", fetch)
    monkeypatch.setenv("DARKPOSE_CACHE", str(tmp_path))
    model = ZOO["aflw-hrnetv2-w18-dark"]
    assert load_checkpoint("aflw-hrnetv2-w18-dark", schema=schema).schema == (schema or AFLW_19)
    target = tmp_path / "hrnetv2_w18_aflw_256x256_dark-219606c0_20210125.pth"
    assert asked == [(model.url, target, "219606c0")]


def test_a_wrong_file_put_into_the_cache_by_hand_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKPOSE_CACHE", str(tmp_path))
    (tmp_path / "hrnetv2_w18_wflw_256x256_dark-3f8e0c2c_20210125.pth").write_bytes(b"something else")
    with pytest.raises(DarkposeError, match=r"begins with 3f8e0c2c, got .* remove it to download it again"):
        load_checkpoint("wflw-hrnetv2-w18-dark")


def test_default_is_what_the_package_holds(
    folder: Path, tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "files", lambda package: tmp_path)
    with pytest.raises(
        DarkposeError, match=r"300w-hrnetv2-w18-dark\.safetensors: a file of the package is missing; install"
    ):
        load_checkpoint("default")
    (tmp_path / "weights" / "shipped").mkdir(parents=True)
    for name in zoo.SHIPPED:
        (tmp_path / "weights" / "shipped" / f"{name}.safetensors").symlink_to(folder / "own.safetensors")
        assert_same_network(load_checkpoint(name), checkpoint)
    assert_same_network(load_checkpoint("default"), checkpoint)
    assert load_checkpoint("default", schema=OTHER).schema == OTHER


def test_converting_writes_our_own_file_and_replaces_one_that_is_there(
    folder: Path, tmp_path: Path, checkpoint: Checkpoint
) -> None:
    target = tmp_path / "converted.safetensors"
    target.write_bytes(b"old")
    made = convert(folder / "model.pth", target, OTHER)
    found = load_checkpoint(target)
    assert_same_network(found, checkpoint)
    assert (found.schema, found.config, found.provenance) == (OTHER, made.config, made.provenance)
    assert found.provenance["file"] == "model.pth"


def test_a_file_can_be_converted_onto_itself(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "same.safetensors"
    target.write_bytes((folder / "own.safetensors").read_bytes())
    convert(target, target)
    before, after = load_file(folder / "own.safetensors"), load_file(target)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_converting_refuses_other_endings_before_reading_anything(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"out\.pth: .* end in \.safetensors, got '\.pth'"):
        convert(tmp_path / "none", tmp_path / "out.pth")


# ------------------------------------------------------------------------------------------- weights of several markups


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows AFLW's 19 landmarks and COFW's 29."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("joined") / "joined.safetensors"
    config = CheckpointConfig(SMALL, crop_size=64, sigma=1.5)
    save_checkpoint(Checkpoint(HRNet(SMALL).eval(), config, JOINED, {"from": "there"}), path)
    return path


def assert_part(found: Checkpoint, path: Path, schema: KeypointSchema, rows: slice) -> None:
    """The checkpoint is the file's for one markup: its rows of the last convolution, and all the rest as it is."""
    stored = load_file(path)
    assert found.schema == schema
    assert found.config == CheckpointConfig(replace(SMALL, keypoints=len(schema)), crop_size=64, sigma=1.5)
    assert found.model.config == found.config.network
    assert found.provenance == {"from": "there"}
    assert not found.model.training
    for name, value in found.model.state_dict().items():
        expected = stored[name][rows] if name in ("head.3.weight", "head.3.bias") else stored[name]
        assert torch.equal(value, expected), name


@pytest.mark.parametrize(
    ("schema", "part", "rows"),
    [
        pytest.param(None, AFLW_19, slice(0, 19), id="none asked for: the first"),
        pytest.param("aflw-19", AFLW_19, slice(0, 19), id="the first by its name"),
        pytest.param("cofw-29", COFW_29, slice(19, 48), id="another by its name"),
        pytest.param(COFW_29, COFW_29, slice(19, 48), id="another by its landmarks"),
    ],
)
def test_of_several_markups_one_is_chosen(
    schema: KeypointSchema | str | None, part: KeypointSchema, rows: slice, joined: Path
) -> None:
    assert_part(load_checkpoint(joined, schema=schema), joined, part, rows)


def test_the_whole_keeps_the_joined_markup(joined: Path) -> None:
    stored = load_file(joined)
    for found in (load_checkpoint(joined, whole=True), load_checkpoint(joined, schema=JOINED)):
        assert found.schema == JOINED
        assert found.config.network == SMALL
        assert all(torch.equal(value, stored[name]) for name, value in found.model.state_dict().items())


def test_a_markup_that_is_asked_for_counts_more_than_the_whole(joined: Path) -> None:
    assert_part(load_checkpoint(joined, schema="cofw-29", whole=True), joined, COFW_29, slice(19, 48))


def test_a_markup_that_the_weights_do_not_know_is_told_those_they_know(joined: Path, folder: Path) -> None:
    with pytest.raises(DarkposeError, match=r"expected one of the .*aflw-19, cofw-29, got 'wflw-98'"):
        load_checkpoint(joined, schema="wflw-98")
    for name in ("own.safetensors", "model.pth"):
        with pytest.raises(DarkposeError, match=r"expected one of the .*aflw-19, got 'wflw-98'"):
            load_checkpoint(folder / name, schema="wflw-98")
    with pytest.raises(DarkposeError, match="finds 48 landmarks, but the schema wflw-98 names 98"):
        load_checkpoint(joined, schema=WFLW_98)


@pytest.mark.parametrize("name", ["own.safetensors", "model.pth"])
@pytest.mark.parametrize("whole", [False, True])
def test_weights_of_one_markup_are_loaded_by_its_name_as_they_are(
    name: str, whole: bool, folder: Path, checkpoint: Checkpoint
) -> None:
    for found in (load_checkpoint(folder / name, schema="aflw-19", whole=whole), load_checkpoint(folder / name)):
        assert found.schema == AFLW_19
        assert_same_network(found, checkpoint)


def test_converting_keeps_all_markups_or_the_one_that_is_asked_for(joined: Path, tmp_path: Path) -> None:
    convert(joined, tmp_path / "all.safetensors")
    assert load_checkpoint(tmp_path / "all.safetensors", whole=True).schema == JOINED
    convert(joined, tmp_path / "one.safetensors", COFW_29)
    assert_part(load_checkpoint(tmp_path / "one.safetensors", whole=True), joined, COFW_29, slice(19, 48))


def test_the_joined_markups_own_name_gives_the_whole(joined: Path) -> None:
    assert load_checkpoint(joined, schema="aflw-19+cofw-29").schema == JOINED


def test_a_markup_of_ones_own_counts_for_a_part_too(joined: Path) -> None:
    assert load_checkpoint(joined, schema=OTHER).schema == OTHER  # as for weights of one markup
