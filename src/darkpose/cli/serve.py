"""`darkpose serve`: landmarks over HTTP, and the page."""

from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated

from cyclopts import Group, Parameter

from darkpose.cli.model import INPUT, SCALE, Compute, Model, predictor_options
from darkpose.cli.result import tell, tell_facts
from darkpose.stopping import termination_as_interrupt

PACKAGES = ("fastapi", "prometheus_client", "python_multipart", "uvicorn", "websockets")
ADDRESS, LIMITS = Group("Address", sort_key=0), Group("Limits", sort_key=5)


@Parameter(name="*", group=LIMITS)
@dataclass(frozen=True)
class Limits:
    """What requests may ask for; those beyond are refused.

    Parameters
    ----------
    max_megabytes
        Size of a request.
    max_megapixels
        Size of an image.
    queue
        Images that wait for an answer.
    timeout
        Seconds for the body of a request, and again for its answer.
    """

    max_megabytes: float = 50
    max_megapixels: float = 67
    queue: int = 256
    timeout: float = 60


def serve(
    *,
    host: Annotated[str, Parameter(group=ADDRESS)] = "127.0.0.1",
    port: Annotated[int, Parameter(group=ADDRESS)] = 8000,
    token: Annotated[str, Parameter(group=ADDRESS, env_var="DARKPOSE_TOKEN", show_default=False)] = "",
    open: Annotated[bool, Parameter(group=ADDRESS)] = False,
    detector: Annotated[str, Parameter(group=INPUT)] = "auto",
    model: Model | None = None,
    batch_size: Annotated[int, Parameter(group=SCALE)] = 16,
    compute: Compute | None = None,
    limits: Limits | None = None,
) -> int:
    """Answer requests for landmarks over HTTP, and deliver a page for people.

    Ctrl-C ends. Images stay in memory until they are answered; nothing of them is written or logged.

    Parameters
    ----------
    host
        Address to listen at; 127.0.0.1: for this machine only.
    port
        Number of the port; 0: a free one.
    token
        Word that requests must bring. $DARKPOSE_TOKEN keeps it out of the list of processes.
    open
        Open the page in the browser.
    detector
        auto or darkpose (the one in the package), yunet, haar, or the path of a detector's file.
    batch_size
        Faces per forward pass.
    """
    for package in PACKAGES:  # what is missing is told before the weights are loaded
        import_module(package)

    from darkpose.serve.server import address_of, is_loopback, make_server, open_socket
    from darkpose.serve.settings import Settings

    model, compute, limits = model or Model(), compute or Compute(), limits or Limits()
    settings = Settings(
        token=token,
        max_bytes=round(1e6 * limits.max_megabytes),
        max_pixels=round(1e6 * limits.max_megapixels),
        max_waiting=limits.queue,
        timeout=limits.timeout,
    )
    # KeyboardInterrupt is the usual end.
    with suppress(KeyboardInterrupt), open_socket(host, port) as listening, termination_as_interrupt():
        if not token and not is_loopback(listening):
            tell("warning: other machines can use this service, as it has no token (--token or $DARKPOSE_TOKEN)")

        from darkpose.serve.app import make_app
        from darkpose.serve.predictors import Predictors

        options = {**predictor_options(model, compute), "detector": detector, "batch_size": batch_size}
        predictors = Predictors(options)
        tell_facts(predictors.first, covariance=False)
        address = address_of(listening)
        tell(f"{address} (Ctrl-C ends)")
        if open:
            import webbrowser

            webbrowser.open(f"{address}#token={token}" if token else address)
        make_server(make_app(predictors, settings), settings.max_bytes).run(sockets=[listening])
    tell("ended")
    return 0
