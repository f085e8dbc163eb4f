"""Settings of the service."""

import re
from dataclasses import dataclass

from darkpose.errors import DarkposeError
from darkpose.predict.stream import MAX_PIXELS_HELD

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,200}")  # these can be in a header, in an address and in a sub-protocol


class BusyError(Exception):
    """There is too much to do, over all requests; the client should try again."""


@dataclass(frozen=True)
class Settings:
    """Limits of the service, and its token.

    Attributes:
        token: that requests must bring; empty: none.
        max_bytes: of the body of a request, and of a frame.
        max_pixels: of an image.
        max_boxes: given for an image.
        max_images: in a request.
        max_waiting: images that wait for an answer, over all requests.
        max_held: bytes of the bodies of all requests.
        max_streams: WebSockets at a time.
        timeout: s in which the body of a request must have come, and again s for its answer.
    """

    token: str = ""
    max_bytes: int = 50_000_000
    max_pixels: int = MAX_PIXELS_HELD
    max_boxes: int = 256
    max_images: int = 64
    max_waiting: int = 256
    max_held: int = 500_000_000
    max_streams: int = 8
    timeout: float = 60.0

    def __post_init__(self) -> None:
        if self.token and not _TOKEN.fullmatch(self.token):
            raise DarkposeError("a token has 1 to 200 letters, digits and . _ ~ - (got others, or more)")
        for name, value in vars(self).items():
            if name != "token" and not value > 0:
                raise DarkposeError(f"{name} must be above 0, got {value}")
