"""The files of the page, and a page about the API that needs no script and no other host."""

import mimetypes
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self' blob: data:; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "caption{text-align:left;font-weight:bold}td{vertical-align:top;padding:.2rem 1rem .2rem 0}"
    "code{font-family:ui-monospace,monospace}"
)


class WithHeaders:
    """Adds `HEADERS` to the answers of an application that lack them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def added(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                there = {name.lower() for name, _ in headers}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": headers + [each for each in more if each[0] not in there]}
            await send(message)

        await self._app(scope, receive, added)


def page_routes() -> list[Route]:
    """A route for each file of the page, and for the page itself; none if the package has no page."""
    folder = Path(str(files("darkpose") / "web"))
    found = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    if "index.html" in found:
        found[""] = found["index.html"]
    return [Route(f"/{name}", _answer(file), include_in_schema=False) for name, file in found.items()]


def _answer(file: Path) -> Any:
    kind = "text/javascript" if file.suffix in (".js", ".mjs") else mimetypes.guess_type(file.name)[0]

    async def answer(_: object) -> Response:
        return FileResponse(file, media_type=kind)

    return answer


def api_page(described: dict[str, Any]) -> Response:
    """A page about the API, from its OpenAPI description."""
    parts = [
        _operation(method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(described["info"]["title"])
    about = "".join(f"<p>{escape(each)}</p>" for each in described["info"].get("description", "").split("\n\n"))
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>{title}</h1>{about}'
        f'<p>For programs: <a href="openapi.json">openapi.json</a></p>{"".join(parts)}</html>'
    )
    return HTMLResponse(text, headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"})


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each.get('description', ''))}{_choices(each)}"
        for each in operation.get("parameters", [])
    )
    answers = "".join(
        f"<tr><td>{escape(code)}<td>{escape(each['description'])}" for code, each in operation["responses"].items()
    )
    about = escape(operation.get("description", ""))
    return (
        f"<h2><code>{method.upper()} {escape(path.lstrip('/'))}</code></h2><p>{about}</p>"
        + (f"<table><caption>Options in the query</caption>{rows}</table>" if rows else "")
        + f"<table><caption>Answers</caption>{answers}</table>"
    )


def _choices(parameter: dict[str, Any]) -> str:
    schema = parameter.get("schema", {})
    values = [value for each in (schema, *schema.get("anyOf", ())) for value in each.get("enum", ())]
    return escape(f" One of {', '.join(map(str, values))}.") if values else ""
