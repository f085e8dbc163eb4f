"""Put a trained face detector into the package: ship_face_detector.py RUN COMMIT HARDWARE

RUN is the folder of scripts/train_face_detector.py, COMMIT the commit of the run. The weights and their graph go to
src/darkpose/weights/shipped/, the log to docs/training/face-detector.jsonl.
"""

import json
import shutil
import sys
from hashlib import sha256
from pathlib import Path

from safetensors.numpy import save

from darkpose.files.atomic import write_atomically
from darkpose.runtime.face_detector_graph import face_detector_graph
from darkpose.weights.checkpoint import read_arrays, read_metadata
from darkpose.weights.face_detector import NAME, open_face_detector

WEIGHTS = Path("src/darkpose/weights/shipped")
LOGS = Path("docs/training")


def main(run: Path, commit: str, hardware: str) -> None:
    """Write weights, graph and log."""
    trained, target = run / "weights.safetensors", WEIGHTS / f"{NAME}.safetensors"
    metadata = read_metadata(trained)
    provenance = {**json.loads(metadata["provenance"]), "name": NAME, "commit": commit, "hardware": hardware}
    data = save(read_arrays(trained), {**metadata, "provenance": json.dumps(provenance)})
    write_atomically(target, lambda temporary: temporary.write_bytes(data))
    file = open_face_detector(target)
    graph = face_detector_graph(file)
    write_atomically(file.graph, lambda temporary: temporary.write_bytes(graph))
    shutil.copyfile(run / "log.jsonl", LOGS / f"{NAME}.jsonl")
    print(f"{target}: {len(data) / 1e6:.2f} MB, SHA-256 {sha256(data).hexdigest()}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
