"""Landmarks of any number of images, written in shards: stopped or killed, the same call goes on."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from darkpose.detect.detector import named_detector
from darkpose.errors import DarkposeError
from darkpose.image.pixels import decode_image
from darkpose.predict.formats import ImageResult, to_dict
from darkpose.predict.given_boxes import GivenBoxes
from darkpose.predict.inputs import Source
from darkpose.predict.predictor import BoxKind, Predictor
from darkpose.predict.shards import Record, Shards
from darkpose.predict.stream import Found, Looked, stream


class Image(Protocol):
    """An image by its name and the bytes of its file; reading them may raise a DarkposeError."""

    @property
    def name(self) -> str:
        """As it stands in the records."""
        ...

    def read(self) -> bytes:
        """The bytes."""
        ...


@dataclass(frozen=True)
class Step:
    """What is done to every image, so that another process can do it, too.

    Attributes:
        options: keyword arguments of `Predictor`, but for the detector.
        detector: of faces, as `named_detector` knows it.
        boxes: given boxes, instead of detected ones.
        box_kind: what given boxes are.
        threads: that decode ahead of the network, as in `stream`.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    detector: str = "auto"
    boxes: GivenBoxes | None = None
    box_kind: BoxKind = "detector"
    threads: int | None = None

    def predictor(self, **options: Any) -> Predictor:
        """A predictor for it, with other options on top.

        Raises:
            DarkposeError: as `Predictor` and `named_detector`.
        """
        finder = None if self.boxes is not None else named_detector(self.detector)
        return Predictor(**{**self.options, **options}, detector=finder)

    def facts(self, predictor: Predictor) -> dict[str, Any]:
        """What the records of a predictor depend on, but for the inputs, as JSON values."""
        by = {"detector": predictor.detector.name} if self.boxes is None else {"boxes": self.boxes.digest()}
        kind = {} if self.boxes is None else {"box_kind": self.box_kind}
        schema = predictor.schema
        return {"markup": schema.name, "landmarks": list(schema.names), **predictor.facts(), **by, **kind}


def predict_shards(
    predictor: Predictor, step: Step, sources: Iterable[Source], shards: Shards
) -> Generator[Record, None, None]:
    """Predict what has no record yet; every source gets exactly one, in its order.

    A caller that stops before the end may `flush` the shards, so that no record is lost.

    Args:
        predictor: finds the landmarks.
        step: how.
        sources: the images, in the same order as in earlier runs.
        shards: open for writing.

    Yields:
        The records that this run adds.

    Raises:
        DarkposeError: there are no sources, they are not those of the shards, a shard is damaged or cannot be written.
    """
    left = shards.left(sources)
    first = next(left, None)  # what is done already is read here, not in a thread, so that Ctrl-C ends it
    numbered = left if first is None else chain([first], left)
    for record in predict_sources(predictor, step, numbered):
        shards.add(record)
        yield record
    if not shards.summary()["inputs"]:
        raise DarkposeError("there are no images in what was named")
    shards.finish()


def predict_sources(predictor: Predictor, step: Step, numbered: Iterable[tuple[int | None, Image]]) -> Iterator[Record]:
    """The record of each image, in order, under the number that is given with it."""

    def look(one: tuple[int | None, Image]) -> Looked:
        _, source = one
        given = None if step.boxes is None else step.boxes.of(Path(source.name))
        image = decode_image(source.read())
        return Looked(image, predictor.regions(image, given, step.box_kind))

    if step.boxes is None:
        _ = predictor.detector  # found once, not by several threads
    yield from map(_record, stream(predictor, numbered, look, threads=step.threads))


def _record(found: Found[tuple[int | None, Image]]) -> Record:
    number, source = found.item
    head = {"input": number, "image": source.name}
    if found.image is None:
        reason = found.problem.removeprefix(f"{source.name}: ")
        return {**head, "status": "unreadable", "reason": reason, "width": None, "height": None, "faces": []}
    height, width = found.image.shape[:2]
    faces = to_dict(ImageResult(source.name, (width, height), found.faces))["faces"]
    for face in faces:
        del face["names"]  # they are in run.json
        face["scores"] = [_known(score) for score in face["scores"]]
        face["score"] = _known(face["score"])
    status = "done" if faces else "no face"
    return {**head, "status": status, "reason": "", "width": width, "height": height, "faces": faces}


def _known(score: float) -> float | None:
    """A score; None for that of a map with NaN, which JSON cannot write."""
    return score if score == score else None
