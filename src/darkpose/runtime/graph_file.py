"""Where the graph of a checkpoint file is: in the package or in the cache."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

from darkpose.files.atomic import make_folder, write_atomically
from darkpose.files.download import cache_folder
from darkpose.runtime.graph import graph_path, network_graph
from darkpose.weights.checkpoint import CheckpointFile
from darkpose.weights.zoo import SHIPPED, shipped_file


def is_shipped(file: Path) -> bool:
    """Whether a file is one of the checkpoints in the package, which has their graphs."""
    return file in [shipped_file(name) for name in SHIPPED]


def find_graph(weights: CheckpointFile) -> Path:
    """The graph of a checkpoint file: in the package, or else made once in the cache, next to a copy of the weights.

    Raises:
        DarkposeError: it has to be made, and the package onnx is missing or the cache cannot be written.
    """
    if is_shipped(weights.path):
        return graph_path(weights)
    digest = hashlib.sha256(weights.path.read_bytes()).hexdigest()
    folder = cache_folder() / "graphs"
    copy = replace(weights, path=folder / f"{digest[:16]}.safetensors")
    made = graph_path(copy)
    if not (made.is_file() and copy.path.is_file()):
        make_folder(folder)
        if not copy.path.is_file():
            write_atomically(copy.path, lambda temporary: shutil.copyfile(weights.path, temporary))
        graph = network_graph(copy)
        write_atomically(made, lambda temporary: temporary.write_bytes(graph))
    return made
