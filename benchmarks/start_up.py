"""Start-up time and installed size: start_up.py [OUT.json]

Writes benchmarks/results/start_up.json. The wheel of this checkout is built and installed by pip into a new
environment, and each command runs in new processes: seconds of CPU time (user and system, all threads) and of wall
time, medians of the runs after a first one that is not counted. "mb" is what an installation adds to the environment,
byte code included. Other packages are installed from the registry, each into its own environment, which is then
removed; face-alignment with a PyTorch for the CPU, the smallest that it can have.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from darkpose.deploy.machine import made_with, versions

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks" / "results" / "start_up.json"
PHOTOGRAPH = str(ROOT / "examples" / "astronaut.png")
RUNS = 7
# Arguments of darkpose, and the most seconds of CPU time that we want.
COMMANDS = {
    "--help": (["--help"], 0.3),
    "info": (["info"], 1.0),
    "models": (["models"], 1.0),
    "predict, wrong file name": (["predict", "no-such-photograph.jpg"], 0.5),
    "predict, one photograph": (["predict", PHOTOGRAPH], 2.0),
}
MAX_WHEEL_MB, MAX_CORE_MB = 60, 450
# What to install, and what a first prediction imports.
PEERS = {
    "uniface": (["uniface[cpu]"], "import uniface"),
    "mediapipe": (["mediapipe"], "import mediapipe"),
    "face-alignment": (["face-alignment", "torch==2.13.0"], "import face_alignment"),
}


class Environment:
    """A new virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        self.python, self._folder, self._empty = str(folder / "bin" / "python"), folder, size_of(folder)

    def install(self, *packages: str) -> str:
        """Install packages; the last line of pip's error, empty if all went well."""
        command = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stderr.strip().splitlines()[-1] if done.returncode else ""

    @property
    def mb(self) -> float:
        """Size of what was installed."""
        return round((size_of(self._folder) - self._empty) / 1e6, 1)


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def seconds(command: list[str], folder: Path) -> dict[str, Any]:
    """CPU and wall seconds of a command in new processes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    cpu, wall, code = [], [], 0
    for _ in range(RUNS + 1):
        before = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "HOME": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        wall.append(time.perf_counter() - before)
        cpu.append(usage.ru_utime + usage.ru_stime)
    return {
        "cpu_s": round(median(cpu[1:]), 3),
        "wall_s": round(median(wall[1:]), 3),
        "cpu_s_runs": [round(value, 3) for value in cpu[1:]],
        "exit_code": code,
    }


def measure_darkpose(folder: Path) -> dict[str, Any]:
    """Size of the wheel and of the core, and time of the commands."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True)
    wheel = next(folder.glob("*.whl"))
    core = Environment(folder / "core")
    if problem := core.install(str(wheel), "--constraint", str(ROOT / "constraints.txt")):
        raise RuntimeError(problem)
    found: dict[str, Any] = {
        "wheel_mb": {"found": round(wheel.stat().st_size / 1e6, 1), "goal": MAX_WHEEL_MB},
        "core_mb": {"found": core.mb, "goal": MAX_CORE_MB},
        "python -c pass": seconds([core.python, "-c", "pass"], folder),
        "import": seconds([core.python, "-c", "from darkpose import Predictor"], folder),
    }
    for name, (arguments, goal) in COMMANDS.items():
        command = [str(Path(core.python).with_name("darkpose")), *arguments]
        found[f"darkpose {name}"] = {"goal_cpu_s": goal, **seconds(command, folder)}
        print(name, found[f"darkpose {name}"], file=sys.stderr)
    return found


def measure_peer(packages: list[str], code: str, folder: Path) -> dict[str, Any]:
    """Size and import time of another package, or why they are not known."""
    environment = Environment(folder / "peer")
    if problem := environment.install(*packages):
        return {"installs": False, "why": problem}
    run = subprocess.run([environment.python, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    listed = [environment.python, "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check"]
    installed = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    found = {"installs": True, "mb": environment.mb, "packages": installed, "imports": run.returncode == 0}
    if run.returncode:
        return {**found, "why": run.stderr.strip().splitlines()[-1]}
    return {**found, "import": seconds([environment.python, "-W", "ignore", "-c", code], folder)}


def measure() -> dict[str, Any]:
    """Everything."""
    with tempfile.TemporaryDirectory() as folder:
        found = {"darkpose": measure_darkpose(Path(folder))}
    for name, (packages, code) in PEERS.items():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measure_peer(packages, code, Path(folder))
        print(name, {key: value for key, value in found[name].items() if key != "packages"}, file=sys.stderr)
    return found


if __name__ == "__main__":
    out = Path(sys.argv[1]) if sys.argv[1:] else OUT
    method = f"medians of {RUNS} new processes after a first one; {' '.join(__doc__.split()[5:])}"
    head = {**made_with(), "versions": versions(["numpy", "onnxruntime"]), "method": method}
    out.write_text(json.dumps({**head, "packages": measure()}, indent=1) + "\n")
