"""What `import darkpose` offers: taking a name away is a decision."""

import subprocess
import sys

import pytest

import darkpose
from needed import needs

NAMES = [
    "AFLW_19",
    "COFW_29",
    "SCHEMAS",
    "W300_68",
    "WFLW_98",
    "Checkpoint",
    "CheckpointConfig",
    "DarkposeError",
    "Decoded",
    "Face",
    "HRNet",
    "HRNetConfig",
    "KeypointSchema",
    "Predictor",
    "Tracker",
    "convert",
    "decode",
    "draw_faces",
    "encode",
    "load_checkpoint",
    "nme",
    "save_checkpoint",
]


def test_the_public_names_are_these() -> None:
    assert darkpose.__all__ == NAMES
    assert set(NAMES) <= set(dir(darkpose))


NEED_TORCH = ("Checkpoint", "HRNet", "convert", "load_checkpoint", "save_checkpoint")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[needs("torch")] if name in NEED_TORCH else []) for name in NAMES]
)
def test_every_public_name_can_be_had_and_is_documented(name: str) -> None:
    value = getattr(darkpose, name)
    if callable(value):
        assert (value.__doc__ or "").strip()


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        darkpose.nonsense  # noqa: B018


def test_importing_the_package_and_its_help_do_not_load_torch() -> None:
    code = "import sys, darkpose, darkpose.cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
