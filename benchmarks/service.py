"""Load test of the service: service.py [quick] [FOLDER]

Writes benchmarks/results/service.json; with "quick", prints a short trial. `darkpose serve` runs in a process of its
own, and 64 clients of this one send it image files: the bundled portrait at places of its own in each file, drawn
faces, and the images of a folder. In each round the clients and `stream`, which is the work of `darkpose predict`, take
turns with the same files, from bytes to JSON.

throughput   Images per second of both, and the median of the ratios of the rounds.
latency_s    Seconds from request to answer.
memory_mb    Resident set of the service before the first round and after each one. OpenVINO takes some more for each
             number of faces in a batch that it meets for the first time.
different    Number of answers that are not equal to those of `stream`.
refused      Number of answers by code, if they are not 200: 504 on a machine that is too busy for so many clients.
load_before  Processes that ran or waited on the machine before the test; 0 is quiet.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from surroundings import surroundings

from darkpose.datasets.drawn_face import draw_face
from darkpose.files.json_text import format_json
from darkpose.image.pixels import decode_image, read_image, to_jpeg
from darkpose.predict.formats import ImageResult, to_dict
from darkpose.predict.predictor import Predictor
from darkpose.predict.stream import stream

PHOTO, OUT = Path("examples/astronaut.png"), Path("benchmarks/results/service.json")
CLIENTS, REQUESTS, ROUNDS, FILES = 64, 2000, 4, 100


def files(folder: Path | None, count: int) -> list[bytes]:
    """Image files: half portraits and half drawn faces, or these with as many of a folder."""
    photo = read_image(PHOTO)
    portraits = [to_jpeg(np.ascontiguousarray(np.roll(photo, 3 * number, axis=1)), 90) for number in range(count // 2)]
    drawn = [to_jpeg(draw_face(0, number).image, 90) for number in range(count // 2)]
    more = [] if folder is None else sorted(each for each in folder.rglob("*") if each.suffix in (".jpg", ".png"))
    return [*portraits, *drawn, *(each.read_bytes() for each in more[:count])]


def direct(predictor: Predictor, asked: list[bytes]) -> list[Any]:
    """The answers of `stream`, as JSON values."""
    found = stream(predictor, asked, lambda data: (decode_image(data), None))
    return [
        json.loads(format_json(to_dict(ImageResult("", each.image.shape[1::-1], each.faces))))
        for each in found
        if each.image is not None
    ]


def resident(process: int) -> float:
    """Resident set of a process, MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) * 1024 / 1e6


async def load(address: str, asked: list[bytes], clients: int) -> tuple[list[Any], list[float]]:
    """The answers of the service, asked by several clients, and the seconds of each."""
    answers: list[Any] = [None] * len(asked)
    seconds = [0.0] * len(asked)
    left, place = iter(range(len(asked))), urlsplit(address)

    async def client() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        for number in left:
            began, data = time.perf_counter(), asked[number]
            writer.write(
                f"POST /v1/landmarks HTTP/1.1\r\nHost: a\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            assert length, head
            answers[number] = (head.split()[1], await reader.readexactly(int(length[1])))
            seconds[number] = time.perf_counter() - began
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return [json.loads(body) if code == "200" else code for code, body in answers], seconds


def measure(folder: Path | None, requests: int, rounds: int, clients: int, file_count: int) -> dict[str, Any]:
    """All numbers of the load test."""
    images = files(folder, file_count)
    asked = [images[number % len(images)] for number in range(requests // rounds)]
    predictor = Predictor()
    command = [sys.executable, "-m", "darkpose", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert service.stderr is not None
            while not (address := re.search(r"http://\S+/", service.stderr.readline())):
                pass
            direct(predictor, asked[: 2 * clients])  # both warm up
            asyncio.run(load(address[0], asked[: 2 * clients], clients))
            memory, seconds, different, faces = [resident(service.pid)], list[float](), 0, 0
            refused = Counter[str]()
            rates: dict[str, list[float]] = {"service": [], "stream": []}
            for number in range(rounds):
                for way in ("service", "stream") if number % 2 else ("stream", "service"):
                    began = time.perf_counter()
                    if way == "stream":
                        expected = direct(predictor, asked)
                    else:
                        answers, each = asyncio.run(load(address[0], asked, clients))
                        seconds += each
                    rates[way].append(len(asked) / (time.perf_counter() - began))
                memory.append(resident(service.pid))
                print({way: round(values[-1], 2) for way, values in rates.items()}, memory[-1], file=sys.stderr)
                refused.update(each for each in answers if isinstance(each, str))
                pairs = zip(answers, expected, strict=True)
                different += sum(not isinstance(a, str) and a != b for a, b in pairs)
                faces += sum(len(each["faces"]) for each in expected)
        finally:
            service.terminate()
    return {
        "clients": clients,
        "requests": len(seconds),
        "faces": faces,
        "runtime": predictor.runtime,
        "different": different,
        "refused": refused,
        "throughput": {
            **{way: round(median(values), 2) for way, values in rates.items()},
            "ratio": round(median(a / b for a, b in zip(rates["service"], rates["stream"], strict=True)), 3),
            "rounds": {way: [round(value, 2) for value in values] for way, values in rates.items()},
        },
        "latency_s": {f"p{share}": round(float(np.percentile(seconds, share)), 3) for share in (50, 90, 99, 100)},
        "memory_mb": [round(value) for value in memory],
    }


if __name__ == "__main__":
    words = sys.argv[1:]
    quick, where = "quick" in words, [Path(word) for word in words if word != "quick"]
    sizes = (96, 2, 16, 12) if quick else (REQUESTS, ROUNDS, CLIENTS, FILES)
    loaded = round(os.getloadavg()[0], 2)
    result = {**surroundings(), **measure(where[0] if where else None, *sizes), "load_before": loaded}
    text = json.dumps(result, indent=1)
    if quick:
        print(text)
    else:
        OUT.write_text(text + "\n")
