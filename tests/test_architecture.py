"""The rooms of the package, lowest first: a module imports only from its own room and from rooms before it."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from without_torch import IS_TORCH_INSTALLED, NEEDS_TORCH

SOURCE = Path(__file__).parents[1] / "src" / "darkpose"

ROOMS = [
    "errors",
    "schema",
    "stopping",
    "files",
    "image",
    "codec",
    "weights",
    "network",
    "runtime",
    "detect",
    "derived",
    "predict",
    "video",
    "serve",
    "datasets",
    "evaluation",
    "deploy",
    "training",
    "cli",
]

# One outside package, the rooms that import it.
DOORS = {
    "accelerate": {"training"},
    "av": {"video"},
    "cv2": {"image"},
    "cyclopts": {"cli"},
    "fastapi": {"serve"},
    "h5py": {"datasets"},
    "llvmlite": {"codec"},
    "matplotlib": {"files"},
    "numba": {"codec"},
    "PIL": {"image"},
    "onnx": {"deploy", "runtime"},
    "onnxruntime": {"deploy", "runtime"},
    "openvino": {"runtime"},
    "prometheus_client": {"serve"},
    "pyarrow": {"predict", "video"},
    "pydantic": {"serve"},
    "python_multipart": {"serve"},
    "ray": {"predict", "serve"},
    "safetensors": {"network", "predict", "training", "weights"},
    "scipy": {"datasets"},
    "starlette": {"serve"},
    "supervision": {"predict"},
    "torch": {"codec", "deploy", "network", "runtime", "training"},
    "triton": {"codec"},
    "uvicorn": {"serve"},
    "yaml": {"datasets"},
}

EXTRAS = set(DOORS) - {"cv2", "cyclopts", "onnxruntime", "safetensors", "torch"}  # the core brings these

# The service is made of FastAPI: these modules alone are used without it.
WITHOUT_FASTAPI = {"serve.page_facts", "serve.settings", "serve.server"}

# What is still to be removed: a module, and what it should not import.
KNOWN: set[tuple[str, str]] = {
    ("cli.benchmark", "torch"),
}


@cache
def modules() -> dict[str, ast.Module]:
    """Dotted name without `darkpose.` (a room's own file: the room's name) -> its syntax tree."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
        found[name] = ast.parse(file.read_text())
    return found


def imports(tree: ast.Module, *, for_types: bool = True) -> set[str]:
    """Dotted names of everything imported anywhere in a module, functions included, and `if TYPE_CHECKING` or not."""
    found: set[str] = set()
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.update({node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)})
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif for_types or not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            nodes.extend(ast.iter_child_nodes(node))
    return found


def own_imports(name: str) -> set[str]:
    """The modules of darkpose that a module imports."""
    found = {i.removeprefix("darkpose.") for i in imports(modules()[name])} & set(modules())
    return {i for i in found if not any(other.startswith(f"{i}.") for other in found)}  # the module, not its room


def outside_imports(name: str) -> set[str]:
    """Packages that a module imports when it runs, but for those that every room may import."""
    found = {name.split(".")[0] for name in imports(modules()[name], for_types=False)}
    return found - {*sys.stdlib_module_names, "darkpose", "numpy", "tqdm"}


def room(name: str) -> str:
    return name.split(".")[0]


def in_rooms() -> list[str]:
    return [name for name in modules() if not name.startswith("__")]


def arrows() -> set[tuple[str, str]]:
    """(module, module that it imports), less the known violations."""
    return {(name, other) for name in in_rooms() for other in own_imports(name)} - KNOWN


def test_every_module_is_in_a_room() -> None:
    assert {room(name) for name in in_rooms()} == set(ROOMS)


def test_a_module_imports_only_from_its_own_room_and_from_rooms_before_it() -> None:
    assert not [f"{a} -> {b}" for a, b in sorted(arrows()) if ROOMS.index(room(b)) > ROOMS.index(room(a))]


def test_there_is_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {}
    for name, other in arrows():
        graph.setdefault(name, set()).add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a cycle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("package", [path.parent for path in sorted(SOURCE.rglob("__init__.py"))], ids=lambda p: p.name)
def test_the_file_of_a_room_is_a_docstring_that_names_each_of_its_files(package: Path) -> None:
    if package == SOURCE:
        pytest.skip("the package itself holds the public names")
    name = ".".join(package.relative_to(SOURCE).parts)
    tree = modules()[name]
    if (name, "docstring") in KNOWN:
        pytest.skip("still to be written")
    assert len(tree.body) == 1, f"{name} holds more than a docstring"
    text = ast.get_docstring(tree) or ""
    files = [path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    assert not [file for file in sorted(files) if file != "__init__" and not re.search(rf"\b{file}\b", text)]


def test_every_outside_package_has_its_rooms() -> None:
    users: dict[str, set[str]] = {}
    for name in in_rooms():
        for package in outside_imports(name):
            if (name, package) not in KNOWN:
                users.setdefault(package, set()).add(room(name))
    assert users == DOORS


def test_torch_load_is_always_called_with_weights_only() -> None:
    calls = [
        ast.unparse(node)
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert len(calls) == 1
    assert all("weights_only=True" in call for call in calls), calls


def test_the_rooms_below_the_command_line_need_no_command_line_library() -> None:
    assert not [name for name in in_rooms() if room(name) != "cli" and {"cyclopts", "rich"} & outside_imports(name)]


@pytest.mark.parametrize("torch", [True, False], ids=["with torch", "without torch"])
def test_every_module_can_be_imported_without_the_extras(torch: bool) -> None:
    if torch and not IS_TORCH_INSTALLED:
        pytest.skip("needs torch")
    names = [n for n in in_rooms() if torch or not any(f"{n}.".startswith(f"{part}.") for part in NEEDS_TORCH)]
    names = [n for n in names if not n.startswith("serve.") or n in WITHOUT_FASTAPI]
    missing = EXTRAS if torch else EXTRAS | {"torch"}
    script = (
        "import sys, importlib\n"
        f"for name in {sorted(missing)}: sys.modules[name] = None\n"
        f"for name in {names}:\n"
        "    try: importlib.import_module('darkpose.' + name)\n"
        "    except ImportError as error: print(name, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not done.stdout, done.stdout


def test_one_module_reads_and_writes_json() -> None:
    assert {name for name in in_rooms() if "json" in imports(modules()[name])} == {"files.json_text"}
