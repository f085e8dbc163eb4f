"""The routes of the service."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from darkpose.errors import DarkposeError, shown
from darkpose.files.json_text import format_json
from darkpose.runtime.network import NetworkError
from darkpose.serve.batching import Batching
from darkpose.serve.figures import Counted, Figures
from darkpose.serve.frames import Follower, answer_frames
from darkpose.serve.landmarks import Landmarks, refused
from darkpose.serve.options import FrameOptions, Options, sentence
from darkpose.serve.page_facts import schema_values
from darkpose.serve.pages import WithHeaders, api_page, page_routes
from darkpose.serve.predictors import Predictors
from darkpose.serve.settings import BusyError, Settings
from darkpose.serve.upload import Upload

PROTOCOL = "darkpose"  # of the WebSocket
ABOUT = """Face landmarks in images. Answers are the JSON of darkpose predict --json: coordinates in image px, the
centre of the first pixel at (0, 0). An error is {"error": "one sentence"}. If the service has a token, requests bring
it as "Authorization: Bearer TOKEN".

Frames: the WebSocket v1/frames?schema=...&smooth=causal takes images as binary messages, and answers the newest one. It
takes the token as the sub-protocols "darkpose" and "token.TOKEN"."""
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}}}
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is no multipart text."},
    401: {"description": "The token is missing or wrong."},
    408: {"description": "The body has not come in time."},
    413: {"description": "The body is too large."},
    422: {"description": "The image or an option cannot be used."},
    503: {"description": "There is too much to do. Retry-After says when to try again."},
    504: {"description": "There is no answer in time."},
}


def make_app(predictors: Predictors, settings: Settings | None = None) -> FastAPI:
    """The service as an ASGI application.

    Args:
        predictors: find landmarks.
        settings: limits and the token; None: the defaults.
    """
    settings = settings or Settings()
    figures = Figures()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batching = Batching(settings.max_waiting, settings.max_pixels, figures.batches.observe)
        figures.waiting.set_function(lambda: batching.waiting)
        app.state.batching = batching
        app.state.landmarks = Landmarks(predictors, batching, settings, figures)
        yield
        batching.close()

    app = FastAPI(
        title="darkpose",
        description=ABOUT,
        version=version("darkpose"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        routes=[*page_routes()],
    )
    app.add_middleware(WithHeaders)
    app.add_middleware(Counted, figures=figures)
    _add_errors(app)
    _add_landmarks(app, settings)
    _add_facts(app, predictors, settings, figures)
    _add_frames(app, predictors, settings, figures)
    return app


def _json(values: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(format_json(values), status, {"cache-control": "no-store", **(headers or {})}, "application/json")


class _NoAnswer(Response):
    """To a client that is gone."""

    async def __call__(self, *_: object) -> None:
        """Send nothing."""


def _add_errors(app: FastAPI) -> None:
    """Every error is one sentence."""

    def answer(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        return _json({"error": shown(message)}, status, headers)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message, headers = error.detail, dict(error.headers or {})
        if error.status_code == 404:
            message = "there is nothing at this address; the API is described at docs"
        if error.status_code == 405:
            message = f"{request.method} is not possible here, {headers.get('Allow', 'another method')} is"
        return answer(error.status_code, message, headers)

    async def option(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(422, sentence(error.errors()))

    async def mistake(_: Request, error: Exception) -> Response:
        return answer(422, str(error))

    async def busy(_: Request, error: Exception) -> Response:
        return answer(503, str(error) or "there is too much to do; try again in a second", {"retry-after": "1"})

    async def gone(*_: object) -> Response:
        return _NoAnswer()

    async def broken(*_: object) -> Response:
        return answer(500, "there is a mistake in darkpose; the log of the service has more")

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, option)
    app.add_exception_handler(DarkposeError, mistake)
    app.add_exception_handler(NetworkError, busy)
    app.add_exception_handler(BusyError, busy)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, broken)


def _is_allowed(headers: Any, settings: Settings, others: Sequence[str] = ()) -> bool:
    """Whether a request brings the token, or none is needed."""
    if not settings.token:
        return True
    kind, _, token = headers.get("authorization", "").partition(" ")
    given = [*([token] if kind.lower() == "bearer" else []), *others]
    return any(hmac.compare_digest(each.strip().encode(), settings.token.encode()) for each in given)


def _check_token(request: Request, settings: Settings) -> None:
    if not _is_allowed(request.headers, settings):
        raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})


def _add_landmarks(app: FastAPI, settings: Settings) -> None:
    body = {
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": _BINARY, "multipart/form-data": _FORM},
        }
    }
    several = {"requestBody": {"required": True, "content": {"multipart/form-data": _FORM}}}
    ok: dict[int | str, dict[str, Any]] = {200: {"description": "The faces.", "content": {"application/json": {}}}}

    def check_one(uploads: Sequence[Upload]) -> None:
        if len(uploads) != 1:
            raise DarkposeError(f"expected one file, got {len(uploads)}; v1/landmarks/batch takes several")

    @app.post("/v1/landmarks", responses={**ok, **_ERRORS}, openapi_extra=body)
    async def landmarks(request: Request, options: Annotated[Options, Query()]) -> Response:
        """Landmarks of every face in an image: the body is the image file, or multipart/form-data with one file."""
        _check_token(request, settings)
        (values,) = await request.app.state.landmarks(request, options, check_one)
        return _json(refused(values))

    @app.post("/v1/landmarks/batch", responses={**ok, **_ERRORS}, openapi_extra=several)
    async def batch(request: Request, options: Annotated[Options, Query()]) -> Response:
        """Landmarks of several images, in order: multipart/form-data with files. Given boxes are for each of them."""
        _check_token(request, settings)
        return _json({"results": await request.app.state.landmarks(request, options, lambda _: None)})


def _add_facts(app: FastAPI, predictors: Predictors, settings: Settings, figures: Figures) -> None:
    model = {
        "engine": "server",
        "version": app.version,
        "weights": predictors.weights,
        "runtime": predictors.first.runtime,
        "schemas": [schema_values(schema) for schema in predictors.schemas.values()],
        "limits": {"bytes": settings.max_bytes, "pixels": settings.max_pixels, "images": settings.max_images},
        "has_token": bool(settings.token),
    }

    @app.get("/v1/model")
    async def facts() -> Response:
        """Version, weights, runtime, landmarks and limits; whether requests need a token."""
        return _json(model)

    @app.get("/healthz")
    async def healthy() -> Response:
        """Whether the service lives."""
        return _json({"status": "ok"})

    @app.get("/readyz", responses={503: {"description": "No image is taken now."}})
    async def ready(request: Request) -> Response:
        """Whether an image would be taken now."""
        if request.app.state.batching.is_full:
            raise BusyError
        return _json({"status": "ok"})

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Numbers for Prometheus; with the token, if there is one."""
        _check_token(request, settings)
        return Response(figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return api_page(app.openapi())


def _add_frames(app: FastAPI, predictors: Predictors, settings: Settings, figures: Figures) -> None:
    streams = 0

    def problem(socket: WebSocket) -> tuple[int, str] | None:
        """Code and reason why a WebSocket is refused."""
        tokens = [each.removeprefix("token.") for each in socket.scope["subprotocols"] if each.startswith("token.")]
        if not _is_allowed(socket.headers, settings, tokens):
            return 1008, "the token is missing or wrong"
        origin = socket.headers.get("origin")
        if not settings.token and origin and urlsplit(origin).netloc != socket.headers.get("host"):
            return 1008, "without a token, frames are taken from pages of this service only"
        if streams >= settings.max_streams:
            return 1013, "there are too many streams; try again later"
        return None

    @app.websocket("/v1/frames")
    async def frames(socket: WebSocket) -> None:
        nonlocal streams
        await socket.accept(PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
        if refusal := problem(socket):
            await socket.close(*refusal)
            return
        streams += 1
        figures.streams.set(streams)
        try:
            follower = await _follower(socket, predictors, settings)
            await answer_frames(socket, follower, figures)
        except DarkposeError as error:
            await socket.close(1008, str(error)[:120])
        finally:
            streams -= 1
            figures.streams.set(streams)


async def _follower(socket: WebSocket, predictors: Predictors, settings: Settings) -> Follower:
    """Follows the faces as the query says."""
    try:
        options = FrameOptions.model_validate(dict(socket.query_params))
    except ValidationError as error:
        raise DarkposeError(sentence(error.errors(), FrameOptions)) from error
    predictor = await asyncio.to_thread(predictors.get, options.schema_name)
    return Follower(predictor, options.smooth, settings.max_pixels)
