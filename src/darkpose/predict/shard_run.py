"""Predictions for any number of images, written in shards; a run that was stopped or killed can be continued."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import ArrayLike

from darkpose.detect.detector import detector_facts
from darkpose.image.pixels import Pixels, decode_image
from darkpose.predict.formats import ImageResult, to_dict
from darkpose.predict.given_boxes import GivenBoxes
from darkpose.predict.part import Record
from darkpose.predict.predictor import BoxKind, Predictor
from darkpose.predict.shards import Shards
from darkpose.predict.sources import Source
from darkpose.predict.stream import StreamResult, stream


class EncodedImage(Protocol):
    """The name of an image and the bytes of its file; reading them may raise a DarkposeError."""

    @property
    def name(self) -> str:
        """The name in the records."""
        ...

    def read(self) -> bytes:
        """Read the bytes."""
        ...


@dataclass(frozen=True)
class Step:
    """How every image is predicted; other processes can be given it.

    Attributes:
        options: keyword arguments of `Predictor`, except the detector.
        detector: a name or path that `Predictor` takes.
        boxes: boxes by image; None: detect faces.
        box_kind: of the boxes, as `Predictor` takes it.
        threads: that read images ahead of the network, as in `stream`.
        derived: whether the records have pose, openness and five points, too.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    detector: str = "auto"
    boxes: GivenBoxes | None = None
    box_kind: BoxKind = "detector"
    threads: int | None = None
    derived: bool = False

    def predictor(self, **options: Any) -> Predictor:
        """A predictor; the keyword arguments replace some of the options.

        Raises:
            DarkposeError: as `Predictor`.
        """
        detector = self.detector if self.boxes is None else "auto"
        return Predictor(**{**self.options, **options}, detector=detector)

    def facts(self, predictor: Predictor) -> dict[str, Any]:
        """JSON values of everything the records depend on except the inputs."""
        schema = predictor.schema
        facts = {"markup": schema.name, "landmarks": list(schema.names), **predictor.facts()}
        facts |= {"derived": True} if self.derived else {}
        if self.boxes is None:
            return {**facts, **detector_facts(predictor.detector)}
        return {**facts, "boxes": self.boxes.digest(), "box_kind": self.box_kind}


def predict_shards(
    predictor: Predictor,
    step: Step,
    sources: Iterable[Source],
    shards: Shards,
    *,
    stopped: Callable[[], object] = lambda: False,
) -> Generator[Record, None, None]:
    """Predict the inputs that have no record yet; every source gets one record, in order.

    A caller that stops early may call `shards.flush`, so that no record is lost.

    Args:
        predictor: finds the landmarks.
        step: how images are predicted.
        sources: the images, in the same order as in earlier runs.
        shards: entered.
        stopped: whether to end before an image that is still being read.

    Yields:
        The records that this run adds.

    Raises:
        DarkposeError: there are no sources, the shards have other inputs, or a part is damaged or cannot be written.
    """
    missing = shards.missing(sources)
    # Existing records are read before the first missing input: here and not in a thread, so that Ctrl-C stops it.
    first = next(missing, None)
    numbered = missing if first is None else chain([first], missing)
    for record in predict_images(predictor, step, numbered, stopped=stopped):
        shards.add(record)
        yield record
    if not stopped():
        shards.finish()


def predict_images(
    predictor: Predictor,
    step: Step,
    numbered: Iterable[tuple[int | None, EncodedImage]],
    *,
    stopped: Callable[[], object] = lambda: False,
) -> Iterator[Record]:
    """The records of images, in order; each image is given with its number. `stopped` as in `stream`."""

    def read(numbered_image: tuple[int | None, EncodedImage]) -> tuple[Pixels, ArrayLike | None]:
        _, image = numbered_image
        given = None if step.boxes is None else step.boxes.of(Path(image.name))
        return decode_image(image.read()), given

    results = stream(predictor, numbered, read, box_kind=step.box_kind, threads=step.threads, stopped=stopped)
    yield from (_record(result, step.derived) for result in results)


def _record(result: StreamResult[tuple[int | None, EncodedImage]], derived: bool) -> Record:
    number, image = result.item
    head = {"input": number, "image": image.name}
    if result.image is None:
        reason = result.problem.removeprefix(f"{image.name}: ")
        return {**head, "status": "unreadable", "reason": reason, "width": None, "height": None, "faces": []}
    height, width = result.image.shape[:2]
    faces = to_dict(ImageResult(image.name, (width, height), result.faces, derived))["faces"]
    for face in faces:
        del face["names"], face["runtime"]  # names are in run.json; runtimes give the same landmarks
    status = "done" if faces else "no face"
    return {**head, "status": status, "reason": "", "width": width, "height": height, "faces": faces}
