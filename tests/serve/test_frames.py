"""Frames by a WebSocket: the newest one is answered, with tracks."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.websockets import WebSocket, WebSocketDisconnect

from darkpose.image.pixels import Pixels, read_image, to_jpeg
from darkpose.serve.predictors import Predictors
from darkpose.video.tracker import Tracker


@pytest.fixture(scope="module")
def pictures(astronaut: Path) -> list[Pixels]:
    """A face that moves to the right."""
    image = read_image(astronaut)[:320, :440]
    return [np.ascontiguousarray(np.roll(image, 3 * number, axis=1)) for number in range(4)]


def test_every_frame_that_is_waited_for_is_answered_with_one_track(client: Any, pictures: list[Pixels]) -> None:
    with client() as service, service.websocket_connect("/v1/frames?smooth=off") as socket:
        answers = []
        for picture in pictures:
            socket.send_bytes(to_jpeg(picture, 95))
            answers.append(socket.receive_json())
    assert [each["frame"] for each in answers] == [0, 1, 2, 3]
    assert {(each["dropped"], each["width"], each["height"]) for each in answers} == {(0, 440, 320)}
    faces = [face for each in answers for face in each["faces"]]
    assert [face["track"] for face in faces] == [1, 1, 1, 1]
    assert {"markup", "box", "keypoints", "scores", "names"} <= set(faces[0])
    middles = np.array([face["keypoints"] for face in faces]).mean(axis=1)
    np.testing.assert_allclose(np.diff(middles, axis=0), [[3, 0]] * 3, atol=0.5)


def test_smoothed_frames_start_as_the_tracker_finds_them(
    client: Any, pictures: list[Pixels], predictors: Predictors
) -> None:
    with (
        client() as service,
        service.websocket_connect("/v1/frames?schema=aflw-19", subprotocols=["darkpose"]) as socket,
    ):
        assert socket.accepted_subprotocol == "darkpose"
        socket.send_bytes(to_jpeg(pictures[0], 100))
        first = socket.receive_json()["faces"][0]
        socket.send_bytes(to_jpeg(pictures[1], 100))
        second = socket.receive_json()["faces"][0]
    from darkpose.image.pixels import from_jpeg

    (face,) = Tracker(predictors.get("aflw-19")).update(from_jpeg(to_jpeg(pictures[0], 100)), 0.0)
    np.testing.assert_allclose(first["keypoints"], face.keypoints, atol=1e-3)
    assert np.abs(np.array(second["keypoints"]) - first["keypoints"]).max() > 0.1


def test_a_frame_that_cannot_be_read_is_named_and_the_next_one_is_answered(client: Any, pictures: list[Pixels]) -> None:
    with client() as service, service.websocket_connect("/v1/frames") as socket:
        socket.send_bytes(b"words")
        assert "not an image" in socket.receive_json()["error"]
        socket.send_text("words")
        answer = socket.receive_json()
        assert (answer["frame"], "binary" in answer["error"]) == (1, True)
        socket.send_bytes(to_jpeg(pictures[0], 95))
        assert len(socket.receive_json()["faces"]) == 1


def test_frames_that_come_meanwhile_are_dropped_and_counted(
    client: Any, pictures: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    from darkpose.serve import frames

    may_go, came, read = threading.Event(), threading.Semaphore(0), WebSocket.receive

    async def counted(self: Any) -> Any:
        message = await read(self)
        came.release()
        return message

    def held(_: Any, message: Any) -> dict[str, Any]:
        assert may_go.wait(30)
        return {"data": message.data.decode()}

    monkeypatch.setattr(WebSocket, "receive", counted)
    monkeypatch.setattr(frames.Follower, "__call__", held)
    with client() as service, service.websocket_connect("/v1/frames") as socket:
        for number in range(5):
            socket.send_bytes(str(number).encode())
        for _ in range(6):  # the connection is a message, too
            assert came.acquire(timeout=30)
        may_go.set()
        answers = [socket.receive_json()]
        while answers[-1]["frame"] < 4:
            answers.append(socket.receive_json())
        lines = service.get("/metrics").text
    assert all(each["data"] == str(each["frame"]) for each in answers)
    assert answers[-1]["dropped"] == 5 - len(answers)
    assert len(answers) <= 2
    assert f'darkpose_frames_total{{status="dropped"}} {5 - len(answers)}.0' in lines


@pytest.mark.parametrize(
    ("query", "keyword"),
    [("schema=68", "expected one of"), ("smooth=two-pass", "smooth"), ("colour=red", "'colour'")],
)
def test_an_option_that_cannot_be_used_is_named(client: Any, query: str, keyword: str) -> None:
    with client() as service, service.websocket_connect(f"/v1/frames?{query}") as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1008
        assert keyword in closed.value.reason


def refusal(service: Any, **asked: Any) -> tuple[int, str]:
    """Code and reason with which a WebSocket is closed."""
    with service.websocket_connect("/v1/frames", **asked) as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        return closed.value.code, closed.value.reason


def test_a_token_comes_as_a_sub_protocol_or_a_header(client: Any) -> None:
    with client(token="a.b") as service:
        for asked in ({}, {"subprotocols": ["darkpose", "token.a"]}, {"headers": {"authorization": "Bearer a"}}):
            code, reason = refusal(service, **asked)
            assert (code, "token" in reason) == (1008, True)
        for asked in ({"subprotocols": ["darkpose", "token.a.b"]}, {"headers": {"authorization": "Bearer a.b"}}):
            with service.websocket_connect("/v1/frames", **asked) as socket:
                socket.send_bytes(b"words")
                assert "error" in socket.receive_json()


def test_pages_of_other_hosts_need_the_token(client: Any) -> None:
    with client() as service:
        code, reason = refusal(service, headers={"origin": "http://elsewhere.example"})
        assert (code, "pages of this service" in reason) == (1008, True)
        with service.websocket_connect("/v1/frames", headers={"origin": "http://testserver"}) as socket:
            socket.send_bytes(b"words")
            assert "error" in socket.receive_json()


def test_there_is_a_limit_for_streams(client: Any) -> None:
    with client(max_streams=1) as service:
        with service.websocket_connect("/v1/frames") as socket:
            socket.send_bytes(b"words")
            socket.receive_json()
            assert refusal(service)[0] == 1013
        with service.websocket_connect("/v1/frames") as socket:
            socket.send_bytes(b"words")
            socket.receive_json()
