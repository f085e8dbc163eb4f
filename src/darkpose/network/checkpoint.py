"""A network with its configuration, schema and provenance; safetensors files read and written."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.files.json_text import format_json
from darkpose.network.heads import with_rows
from darkpose.network.hrnet import HRNet
from darkpose.schema import KeypointSchema
from darkpose.weights.checkpoint import FORMAT, CheckpointConfig, HRNetConfig, fingerprint, open_checkpoint

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoint:
    """A network and how to use it.

    Attributes:
        model: in evaluation mode, float32, on the CPU.
        config: how to use it.
        schema: of its landmarks.
        provenance: where the weights come from; JSON values.
    """

    model: HRNet
    config: CheckpointConfig
    schema: KeypointSchema
    provenance: Mapping[str, Any]


def load_strictly(
    config: HRNetConfig, weights: Mapping[str, Tensor], source: str, spell: Callable[[str], str] = str
) -> HRNet:
    """A network with exactly these weights, in evaluation mode.

    Args:
        config: of the network.
        weights: by darkpose's names.
        source: where they come from, for the message.
        spell: how the source writes one of darkpose's names, for the message.

    Raises:
        DarkposeError: keys are missing, superfluous or misshapen; the message lists every one.
    """
    with torch.device("meta"):
        model = HRNet(config)
    return fill_strictly(model, weights, f"{source}: the weights do not fit {config}", spell)


def fill_strictly(
    model: Network, weights: Mapping[str, Tensor], refusal: str, spell: Callable[[str], str] = str
) -> Network:
    """Give a network on the device "meta" exactly these weights, as float32; it is then in evaluation mode.

    Args:
        model: the network.
        weights: by its names.
        refusal: begins the message.
        spell: as for `load_strictly`.

    Raises:
        DarkposeError: as `load_strictly`.
    """
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    problems = [f"missing: {spell(key)} {shape}" for key, shape in expected.items() if key not in weights]
    problems += [
        f"not expected: {spell(key)} {'' if _unusual(value) else tuple(value.shape)}"
        for key, value in weights.items()
        if key not in expected
    ]
    for key, shape in expected.items():
        value = weights.get(key)
        if value is None:
            continue
        if kind := _unusual(value):  # looked at first: reading its numbers, or even its shape, may fail
            problems.append(f"expected a plain tensor of floats: {spell(key)} is {kind}")
        elif tuple(value.shape) != shape:
            problems.append(f"wrong shape: {spell(key)} is {tuple(value.shape)}, expected {shape}")
        elif not _usable(value):
            problems.append(f"not finite numbers: {spell(key)}")
    if problems:
        listed = "; ".join(problems)
        raise DarkposeError(f"{refusal}, problems: {len(problems)}: {listed}")
    cast = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    model.load_state_dict(cast, assign=True)
    return model.eval().requires_grad_(False)


def _unusual(value: Tensor) -> str:
    """What a tensor is if it is no plain one of whole numbers or usual floats; empty: it is."""
    if value.is_nested or value.layout != torch.strided:
        return "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
    if value.is_meta:
        return "without numbers (meta)"
    floats = value.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    whole = not (value.is_floating_point() or value.is_complex() or value.is_quantized)
    return "" if floats or whole else str(value.dtype).removeprefix("torch.")


def _usable(value: Tensor) -> bool:
    """Weights are finite floats; the counters of batch norms, scalars, may be whole numbers."""
    return bool(value.isfinite().all()) if value.is_floating_point() else value.ndim == 0


def save_checkpoint(checkpoint: Checkpoint, path: Path, *, half: bool = False) -> None:
    """Write a checkpoint in one rename; `half` stores the convolutions in half precision (batch norms stay float32).

    Raises:
        DarkposeError: the file cannot be written.
    """
    weights = {
        key: (value.half() if half and value.ndim == 4 else value).detach().cpu().contiguous()
        for key, value in checkpoint.model.state_dict().items()
    }
    metadata = {
        "darkpose": FORMAT,
        "config": format_json(asdict(checkpoint.config)),
        "schema": format_json(asdict(checkpoint.schema)),
        "provenance": format_json(dict(checkpoint.provenance)),
    }
    write_atomically(path, lambda temporary: temporary.write_bytes(save(weights, metadata)))


def read_safetensors(path: Path) -> Checkpoint:
    """Read one of darkpose's files.

    Raises:
        DarkposeError: the file is damaged, not darkpose's, of another version, or its weights do not fit its
            configuration.
    """
    found = open_checkpoint(path)
    try:
        with safe_open(path, "pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise DarkposeError(f"{path}: not a readable safetensors file ({error})") from error
    model = load_strictly(found.config.network, weights, str(path))
    return Checkpoint(model, found.config, found.schema, found.provenance)


def model_arrays(model: HRNet) -> dict[str, NDArray[Any]]:
    """The weights of a network by name."""
    return {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}


def model_fingerprint(model: HRNet) -> str:
    """`weights.checkpoint.fingerprint` of the weights of a network."""
    return fingerprint(model_arrays(model))


def part_of(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """The checkpoint for one of the schemas that its own joins.

    Raises:
        DarkposeError: it does not know that schema.
    """
    rows = checkpoint.schema.rows(name)
    if name == checkpoint.schema.name:
        return checkpoint
    part = next(part for part in checkpoint.schema.parts if part.name == name)
    model = with_rows(checkpoint.model, range(len(checkpoint.schema))[rows])
    return replace(checkpoint, model=model, schema=part, config=replace(checkpoint.config, network=model.config))


def with_provenance(checkpoint: Checkpoint, **facts: Any) -> Checkpoint:
    """The same checkpoint with more facts about where it comes from."""
    return replace(checkpoint, provenance={**checkpoint.provenance, **facts})
