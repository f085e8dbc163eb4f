"""The command line: flags -> one call. Printing and exit codes live here and nowhere else.

Exit codes: 0, everything done; 1, some images could not be used or have no face; 2, a mistake in the call.
"""

import os
import sys

from cyclopts import App

from darkpose.cli.benchmark import benchmark
from darkpose.cli.datasets import check, make
from darkpose.cli.evaluate import evaluate
from darkpose.cli.export import export
from darkpose.cli.predict import predict
from darkpose.cli.train import plot, train
from darkpose.cli.weights import convert, info, models
from darkpose.errors import DarkposeError

app = App(name="darkpose", help="Sub-pixel face landmarks: HRNetV2 and DARK.", version_flags=["--version"])
for command in (predict, export, benchmark, convert, info, models, evaluate, train, plot):
    app.command(command)
datasets = App(name="datasets", help="Published data sets on your disk.")
for subcommand in (check, make):
    datasets.command(subcommand)
app.command(datasets)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line (None: the process's own); a user's mistake becomes one line and exit code 2."""
    if sys.stderr is None:  # closed by who started us
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # darkpose itself reports what is wrong with an image
    try:
        app(arguments)
    except DarkposeError as error:
        print(f"darkpose: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output went away; nothing more to say to it
        _close_output()
        sys.exit(1)
    except OSError as error:  # of an output that takes no more, for one
        print(f"darkpose: {error}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _close_output()
        sys.exit(2)


def _close_output() -> None:
    """Let what is still in the buffer go nowhere, or the interpreter would try again as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
