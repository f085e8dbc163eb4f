"""Your own annotations as a test set."""

from collections.abc import Sequence

from darkpose.datasets.catalogue import DataSet
from darkpose.datasets.sample import Sample
from darkpose.detect.face_detector import FaceDetector
from darkpose.evaluation.benchmarks import Benchmark, Protocol
from darkpose.evaluation.crop_boxes import face_boxes
from darkpose.schema import KeypointSchema
from darkpose.weights.checkpoint import open_checkpoint
from darkpose.weights.zoo import weights_file


def own_benchmark(name: str, samples: Sequence[Sample], schema: KeypointSchema) -> Benchmark:
    """A benchmark of annotated faces or objects, measured without a flip test."""
    kept = list(samples)
    return Benchmark(name, DataSet(name, schema, lambda root, broken=None: kept, {}), Protocol("off", batch_size=16))


def with_boxes_for(weights: str, samples: Sequence[Sample]) -> list[Sample]:
    """The samples with boxes as those that weights were trained with: of the faces that are found, or as annotated.

    Raises:
        DarkposeError: the weights or an image cannot be read.
    """
    file = weights_file(weights)
    around_faces = file.suffix == ".safetensors" and open_checkpoint(file).provenance.get("boxes") == "faces"
    found = face_boxes(samples, FaceDetector()) if around_faces else None
    return list(samples) if found is None else found
