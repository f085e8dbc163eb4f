"""The command line: its commands, exit codes, and errors as one line.

Exit codes: 0: everything done; 1: some images could not be used or have no face; 2: a mistake in the call; 130: Ctrl-C.
"""

import io
import os
import sys

from cyclopts import App, Parameter

from darkpose.cli.result import tell
from darkpose.errors import DarkposeError

# Modules and first lines of the help of the commands, so that only the command that runs is imported.
COMMANDS = {
    "predict": ("predict", "Find the landmarks of every face in images."),
    "video": ("video", "Follow the faces of clips: a table of landmarks, and the clip with them drawn."),
    "live": (
        "live",
        "Follow the faces of a camera or stream; one JSON line for each frame on standard output.",
    ),
    "average": ("average", "Average the faces of images: each is warped onto their mean shape."),
    "serve": ("serve", "Answer requests for landmarks over HTTP, and deliver a page for people."),
    "models": ("weights", "List the models with their landmarks, errors, terms and files."),
    "info": ("weights", "Show versions, runtime, device, weights and detector."),
    "evaluate": (
        "evaluate",
        "Measure the errors of weights or predictions on a test set.",
    ),
    "train": ("train", "Train a network by a recipe."),
    "plot": ("train", "Plot loss, learning rate and error of training runs."),
    "export": ("export", "Export weights as one ONNX or PyTorch file."),
    "benchmark": ("benchmark", "Measure the time per face in every runtime."),
    "convert": ("weights", "Convert checkpoints of OpenMMLab or HRNet to safetensors."),
}
# Extras of pip that bring a package; for some commands another extra than the package's own.
EXTRAS = {
    "accelerate": "train",
    "av": "video",
    "fastapi": "serve",
    "h5py": "data",
    "matplotlib": "report",
    "numba": "fast",
    "onnx": "export",
    "openvino": "openvino",
    "prometheus_client": "serve",
    "pyarrow": "parquet",
    "python_multipart": "serve",
    "ray": "ray",
    "scipy": "data",
    "tensorboard": "track",
    "torch": "torch",
    "uvicorn": "serve",
    "websockets": "serve",
}
EXTRAS_OF_COMMANDS = {"train": "train", "export": "export"}


def make_app(command: str = "") -> App:
    """The commands; the one that runs has its whole help, from its docstring."""
    app = App(
        name="darkpose",
        help="Sub-pixel face landmarks: HRNetV2 and DARK.",
        help_format="plaintext",  # Markdown, which wraps the paragraphs of the commands, is slow to import
        version_flags="--version",
        default_parameter=Parameter(negative="", show_default=_shown_default),  # no --no-FLAG
    )
    for number, (name, (module, summary)) in enumerate(COMMANDS.items()):
        path, first_line = f"darkpose.cli.{module}:{name}", None if name == command else summary
        app.command(path, name=name, help=first_line, sort_key=number, help_format="markdown")
    app.command(
        "darkpose.cli.datasets:datasets",
        name="datasets",
        help="Check, convert or make a data set.",
        sort_key=len(COMMANDS),
    )
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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may have letters that the encoding lacks
            stream.reconfigure(errors="backslashreplace")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's threads would start, wait and not be used
    given = sys.argv[1:] if arguments is None else arguments
    command = next(iter(given), "")
    try:
        make_app(command)(given)
    except DarkposeError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        _fail(_how_to_install(error, command))
    except BrokenPipeError:  # the reader of our output is gone
        _close_output()
        sys.exit(1)
    except OSError as error:  # for example a full disk
        tell(str(error))
        try:
            sys.stdout.flush()
        except OSError:
            _close_output()
        sys.exit(2)
    except Exception as error:
        _fail(_lack_of_memory(error))


def _fail(message: str) -> None:
    tell(message)
    sys.exit(2)


def _how_to_install(error: ModuleNotFoundError, command: str) -> str:
    """Which extra brings a package that is not installed.

    Raises:
        ModuleNotFoundError: no extra brings it.
    """
    package = (error.name or "").split(".")[0]
    if package not in EXTRAS:
        raise error
    extra = EXTRAS_OF_COMMANDS.get(command, EXTRAS[package])
    return f"this needs {package}, which is not installed: pip install 'darkpose[{extra}]'"


# What libraries say when memory, address space or processes run out, besides MemoryError.
LACKS = (
    *("cannot allocate memory", "can't allocate memory", "bad_alloc", "failed to serialize proto"),
    *("failed to map segment", "can't start new thread"),
)


def _lack_of_memory(error: Exception) -> str:
    """What to do about an error that comes from too little memory.

    Raises:
        Exception: it is another error.
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, MemoryError) and not any(lack in reason.lower() for lack in LACKS):
        raise error
    return f"too little memory, address space (ulimit -v) or processes (ulimit -u) for this: {reason[:200]}"


def _close_output() -> None:
    """Send what is left in the buffer of standard output to nowhere: the interpreter would write it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
