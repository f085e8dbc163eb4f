"""Commit, processor and package versions, for the reports of measurements."""

import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> str:
    """The processors, for people: "2 x AMD EPYC"."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


CODE = [f":(top)*.{ending}" for ending in ("py", "sh", "toml", "txt", "safetensors")]  # as git names paths


def commit() -> str:
    """The commit of the checkout that darkpose runs from; empty if it runs from no checkout.

    It ends in "-dirty" if code, requirements or weights have been changed; new results do not count.
    """
    here = ["git", "-C", str(Path(__file__).parent)]
    try:
        name = subprocess.run(
            [*here, "describe", "--always"], capture_output=True, text=True, check=False
        ).stdout.strip()
        changed = subprocess.run([*here, "diff", "--quiet", "HEAD", "--", *CODE], check=False).returncode if name else 0
    except OSError:
        return ""
    return f"{name}-dirty" if changed else name


def made_with() -> dict[str, str]:
    """Commit and machine, for the head of a report."""
    return {"commit": commit(), "machine": machine()}
