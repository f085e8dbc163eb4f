"""Build the page as a static folder that finds landmarks in the browser: build_site.py SITE

SITE gets the page (`src/darkpose/web`), the face detector and the landmark network of the package with all its schemas,
onnxruntime-web as `npm ci` installs it in `examples/javascript`, and `model.json`, which names them. Large files are
compressed with gzip and unpacked by the page, so that every host sends them small. Fails if more than 25 MB would be
sent. Needs Node.js, and `pip install 'darkpose[export]'`.
"""

import gzip
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from darkpose.deploy.detector_graph import detector_graph
from darkpose.deploy.export import ExportOptions, export_onnx
from darkpose.detect.face_detector import DOWN, HEIGHT, WIDTH
from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json, parse_json
from darkpose.network.load import load_checkpoint
from darkpose.serve.page_facts import schema_values
from darkpose.weights.calibrations import calibration_beside
from darkpose.weights.face_detector import open_face_detector
from darkpose.weights.zoo import W300_ONLY, weights_file

ROOT = Path(__file__).parents[1]
WEB, PROGRAM = ROOT / "src" / "darkpose" / "web", ROOT / "examples" / "javascript" / "landmarks.mjs"
MOST = 25e6  # bytes to be sent
LIMITS = {"bytes": 100_000_000, "pixels": 50_000_000}  # of a picture; canvases of phones take no more
IMPORT = 'from "onnxruntime-web"'  # import maps do not reach workers, so this name becomes an address
RUNTIMES = {"wasm": "ort.wasm.min.mjs", "webgpu": "ort.webgpu.min.mjs"}
WASM = {"wasm": "ort-wasm-simd-threaded", "webgpu": "ort-wasm-simd-threaded.asyncify"}


def build_site(site: Path, tell: Callable[[str], object] = print) -> None:
    """Build the folder; one that is there is replaced when the new one is whole.

    Raises:
        DarkposeError: npm is missing or fails, the folder is something else, or more than `MOST` would be sent.
    """
    if site.exists() and any(site.iterdir()) and not (site / "model.json").is_file():
        raise DarkposeError(f"{site}: expected a new folder, or one that this script has built")
    packages = install_packages()
    with tempfile.TemporaryDirectory(dir=site.parent, prefix=f".{site.name}.") as folder:
        new = Path(folder) / "site"
        shutil.copytree(WEB, new)
        new.chmod(0o755)
        index = new / "index.html"
        index.write_text(index.read_text().replace('content="v1/model"', 'content="model.json"'))
        shutil.copy(ROOT / "LICENSE", new / "LICENSE.txt")
        shutil.copy(ROOT / "docs" / "page.md", new / "page.txt")
        facts = add_runtime(new, packages) | add_networks(new)
        (new / "model.json").write_text(format_json(facts, indent=1) + "\n")
        for line in sizes(new):
            tell(line)
        if site.exists():
            shutil.rmtree(site)
        new.rename(site)
    tell(f"{site}: put it on any host, or try it: python -m http.server --directory {site}")


def install_packages() -> Path:
    """The folder of onnxruntime-web, installed by its lock file.

    Raises:
        DarkposeError: npm is missing or fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise DarkposeError("npm cannot be found: install Node.js")
    command = [npm, "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--fetch-retries=1"]
    done = subprocess.run(command, cwd=PROGRAM.parent, capture_output=True, text=True)
    if done.returncode:
        raise DarkposeError(f"npm cannot install onnxruntime-web: {done.stderr.strip()}")
    return PROGRAM.parent / "node_modules" / "onnxruntime-web"


def add_runtime(site: Path, package: Path) -> dict[str, Any]:
    """Copy onnxruntime-web and the program that uses it; returns the first half of `model.json`."""
    folder, program = site / "runtime", PROGRAM.read_text()
    folder.mkdir()
    if program.count(IMPORT) != 1:
        raise DarkposeError(f"{PROGRAM}: expected one line with {IMPORT}")
    for kind, runtime in RUNTIMES.items():
        (folder / f"landmarks.{kind}.mjs").write_text(program.replace(IMPORT, f'from "./{runtime}"'))
        for name in (runtime, f"{WASM[kind]}.mjs"):
            shutil.copy(package / "dist" / name, folder / name)
        write_packed(folder / f"{WASM[kind]}.wasm.gz", (package / "dist" / f"{WASM[kind]}.wasm").read_bytes())
    return {
        "engine": "browser",
        "version": version("darkpose"),
        "weights": W300_ONLY,
        "runtime": f"onnxruntime-web {parse_json((package / 'package.json').read_text())['version']}",
        "limits": LIMITS,
        "has_token": False,
    }


def add_networks(site: Path) -> dict[str, Any]:
    """Export the networks; returns the second half of `model.json`."""
    checkpoint = load_checkpoint(W300_ONLY, whole=True)
    calibration = calibration_beside(weights_file(W300_ONLY), checkpoint.schema)
    landmarks = export_onnx(checkpoint, ExportOptions(small=True), calibration)
    detector = detector_graph(open_face_detector()).SerializeToString()
    (site / "networks").mkdir()
    files = {"landmarks": landmarks, "detector": detector}
    for name, data in files.items():
        write_packed(site / "networks" / f"{name}.onnx.gz", data)
    runtime = site / "runtime"
    return {
        "terms": str(checkpoint.provenance.get("terms", "")),
        "schemas": [schema_values(part) for part in checkpoint.schema.parts],
        "face_box": {"width": WIDTH, "height": HEIGHT, "down": DOWN},
        "files": {
            "documents": "page.txt",
            "programs": {kind: f"runtime/landmarks.{kind}.mjs" for kind in RUNTIMES},
            "runtimes": {kind: f"runtime/{name}" for kind, name in RUNTIMES.items()},
            "wasm": {kind: named(site, runtime / f"{name}.wasm.gz") for kind, name in WASM.items()},
            **{name: named(site, site / "networks" / f"{name}.onnx.gz") for name in files},
        },
    }


def write_packed(path: Path, data: bytes) -> None:
    """Write bytes compressed with gzip; the same bytes give the same file."""
    path.write_bytes(gzip.compress(data, 9, mtime=0))


def named(site: Path, path: Path) -> dict[str, Any]:
    """Address and size of a file; JSON values."""
    return {"file": path.relative_to(site).as_posix(), "bytes": path.stat().st_size}


def sizes(site: Path) -> Iterable[str]:
    """What a browser is sent, for people.

    Raises:
        DarkposeError: it is more than `MOST`.
    """
    of_webgpu = {site / "runtime" / name for name in ("landmarks.webgpu.mjs", RUNTIMES["webgpu"])}
    of_webgpu |= {site / "runtime" / f"{WASM['webgpu']}{ending}" for ending in (".mjs", ".wasm.gz")}
    sent = {path: sent_bytes(path) for path in sorted(site.rglob("*")) if path.is_file()}
    usual = sum(size for path, size in sent.items() if path not in of_webgpu)
    yield from (f"{size / 1e6:8.3f} MB  {path.relative_to(site)}" for path, size in sent.items())
    yield f"{usual / 1e6:8.3f} MB  sent in all, compressed; {(sum(sent.values()) - usual) / 1e6:.3f} MB more for WebGPU"
    if usual > MOST:
        raise DarkposeError(f"{usual / 1e6:.1f} MB would be sent; the limit is {MOST / 1e6:.0f} MB")


def sent_bytes(path: Path) -> int:
    """Size of a file as a host sends it that compresses texts."""
    packed = path.suffix in (".gz", ".jpg")
    return path.stat().st_size if packed else len(gzip.compress(path.read_bytes(), 9))


if __name__ == "__main__":
    try:
        build_site(Path(sys.argv[1]).absolute())
    except DarkposeError as error:
        sys.exit(str(error))
