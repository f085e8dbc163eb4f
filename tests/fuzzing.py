"""Damaged files: a reader gives a result or a DarkposeError, soon, and in little memory."""

import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from darkpose.errors import DarkposeError

Result = TypeVar("Result")
MOST_SECONDS, MOST_MEMORY = 2.0, 512  # of CPU time; MB more than before
ODD = [
    *(b"", b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"1.5", b"9" * 20, b"9" * 5000, b"null", b"true", b'""'),
    *(b"[]", b"{}", b"[[]]", b"[" * 2000, b'"\\ud800"', b'"\\u001b[31m"', b"\0", b"\xff", b"\xef\xbb\xbf", b"\n"),
    *(b"\r", b",", b" ", b":", b'"', b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"x" * 140_000),
]
_BETWEEN_WORDS = b" ,:[]{}\n"

seeds = given(seed=st.integers(0, 2**64 - 1))  # of `damaged`
# 200 examples; as many as the profile has, if these are more: `make fuzz`.
fuzzed = settings(max_examples=max(200, settings().max_examples))


def damaged(whole: bytes, seed: int) -> bytes:
    """A valid file with some of its bits or words changed, or parts removed or repeated."""
    rng, data = random.Random(seed), bytearray(whole)
    for _ in range(rng.randint(1, 4)):
        at = end = rng.randint(0, max(len(data) - 1, 0))
        match rng.choice(("flip", "cut", "repeat", "end", "odd", "word", "word")):
            case "flip" if data:
                data[at] ^= 1 << rng.randrange(8)
            case "cut":
                del data[at : at + rng.randint(1, 40)]
            case "repeat":
                data[at:at] = data[at : at + rng.randint(1, 40)]
            case "end":
                del data[at:]
            case "odd":
                data[at:at] = rng.choice(ODD)
            case "word":
                while end < len(data) and data[end] not in _BETWEEN_WORDS:
                    end += 1
                data[at:end] = rng.choice(ODD)
    return bytes(data)


def check(reader: Callable[[Path], object], file: Path, content: bytes) -> None:
    """Read a file with this content: a result or a DarkposeError, within the limits."""
    file.write_bytes(content)
    check_call(lambda: reader(file))


def check_call(call: Callable[[], Result]) -> Result | None:
    """What a call gives, None for a DarkposeError of one line; within the limits."""
    began, before, result = time.process_time(), _most_memory(), None
    try:
        result = call()
    except DarkposeError as error:
        assert "\n" not in str(error)  # noqa: PT017
    assert time.process_time() - began < MOST_SECONDS
    assert _most_memory() - before < MOST_MEMORY
    return result


def _most_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
