"""The service by Ray Serve, with two replicas on this machine."""

import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json
from darkpose.image.pixels import read_image
from darkpose.predict.formats import ImageResult, to_dict
from darkpose.predict.predictor import Predictor
from darkpose.serve.on_ray import service
from needed import lacking

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture
def address() -> Iterator[str]:
    """Of Ray Serve on this machine, which listens on this machine only."""
    if find_spec("ray") is None or find_spec("aiohttp") is None:
        lacking("needs Ray Serve: pip install 'darkpose[ray]'")
    ray, serve = import_module("ray"), import_module("ray.serve")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        yield f"http://127.0.0.1:{port}/"
    finally:
        serve.shutdown()
        ray.shutdown()


def test_a_service_without_replicas_is_refused() -> None:
    pytest.importorskip("ray.serve")
    with pytest.raises(DarkposeError, match="at least one"):
        service(replicas=0)


@pytest.mark.slow
def test_two_replicas_give_the_answers_of_direct_calls(address: str, astronaut: Path) -> None:
    from ray import serve

    options = {"runtime": "onnxruntime", "detector": "darkpose"}
    serve.run(service(options, replicas=2), name="darkpose")
    data, image = astronaut.read_bytes(), read_image(astronaut)

    def ask(_: int) -> Any:
        request = urllib.request.Request(f"{address}v1/landmarks?covariance=true", data)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    faces = Predictor(**options, covariance=True)(image)  # type: ignore[arg-type]
    assert answers == [json.loads(format_json(to_dict(ImageResult("", (512, 512), faces))))] * 24
    pattern = re.compile(r"^darkpose_faces_total (\S+)$", re.MULTILINE)
    counts: set[float] = set()
    while sum(counts) < 24 and 12.0 not in counts:  # each replica has its own figures; the proxy asks any of them
        with urllib.request.urlopen(f"{address}metrics", timeout=60) as answer:
            counts.add(float(pattern.findall(answer.read().decode())[0]))
    assert max(counts) < 24
