"""Numbers of the service for Prometheus; none of them tells anything about an image."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
FACES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Figures:
    """The numbers of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("darkpose_requests", "Answers.", ["path", "code"], registry=self.registry)
        self.seconds = Histogram(
            "darkpose_request_seconds",
            "Time from request to answer.",
            ["path"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.images = Counter("darkpose_images", "Images: done, no face, refused.", ["status"], registry=self.registry)
        self.faces = Counter("darkpose_faces", "Faces in answers.", registry=self.registry)
        self.batches = Histogram(
            "darkpose_batch_faces", "Faces in a batch of the network.", buckets=FACES, registry=self.registry
        )
        self.frames = Counter(
            "darkpose_frames", "Frames of WebSockets: answered, dropped.", ["status"], registry=self.registry
        )
        self.waiting = Gauge("darkpose_waiting_images", "Images that wait for an answer.", registry=self.registry)
        self.streams = Gauge("darkpose_open_streams", "Open WebSockets.", registry=self.registry)

    def text(self) -> bytes:
        """The numbers in the format of Prometheus."""
        return generate_latest(self.registry)


class Counted:
    """Counts the answers of an application by path and code, and their times."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, code = time.perf_counter(), "499"  # the client was gone before an answer

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            code = "500"  # which is answered outside of this
            raise
        finally:
            route = scope.get("route")  # paths of other requests would be any number
            path = route.path if isinstance(route, Route) else "other"
            self._figures.requests.labels(path, code).inc()
            self._figures.seconds.labels(path).observe(time.perf_counter() - began)
