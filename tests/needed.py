"""What the tests of the examples need beside Python."""

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip, naming what is not there; fail where $DARKPOSE_NEED_EXAMPLES is set."""
    if os.environ.get("DARKPOSE_NEED_EXAMPLES"):
        pytest.fail(f"{what} ($DARKPOSE_NEED_EXAMPLES is set)", pytrace=False)
    pytest.skip(what)
