"""Print the files of darkpose whose functions run in one prediction, evaluation, check or training step.

    python scripts/count_files.py [predictor | predict | evaluate | check | train] ...

Each way runs in a new process. Module-level code does not count, nor what it calls. Exit code 1: more files than the
limit.
"""

import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import darkpose
from darkpose.cli.app import main

SOURCE = Path(darkpose.__file__).parent
PHOTOGRAPH = SOURCE.parents[1] / "examples" / "astronaut.png"
BOX = (180.0, 69.0, 271.0, 170.0)

LIMITS = {
    "predictor": ("predictor(image, boxes), loaded", 8),
    "predict": ("darkpose predict photo.jpg", 15),
    "evaluate": ("darkpose evaluate", 18),
    "check": ("darkpose datasets check", None),
    "train": ("a training sample to its loss", 18),
}


@contextmanager
def counting() -> Iterator[set[str]]:
    """The files, relative to the package, whose functions run in the block, in any thread."""
    files: set[str] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(SOURCE)) and not _is_importing(frame):
            files.add(str(Path(code.co_filename).relative_to(SOURCE)))

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        yield files
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a frame is the body of a module or class, or is called by one."""
    while frame is not None and frame.f_code.co_filename != __file__:
        if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # set for functions only
            return True
        frame = frame.f_back
    return False


def count_predictor() -> set[str]:
    """A call with an array and a box, after a first such call."""
    from darkpose import Predictor
    from darkpose.image.pixels import read_image

    predictor, image = Predictor(), read_image(PHOTOGRAPH)
    predictor(image, [BOX])
    with counting() as files:
        predictor(image, [BOX])
    return files


def count_command(*arguments: str) -> set[str]:
    """A command from `main` on."""
    with counting() as files:
        try:
            main(list(arguments))
        except SystemExit as done:
            if done.code not in (None, 0, 1):
                raise RuntimeError(f"darkpose {' '.join(arguments)}: exit code {done.code}") from done
    return files


def count_evaluate() -> set[str]:
    """An evaluation of weights on drawn faces."""
    draw_faces()
    return count_command("evaluate", "wflw-test", "--root", "drawn", "--weights", "default")


def count_check() -> set[str]:
    """A check of drawn faces."""
    draw_faces()
    return count_command("datasets", "check", "wflw-test", "--root", "drawn")


def count_train() -> set[str]:
    """A sample to its loss and the step that follows."""
    from torch.utils.data import default_collate

    from darkpose.datasets.wflw import read_wflw
    from darkpose.schema import WFLW_98
    from darkpose.training.config import TrainConfig
    from darkpose.training.feed import make_feed
    from darkpose.training.run import start_run
    from darkpose.training.step import take_step
    from darkpose.weights.checkpoint import HRNetConfig

    draw_faces()
    samples = read_wflw(Path("drawn"), "train")
    network = HRNetConfig(len(WFLW_98), widths=(4, 4, 4, 4), modules=(1, 1, 1), blocks=1, stem=4)
    config = TrainConfig(network, crop_size=64, precision="no")
    run = start_run(config, WFLW_98)
    feed = make_feed(config, samples, WFLW_98, run.accelerator)
    with counting() as files:
        batch = feed.to_batch(default_collate([feed.faces[0, index] for index in range(2)]))
        take_step(run, 1e-3, [batch], len(batch.crops))
    return files


WAYS: dict[str, Callable[[], set[str]]] = {
    "predictor": count_predictor,
    "predict": partial(count_command, "predict", str(PHOTOGRAPH)),
    "evaluate": count_evaluate,
    "check": count_check,
    "train": count_train,
}


def draw_faces() -> None:
    """Write a small data set, not counted."""
    with suppress(SystemExit):
        main(["datasets", "make", "wflw", "--root", "drawn", "--train", "2", "--test", "2"])


def count_here(way: str) -> int:
    """Count one way in this process and print its files; 1 if there are more than its limit."""
    with TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        os.chdir(folder)
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            files = WAYS[way]()
    name, limit = LIMITS[way]
    print(f"{name}: {len(files)} files" + (f", at most {limit} allowed" if limit else ""))
    print(*sorted(files), sep="\n", end="\n\n")
    return int(limit is not None and len(files) > limit)


if __name__ == "__main__":
    ways = sys.argv[1:] or list(WAYS)
    if len(ways) == 1:
        sys.exit(count_here(ways[0]))
    sys.exit(max(subprocess.run([sys.executable, __file__, way], check=False).returncode for way in ways))
