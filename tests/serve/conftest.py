"""The service in this process, and on a port of this machine. These tests need FastAPI."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from darkpose.serve.predictors import Predictors

NEEDED = ("fastapi", "httpx2", "prometheus_client", "python_multipart", "uvicorn", "websockets")
if any(find_spec(package) is None for package in NEEDED):
    collect_ignore_glob = ["test_*.py"]

Client = Callable[..., AbstractContextManager["TestClient"]]
Served = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def predictors() -> "Predictors":
    """Of the default weights, by onnxruntime."""
    from darkpose.serve.predictors import Predictors

    return Predictors({"runtime": "onnxruntime", "detector": "darkpose"})


@pytest.fixture(scope="session")
def client(predictors: "Predictors") -> Client:
    """Open a client of a service with some settings, in this process; it raises no errors of the service."""
    from starlette.testclient import TestClient

    from darkpose.serve.app import make_app
    from darkpose.serve.settings import Settings

    @contextmanager
    def opened(of: Any = predictors, **settings: Any) -> Iterator[TestClient]:
        with TestClient(make_app(of, Settings(**settings)), raise_server_exceptions=False) as found:
            yield found

    return opened


@pytest.fixture(scope="session")
def served(predictors: "Predictors") -> Served:
    """Run a service with some settings on a free port; gives its address, "http://127.0.0.1:PORT/"."""
    from darkpose.serve.app import make_app
    from darkpose.serve.server import address_of, make_server, open_socket
    from darkpose.serve.settings import Settings

    @contextmanager
    def running(of: Any = predictors, **settings: Any) -> Iterator[str]:
        chosen = Settings(**settings)
        with open_socket("127.0.0.1", 0) as listening:
            server = make_server(make_app(of, chosen), chosen.max_bytes)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()
            try:
                yield address_of(listening)
            finally:
                server.should_exit = True
                thread.join(30)

    return running
