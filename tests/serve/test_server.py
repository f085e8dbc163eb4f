"""The service on a port of this machine: many clients, clients that go, and clients that send nonsense."""

import http.client
import json
import random
import re
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json
from darkpose.image.pixels import Pixels, read_image, resized, to_jpeg
from darkpose.predict.face import Face
from darkpose.predict.formats import ImageResult, to_dict
from darkpose.predict.predictor import Predictor
from darkpose.serve.predictors import Predictors
from darkpose.serve.server import address_of, is_loopback, open_socket
from fuzzing import damaged

WAIT = 30


def ask(address: str, body: bytes, query: str = "", **headers: str) -> tuple[int, Any]:
    """Code and JSON values of an answer of `v1/landmarks`."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=2 * WAIT)
    try:
        connection.request("POST", f"/v1/landmarks?{query}", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def figure(address: str, line: str) -> float:
    """One of the figures of a service."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=WAIT)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.fixture(scope="module")
def faces(astronaut: Path) -> list[Pixels]:
    """Pictures with a face, and one without."""
    image = read_image(astronaut)[:320, :440]
    moved = [np.ascontiguousarray(np.roll(image, 5 * number, axis=1)) for number in range(5)]
    return [*moved, np.full((80, 90, 3), 127, np.uint8)]


def test_clients_at_the_same_time_get_the_answers_of_direct_calls_in_shared_batches(
    served: Any, faces: list[Pixels], predictors: Predictors
) -> None:
    files = [to_jpeg(each, 95) for each in faces]
    with served() as address, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: ask(address, files[number % 6], "covariance=true"), range(24)))
        batches = figure(address, "darkpose_batch_faces_count")
        assert figure(address, "darkpose_faces_total") == 20
    from darkpose.image.pixels import from_jpeg

    images = [from_jpeg(file) for file in files]
    expected = [
        json.loads(format_json(to_dict(ImageResult("", (each.shape[1], each.shape[0]), predictors.first(each)))))
        for each in images
    ]
    assert [len(each["faces"]) for each in expected] == [1, 1, 1, 1, 1, 0]
    assert answers == [(200, expected[number % 6]) for number in range(24)]
    assert batches < 20


class Held:
    """Holds the network up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_run, self.is_running, self.faces, locate = threading.Event(), threading.Event(), 0, Predictor.locate

        def held(predictor: Predictor, regions: Sequence[Any]) -> list[Face]:
            self.is_running.set()
            assert self.may_run.wait(WAIT)
            self.faces += len(regions)
            return locate(predictor, regions)

        monkeypatch.setattr(Predictor, "locate", held)


def test_the_work_for_a_client_that_is_gone_is_dropped(
    served: Any, faces: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, file = Held(monkeypatch), to_jpeg(faces[0], 95)
    with served() as address, ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, address, file)
        assert held.is_running.wait(WAIT)
        place = urlsplit(address)
        with socket.create_connection((str(place.hostname), int(place.port or 0))) as client:
            head = f"POST /v1/landmarks HTTP/1.1\r\nHost: a\r\nContent-Length: {len(file)}\r\n\r\n"
            client.sendall(head.encode() + file)
            while figure(address, "darkpose_waiting_images") < 2:
                pass
        while figure(address, "darkpose_waiting_images") > 1:
            pass
        held.may_run.set()
        assert first.result(WAIT)[0] == 200
        assert figure(address, 'darkpose_requests_total{code="499",path="/v1/landmarks"}') == 1
    assert held.faces == 1


def test_an_answer_that_takes_too_long_is_given_up(
    served: Any, faces: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    with served(timeout=0.2) as address:
        code, values = ask(address, to_jpeg(faces[0], 95))
        assert (code, "no answer within 0.2 s" in values["error"]) == (504, True)
        held.may_run.set()


def test_a_body_that_does_not_come_is_given_up(served: Any) -> None:
    with served(timeout=0.1) as address:
        place = urlsplit(address)
        with socket.create_connection((str(place.hostname), int(place.port or 0)), WAIT) as client:
            client.sendall(b"POST /v1/landmarks HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            assert client.recv(100).startswith(b"HTTP/1.1 408 ")


def test_requests_in_flight_are_answered_at_the_end(
    served: Any, faces: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        with served() as address:
            answer = pool.submit(ask, address, to_jpeg(faces[0], 95))
            assert held.is_running.wait(WAIT)
            threading.Timer(0.3, held.may_run.set).start()  # after the end was asked for
        assert answer.result(WAIT)[0] == 200


def test_two_hundred_megabytes_are_refused_and_the_service_goes_on(served: Any, faces: list[Pixels]) -> None:
    with served() as address:
        code, values = ask(address, bytes(200_000_000))
        assert (code, "50000000" in values["error"]) == (413, True)
        assert ask(address, to_jpeg(faces[0], 95))[0] == 200


def test_frames_are_answered_on_a_real_connection(served: Any, faces: list[Pixels]) -> None:
    with served(token="a.b", max_bytes=100_000) as address:
        place = f"ws{address.removeprefix('http')}v1/frames"
        with connect(place, subprotocols=["darkpose", "token.a.b"]) as client:  # type: ignore[list-item]
            assert client.subprotocol == "darkpose"
            client.send(to_jpeg(faces[0], 90))
            assert len(json.loads(client.recv(WAIT))["faces"]) == 1
            client.send(bytes(200_000))
            with pytest.raises(ConnectionClosed, match="1009"):
                client.recv(WAIT)


def test_an_open_websocket_does_not_hold_up_the_end(served: Any) -> None:
    with ExitStack() as stack:
        with served() as address:
            client = stack.enter_context(connect(f"ws{address.removeprefix('http')}v1/frames"))
            client.send(b"words")
            assert "error" in json.loads(client.recv(WAIT))
        with pytest.raises(ConnectionClosed, match="1012"):
            client.recv(WAIT)


QUERIES = ("", "schema=wflw-98", "schema=%00", "boxes=1,1,9,9", "boxes=%ff", "covariance=x", "a=b&a=c", "flip_test=")
PATHS = ("/v1/landmarks", "/v1/landmarks/batch", "/v1/model", "/", "/metrics", "/v1/frames", "/..;/", "/docs", "*")
HEADERS = ("", "", "", "Transfer-Encoding: chunked\r\n", "Authorization: Bearer \xe4\r\n", "Expect: 100-continue\r\n")


def nonsense(seed: int, files: list[bytes]) -> bytes:
    """A request, damaged in its body or anywhere."""
    rng = random.Random(seed)
    file = rng.choice(files)
    method, path = rng.choice(["POST"] * 6 + ["GET", "PUT", "BREW"]), rng.choice([*PATHS[:2]] * 5 + [*PATHS])
    kind = rng.choice(["image/png", "multipart/form-data; boundary=x", "multipart/form-data", "application/json"])
    form = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\n' + file + b"\r\n--x--\r\n"
    body = form if kind.startswith("multipart") else file
    if rng.random() < 0.7:
        body = damaged(body, seed)
    length = rng.choice([len(body)] * 8 + [len(body) + 7, len(body) // 2, -1, 10**12])
    more = rng.choice(HEADERS)
    head = f"{method} {path}?{rng.choice(QUERIES)} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n{more}"
    whole = f"{head}Content-Length: {length}\r\nConnection: close\r\n\r\n".encode("latin-1") + body
    return damaged(whole, seed) if rng.random() < 0.3 else whole


def send(address: str, request: bytes) -> bytes:
    """What comes back for bytes, until the service closes the connection or waits for more."""
    place, received = urlsplit(address), b""
    with socket.create_connection((str(place.hostname), int(place.port or 0)), 3) as client:
        try:
            client.sendall(request)
            while part := client.recv(1 << 16):
                received += part
        except (ConnectionError, TimeoutError):
            pass
    return received


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_nonsense_never_breaks_the_service(served: Any, faces: list[Pixels], count: int) -> None:
    small = resized(faces[0], (110, 80))
    files = [to_jpeg(small, 80), to_jpeg(faces[-1], 90), b"words"]
    with served(timeout=1) as address, ThreadPoolExecutor(32) as pool:
        before = ask(address, files[0])
        answers = list(pool.map(lambda seed: send(address, nonsense(seed, files)), range(count)))
        codes = [re.findall(rb"^HTTP/1\.1 (\d+)", each, re.MULTILINE) for each in answers]
        assert not [seed for seed, found in enumerate(codes) if b"500" in found]
        assert {b"200", b"422", b"400"} <= {code for found in codes for code in found}
        assert ask(address, files[0]) == before
        assert figure(address, "darkpose_waiting_images") == 0


def test_a_port_in_use_or_a_wrong_host_is_named() -> None:
    with open_socket("127.0.0.1", 0) as first:
        assert is_loopback(first)
        port = first.getsockname()[1]
        assert address_of(first) == f"http://127.0.0.1:{port}/"
        with pytest.raises(DarkposeError, match=rf"port {port}.*in use.*--port"):
            open_socket("127.0.0.1", port)
    for host in ("no.such.host.invalid", "a" * 80, "300.1.1.1"):
        with pytest.raises(DarkposeError, match=r"cannot listen there.*--host"):
            open_socket(host, 0)
    with pytest.raises(DarkposeError, match="0 to 65535"):
        open_socket("127.0.0.1", 70_000)
    with open_socket("0.0.0.0", 0) as everywhere:
        assert not is_loopback(everywhere)
        assert address_of(everywhere).startswith("http://127.0.0.1:")
