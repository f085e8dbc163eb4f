"""What can go wrong in the page is told in one clear sentence, and the page goes on."""

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from browser_page import drop, folder_of, launched, opened, paste, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NO_PICTURE = "is not a picture that this browser can read: use a JPEG, PNG or WebP file."
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>alert(1)</script></svg>"


def huge_png() -> bytes:
    """A PNG file that says it has 50,000 x 50,000 px."""
    header = b"IHDR" + (50_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big") + bytes(100)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(built_site: Path) -> Iterator[str]:
    with served(folder_of(built_site)) as address:
        yield address


@pytest.fixture(scope="module")
def page(browser: "Browser", address: str) -> Iterator["Page"]:
    with opened(browser, address) as page:
        yield page


def sentence(page: "Page") -> str:
    """The sentence above the picture; takes it away."""
    text = page.locator("#messages .error span").inner_text()
    page.click("#messages .error button")
    return text


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("text.jpg", b"this is text", f"text.jpg {NO_PICTURE}"),
        ("empty.jpg", b"", "empty.jpg is empty (0 bytes)."),
        ("cut.jpg", b"\xff\xd8\xff\xe0", "cut.jpg is damaged, or a kind of JPEG file that this browser cannot read."),
        ("photo.heic", HEIC, "photo.heic is a HEIC file, which this browser cannot read: save it as JPEG or PNG."),
        ("drawing.svg", SVG, "drawing.svg is an SVG drawing, not a photograph: save it as PNG or JPEG."),
        ("huge.png", huge_png(), "huge.png has 50,000 x 50,000 px; pictures may have up to 50 million px."),
        ("film.webm", b"no film", "film.webm is damaged, or a video that this browser cannot play."),
        ("a\u202eb.jpg", b"x", f"a?b.jpg {NO_PICTURE}"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(page: "Page", name: str, data: bytes, told: str) -> None:
    drop(page, {name: data})
    assert sentence(page) == told
    assert page.locator("#pictures li").count() == 0


def test_a_file_of_200_mb_is_refused_before_it_is_read(page: "Page") -> None:
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(2e8)], "large.png"));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        }"""
    )
    assert sentence(page) == "large.png has 200 MB; pictures may have up to 100 MB."


def test_what_is_no_file_is_told(page: "Page") -> None:
    drop(page, {})
    assert sentence(page).startswith("This is not a file")
    paste(page, {})
    assert sentence(page) == "There is no picture on the clipboard."


def test_good_files_among_bad_ones_are_used(page: "Page", astronaut: Path) -> None:
    from playwright.sync_api import expect

    drop(page, {"text.jpg": b"this is text", "a.png": astronaut.read_bytes()})
    expect(page.locator("#pictures .told")).to_have_text(["1 face"])
    assert sentence(page).startswith("text.jpg is not a picture")
    page.click("#undo")


def test_of_an_animation_the_first_picture_is_used_and_that_is_told(page: "Page", astronaut: Path) -> None:
    from PIL import Image
    from playwright.sync_api import expect

    file, other = io.BytesIO(), Image.new("P", (512, 512))
    Image.open(astronaut).convert("P").save(file, "GIF", save_all=True, append_images=[other])
    drop(page, {"two.gif": file.getvalue()})
    expect(page.locator("#pictures .told")).to_have_text(["1 face"])
    assert page.inner_text("#messages .note span") == "two.gif: of a GIF file, the first picture is used."
    page.click("#messages .note button")
    page.click("#undo")


def test_one_pixel_has_no_face(page: "Page") -> None:
    import cv2
    from playwright.sync_api import expect

    drop(page, {"dot.png": cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()})
    expect(page.locator("#pictures .told")).to_have_text(["no face found"])
    page.click("#undo")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("NotAllowedError", "The camera was refused: allow it for this page in the browser's settings, and try again."),
        ("NotFoundError", "No camera was found on this computer."),
        ("NotReadableError", "The camera cannot be started: another program may use it."),
    ],
)
def test_a_camera_that_cannot_be_had_is_told(browser: "Browser", address: str, name: str, told: str) -> None:
    script = f'navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException("no", "{name}"); }};'
    with opened(browser, address, script=script) as page:
        page.click("#camera")
        assert sentence(page) == told


def test_a_browser_without_webassembly_is_told(browser: "Browser", address: str) -> None:
    with opened(browser, address, script="delete globalThis.WebAssembly;", ready=False) as page:
        assert sentence(page).startswith("This browser has no WebAssembly")


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("networks/landmarks.onnx.gz", "networks/landmarks.onnx.gz cannot be loaded (status 404)."),
        ("model.json", "model.json cannot be loaded (status 404)."),
    ],
)
def test_a_folder_that_is_not_whole_is_told(
    browser: "Browser", built_site: Path, tmp_path: Path, lost: str, told: str
) -> None:
    import shutil

    part = tmp_path / "site"
    shutil.copytree(built_site, part)
    (part / lost).unlink()
    with served(folder_of(part)) as address, opened(browser, address, ready=False, expected="404") as page:
        assert sentence(page) == told


def test_the_page_goes_on_where_there_is_no_webgpu(browser: "Browser", address: str, astronaut: Path) -> None:
    from playwright.sync_api import expect

    script = "if (navigator.gpu) navigator.gpu.requestAdapter = async () => null;"
    with opened(browser, address, script=script) as page:
        if page.is_hidden("#webgpu-row"):
            pytest.skip("this browser has no switch for WebGPU")
        page.click("#webgpu")
        assert sentence(page).startswith("This browser has no WebGPU")
        assert not page.is_checked("#webgpu")
        drop(page, {"a.png": astronaut.read_bytes()})
        expect(page.locator("#pictures .told")).to_have_text(["1 face"])
