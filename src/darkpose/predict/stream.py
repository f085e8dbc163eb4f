"""Images, however many, through one predictor: read ahead in threads, their faces in shared batches, in order."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

from darkpose.errors import DarkposeError
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels
from darkpose.predict.face import Face
from darkpose.predict.predictor import Predictor, Region
from darkpose.predict.readahead import read_ahead

Item = TypeVar("Item")
HELD_PIXELS = 1 << 26  # decoded ones, waiting for their batch, and as many in it: 0.2 GB each


class Looked(NamedTuple):
    """An image and where its faces are."""

    image: Pixels
    regions: Sequence[Region]


class Found(NamedTuple, Generic[Item]):
    """What became of one item.

    Attributes:
        item: as it came in.
        image: its pixels (H, W, 3) uint8 RGB; None where it could not be used.
        faces: found in it, without the pixels.
        problem: a sentence, where it could not be used; else empty.
    """

    item: Item
    image: Pixels | None
    faces: Sequence[Face] = ()
    problem: str = ""


def default_threads() -> int:
    """One per processor that this process may use, and no more than 16."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(count or 1, 16)


def stream(
    predictor: Predictor, items: Iterable[Item], look: Callable[[Item], Looked], *, threads: int | None = None
) -> Iterator[Found[Item]]:
    """The faces of many images; what is wrong with one image does not stop the others.

    Memory is bounded: no more items are taken than fill two batches of faces, and no more images are decoded than hold
    `HELD_PIXELS`, but for one in each thread.

    Args:
        predictor: finds the landmarks.
        items: what stands for the images; taken one at a time.
        look: decodes an item's image and finds its face regions; called in the threads. A DarkposeError, and what
            OpenCV raises, is that item's problem.
        threads: that look ahead while the network works; None: `default_threads`; 0: none.

    Yields:
        One per item, in order.
    """
    looked = read_ahead(
        lambda item: _look(look, item),
        items,
        threads=default_threads() if threads is None else threads,
        most=2 * _most_in_batch(predictor),
        weight=lambda one: 0 if isinstance(one, str) else _pixels(one.image),
        heaviest=HELD_PIXELS,
    )
    for batch in _batches(predictor, looked):
        yield from _found(predictor, batch)


_Batch = list[tuple[Item, Looked | str]]


def _look(look: Callable[[Item], Looked], item: Item) -> Looked | str:
    """The image and its face regions, or what is wrong with it."""
    try:
        return look(item)
    except DarkposeError as error:
        return str(error)
    except cv2.error as error:
        return f"OpenCV fails at it: {error.err}"
    except MemoryError:
        return "there is not enough memory for it"


def _pixels(image: Pixels) -> int:
    return image.size // 3


def _most_in_batch(predictor: Predictor) -> int:
    """Images; more of them than faces, as some have none."""
    return 4 * predictor.batch_size


def _batches(predictor: Predictor, looked: Iterable[tuple[Item, Looked | str]]) -> Iterator[_Batch[Item]]:
    """As many images at a time as fill a batch of faces, or fewer large ones."""
    batch: _Batch[Item] = []
    faces = pixels = 0
    for item, one in looked:
        batch.append((item, one))
        if isinstance(one, Looked):
            faces, pixels = faces + len(one.regions), pixels + _pixels(one.image)
        del one
        if faces >= predictor.batch_size or pixels >= HELD_PIXELS or len(batch) >= _most_in_batch(predictor):
            yield batch
            batch, faces, pixels = [], 0, 0
    if batch:
        yield batch


def _found(predictor: Predictor, batch: _Batch[Item]) -> Iterator[Found[Item]]:
    """The faces of a batch; where it cannot be done in one go, image by image."""
    regions = [region for _, one in batch if isinstance(one, Looked) for region in one.regions]
    try:
        faces = iter(predictor.locate(regions))
    except DarkposeError as error:
        if len(batch) > 1:
            for pair in batch:
                yield from _found(predictor, [pair])
        else:
            yield Found(batch[0][0], None, problem=str(error))
        return
    del regions
    for item, one in batch:
        if isinstance(one, str):
            yield Found(item, None, problem=one)
        else:
            yield Found(item, one.image, [replace(next(faces), image=None) for _ in one.regions])
