"""What every reader does with any bytes: a result or a DarkposeError, in little time and memory."""

import os
import resource
import time
from collections.abc import Callable

from hypothesis import settings

from darkpose.errors import DarkposeError

MAX_SECONDS, MAX_MEMORY = 2.0, 1 << 30  # CPU time; growth of the peak
EXAMPLES = settings() if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else settings(max_examples=200)


def check(reader: Callable[[bytes], object], data: bytes) -> object:
    """The reader's result; None if it refuses the bytes."""
    began, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        return reader(data)
    except DarkposeError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return None
    finally:
        assert time.process_time() - began < MAX_SECONDS
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 < MAX_MEMORY
