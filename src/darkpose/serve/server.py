"""A socket, and uvicorn on it."""

import ipaddress
import socket
from typing import TYPE_CHECKING

from darkpose.errors import DarkposeError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

BACKLOG = 1024  # connections that wait to be taken
PATIENCE = 30  # s for requests in flight at the end


def open_socket(host: str, port: int) -> socket.socket:
    """Listen at an address; port 0 takes a free one.

    Raises:
        DarkposeError: the address cannot be used.
    """
    if not 0 <= port <= 65535:
        raise DarkposeError(f"--port: expected 0 to 65535, got {port}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DarkposeError(f"{host}, port {port}: cannot listen there: {reason}; see --host and --port") from error


def address_of(listening: socket.socket) -> str:
    """The address of the page for a browser on this machine."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(listening: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def make_server(app: "FastAPI", max_bytes: int) -> "uvicorn.Server":
    """Answers requests until Ctrl-C or SIGTERM, and then those in flight; nothing of them is logged.

    Args:
        app: the application.
        max_bytes: of a message of a WebSocket.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        http="h11",
        loop="asyncio",
        ws="websockets-sansio",
        ws_max_size=max_bytes,
        access_log=False,
        log_config=None,  # it would close the handlers that a program has
        log_level="error",
        server_header=False,
        timeout_graceful_shutdown=PATIENCE,
    )
    return uvicorn.Server(config)
