"""Darkpose's own files: what is written comes back, and nothing else is believed."""

import errno
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.files.records import parse_record
from darkpose.image.pixels import Normalisation
from darkpose.network.checkpoint import Checkpoint, load_strictly, read_safetensors, save_checkpoint, with_provenance
from darkpose.network.hrnet import HRNet
from darkpose.schema import AFLW_19, COFW_29, W300_68, KeypointSchema, join_schemas
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig, open_checkpoint, read_metadata

SMALL = HRNetConfig(19, widths=(2, 3, 4, 5), modules=(1, 1, 1), blocks=1, stem=4)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    model = HRNet(SMALL).eval()
    for value in model.state_dict().values():
        value.copy_(torch.rand(value.shape) if value.is_floating_point() else torch.tensor(7))
    config = CheckpointConfig(
        SMALL, crop_size=128, padding=1.3, sigma=1.5, kernel_size=9, normalisation=Normalisation(std=(1, 2, 3))
    )
    return Checkpoint(model, config, AFLW_19, {"epoch": 3, "recipe": "test"})


@pytest.fixture
def path(tmp_path: Path, checkpoint: Checkpoint) -> Path:
    save_checkpoint(checkpoint, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def rewritten(path: Path, change: Callable[[dict[str, str]], object]) -> Path:
    """The same weights with other metadata."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    change(metadata)
    save_file(load_file(path), path, metadata)
    return path


def set_json(field: str, **values: object) -> Callable[[dict[str, str]], object]:
    return lambda metadata: metadata.update({field: json.dumps({**json.loads(metadata[field]), **values})})


def set_number(field: str, name: str, number: str) -> Callable[[dict[str, str]], object]:
    """The field with a number as it is written."""
    return lambda metadata: metadata.update(
        {field: json.dumps({**json.loads(metadata[field]), name: 0.125}).replace("0.125", number)}
    )


def nested(depth: int) -> str:
    return '{"a": ' * depth + "1" + "}" * depth


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system lets no file grow beyond `size` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_comes_back_as_it_was_written(path: Path, checkpoint: Checkpoint) -> None:
    found = read_safetensors(path)
    assert (found.config, found.schema, found.provenance) == (
        checkpoint.config,
        checkpoint.schema,
        checkpoint.provenance,
    )
    expected = checkpoint.model.state_dict()
    assert list(found.model.state_dict()) == list(expected)
    assert all(torch.equal(value, expected[key]) for key, value in found.model.state_dict().items())
    assert not found.model.training
    assert not any(parameter.requires_grad for parameter in found.model.parameters())


def test_numbers_of_a_configuration_may_be_numpys(tmp_path: Path, checkpoint: Checkpoint) -> None:
    network = checkpoint.config.network
    shape: dict[str, Any] = {"keypoints": np.int32(network.keypoints), "widths": tuple(map(np.int64, network.widths))}
    crop: dict[str, Any] = {"crop_size": np.int64(64), "sigma": np.float32(2)}
    config = replace(checkpoint.config, network=replace(network, **shape), **crop)
    save_checkpoint(replace(checkpoint, config=config), tmp_path / "numpy.safetensors")
    assert read_safetensors(tmp_path / "numpy.safetensors").config == replace(
        checkpoint.config, crop_size=64, sigma=2.0
    )


def test_the_loaded_network_computes_what_the_written_one_does(path: Path, checkpoint: Checkpoint) -> None:
    crops = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(read_safetensors(path).model(crops), checkpoint.model(crops))


def test_half_precision_rounds_convolutions_only_and_loads_as_float32(tmp_path: Path, checkpoint: Checkpoint) -> None:
    save_checkpoint(checkpoint, tmp_path / "half.safetensors", half=True)
    stored = load_file(tmp_path / "half.safetensors")
    assert {value.dtype for value in stored.values() if value.ndim == 4} == {torch.float16}
    found = read_safetensors(tmp_path / "half.safetensors").model.state_dict()
    for key, value in checkpoint.model.state_dict().items():
        assert found[key].dtype == value.dtype
        torch.testing.assert_close(found[key], value, rtol=2**-11 if value.ndim == 4 else 0, atol=0)


def test_more_provenance_is_added_without_touching_the_rest(checkpoint: Checkpoint) -> None:
    more = with_provenance(checkpoint, nme=0.03)
    assert more.provenance == {"epoch": 3, "recipe": "test", "nme": 0.03}
    assert more.model is checkpoint.model


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:5], lambda b: b"", lambda b: b"\xff" * 99])
def test_a_damaged_file_is_refused(path: Path, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DarkposeError, match=r"model\.safetensors: not a readable safetensors file"):
        read_safetensors(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"none\.safetensors: not a readable"):
        read_safetensors(tmp_path / "none.safetensors")


def test_someone_elses_safetensors_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(DarkposeError, match="expected a darkpose checkpoint of format 1, got 'none'"):
        read_safetensors(tmp_path / "other.safetensors")


def test_a_file_of_a_later_format_is_refused(path: Path) -> None:
    with pytest.raises(DarkposeError, match="of format 1, got '2'"):
        read_safetensors(rewritten(path, lambda metadata: metadata.update(darkpose="2")))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda metadata: metadata.pop("schema"), "misses schema"),
        (lambda metadata: metadata.update(config="{"), "Expecting"),
        (lambda metadata: metadata.update(config="[]"), "config: expected an object"),
        (lambda metadata: metadata.update(provenance="5"), "provenance: expected an object"),
        (lambda metadata: metadata.update(provenance="[]"), r"provenance: expected an object, got \[\]"),
        (lambda metadata: metadata.update(config=nested(150)), "more than 100 lists and objects in each other"),
        (lambda metadata: metadata.update(provenance=nested(20000)), "more than 100 lists and objects in each other"),
        (set_number("config", "padding", "1e999"), "the number 1e999 is too large"),
        (set_number("config", "padding", "-1e999"), "the number -1e999 is too large"),
        (set_number("config", "crop_size", "9" * 400), "a number of 400 digits, 9+..., is too large"),
        (set_number("config", "crop_size", "9" * 299), "crop_size must be a multiple of 32"),
        (set_number("config", "kernel_size", "9" * 299), "kernel_size must be an odd number of at most 255"),
        (set_number("config", "sigma", "9" * 299), "sigma must be a positive number below 100"),
        (set_number("provenance", "nme", "1e999"), "the number 1e999 is too large"),
        (set_json("config", surprise=1), "surprise"),
        (set_json("config", network=5), "network: expected an object"),
        (set_json("config", network={"keypoints": 19, "depth": 3}), "depth"),
        (set_json("config", pixel_convention="other"), "pixel_convention: expected one of crop/4"),
        (set_json("schema", name="/tmp/x"), "becomes part of file names"),
        (set_json("schema", name="../x"), "becomes part of file names"),
        (set_json("schema", parts=[{**asdict(AFLW_19), "name": "../x"}]), "becomes part of file names"),
        (set_json("schema", names=["a", "a"]), "unique"),
        (set_json("schema", names=["a", "b"], flip_pairs=[], outlines=[], left_eye=[], right_eye=[]), "19 landmarks"),
        (set_json("schema", parts=5), "parts: expected a list"),
        (set_json("schema", parts=[5]), r"parts\[0\]: expected an object"),
        (set_json("schema", parts=[{}]), "name"),
        (set_json("schema", parts=[{**asdict(AFLW_19), "names": ["a", "a"]}]), "unique"),
        (set_json("schema", parts=[asdict(COFW_29)]), "but its parts have"),
    ],
)
def test_other_metadata_is_refused(path: Path, change: Callable[[dict[str, str]], object], why: str) -> None:
    with pytest.raises(DarkposeError, match=rf"model\.safetensors: its metadata cannot be used .*{why}"):
        read_safetensors(rewritten(path, change))


def test_metadata_of_another_network_is_refused(path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"wrong shape: head\.3\.weight is \(19, 14, 1, 1\), expected \(29, 14"):
        read_safetensors(rewritten(path, lambda metadata: metadata.update(_cofw_metadata(metadata))))


def _cofw_metadata(metadata: dict[str, str]) -> dict[str, str]:
    config = json.loads(metadata["config"])
    config["network"]["keypoints"] = 29
    return {"config": json.dumps(config), "schema": json.dumps(asdict(COFW_29))}


def test_loading_lists_every_key_that_does_not_fit(checkpoint: Checkpoint) -> None:
    weights = checkpoint.model.state_dict()
    del weights["head.0.bias"], weights["backbone.bn1.weight"]
    weights |= {"surprise": torch.ones(3), "head.3.bias": torch.ones(20)}
    with pytest.raises(DarkposeError) as raised:
        load_strictly(SMALL, weights, "somewhere", str.upper)
    first, _, listed = str(raised.value).partition("problems: 4: ")
    assert first.startswith("somewhere: the weights do not fit")
    assert set(listed.split("; ")) == {
        "missing: HEAD.0.BIAS (14,)",
        "missing: BACKBONE.BN1.WEIGHT (4,)",
        "not expected: SURPRISE (3,)",
        "wrong shape: HEAD.3.BIAS is (20,), expected (19,)",
    }


def test_a_full_disk_leaves_the_old_file_and_nothing_else(path: Path, checkpoint: Checkpoint) -> None:
    old = path.read_bytes()
    with largest_file(len(old) // 2), pytest.raises(DarkposeError, match=r"model\.safetensors: cannot be written: "):
        save_checkpoint(replace(checkpoint, provenance={}), path)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "kept").write_text("old")
    with pytest.raises(DarkposeError, match="kept: cannot be written: No space left on device"):
        write_atomically(tmp_path / "kept", write)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"kept": "old"}


def test_writing_where_no_folder_is_is_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    (tmp_path / "file").touch()
    for folder in ("none", "file"):
        with pytest.raises(DarkposeError, match="cannot be written"):
            save_checkpoint(checkpoint, tmp_path / folder / "model.safetensors")


def test_a_markup_of_ones_own_comes_back(tmp_path: Path, checkpoint: Checkpoint) -> None:
    own = KeypointSchema("own", tuple(f"p{i}" for i in range(19)), ((0, 1),), outlines=((2, 3, 4), (5, 6)))
    save_checkpoint(replace(checkpoint, schema=own), tmp_path / "own.safetensors")
    assert read_safetensors(tmp_path / "own.safetensors").schema == own


def test_a_joined_markup_comes_back_with_its_parts(tmp_path: Path, checkpoint: Checkpoint) -> None:
    joined = join_schemas(COFW_29, W300_68)
    network = replace(SMALL, keypoints=97)
    model = HRNet(network).eval()
    made = Checkpoint(model, replace(checkpoint.config, network=network), joined, {})
    save_checkpoint(made, tmp_path / "joined.safetensors")
    found = read_safetensors(tmp_path / "joined.safetensors").schema
    assert found == joined
    assert found.parts == (COFW_29, W300_68)
    assert found.rows("300w-68") == slice(29, 97)
    np.testing.assert_array_equal(found.flip_index, joined.flip_index)


def test_joined_markups_can_be_joined_again_and_come_back() -> None:
    joined = join_schemas(join_schemas(COFW_29, AFLW_19), W300_68)
    assert parse_record(KeypointSchema, json.loads(json.dumps(asdict(joined)))) == joined


def test_files_from_before_there_were_joined_markups_are_still_read(path: Path) -> None:
    def forget(metadata: dict[str, str]) -> None:
        schema = json.loads(metadata["schema"])
        del schema["parts"]
        metadata["schema"] = json.dumps(schema)

    found = read_safetensors(rewritten(path, forget)).schema
    assert found == AFLW_19
    assert found.parts == ()


@pytest.mark.parametrize(
    ("part", "change"),
    [
        pytest.param("config", {"network": {"widths": [-1, 3, 4, 5]}}, id="negative width"),
        pytest.param("config", {"network": {"widths": "abcd"}}, id="widths of letters"),
        pytest.param("config", {"network": {"modules": [1, 1]}}, id="two stages"),
        pytest.param("config", {"network": {"stem": 4.5}}, id="half a channel"),
        pytest.param("config", {"network": {"keypoints": "19"}}, id="keypoints in letters"),
        pytest.param("config", {"kernel_size": "x"}, id="kernel"),
        pytest.param("config", {"padding": "a"}, id="padding"),
        pytest.param("config", {"crop_size": 128.0}, id="fractional crop"),
        pytest.param("config", {"normalisation": {"std": [0, 0, 0]}}, id="no deviation"),
        pytest.param("schema", {"flip_pairs": [[0, 1.5]]}, id="half an index"),
        pytest.param("schema", {"flip_pairs": [[0, 1, 2]]}, id="a pair of three"),
    ],
)
def test_other_values_are_one_error_with_the_path(path: Path, part: str, change: dict[str, object]) -> None:
    def edit(metadata: dict[str, str]) -> None:
        values = json.loads(metadata[part])
        for key, value in change.items():
            values[key] = {**values[key], **value} if isinstance(value, dict) else value
        metadata[part] = json.dumps(values)

    with pytest.raises(DarkposeError, match="its metadata cannot be used") as caught:
        read_safetensors(rewritten(path, edit))
    assert str(path) in str(caught.value)


def test_weights_that_are_not_finite_floats_are_listed(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    weights = load_file(path)
    weights["head.3.bias"][0] = float("nan")
    weights["head.3.weight"] = weights["head.3.weight"].to(torch.int32)
    save_file(weights, path, metadata)
    with pytest.raises(DarkposeError, match="problems: 2") as caught:
        read_safetensors(path)
    assert "not finite numbers: head.3.bias" in str(caught.value)
    assert "not finite numbers: head.3.weight" in str(caught.value)


def test_complex_weights_are_refused_with_torch_and_without(path: Path) -> None:
    weights, metadata = load_file(path), read_metadata(path)
    weights["head.3.weight"] = weights["head.3.weight"].to(torch.complex64)
    save_file(weights, path, metadata)
    with pytest.raises(
        DarkposeError, match=r"problems: 1: expected a plain tensor of floats: head\.3\.weight is complex"
    ):
        read_safetensors(path)
    with pytest.raises(DarkposeError, match=r"model\.safetensors: expected finite real numbers, head\.3\.weight has"):
        open_checkpoint(path).arrays()
