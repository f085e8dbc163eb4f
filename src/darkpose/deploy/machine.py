"""What a measurement was made with: commit, processor, versions."""

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
    """Versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


CODE = [f":(top)*.{ending}" for ending in ("py", "sh", "toml", "txt", "safetensors")]  # as git names paths


def commit() -> str:
    """Of the checkout that darkpose runs from; empty where there is none.

    "-dirty" follows where code, requirements or weights have been changed; results just written do not count.
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
    """Commit and machine, as they stand at the head of what was measured."""
    return {"commit": commit(), "machine": machine()}
