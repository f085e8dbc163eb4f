"""The command line: its commands, exit codes, and errors as one line.

Exit codes: 0: everything done; 1: some images could not be used or have no face; 2: a mistake in the call; 130: Ctrl-C.
"""

import os
import sys
from collections.abc import Callable

from cyclopts import App, Parameter

from darkpose.cli.benchmark import benchmark
from darkpose.cli.datasets import check, make
from darkpose.cli.evaluate import evaluate
from darkpose.cli.export import export
from darkpose.cli.predict import predict
from darkpose.cli.train import plot, train
from darkpose.cli.weights import convert, info, models
from darkpose.errors import DarkposeError

# In the order of the help.
COMMANDS: tuple[Callable[..., int], ...]
COMMANDS = (predict, models, info, evaluate, train, plot, export, benchmark, convert)
# Extras of pip that bring a package; for some commands another extra than the package's own.
EXTRAS = {
    "accelerate": "train",
    "h5py": "data",
    "matplotlib": "report",
    "numba": "fast",
    "onnx": "export",
    "onnxscript": "export",
    "openvino": "openvino",
    "pyarrow": "parquet",
    "ray": "ray",
    "scipy": "data",
    "tensorboard": "track",
    "torch": "torch",
}
EXTRAS_OF_COMMANDS = {"train": "train", "export": "export"}


def make_app() -> App:
    """The commands."""
    flags = Parameter(negative="", show_default=_shown_default)  # no --no-FLAG
    # Markdown wraps the help texts of commands; at the top it would only make the list of commands slower.
    app = App(
        name="darkpose",
        help="Sub-pixel face landmarks: HRNetV2 and DARK.",
        help_format="plaintext",
        version_flags="--version",
        default_parameter=flags,
    )
    datasets = App(name="datasets", help="Check or make a data set.", sort_key=len(COMMANDS))
    for subcommand in (check, make):
        datasets.command(subcommand, help_format="markdown")
    for number, command in enumerate(COMMANDS):
        app.command(command, sort_key=number, help_format="markdown")
    app.command(datasets)
    return app


def _shown_default(value: object) -> str | None:
    """A default in the help; None: not shown."""
    return None if value is None or value is False else str(value)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; a mistake of the user becomes one line and exit code 2.

    Args:
        arguments: None: those of the process.
    """
    if sys.stderr is None:  # closed by the parent process
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # darkpose reports damaged images itself
    given = sys.argv[1:] if arguments is None else arguments
    try:
        make_app()(given)
    except DarkposeError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        _fail(_how_to_install(error, *given[:1]))
    except BrokenPipeError:  # the reader of our output is gone
        _close_output()
        sys.exit(1)
    except OSError as error:  # for example a full disk
        print(f"darkpose: {error}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _close_output()
        sys.exit(2)


def _fail(message: str) -> None:
    print(f"darkpose: {message}", file=sys.stderr)
    sys.exit(2)


def _how_to_install(error: ModuleNotFoundError, command: str = "") -> str:
    """Which extra brings a package that is not installed.

    Raises:
        ModuleNotFoundError: no extra brings it.
    """
    package = (error.name or "").split(".")[0]
    if package not in EXTRAS:
        raise error
    extra = EXTRAS_OF_COMMANDS.get(command, EXTRAS[package])
    return f"this needs {package}, which is not installed: pip install 'darkpose[{extra}]'"


def _close_output() -> None:
    """Send what is left in the buffer of standard output to nowhere: the interpreter would write it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
