"""The page with the service behind it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser_page import assert_same, drop, landmarks, launched, opened, saved_results

pytest.importorskip("fastapi")
if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from darkpose.serve.predictors import Predictors

Served = Callable[..., AbstractContextManager[str]]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with launched() as browser:
        yield browser


def test_landmarks_are_those_of_the_service(
    browser: "Browser", served: Served, predictors: "Predictors", astronaut: Path
) -> None:
    from playwright.sync_api import expect

    data = astronaut.read_bytes()
    with served() as address, opened(browser, address) as page:
        assert page.inner_text("#where").startswith("Your pictures stay on this computer: they go to 127.0.0.1:")
        drop(page, {"a.png": data})
        for name in predictors.schemas:
            page.select_option("#schema", name)
            expect(page.locator("#pictures .told")).to_have_text(["1 face"])
            expect(page.locator("#status")).to_have_text("a.png: 1 face.")
            (result,) = saved_results(page)
            expected = landmarks(predictors.get(name), data, {})
            assert_same(result, expected, within=1e-6)
        page.keyboard.press("f")
        page.keyboard.press("b")
        page.focus("#view")
        page.keyboard.press("Enter")
        expect(page.locator("#pictures .told")).to_have_text(["2 faces"])


def test_what_the_service_says_is_told(browser: "Browser", served: Served, astronaut: Path) -> None:
    from playwright.sync_api import expect

    with served() as address, opened(browser, address, expected="422") as page:
        page.route("**/v1/landmarks*", lambda route: route.fulfill(status=422, body='{"error": "it is broken"}'))
        drop(page, {"a.png": astronaut.read_bytes()})
        expect(page.locator("#messages .error span")).to_have_text("a.png: It is broken.")
        expect(page.locator("#pictures .told")).to_have_text(["failed"])


def test_a_busy_service_is_asked_again(browser: "Browser", served: Served, astronaut: Path) -> None:
    from playwright.sync_api import expect

    with served() as address, opened(browser, address, expected="503") as page:
        busy: Any = {"status": 503, "headers": {"Retry-After": "0"}, "body": '{"error": "there is too much to do"}'}
        page.route("**/v1/landmarks*", lambda route: route.fulfill(**busy), times=2)
        drop(page, {"a.png": astronaut.read_bytes()})
        expect(page.locator("#pictures .told")).to_have_text(["1 face"])


def test_a_service_that_is_gone_is_told(browser: "Browser", served: Served, astronaut: Path) -> None:
    from playwright.sync_api import expect

    with served() as address, opened(browser, address, expected="ERR_") as page:
        page.route("**/v1/landmarks*", lambda route: route.abort())
        drop(page, {"a.png": astronaut.read_bytes()})
        expect(page.locator("#messages .error span")).to_have_text(
            "a.png: The server cannot be reached: is it still running?"
        )


def test_the_token_comes_from_the_address(browser: "Browser", served: Served, astronaut: Path) -> None:
    from playwright.sync_api import expect

    with served(token="secret") as address, opened(browser, f"{address}#token=secret") as page:
        drop(page, {"a.png": astronaut.read_bytes()})
        expect(page.locator("#pictures .told")).to_have_text(["1 face"])


def test_a_wrong_token_is_asked_for_again(browser: "Browser", served: Served, astronaut: Path) -> None:
    from playwright.sync_api import expect

    with (
        served(token="secret") as address,
        opened(browser, address, ready=False, expected="401") as page,
    ):
        page.fill("#token", "wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_have_text("Ready.")
        drop(page, {"a.png": astronaut.read_bytes()})
        expect(page.locator("#token-wrong")).to_be_visible()
        page.fill("#token", "secret")
        page.keyboard.press("Enter")
        expect(page.locator("#pictures .told")).to_have_text(["1 face"])
