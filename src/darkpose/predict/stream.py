"""Predictions for any number of images: read ahead in threads, faces in shared batches, results in order."""

import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from numpy.typing import ArrayLike

from darkpose.errors import DarkposeError
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels
from darkpose.predict.face import Face
from darkpose.predict.predictor import BoxKind, Predictor, Region
from darkpose.runtime.network import NetworkError

Item = TypeVar("Item")
Value = TypeVar("Value")
PATIENCE = 5.0  # seconds for threads to end; one that waits for a disk that is gone never does
POLL = 0.5  # seconds
MAX_PIXELS_HELD = 1 << 26  # decoded and waiting for a batch, and as many in the batch: 0.2 GB each


class StreamResult(NamedTuple, Generic[Item]):
    """The result for one item.

    Attributes:
        item: as it was given.
        image: its pixels (H, W, 3) uint8 RGB; None if they cannot be used.
        faces: found in the image; they do not hold the pixels.
        problem: why the image cannot be used; empty if it can.
    """

    item: Item
    image: Pixels | None
    faces: Sequence[Face] = ()
    problem: str = ""


def stream(
    predictor: Predictor,
    items: Iterable[Item],
    read: Callable[[Item], tuple[Pixels, ArrayLike | None]],
    *,
    box_kind: BoxKind = "detector",
    threads: int | None = None,
    stopped: Callable[[], object] = lambda: False,
) -> Iterator[StreamResult[Item]]:
    """Predict the faces of many images; a problem with one image does not stop the others.

    Memory is bounded: items are taken for two batches of faces at most, and decoded images hold `MAX_PIXELS_HELD` at
    most, plus one image per thread.

    Args:
        predictor: finds the landmarks.
        items: stand for the images; taken one at a time.
        read: item -> its image, and its boxes or None to detect faces, as `Predictor` takes them. Called in the
            threads. A DarkposeError, an OpenCV error and a lack of memory become the problem of that item.
        box_kind: of the boxes, as `Predictor` takes it.
        threads: that read images and detect faces while the network runs; None: `default_threads`; 0: none.
        stopped: whether to end before an image that is still being read.

    Yields:
        One result per item, in order.

    Raises:
        NetworkError: the runtime cannot run the network, for example for lack of memory.
    """
    max_items = 4 * predictor.batch_size  # in a batch: more than faces, because some images have none
    images = read_ahead(
        lambda item: find_regions(predictor, read, box_kind, item),
        items,
        threads=default_threads() if threads is None else threads,
        max_items=2 * max_items,
        size=lambda image: image.pixel_count,
        max_size=MAX_PIXELS_HELD,
        stopped=stopped,
    )
    for batch in _batches(images, predictor.batch_size, max_items):
        yield from predict_batch(predictor, batch)


def default_threads() -> int:
    """One per processor that this process may use, 16 at most."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(count or 1, 16)


class ReadImage(NamedTuple):
    """A decoded image and its face regions, or a problem."""

    pixels: Pixels | None
    regions: Sequence[Region] = ()
    problem: str = ""

    @property
    def pixel_count(self) -> int:
        """Number of pixels that it holds."""
        return 0 if self.pixels is None else self.pixels.size // 3


Batch = list[tuple[Item, ReadImage]]


def find_regions(
    predictor: Predictor,
    read: Callable[[Item], tuple[Pixels, ArrayLike | None]],
    box_kind: BoxKind,
    item: Item,
) -> ReadImage:
    """Read one image and find its faces, as `stream` does in its threads."""
    try:
        pixels, boxes = read(item)
        return ReadImage(pixels, predictor.regions(pixels, boxes, box_kind))
    except DarkposeError as error:
        return ReadImage(None, problem=str(error))
    except cv2.error as error:
        return ReadImage(None, problem=f"OpenCV cannot process the image: {error.err}")
    except MemoryError:
        return ReadImage(None, problem="there is not enough memory for the image")


def _batches(images: Iterable[tuple[Item, ReadImage]], max_faces: int, max_items: int) -> Iterator[Batch[Item]]:
    """Images with about `max_faces` faces per batch; fewer if the images are large."""
    batch: Batch[Item] = []
    faces = pixels = 0
    for item, image in images:
        batch.append((item, image))
        faces, pixels = faces + len(image.regions), pixels + image.pixel_count
        del image  # not held while the next one is awaited
        if faces >= max_faces or pixels >= MAX_PIXELS_HELD or len(batch) >= max_items:
            yield batch
            batch, faces, pixels = [], 0, 0
    if batch:
        yield batch


def predict_batch(predictor: Predictor, batch: Batch[Item]) -> Iterator[StreamResult[Item]]:
    """The faces of a batch; image by image if an image makes the whole batch fail.

    Raises:
        NetworkError: the runtime cannot run the network, even for one image.
    """
    try:
        faces = iter(predictor.locate([region for _, image in batch for region in image.regions]))
    except DarkposeError as error:
        if len(batch) > 1:
            for one in batch:
                yield from predict_batch(predictor, [one])
        elif isinstance(error, NetworkError):
            raise
        else:
            yield StreamResult(batch[0][0], None, problem=str(error))
        return
    for item, (pixels, regions, problem) in batch:
        yield StreamResult(item, pixels, [replace(next(faces), image=None) for _ in regions], problem)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to `size` items, in order (`itertools.batched` of Python 3.12)."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def read_ahead(
    work: Callable[[Item], Value],
    items: Iterable[Item],
    *,
    threads: int,
    max_items: int,
    size: Callable[[Value], float] = lambda _: 0,
    max_size: float = float("inf"),
    stopped: Callable[[], object] = lambda: False,
) -> Generator[tuple[Item, Value], None, None]:
    """Call `work` on items in threads, ahead of the caller; yield items and values in the order of the items.

    Args:
        work: called for several items at once; its exceptions are raised here when it is the item's turn.
        items: taken one at a time, when they are needed.
        threads: number of threads; 0: `work` is called when the next value is needed.
        max_items: items that are taken and not yet yielded.
        size: of a value.
        max_size: no item is taken while the values that wait to be yielded have this size together. So values of less
            than this size, and one per thread, are held.
        stopped: whether to end before a value that is still worked on; asked while nothing comes.
    """
    if threads < 1:
        yield from ((item, work(item)) for item in items)
        return
    queue = _Queue(work, items, max_items, size, max_size)
    workers = [threading.Thread(target=queue.run, name=f"read ahead {n}", daemon=True) for n in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield from queue.values(stopped)
    finally:
        queue.stop()
        deadline = time.monotonic() + PATIENCE
        for worker in workers:  # OpenCV aborts if Python ends while threads run it
            if worker is not threading.current_thread():
                worker.join(max(0.0, deadline - time.monotonic()))


class _Queue(Generic[Item, Value]):
    """The state that the threads share. `work` and the next item may take long and run outside the lock."""

    def __init__(
        self,
        work: Callable[[Item], Value],
        items: Iterable[Item],
        max_items: int,
        size: Callable[[Value], float],
        max_size: float,
    ) -> None:
        self._work, self._items, self._max_items = work, iter(items), max_items
        self._size, self._max_size = size, max_size
        self._changed = threading.Condition()
        self._taking = threading.Lock()  # one thread takes an item at a time
        self._done: dict[int, tuple[Item, Value, float] | BaseException] = {}  # by number of the item
        self._taken = self._yielded = 0
        self._size_done = 0.0
        self._ended = False  # no further item is taken

    def run(self) -> None:
        """Take items and work on them until there are none."""
        while (taken := self._take()) is not None:
            number, item = taken
            done: tuple[Item, Value, float] | BaseException
            try:
                value = self._work(item)
                done = (item, value, self._size(value))
                del value
            except BaseException as error:  # raised again by `values`
                done = error
            with self._changed:
                self._done[number] = done
                self._size_done += done[2] if isinstance(done, tuple) else 0
                self._changed.notify_all()
            del item, done, taken  # not held while the next one is awaited

    def _take(self) -> tuple[int, Item] | None:
        with self._taking:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._has_room())
                if self._ended:
                    return None
            try:
                item = next(self._items)
            except BaseException as error:
                with self._changed:
                    self._ended = True
                    self._done[self._taken] = error
                    self._changed.notify_all()
                return None
            with self._changed:
                self._taken += 1
                return self._taken - 1, item

    def _has_room(self) -> bool:
        return self._taken - self._yielded < self._max_items and self._size_done < self._max_size

    def values(self, stopped: Callable[[], object]) -> Iterator[tuple[Item, Value]]:
        """Items and values, in order."""
        while True:
            with self._changed:
                while not self._changed.wait_for(lambda: self._yielded in self._done, POLL):
                    if stopped():
                        return
                done = self._done.pop(self._yielded)
                if isinstance(done, StopIteration):
                    return
                if isinstance(done, BaseException):
                    raise done
                item, value, size = done
                self._yielded += 1
                self._size_done -= size
                self._changed.notify_all()
            del done
            yield item, value
            del item, value

    def stop(self) -> None:
        """Take no further items."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
