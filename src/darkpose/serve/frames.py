"""The newest frame of a WebSocket: frames that come while another one is worked on are dropped and counted."""

import asyncio
import time
from typing import Any, Literal, NamedTuple

from starlette.websockets import WebSocket, WebSocketDisconnect

from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json
from darkpose.image.opencv import cv2
from darkpose.image.pixels import decode_image
from darkpose.predict.face import Face
from darkpose.predict.formats import face_values
from darkpose.predict.predictor import Predictor
from darkpose.serve.figures import Figures
from darkpose.video.analysis import face_row
from darkpose.video.smoothed import CausalRows
from darkpose.video.smoothing import Smoothing
from darkpose.video.tracker import Tracker

Smooth = Literal["causal", "off"]


class Message(NamedTuple):
    """A message of the client: its number, from 0; when it came, s; its bytes, None if it was a text."""

    number: int
    time: float
    data: bytes | None


class Inbox:
    """The newest message of a WebSocket.

    Attributes:
        dropped: number of messages that were not taken in time.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket, self._changed, self._is_over, self.dropped = socket, asyncio.Event(), False, 0
        self._newest: Message | None = None

    async def read(self) -> None:
        """Read messages until the client is gone."""
        number = 0
        while (message := await self._socket.receive())["type"] == "websocket.receive":
            self.dropped += self._newest is not None
            self._newest = Message(number, time.monotonic(), message.get("bytes"))
            number += 1
            self._changed.set()
        self._is_over = True
        self._changed.set()

    async def next(self) -> Message | None:
        """The newest message that was not taken; None: the client is gone."""
        await self._changed.wait()
        if self._is_over:
            return None
        self._changed.clear()
        message, self._newest = self._newest, None
        return message


class Follower:
    """Follows the faces of frames."""

    def __init__(self, predictor: Predictor, smooth: Smooth, max_pixels: int) -> None:
        self._tracker, self._max_pixels = Tracker(predictor), max_pixels
        self._smoother = CausalRows(Smoothing()) if smooth == "causal" else None

    def __call__(self, message: Message) -> dict[str, Any]:
        """The JSON values of a frame."""
        try:
            if message.data is None:
                raise DarkposeError("expected a binary message with an image file, got a text")
            image = decode_image(message.data, self._max_pixels)
            faces = self._tracker.update(image, message.time)
        except DarkposeError as error:
            return {"error": str(error)}
        except cv2.error as error:
            return {"error": f"OpenCV cannot process the image: {error.err}"}
        values = [self._values(face, message) for face in faces]
        return {"width": image.shape[1], "height": image.shape[0], "faces": values}

    def _values(self, face: Face, message: Message) -> dict[str, Any]:
        values = {**face_values(face), "track": face.track}
        values.pop("covariances", None)
        if self._smoother is not None:
            row = face_row(face, message.number, message.time, covariance=self._tracker.predictor.calibrated)
            values["keypoints"] = [list(point) for point in self._smoother(row).keypoints or ()]
        return values


async def answer_frames(socket: WebSocket, follower: Follower, figures: Figures) -> None:
    """Answer the newest frames of an accepted WebSocket until its client is gone."""
    inbox = Inbox(socket)
    reading = asyncio.create_task(inbox.read())
    counted = 0
    try:
        while (message := await inbox.next()) is not None:
            values = await asyncio.to_thread(follower, message)
            figures.frames.labels("answered").inc()
            figures.frames.labels("dropped").inc(inbox.dropped - counted)
            counted = inbox.dropped
            await socket.send_text(format_json({"frame": message.number, "dropped": counted, **values}))
    except WebSocketDisconnect:
        pass
    finally:
        reading.cancel()
