"""Checkpoints by path or name, loaded into a network."""

from dataclasses import replace
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.network.checkpoint import Checkpoint, part_of, read_safetensors, save_checkpoint
from darkpose.network.foreign import read_pth
from darkpose.schema import KeypointSchema
from darkpose.weights.checkpoint import check_schema
from darkpose.weights.zoo import PICKLED, ZOO, resolve_name, weights_file


def load_checkpoint(
    path_or_name: str | Path, *, schema: KeypointSchema | str | None = None, whole: bool = False
) -> Checkpoint:
    """Read a checkpoint; needs torch.

    Args:
        path_or_name: a name (see `weights.zoo.weights_file`), one of darkpose's `.safetensors`, or a `.pth`, `.pt`,
            `.ckpt` or `.tar` of another project.
        schema: name of the schema, for weights that know several (None: their first one); or a schema of the caller's,
            instead of the one in the file or the known one with as many landmarks.
        whole: keep weights that know several schemas as they are, with the joined schema.

    Raises:
        DarkposeError: there is no such file or name, it cannot be downloaded or read, or the schema does not fit.
    """
    name = schema if isinstance(schema, str) else None
    file = weights_file(path_or_name, name)
    if file.suffix in PICKLED:
        published = ZOO.get(resolve_name(path_or_name, name))
        given = schema if isinstance(schema, KeypointSchema) else None
        checkpoint = read_pth(file, published.schema if published else given)
    else:
        checkpoint = read_safetensors(file)
    return checkpoint if whole and schema is None else _with_schema(checkpoint, schema)


def convert(source: Path, target: Path, schema: KeypointSchema | None = None) -> Checkpoint:
    """Read any checkpoint, by path or name, and write it as a `.safetensors` file; an existing target is replaced.

    Raises:
        DarkposeError: the target does not end in `.safetensors` or cannot be written, or the source cannot be read.
    """
    if target.suffix != ".safetensors":
        raise DarkposeError(f"{target}: darkpose's checkpoints end in .safetensors, got {target.suffix!r}")
    checkpoint = load_checkpoint(source, schema=schema, whole=True)
    save_checkpoint(checkpoint, target)
    return checkpoint


def _with_schema(checkpoint: Checkpoint, schema: KeypointSchema | str | None) -> Checkpoint:
    known = checkpoint.schema
    if known.parts and not isinstance(schema, KeypointSchema):
        return part_of(checkpoint, schema or known.parts[0].name)
    if schema is None:
        return checkpoint
    if isinstance(schema, str):
        known.rows(schema)
        return checkpoint
    same = next((part.name for part in known.parts if part.names == schema.names), None)
    if same is not None:
        return replace(part_of(checkpoint, same), schema=schema)
    check_schema(schema, checkpoint.config.network.keypoints)
    return replace(checkpoint, schema=schema)
