"""Graphs of checkpoints that are not in the package: made once, in the cache, next to a copy of the weights."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from darkpose.files.atomic import make_folder, write_atomically
from darkpose.files.download import cache_folder
from darkpose.runtime.graph import network_graph
from darkpose.weights.checkpoint import CheckpointFile, open_checkpoint

if TYPE_CHECKING:
    from darkpose.network.checkpoint import Checkpoint


def cached_graph(weights: CheckpointFile) -> Path:
    """The graph of a checkpoint file in the cache; made if it is not there.

    Raises:
        DarkposeError: the package onnx is missing, or the cache cannot be written.
    """
    digest = hashlib.sha256(weights.path.read_bytes()).hexdigest()
    copy = replace(weights, path=_folder() / f"{digest[:16]}.safetensors")
    if not copy.path.is_file():
        write_atomically(copy.path, lambda temporary: shutil.copyfile(weights.path, temporary))
    if not copy.graph.is_file():
        graph = network_graph(copy)
        write_atomically(copy.graph, lambda temporary: temporary.write_bytes(graph))
    return copy.graph


def converted_in_cache(checkpoint: "Checkpoint") -> CheckpointFile:
    """A checkpoint as a safetensors file in the cache.

    Raises:
        DarkposeError: the cache cannot be written.
    """
    from darkpose.network.checkpoint import model_fingerprint, save_checkpoint

    file = _folder() / f"{model_fingerprint(checkpoint.model)[:16]}-{checkpoint.schema.name}.safetensors"
    if not file.is_file():
        save_checkpoint(checkpoint, file)
    return open_checkpoint(file)


def _folder() -> Path:
    folder = cache_folder() / "graphs"
    make_folder(folder)
    return folder
