"""The page in headless Chromium, and servers that deliver it."""

import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from darkpose import Predictor
from darkpose.image.pixels import decode_image
from darkpose.predict.formats import ImageResult, to_dict
from darkpose.predict.turned import LOW
from needed import lacking

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

WEB = Path(__file__).parents[1] / "src" / "darkpose" / "web"
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
WEIGHTS = "300w-hrnetv2-w18-dark"
KNOWN = ("300w-68", "wflw-98", "aflw-19")
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
UNKNOWN = [[np.nan] * 2] * 2
WAIT = 120_000  # ms, at most


@contextmanager
def launched(*options: str) -> Iterator["Browser"]:
    """Chromium of the system; skips where it or Playwright is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("needs the package playwright")
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        lacking("needs a browser: chromium cannot be found")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=[*OPTIONS.split(), *options])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: "Browser", address: str, *, ready: bool = True, script: str = "", expected: str = "$^", **context: Any
) -> Iterator["Page"]:
    """A page that says no errors to the console and asks no other host.

    Args:
        browser: of `launched`.
        address: of the page.
        ready: wait until pictures are taken.
        script: run before those of the page.
        expected: pattern of the errors that the console may have.
        **context: options of Playwright's `new_context`.
    """
    from playwright.sync_api import expect

    inside = browser.new_context(**context)
    host, foreign, errors = urlsplit(address).netloc, list[str](), list[str]()

    def refuse(route: "Route") -> None:
        foreign.append(route.request.url)
        route.abort()

    inside.route(lambda url: urlsplit(url).netloc != host, refuse)
    page = inside.new_page()
    page.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    if script:
        page.add_init_script(script)
    page.goto(address)
    if ready:
        expect(page.locator("#status")).to_have_text("Ready.")
    yield page
    inside.close()
    assert foreign == []
    assert [error for error in errors if not re.search(expected, error)] == []


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a local server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def predictors() -> dict[str, Predictor]:
    """Those of the schemas of the page."""
    options: dict[str, Any] = {"detector": "darkpose", "covariance": True, "runtime": "onnxruntime"}
    return {name: Predictor(WEIGHTS, schema=name, **options) for name in KNOWN}


def folder_of(folder: Path, headers: Mapping[str, str] | None = None) -> type[BaseHTTPRequestHandler]:
    """Delivers a folder, as any static host does."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def end_headers(self) -> None:
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

        def copyfile(self, source: Any, outputfile: Any) -> None:
            with suppress(ConnectionError):  # the page was closed
                super().copyfile(source, outputfile)

    return Handler


def landmarks(predictor: Predictor, data: bytes, query: Mapping[str, str]) -> dict[str, Any]:
    """What Python finds in the bytes of a picture, as JSON values."""
    image = decode_image(data)
    texts = query["boxes"].split(";") if "boxes" in query else []
    boxes = [[float(number) for number in text.split(",")] for text in texts] or None
    faces = predictor(image, boxes, query.get("box_kind", "detector"))  # type: ignore[call-overload]
    return to_dict(ImageResult("", (image.shape[1], image.shape[0]), faces))


def drop(page: "Page", files: Mapping[str, bytes], place: str = "#frame") -> None:
    """Drop files on a part of the page."""
    page.dispatch_event(place, "drop", {"dataTransfer": _transfer(page, files)})


def paste(page: "Page", files: Mapping[str, bytes]) -> None:
    """Paste files."""
    page.evaluate(
        "data => document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))",
        _transfer(page, files),
    )


def _transfer(page: "Page", files: Mapping[str, bytes]) -> Any:
    import base64

    packed = [[name, base64.b64encode(data).decode()] for name, data in files.items()]
    return page.evaluate_handle(
        """files => {
            const data = new DataTransfer();
            const types = {png: "image/png", jpg: "image/jpeg", svg: "image/svg+xml", webm: "video/webm"};
            for (const [name, text] of files) {
                const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
                data.items.add(new File([bytes], name, {type: types[name.split(".").at(-1)] ?? ""}));
            }
            return data;
        }""",
        packed,
    )


def saved(page: "Page", button: str) -> bytes:
    """What a button saves."""
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path()).read_bytes()


def saved_results(page: "Page") -> list[dict[str, Any]]:
    """The results of all pictures, as saved in JSON."""
    return [json.loads(line) for line in saved(page, "#save-json").decode().splitlines()]


def assert_same(found: Mapping[str, Any], expected: Mapping[str, Any], within: float = 0.05) -> None:
    """The JSON of a picture is that of Python: landmarks within some px, the rest in proportion.

    Detected faces whose landmarks have low scores are only counted: Python tries other directions for these.
    """
    assert [found["width"], found["height"]] == [expected["width"], expected["height"]]
    assert len(found["faces"]) == len(expected["faces"])
    for face, other in zip(found["faces"], expected["faces"], strict=True):
        if other["found_by"] != "given" and other["score"] < LOW:
            continue
        same = ("markup", "found_by", "runtime", "rolled", "reliable", "names")
        assert {key: face[key] for key in same} == {key: other[key] for key in same}
        assert list(face) == list(other)
        np.testing.assert_allclose(face["keypoints"], other["keypoints"], rtol=0, atol=within)
        np.testing.assert_allclose(face["box"], other["box"], rtol=0, atol=within)
        np.testing.assert_allclose(face["scores"], other["scores"], rtol=0, atol=within / 5)
        spread, expected_spread = (
            np.array([each or UNKNOWN for each in some["covariances"]], np.float64) for some in (face, other)
        )
        np.testing.assert_allclose(spread, expected_spread, rtol=0.05, atol=within)
        if other["detection_score"] is not None:
            assert abs(face["detection_score"] - other["detection_score"]) < 0.01
