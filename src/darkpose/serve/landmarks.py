"""A request to be answered: in time, unless its client is gone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from darkpose.errors import DarkposeError, printable
from darkpose.predict.formats import ImageResult, to_dict
from darkpose.serve.batching import Batching, Found, Job
from darkpose.serve.figures import Figures
from darkpose.serve.options import Options, parse_boxes
from darkpose.serve.predictors import Predictors
from darkpose.serve.settings import BusyError, Settings
from darkpose.serve.upload import Held, Upload, read_images

Value = TypeVar("Value")


class Landmarks:
    """Finds the landmarks of the images of requests.

    Args:
        predictors, settings, figures: of the application.
        batching: the queue.
    """

    def __init__(self, predictors: Predictors, batching: Batching, settings: Settings, figures: Figures) -> None:
        self._predictors, self._batching, self._settings, self._figures = predictors, batching, settings, figures
        self._held = Held(settings.max_held)

    async def __call__(
        self, request: Request, options: Options, check: Callable[[Sequence[Upload]], object]
    ) -> list[dict[str, Any]]:
        """The JSON values of the images of a request, or {"image": name, "error": sentence}.

        Args:
            request: its body is read here.
            options: from its query.
            check: may refuse the images.

        Raises:
            DarkposeError: the options cannot be used.
            HTTPException: the body cannot be used, or time is over.
            settings.BusyError: there is too much to do.
            starlette.requests.ClientDisconnect: the client is gone; the work is dropped.
        """
        schema = self._predictors.check(options.schema_name)
        if options.covariance and not self._predictors.has_covariance:
            raise DarkposeError('covariance needs the method "dark" or "dark+"; the service was started with another')
        boxes = parse_boxes(options.boxes, self._settings.max_boxes)
        seconds = self._settings.timeout
        with self._held.body() as body:
            late = HTTPException(408, f"the body of the request has not come within {seconds:g} s")
            uploads = await _within(seconds, late, read_images(request, body, self._settings))
            check(uploads)
            get = partial(self._predictors.get, schema, options.flip_test)
            jobs = [Job(each.data, get, boxes, options.box_kind) for each in uploads]
            names = [each.name for each in uploads]
            del uploads
            self._batching.add(jobs)
            late = HTTPException(504, f"there is no answer within {seconds:g} s; try again, with fewer images")
            found = await _within(seconds, late, _unless_gone(request, jobs))
        return [self._values(name, each, options) for name, each in zip(names, found, strict=True)]

    def _values(self, name: str, found: Found, options: Options) -> dict[str, Any]:
        self._figures.images.labels("refused" if found.problem else "done" if found.faces else "no face").inc()
        if found.problem:
            return {"image": printable(name), "error": found.problem}
        self._figures.faces.inc(len(found.faces))
        values = to_dict(ImageResult(name, found.size, found.faces))
        if not options.covariance:
            for face in values["faces"]:
                face.pop("covariances", None)
        return values


async def _within(seconds: float, late: Exception, work: Awaitable[Value]) -> Value:
    """The value of some work; it is cancelled after a time."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise late from error


async def _unless_gone(request: Request, jobs: Sequence[Job]) -> list[Found]:
    """The results of jobs; they are cancelled if the client of the request is gone."""
    found: asyncio.Future[Any] = asyncio.gather(
        *(asyncio.wrap_future(job.found) for job in jobs), return_exceptions=True
    )
    gone: asyncio.Future[Any] = asyncio.ensure_future(request.receive())  # nothing but this comes after the body
    try:
        await asyncio.wait([found, gone], return_when=asyncio.FIRST_COMPLETED)
        if not found.done():
            raise ClientDisconnect
        return [_result(one) for one in found.result()]
    finally:
        gone.cancel()
        for job in jobs:
            job.found.cancel()  # changes nothing where there is a result


def _result(found: Found | BaseException) -> Found:
    if isinstance(found, asyncio.CancelledError):  # the service ends
        raise BusyError
    if isinstance(found, BaseException):
        raise found
    return found


def refused(values: dict[str, Any]) -> dict[str, Any]:
    """The values of an image that can be used.

    Raises:
        DarkposeError: it cannot.
    """
    if "error" in values:
        raise DarkposeError(values["error"])
    return values
