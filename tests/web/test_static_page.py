"""The static folder in a browser: the landmarks of Python, every way in and out, and no other host."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

import browser_page
from browser_page import (
    ISOLATED,
    assert_same,
    drop,
    folder_of,
    landmarks,
    launched,
    opened,
    paste,
    saved,
    saved_results,
    served,
)
from darkpose import Predictor
from darkpose.image.pixels import decode_image
from example_pictures import PICTURES, example_picture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOUND = re.compile(r"^\d+ faces?$")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # exports first, on a busy machine


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Iterator["Browser"]:
    """Chromium, whose camera sees the astronaut."""
    film = tmp_path_factory.mktemp("camera") / "film.mjpeg"
    _, frame = cv2.imencode(".jpg", cv2.imread(str(astronaut))[:400, 50:450])  # type: ignore[index]
    film.write_bytes(frame.tobytes() * 3)
    with launched(f"--use-file-for-fake-video-capture={film}") as browser:
        yield browser


@pytest.fixture(scope="module")
def address(built_site: Path) -> Iterator[str]:
    with served(folder_of(built_site)) as address:
        yield address


@pytest.fixture(scope="module")
def page(browser: "Browser", address: str) -> Iterator["Page"]:
    """One page for the tests that take their pictures away again."""
    with opened(browser, address, permissions=["clipboard-read", "clipboard-write"]) as page:
        yield page


@pytest.fixture(autouse=True)
def taken_away(request: pytest.FixtureRequest) -> Iterator[None]:
    """The shared page is empty after each test."""
    yield
    if "page" in request.fixturenames:
        page: Page = request.getfixturevalue("page")
        while page.locator("#pictures li").count():
            page.click("#undo")
        for close in page.locator("#messages button").all():
            close.click()


@pytest.fixture(scope="module")
def predictors() -> dict[str, Predictor]:
    return browser_page.predictors()


def wait_for(page: "Page", *told: str | re.Pattern[str]) -> None:
    """Wait until the list of pictures says this of each."""
    from playwright.sync_api import expect

    expect(page.locator("#pictures .told")).to_have_text(list(told))


def png(image: np.ndarray[Any, Any]) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


@pytest.mark.parametrize("headers", [{}, ISOLATED], ids=["alone", "cross-origin isolated"])
def test_landmarks_are_those_of_python(
    browser: "Browser", built_site: Path, predictors: dict[str, Predictor], headers: dict[str, str]
) -> None:
    files = {f"{name}.png": png(example_picture(name)) for name in PICTURES}
    with served(folder_of(built_site, headers)) as address, opened(browser, address) as page:
        assert page.evaluate("crossOriginIsolated") == bool(headers)
        assert page.inner_text("#where") == "Your pictures stay on this computer."
        drop(page, files)
        wait_for(page, *[FOUND] * len(files))
        for schema, predictor in predictors.items():
            page.select_option("#schema", schema)
            results = saved_results(page)
            assert [result["image"] for result in results] == list(files)
            for result, data in zip(results, files.values(), strict=True):
                assert_same(result, landmarks(predictor, data, {}))


def test_a_photograph_of_a_phone_is_upright(page: "Page", predictors: dict[str, Predictor], astronaut: Path) -> None:
    image = np.rot90(example_picture("upright"))
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    assert decode_image(turned).shape == (512, 512, 3)
    drop(page, {"phone.jpg": turned})
    wait_for(page, "1 face")
    # Decoders of JPEG differ by a level or two where they enlarge the colours.
    assert_same(saved_results(page)[0], landmarks(predictors["300w-68"], turned, {}))


def test_the_sample_is_found_and_hovering_tells_of_a_landmark(page: "Page", predictors: dict[str, Predictor]) -> None:
    page.click("#sample")
    wait_for(page, "1 face")
    assert page.inner_text("#status") == "sample.jpg: 1 face."
    (result,) = saved_results(page)
    face = result["faces"][0]
    box = page.locator("#view").bounding_box()
    assert box is not None
    scale = min(box["width"], box["height"]) / 512
    x, y = face["keypoints"][36]
    left, top = (box["width"] - 512 * scale) / 2, (box["height"] - 512 * scale) / 2
    page.mouse.move(box["x"] + left + (x + 0.5) * scale, box["y"] + top + (y + 0.5) * scale)
    lines = page.inner_text("#tip").splitlines()
    assert lines[0].split() == ["36", "left_eye_outer_corner"]
    assert lines[1] == f"x {x:.2f}, y {y:.2f} px"
    assert lines[2] == f"score {face['scores'][36]:.3f}"
    assert lines[3].startswith("95 % within ")
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    assert page.is_hidden("#tip")


def test_saved_files_hold_the_landmarks(page: "Page") -> None:
    from playwright.sync_api import expect

    page.click("#sample")
    wait_for(page, "1 face")
    (result,) = saved_results(page)
    rows = list(csv.DictReader(io.StringIO(saved(page, "#save-csv").decode())))
    assert [[float(row["x"]), float(row["y"])] for row in rows] == result["faces"][0]["keypoints"]
    assert [row["name"] for row in rows] == result["faces"][0]["names"]
    drawn = decode_image(saved(page, "#save-png"))
    assert drawn.shape == (1024, 1024, 3)
    x, y = np.rint((np.array(result["faces"][0]["keypoints"]) + 0.5) * 2 - 0.5).astype(int).T
    assert (drawn[y, x].min(axis=1) > 200).mean() > 0.8  # white discs
    page.click("#copy-json")
    expect(page.locator("#status")).to_have_text("The JSON text was copied.")
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == result


def test_pictures_are_pasted_chosen_and_taken_away(page: "Page", astronaut: Path) -> None:
    paste(page, {"image.png": astronaut.read_bytes()})
    wait_for(page, "1 face")
    page.set_input_files("#choose", [astronaut, astronaut])
    wait_for(page, *["1 face"] * 3)
    assert len(saved_results(page)) == 3
    page.keyboard.press("PageUp")
    assert page.locator('#pictures [aria-current="true"] .name').inner_text() == "astronaut.png"
    for left in (2, 1, 0):
        page.keyboard.press("Control+z")
        assert page.locator("#pictures li").count() == left
    assert page.is_visible("#empty")
    assert page.is_disabled("#save-json")


def test_keys_zoom_move_and_go_through_the_landmarks(page: "Page") -> None:
    from playwright.sync_api import expect

    page.click("#sample")
    wait_for(page, "1 face")
    page.focus("#view")
    page.keyboard.press("]")
    assert page.inner_text("#status").startswith("0 left_contour_0, x ")
    before = page.locator("#tip").bounding_box()
    for key in ("f", "ArrowRight", "+", "]"):
        page.keyboard.press(key)
    assert "left_contour_1" in page.inner_text("#tip")
    assert page.locator("#tip").bounding_box() != before
    page.keyboard.press("n")
    assert page.is_checked("#show-numbers")
    page.keyboard.press("n")
    page.get_by_label("contour").uncheck()
    page.keyboard.press("]")
    assert page.inner_text("#status").startswith("17 left_brow_0, x ")
    page.get_by_label("contour").check()
    page.keyboard.press("0")
    page.click("#table-part summary")
    expect(page.locator("#table tbody tr")).to_have_count(68)
    page.click("#table-part summary")


def test_a_box_can_be_drawn_where_no_face_is_found(page: "Page", predictors: dict[str, Predictor]) -> None:
    image = np.full((300, 300, 3), 128, np.uint8)
    data = png(image)
    drop(page, {"grey.png": data})
    wait_for(page, "no face found")
    assert "“Box”" in page.inner_text("#status")
    page.click("#draw-box")
    area = page.locator("#view").bounding_box()
    assert area is not None
    middle = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    page.mouse.move(middle[0] - 50, middle[1] - 50)
    page.mouse.down()
    page.mouse.move(middle[0] + 50, middle[1] + 60, steps=3)
    page.mouse.up()
    wait_for(page, "1 face")
    (result,) = saved_results(page)
    (face,) = result["faces"]
    assert (face["found_by"], face["detection_score"]) == ("given", None)
    query = {"boxes": ",".join(map(str, face["box"])), "box_kind": "square"}
    expected = landmarks(predictors["300w-68"], data, query)
    assert face["box"] == expected["faces"][0]["box"]
    np.testing.assert_allclose(face["scores"], expected["faces"][0]["scores"], atol=0.01)


def test_a_drawn_box_gives_the_landmarks_of_python(
    page: "Page", predictors: dict[str, Predictor], astronaut: Path
) -> None:
    drop(page, {"a.png": astronaut.read_bytes()})
    wait_for(page, "1 face")
    page.keyboard.press("f")
    page.keyboard.press("b")
    page.focus("#view")
    page.keyboard.press("Enter")
    wait_for(page, "2 faces")
    (result,) = saved_results(page)
    box = ",".join(map(str, result["faces"][1]["box"]))
    expected = landmarks(predictors["300w-68"], astronaut.read_bytes(), {"boxes": box, "box_kind": "square"})
    assert_same({**result, "faces": result["faces"][1:]}, expected)


def test_the_camera_shows_landmarks_and_takes_pictures(page: "Page") -> None:
    from playwright.sync_api import expect

    page.click("#camera")
    expect(page.locator("#status")).to_have_text("camera: 1 face")
    page.click("#keep")
    wait_for(page, "1 face")
    assert page.is_hidden("#player")
    assert saved_results(page)[0]["image"] == "camera.png"


def test_a_video_shows_landmarks_while_it_plays(page: "Page", tmp_path: Path) -> None:
    from playwright.sync_api import expect

    av = pytest.importorskip("av")
    image = example_picture("upright")[:400, 56:456]
    with av.open(str(tmp_path / "film.webm"), "w") as film:
        stream = film.add_stream("libvpx", rate=10)
        stream.width = stream.height = 400
        for shift in range(30):
            frame = av.VideoFrame.from_ndarray(np.roll(image, 2 * shift, axis=1), format="rgb24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    drop(page, {"film.webm": (tmp_path / "film.webm").read_bytes()})
    expect(page.locator("#status")).to_have_text("film.webm: 1 face")
    page.click("#play")
    page.select_option("#schema", "aflw-19")
    expect(page.locator("#view")).to_have_attribute("aria-label", "film.webm: 1 face")
    page.select_option("#schema", "300w-68")
    page.click("#keep")
    wait_for(page, "1 face")
    assert saved_results(page)[0]["image"].startswith("film-")


def test_a_phone_shows_everything_without_scrolling_sideways(browser: "Browser", address: str, astronaut: Path) -> None:
    size = {"width": 360, "height": 740}
    with opened(browser, address, viewport=size, has_touch=True, is_mobile=True, device_scale_factor=3) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.tap("#sample")
        wait_for(page, "1 face")
        page.tap("#to-faces")
        area = page.locator("#view").bounding_box()
        assert area is not None
        page.touchscreen.tap(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.evaluate("(({width, clientWidth}) => width / clientWidth)(document.getElementById('view'))") == 3


def test_every_control_has_a_name_and_can_be_reached_by_keys(page: "Page") -> None:
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, #view")]
            .filter((each) => !(each.ariaLabel || each.textContent.trim() || each.labels?.length))
            .map((each) => each.id)"""
    )
    assert unnamed == []
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"choose", "camera", "sample", "fit", "view", "schema", "show-numbers"} <= reached
