"""Packages and programs that a test needs."""

import os
import re
from importlib.util import find_spec
from typing import NoReturn

import pytest

# What npm says where there is no registry.
UNREACHABLE = re.compile("ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET")


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip a test where one of the packages is not installed."""
    missing = [package for package in packages if find_spec(package) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def lacking(what: str) -> NoReturn:
    """Skip, naming what is not there; fail where $DARKPOSE_NEED_EXAMPLES is set."""
    if os.environ.get("DARKPOSE_NEED_EXAMPLES"):
        pytest.fail(f"{what} ($DARKPOSE_NEED_EXAMPLES is set)", pytrace=False)
    pytest.skip(what)
