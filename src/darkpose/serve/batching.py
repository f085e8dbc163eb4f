"""A bounded queue of images, whose faces go through the network in shared batches.

A few threads decode images and find faces; one thread runs the network on what waits, so that faces of several
requests are in one batch. An image whose future is cancelled is dropped.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from darkpose.image.pixels import Pixels, decode_image
from darkpose.predict.face import Face
from darkpose.predict.predictor import BoxKind, Predictor
from darkpose.predict.stream import (
    MAX_PIXELS_HELD,
    ReadImage,
    StreamResult,
    default_threads,
    find_regions,
    predict_batch,
)
from darkpose.serve.options import Boxes
from darkpose.serve.settings import BusyError


class Found(NamedTuple):
    """Size (width, height) and faces of an image, or why it cannot be used."""

    size: tuple[int, int]
    faces: Sequence[Face]
    problem: str = ""


@dataclass(eq=False)
class Job:
    """An image to be predicted.

    Attributes:
        data: bytes of the image file.
        predictor: gives the predictor; called in a thread.
        boxes, box_kind: of its faces; None: they are detected.
        found: the result, later.
    """

    data: bytes
    predictor: Callable[[], Predictor]
    boxes: Boxes | None = None
    box_kind: BoxKind = "detector"
    found: Future[Found] = field(default_factory=Future)


class _Waiting(NamedTuple):
    """An image with faces, before the network."""

    job: Job
    predictor: Predictor
    image: ReadImage


class Batching:
    """The queue and its threads.

    Args:
        max_waiting: images that wait for their result.
        max_pixels: of an image.
        told: called with the number of faces of every batch.
        threads: that decode images and find faces; None: one per processor.
    """

    def __init__(
        self, max_waiting: int, max_pixels: int, told: Callable[[int], object], threads: int | None = None
    ) -> None:
        self._max_waiting, self._max_pixels, self._told = max_waiting, max_pixels, told
        self._changed = threading.Condition()
        self._ready: deque[_Waiting] = deque()
        self._waiting = self._pixels = 0  # images; pixels that are decoded and wait for the network or are in it
        self._ended = False
        self._readers = ThreadPoolExecutor(threads or default_threads(), "read images")
        self._network = threading.Thread(target=self._run, name="run the network", daemon=True)
        self._network.start()

    @property
    def waiting(self) -> int:
        """Images that wait for their result."""
        return self._waiting

    @property
    def is_full(self) -> bool:
        """Whether no image is taken now."""
        return self._ended or self._waiting >= self._max_waiting

    def add(self, jobs: Sequence[Job]) -> None:
        """Take images, all or none.

        Raises:
            BusyError: too many wait, or the service ends.
        """
        with self._changed:
            if self._ended or self._waiting + len(jobs) > self._max_waiting:
                raise BusyError
            self._waiting += len(jobs)
        for job in jobs:
            job.found.add_done_callback(self._forget)
            self._readers.submit(self._read, job)

    def close(self) -> None:
        """Take nothing more, and end the threads; what still waits is dropped."""
        with self._changed:
            self._ended = True
            dropped = [each.job for each in self._ready]
            self._ready.clear()
            self._changed.notify_all()
        for job in dropped:
            job.found.cancel()
        self._readers.shutdown()  # those that still wait are cancelled in `_read`
        self._network.join()

    def _forget(self, _: Future[Found]) -> None:
        with self._changed:
            self._waiting -= 1

    def _read(self, job: Job) -> None:
        """Decode an image and find its faces."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._pixels < MAX_PIXELS_HELD)
        if job.found.cancelled() or self._ended:
            job.found.cancel()
            return
        try:
            predictor = job.predictor()
            image = find_regions(predictor, lambda each: (self._decoded(each), each.boxes), job.box_kind, job)
        except BaseException as error:
            _fail(job, error)
            return
        job.data = b""
        with self._changed:
            if image.regions and not self._ended:
                self._ready.append(_Waiting(job, predictor, image))
                self._pixels += image.pixel_count
                self._changed.notify_all()
                return
        _finish(StreamResult(job, image.pixels, (), image.problem))

    def _decoded(self, job: Job) -> Pixels:
        return decode_image(job.data, self._max_pixels)

    def _run(self) -> None:
        """Run the network until the end."""
        while batch := self._take():
            held = sum(each.image.pixel_count for each in batch)
            wanted = [each for each in batch if not each.job.found.cancelled()]
            del batch
            if wanted:
                self._told(sum(len(each.image.regions) for each in wanted))
                _locate(wanted)
            del wanted
            with self._changed:
                self._pixels -= held
                self._changed.notify_all()

    def _take(self) -> list[_Waiting]:
        """The oldest image and others for the same predictor, up to a batch of faces; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._ready)
            taken: list[_Waiting] = []
            left: deque[_Waiting] = deque()
            faces = 0
            for each in self._ready:
                first = taken[0].predictor if taken else each.predictor
                fits = each.predictor is first and (not taken or faces + len(each.image.regions) <= first.batch_size)
                (taken if fits else left).append(each)
                faces += len(each.image.regions) if fits else 0
            self._ready = left
            return taken


def _locate(batch: list[_Waiting]) -> None:
    """Give the images of a batch their faces."""
    try:
        for result in predict_batch(batch[0].predictor, [(each.job, each.image) for each in batch]):
            _finish(result)
    except BaseException as error:
        for each in batch:
            _fail(each.job, error)


def _finish(result: StreamResult[Job]) -> None:
    size = (0, 0) if result.image is None else (result.image.shape[1], result.image.shape[0])
    if result.item.found.set_running_or_notify_cancel():
        result.item.found.set_result(Found(size, result.faces, result.problem))


def _fail(job: Job, error: BaseException) -> None:
    if not job.found.done() and job.found.set_running_or_notify_cancel():
        job.found.set_exception(error)
