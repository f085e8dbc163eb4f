"""Write the graphs of the weights in the package next to them: network_graphs.py

One graph for each schema of each checkpoint (see `runtime.graph`), by which onnxruntime and OpenVINO run the weights
without torch. They hold no weights themselves. Needs onnx: pip install 'darkpose[export]'.
"""

from pathlib import Path

from darkpose.files.atomic import write_atomically
from darkpose.runtime.graph import linked_graph
from darkpose.weights.checkpoint import open_checkpoint
from darkpose.weights.zoo import SHIPPED, shipped_file


def write_graphs(file: Path) -> None:
    """Write the graphs of a checkpoint, one for each schema that it knows."""
    whole = open_checkpoint(file)
    for schema in whole.schema.parts or (whole.schema,):
        weights = whole.with_schema(schema.name)
        graph = linked_graph(weights)
        write_atomically(weights.graph, lambda temporary, graph=graph: temporary.write_bytes(graph))  # type: ignore[misc]
        print(f"{weights.graph}: {len(graph) / 1e6:.1f} MB")


if __name__ == "__main__":
    for name in SHIPPED:
        write_graphs(shipped_file(name))
