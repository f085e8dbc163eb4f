"""The routes: the answers are those of a direct call, and every mistake gets one sentence."""

import json
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from darkpose.files.json_text import format_json
from darkpose.image.pixels import decode_image, to_jpeg
from darkpose.predict.formats import ImageResult, to_dict
from darkpose.predict.predictor import Predictor
from darkpose.serve.predictors import Predictors

BOX = "178,65,270,190"


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> bytes:
    return astronaut.read_bytes()


def expected(predictor: Predictor, data: bytes, name: str = "", **options: Any) -> dict[str, Any]:
    """The JSON values of a direct call."""
    image = decode_image(data)
    values = to_dict(ImageResult(name, (image.shape[1], image.shape[0]), predictor(image, **options)))
    return json.loads(format_json(values))  # type: ignore[no-any-return]


def refusal(answer: Any, code: int) -> str:
    """The sentence of an answer."""
    assert answer.status_code == code, answer.text
    assert list(answer.json()) == ["error"]
    sentence = answer.json()["error"]
    assert isinstance(sentence, str)
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("flip_test", ["off", "published"])
def test_an_answer_is_that_of_a_direct_call(client: Any, photo: bytes, flip_test: str) -> None:
    direct = Predictor(runtime="onnxruntime", detector="darkpose", covariance=True, flip_test=flip_test != "off")
    with client() as service:
        answer = service.post(f"/v1/landmarks?covariance=true&flip_test={flip_test}", content=photo)
        assert answer.json() == expected(direct, photo)
        assert answer.headers["cache-control"] == "no-store"
        without = service.post(f"/v1/landmarks?flip_test={flip_test}", content=photo).json()
    assert "covariances" not in without["faces"][0]
    assert without["faces"][0]["keypoints"] == answer.json()["faces"][0]["keypoints"]


def test_boxes_and_schemas_are_those_of_a_direct_call(client: Any, photo: bytes, predictors: Predictors) -> None:
    boxes = [[178.0, 65.0, 270.0, 190.0], [100.0, 50.0, 300.0, 250.0]]
    text = ";".join(",".join(map(str, box)) for box in boxes)
    direct = Predictor(runtime="onnxruntime", schema="wflw-98")
    with client() as service:
        asked = {"boxes": text, "box_kind": "landmarks", "schema": "wflw-98"}
        answer = service.post("/v1/landmarks", params=asked, content=photo)
    assert answer.json() == expected(direct, photo, boxes=boxes, box_kind="landmarks")
    assert len(answer.json()["faces"][0]["keypoints"]) == 98


def test_a_file_of_a_form_has_its_name_in_the_answer(client: Any, photo: bytes, predictors: Predictors) -> None:
    with client() as service:
        answer = service.post("/v1/landmarks?covariance=true", files={"file": ("père.png", photo)})
    assert answer.json() == expected(predictors.first, photo, "père.png")


def test_a_batch_has_a_result_for_every_file_in_order(client: Any, photo: bytes, predictors: Predictors) -> None:
    grey = to_jpeg(np.full((64, 64, 3), 127, np.uint8), 90)
    files = [
        ("a", ("one.png", photo)),
        ("a", ("bad.jpg", b"words")),
        ("b", ("grey.jpg", grey)),
        ("c", ("2.png", photo)),
    ]
    with client() as service:
        results = service.post("/v1/landmarks/batch?covariance=true", files=files).json()["results"]
    assert [each["image"] for each in results] == ["one.png", "bad.jpg", "grey.jpg", "2.png"]
    assert results[0] == expected(predictors.first, photo, "one.png")
    assert list(results[1]) == ["image", "error"]
    assert results[2] == {"image": "grey.jpg", "width": 64, "height": 64, "faces": []}
    assert results[3] == {**results[0], "image": "2.png"}


def png(width: int, height: int) -> bytes:
    """A PNG file whose header has this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "keyword"),
    [
        (b"These are words.\n", "not an image"),
        (b"", "empty"),
        (b'{"url": "http://127.0.0.1/a.jpg"}', "not an image"),
        (png(50_000, 50_000), "50000 x 50000"),
        (png(9_000, 9_000), "limit is"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not an image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "JPEG"),
    ],
    ids=["text", "empty", "JSON", "50,000 px", "above the limit", "HEIC", "SVG", "half a JPEG"],
)
def test_what_is_no_image_is_named(client: Any, data: bytes, keyword: str) -> None:
    with client() as service:
        assert keyword in refusal(service.post("/v1/landmarks", content=data), 422)


def test_of_an_animated_gif_the_first_frame_counts(client: Any, astronaut: Path, predictors: Predictors) -> None:
    image = pytest.importorskip("PIL.Image")
    frames = [image.open(astronaut).convert("RGB"), image.new("RGB", (512, 512))]
    with tempfile.TemporaryFile() as file:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
        file.seek(0)
        data = file.read()
    with client() as service:
        answer = service.post("/v1/landmarks?covariance=true", content=data)
    assert answer.json() == expected(predictors.first, data)
    assert len(answer.json()["faces"]) == 1


@pytest.mark.parametrize(
    ("query", "keyword"),
    [
        ("schema=68", "expected one of 300w-68"),
        ("flip_test=yes", "flip_test"),
        ("covariance=perhaps", "covariance"),
        ("box_kind=round", "box_kind"),
        ("boxes=", "got none"),
        ("boxes=1,2,3", "x0,y0,x1,y1"),
        ("boxes=1,2,3,x", "x0,y0,x1,y1"),
        ("boxes=9,9,1,1", "x0 < x1"),
        ("boxes=900,900,910,910", "outside"),
        ("boxes=nan,0,1,1", "finite"),
        ("boxes=" + ";".join(["1,1,2,2"] * 300), "at most 256"),
        ("colour=red", "no option 'colour'"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(client: Any, photo: bytes, query: str, keyword: str) -> None:
    with client() as service:
        assert keyword in refusal(service.post(f"/v1/landmarks?{query}", content=photo), 422)


def test_a_form_is_files_only_and_whole(client: Any, photo: bytes) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    with client() as service:
        two = {"files": [("a", ("1.png", photo)), ("a", ("2.png", photo))]}
        assert "expected one file, got 2" in refusal(service.post("/v1/landmarks", **two), 422)
        field = service.post("/v1/landmarks", files={"a": photo}, data={"schema": "wflw-98"})
        assert "'schema'" in refusal(field, 422)
        for body in (b"", b"--x", b"words", b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\na'):
            refusal(service.post("/v1/landmarks", content=body, headers=kind), 400)
        without_end = b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\n' + photo + b"\r\n--x\r\n"
        assert "no end" in refusal(service.post("/v1/landmarks", content=without_end, headers=kind), 400)
        refusal(service.post("/v1/landmarks", content=photo, headers={"content-type": "multipart/form-data"}), 400)
        many = [("a", (f"{n}.png", b"")) for n in range(65)]
        assert "64" in refusal(service.post("/v1/landmarks/batch", files=many), 400)


def test_a_body_that_is_too_large_is_refused_whether_it_tells_its_length_or_not(client: Any) -> None:
    def parts() -> Any:
        for _ in range(10):
            yield bytes(1000)

    with client(max_bytes=5000) as service:
        assert "5000 bytes, this one has 10000" in refusal(service.post("/v1/landmarks", content=bytes(10_000)), 413)
        assert "5000" in refusal(service.post("/v1/landmarks", content=parts()), 413)
        assert "5000" in refusal(service.post("/v1/landmarks", files={"a": bytes(10_000)}), 413)
        assert "empty" in refusal(service.post("/v1/landmarks", content=b""), 422)


def test_bodies_that_are_too_large_together_are_refused_for_now(client: Any) -> None:
    with client(max_held=5000) as service:
        answer = service.post("/v1/landmarks", content=bytes(6000))
        assert "try again" in refusal(answer, 503)
        assert answer.headers["retry-after"] == "1"
        refusal(service.post("/v1/landmarks", content=bytes(4000)), 422)  # the first is forgotten


def test_no_upload_is_written_to_disk(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a temporary file was made")

    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), np.uint8)
    _, large = cv2.imencode(".png", noise)  # 4 MB
    with client() as service:
        assert service.post("/v1/landmarks", files={"a": large.tobytes()}).json()["faces"] == []


def test_a_full_queue_says_when_to_try_again(client: Any, photo: bytes) -> None:
    with client(max_waiting=2) as service:
        answer = service.post("/v1/landmarks/batch", files=[("a", photo)] * 3)
        refusal(answer, 503)
        assert answer.headers["retry-after"] == "1"
        assert len(service.post("/v1/landmarks/batch", files=[("a", photo)] * 2).json()["results"]) == 2


def test_a_token_is_asked_for(client: Any, photo: bytes) -> None:
    with client(token="a-b.c") as service:
        for headers in ({}, {"authorization": "Bearer a"}, {"authorization": "Basic a-b.c"}, {"authorization": "ü"}):
            encoded = {key: value.encode() for key, value in headers.items()}
            for path in ("/v1/landmarks", "/v1/landmarks/batch"):
                answer = service.post(path, content=photo, headers=encoded)
                assert "token" in refusal(answer, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
        refusal(service.get("/metrics"), 401)
        right = {"authorization": "Bearer a-b.c"}
        assert service.post("/v1/landmarks", content=photo, headers=right).json()["faces"]
        assert service.get("/metrics", headers=right).status_code == 200
        assert service.get("/v1/model").json()["has_token"] is True
        assert service.get("/healthz").status_code == 200


def test_other_addresses_and_methods_get_a_sentence(client: Any) -> None:
    with client() as service:
        assert "docs" in refusal(service.get("/v2/landmarks"), 404)
        assert "docs" in refusal(service.post("/../../etc/passwd"), 404)
        answer = service.get("/v1/landmarks")
        assert "POST" in refusal(answer, 405)
        assert answer.headers["allow"] == "POST"
        refusal(service.delete("/healthz"), 405)


def test_a_mistake_of_the_service_tells_nothing_of_itself(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("darkpose.serve.batching.find_regions", broken)
    with client() as service:
        assert "secret" not in refusal(service.post("/v1/landmarks", content=b"x"), 500)
        assert 'darkpose_requests_total{code="500",path="/v1/landmarks"} 1.0' in service.get("/metrics").text


def test_the_facts_of_the_model_are_those_of_the_package(client: Any, predictors: Predictors) -> None:
    from darkpose.schema import AFLW_19, W300_68, WFLW_98

    with client() as service:
        facts = service.get("/v1/model").json()
    assert [facts[key] for key in ("engine", "weights", "has_token")] == ["server", "default", False]
    assert facts["runtime"] == predictors.first.runtime
    assert facts["limits"] == {"bytes": 50_000_000, "pixels": 1 << 26, "images": 64}
    assert facts["schemas"][0]["name"] == "300w-68"
    assert {each["name"] for each in facts["schemas"]} == {"300w-68", "wflw-98", "aflw-19"}
    for schema in (W300_68, WFLW_98, AFLW_19):
        (values,) = [each for each in facts["schemas"] if each["name"] == schema.name]
        assert values["names"] == list(schema.names)
        assert values["outlines"] == [list(line) for line in schema.outlines]
        assert values["flip_pairs"] == [list(pair) for pair in schema.flip_pairs]


def test_the_figures_count_images_and_answers(client: Any, photo: bytes) -> None:
    with client() as service:
        service.post("/v1/landmarks/batch", files=[("a", ("secret.png", photo)), ("a", b"words")])
        service.post("/v1/landmarks?boxes=1", content=photo)
        service.get("/anything/at/all")
        lines = service.get("/metrics").text
    for line in (
        'darkpose_images_total{status="done"} 1.0',
        'darkpose_images_total{status="refused"} 1.0',
        "darkpose_faces_total 1.0",
        'darkpose_requests_total{code="200",path="/v1/landmarks/batch"} 1.0',
        'darkpose_requests_total{code="422",path="/v1/landmarks"} 1.0',
        'darkpose_requests_total{code="404",path="other"} 1.0',
        "darkpose_waiting_images 0.0",
        "darkpose_batch_faces_count 1.0",
    ):
        assert line in lines.splitlines()
    assert "secret" not in lines
    assert "anything" not in lines


def test_the_page_about_the_api_needs_no_other_host(client: Any) -> None:
    with client() as service:
        page = service.get("/docs")
        described = service.get("/openapi.json").json()
    assert "http" not in page.text.replace("http://127", "")
    assert "<script" not in page.text
    for path, methods in described["paths"].items():
        assert path.lstrip("/") in page.text
        for operation in methods.values():
            assert all(each["name"] in page.text for each in operation.get("parameters", []))
    assert "schema" in [each["name"] for each in described["paths"]["/v1/landmarks"]["post"]["parameters"]]


def test_the_service_says_when_it_takes_no_image(client: Any) -> None:
    with client() as service:
        assert service.get("/readyz").json() == service.get("/healthz").json() == {"status": "ok"}
        service.app.state.batching.close()
        refusal(service.get("/readyz"), 503)
        refusal(service.post("/v1/landmarks", content=b"x"), 503)
        assert service.get("/healthz").status_code == 200


def test_the_files_of_the_page_come_with_their_rules(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from darkpose.serve import pages

    folder = tmp_path / "web"
    (folder / "parts").mkdir(parents=True)
    (folder / "index.html").write_text("<p>page")
    (folder / "parts" / "view.mjs").write_text("export {}")
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr(pages, "files", lambda _: tmp_path)
    with client() as service:
        page = service.get("/")
        assert page.text == "<p>page"
        assert page.headers["cache-control"] == "no-cache"
        assert "default-src 'self'" in page.headers["content-security-policy"]
        script = service.get("/parts/view.mjs")
        assert script.headers["content-type"].startswith("text/javascript")
        assert service.head("/").status_code == 200
        for path in ("/../secret", "/%2e%2e/secret", "/parts/../../secret", "/parts"):
            refusal(service.get(path), 404)
