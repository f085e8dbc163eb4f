"""What only Linux and macOS have is not needed: no module imports it, and what uses it does without."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"

# All modules are imported twice, because other packages may need what is then taken away.
SCRIPT = """
import builtins, importlib, os, pathlib, signal, sys, tempfile

source = pathlib.Path(sys.argv[1])
files = [file.relative_to(source) for file in source.glob("darkpose/**/*.py")]
names = sorted(str(file.with_suffix("")).replace(os.sep, ".").removesuffix(".__init__") for file in files)
importable = []
for name in names:
    if name == "darkpose.__main__":
        continue
    try:
        importlib.import_module(name)
        importable.append(name)
    except ImportError as error:
        assert (error.name or "").split(".")[0] != "darkpose", (name, error)
        print("not here:", name, error)
for name in [name for name in sys.modules if name.split(".")[0] == "darkpose"]:
    del sys.modules[name]

ABSENT = {"resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog"}
whole = builtins.__import__

def without(name, globals=None, *more):
    if name.split(".")[0] in ABSENT and (globals or {}).get("__name__", "").startswith("darkpose"):
        raise ModuleNotFoundError(name)
    return whole(name, globals, *more)

builtins.__import__ = without
for module, missing in (
    (signal, ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGQUIT", "SIGCHLD")),
    (os, ("O_NOFOLLOW", "O_CLOEXEC", "O_DIRECTORY", "fork", "register_at_fork", "sched_getaffinity", "getuid", "mkfifo",
          "statvfs", "sysconf", "getloadavg", "killpg")),
):
    for each in missing:
        if hasattr(module, each):
            delattr(module, each)
for name in importable:
    importlib.import_module(name)

from darkpose.files.atomic import write_text
from darkpose.files.lock import file_lock
from darkpose.stopping import Stopping
folder = pathlib.Path(tempfile.mkdtemp())
for wait, work in ((True, "to test"), (True, ""), (False, "")):
    with file_lock(folder / "lock", wait=wait, work=work), Stopping():
        write_text(folder / "file", "text")
if "darkpose.training.memory" in importable:
    import torch
    from darkpose.training.memory import keep_freed_memory, peak_memory
    assert peak_memory(torch.device("cpu")) == 0
    keep_freed_memory()
print(len(importable), "modules")
"""


def test_every_module_can_be_imported_and_files_are_written_without_posix(tmp_path: Path) -> None:
    call = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(SOURCE)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    count = int(done.stdout.split()[-2])
    assert count > 60, done.stdout
