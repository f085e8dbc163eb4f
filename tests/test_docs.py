"""The documents are right: snippets run, links lead somewhere, modules, files and flags exist."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from without_torch import IS_TORCH_INSTALLED

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "configs").rglob("*.md")),
    *sorted((ROOT / "src").rglob("*.md")),
]
LIBRARY = re.compile(r"\bdarkpose(?:\.[a-z0-9_]+)+(?:\.[A-Z_]\w*)?")  # a module, or a value in it
FILE = re.compile(r"\b(?:benchmarks|configs|docs|examples|scripts|src|tests)/[\w./-]+\.(?:py|sh|json|jsonl|md|png)\b")


def blocks(path: Path) -> list[str]:
    """The snippets of a page that can run here; those of other packages are tests of their pages."""
    marks = r"python(?: supervision)?" if find_spec("supervision") else "python"
    return re.findall(rf"^```{marks}\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if blocks(p)], ids=lambda p: p.name)
@pytest.mark.usefixtures("offline")
def test_the_snippets_of_a_page_run_in_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not IS_TORCH_INSTALLED and any("import torch" in block for block in blocks(path)):
        pytest.skip("needs torch")
    if find_spec("fastapi") is None and any("darkpose.serve" in block for block in blocks(path)):
        pytest.skip("needs fastapi")
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for block in blocks(path):
        exec(compile(block, str(path), "exec"), names)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_within_the_project_lead_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", path.read_text()):
        page = path.parent / target if target else path
        assert page.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(page), f"{path.name} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if p.name != "experiments.md"], ids=lambda p: p.name)
def test_modules_and_files_in_a_document_exist(path: Path) -> None:
    text = path.read_text()
    assert not [name for name in sorted(set(LIBRARY.findall(text))) if not exists(name)]
    assert not [name for name in sorted(set(FILE.findall(text))) if not (ROOT / name).exists()]


def exists(name: str) -> bool:
    """Whether a dotted name is a module of darkpose, or a value in one."""
    file = ROOT / "src" / Path(*name.split("."))
    if file.is_dir() or file.with_suffix(".py").exists():
        return True
    module, _, value = name.rpartition(".")
    if not (ROOT / "src" / Path(*module.split("."))).with_suffix(".py").exists() and module != "darkpose":
        return False
    return not IS_TORCH_INSTALLED or hasattr(import_module(module), value)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_flags_in_commands_of_a_document_exist(path: Path) -> None:
    from darkpose.cli.app import make_app

    for command, rest in re.findall(r"\bdarkpose ((?:datasets )?[a-z]+) ([^\n`]*)", path.read_text()):
        flags = set(re.findall(r"(?<!\S)--[a-z-]+", rest.partition(" #")[0]))
        if flags:
            app = make_app()
            for name in command.split():
                app = app[name]
            known = {name for argument in app.assemble_argument_collection() for name in argument.names}
            assert flags <= known, f"{path.name}: darkpose {command} has no {sorted(flags - known)}"


def test_the_readme_is_short_and_shows_the_result_first() -> None:
    text = README.read_text()
    assert len(text.encode()) <= 8192
    assert text.index("](docs/landmarks.png)") < text.index("## ")


@pytest.mark.parametrize(
    "text", ["README.md", "docs/training.md", "src/darkpose/cli/train.py", "src/darkpose/cli/evaluate.py"]
)
def test_it_is_said_that_recipe_files_are_executed(text: str) -> None:
    assert re.search(r"executed:\s+use only files that you\s+trust", (ROOT / text).read_text())


def test_it_is_said_that_ray_listens_and_how_to_keep_it_on_this_machine() -> None:
    text = (ROOT / "docs" / "scale.md").read_text()
    assert re.search(
        r"listens on all\s+network interfaces.*`ray start --head\s+--node-ip-address 127\.0\.0\.1`", text, re.DOTALL
    )


def test_the_readme_names_every_room_and_every_page() -> None:
    text = README.read_text()
    for room in (ROOT / "src" / "darkpose").iterdir():
        if (room / "__init__.py").is_file():
            assert f"| `{room.name}` |" in text, f"the room {room.name} is missing in the README"
    for page in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{page.name})" in text, f"{page.name} is missing in the README"
