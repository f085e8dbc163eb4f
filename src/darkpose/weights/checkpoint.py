"""Checkpoints: weights with everything needed to use them, in one safetensors file.

The file's metadata carries the network's configuration, the markup, the pixel convention, the target's sigma, the
normalisation and where the weights come from. Loading is strict.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from darkpose.codec.blur import modulation_kernel
from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.image.geometry import PADDING
from darkpose.image.pixels import Normalisation
from darkpose.network.hrnet import HRNet, HRNetConfig
from darkpose.schema import KeypointSchema

FORMAT = "1"


@dataclass(frozen=True)
class CheckpointConfig:
    """How the weights are to be used.

    Attributes:
        network: widths and depths.
        crop_size: side of the crop in crop px.
        padding: side of the crop over side of the landmark box.
        sigma: of the target heatmaps, heatmap px.
        kernel_size: of DARK's blur that goes with sigma.
        normalisation: of the pixels.
        pixel_convention: "crop/4": heatmap index j lies on crop pixel 4j.
    """

    network: HRNetConfig
    crop_size: int = 256
    padding: float = PADDING
    sigma: float = 2.0
    kernel_size: int = 11
    normalisation: Normalisation = field(default_factory=Normalisation)
    pixel_convention: Literal["crop/4"] = "crop/4"

    def __post_init__(self) -> None:
        if not isinstance(self.crop_size, int) or self.crop_size < 32 or self.crop_size % 32:
            raise DarkposeError(f"crop_size must be a positive multiple of 32, got {self.crop_size!r}")
        for name in ("padding", "sigma"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < 100:
                raise DarkposeError(f"{name} must be a positive number, got {value!r}")
        modulation_kernel(self.kernel_size)
        if self.pixel_convention != "crop/4":
            raise DarkposeError(f'the pixel convention must be "crop/4", got {self.pixel_convention!r}')


@dataclass(frozen=True)
class Checkpoint:
    """A network with all it takes to use it.

    Attributes:
        model: in evaluation mode, float32, on the CPU.
        config: how it is to be used.
        schema: its markup.
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
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    problems = [f"missing: {spell(key)} {shape}" for key, shape in expected.items() if key not in weights]
    problems += [
        f"not expected: {spell(key)} {tuple(value.shape)}" for key, value in weights.items() if key not in expected
    ]
    problems += [
        f"not finite numbers: {spell(key)}" for key, value in weights.items() if key in expected and not _usable(value)
    ]
    problems += [
        f"wrong shape: {spell(key)} is {tuple(weights[key].shape)}, expected {shape}"
        for key, shape in expected.items()
        if key in weights and tuple(weights[key].shape) != shape
    ]
    if problems:
        listed = "\n  ".join(problems)
        raise DarkposeError(f"{source}: the weights do not fit {config}, problems: {len(problems)}\n  {listed}")
    cast = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    model.load_state_dict(cast, assign=True)
    return model.eval().requires_grad_(False)


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
        "config": json.dumps(asdict(checkpoint.config)),
        "schema": json.dumps(asdict(checkpoint.schema)),
        "provenance": json.dumps(dict(checkpoint.provenance)),
    }
    write_atomically(path, lambda temporary: temporary.write_bytes(save(weights, metadata)))


def fingerprint(model: HRNet) -> str:
    """SHA-256 of a network's weights, in hex: the same weights, the same digits, whatever file they come from."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def read_safetensors(path: Path) -> Checkpoint:
    """Read one of darkpose's own files.

    Raises:
        DarkposeError: the file is damaged, of another make or version, or its weights do not fit its configuration.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise DarkposeError(f"{path}: not a readable safetensors file ({error})") from error
    if metadata.get("darkpose") != FORMAT:
        raise DarkposeError(
            f"{path}: expected a darkpose checkpoint of format {FORMAT}, got {metadata.get('darkpose', 'none')!r}"
        )
    try:
        config = config_from_json(json.loads(metadata["config"]))
        schema = schema_from_json(json.loads(metadata["schema"]))
        check_markup(schema, config.network.keypoints)
        provenance = dict(json.loads(metadata["provenance"]))
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:  # DarkposeError included
        raise DarkposeError(f"{path}: its metadata cannot be used ({error})") from error
    return Checkpoint(load_strictly(config.network, weights, str(path)), config, schema, provenance)


def check_markup(schema: KeypointSchema, keypoints: int) -> None:
    """Refuse a markup that does not name every one of the network's heatmaps.

    Raises:
        DarkposeError: the numbers differ.
    """
    if len(schema) != keypoints:
        raise DarkposeError(
            f"the network finds {keypoints} landmarks, but the markup {schema.name} names {len(schema)}; "
            f"give a schema of {keypoints}"
        )


def config_from_json(values: dict[str, Any]) -> CheckpointConfig:
    """Inverse of `asdict`; unknown or missing fields raise TypeError."""
    shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["network"].items()}
    normalisation = Normalisation(**{k: tuple(v) for k, v in values["normalisation"].items()})
    return CheckpointConfig(**{**values, "network": HRNetConfig(**shape), "normalisation": normalisation})


def schema_from_json(values: dict[str, Any]) -> KeypointSchema:
    """Inverse of `asdict`; unknown or missing fields raise TypeError."""

    def frozen(value: Any) -> Any:
        return tuple(frozen(item) for item in value) if isinstance(value, list) else value

    parts = tuple(schema_from_json(part) for part in values.get("parts", ()))
    return KeypointSchema(**{key: frozen(value) for key, value in values.items() if key != "parts"}, parts=parts)


def with_provenance(checkpoint: Checkpoint, **facts: Any) -> Checkpoint:
    """The same checkpoint with more facts about where it comes from."""
    return replace(checkpoint, provenance={**checkpoint.provenance, **facts})
