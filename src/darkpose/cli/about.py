"""Facts about an installation, from metadata alone: no network is loaded and nothing is downloaded."""

import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from darkpose.errors import shown
from darkpose.files.download import cache_folder
from darkpose.runtime.open import RUNTIMES, Engine, has_nvidia_driver, resolve_engine
from darkpose.weights.checkpoint import open_checkpoint
from darkpose.weights.zoo import PICKLED, ZOO, downloaded_file, resolve_name, weights_file

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "openvino", "torch", "numba", "safetensors")
LONG = ("file", "schemas", "provenance", "executable", "cache")  # printed for --verbose only


def about(weights: str = "default") -> dict[str, Any]:
    """Versions, runtime, weights, detector and files, as JSON values.

    Raises:
        DarkposeError: the weights cannot be read, or the runtime cannot be used.
    """
    versions = {name: found for name in PACKAGES if (found := _version(name))}
    return {
        "darkpose": version("darkpose"),
        "python": platform.python_version(),
        **versions,
        **_hardware(),
        "codec": f"fused, by Numba {versions['numba']}" if "numba" in versions else "NumPy (faster: darkpose[fast])",
        "weights": weights,
        **_weights_facts(weights),
        "detector": "darkpose, in the package",
        "executable": sys.executable,
        "cache": str(cache_folder()),
    }


def lines(facts: Mapping[str, Any], *, verbose: bool) -> list[str]:
    """Facts for people; verbose: with provenance and paths."""
    short = {name: value for name, value in facts.items() if name not in PACKAGES and name not in LONG}
    versions = ", ".join(f"{name} {facts[name]}" for name in PACKAGES if name in facts)
    told = {"schema" if name == "markup" else name: value for name, value in short.items()} | {"packages": versions}
    longer = {name: facts[name] for name in LONG if name in facts} if verbose else {}
    return [*_aligned(told), *_aligned(longer)]


def _aligned(facts: Mapping[str, Any], indent: str = "") -> list[str]:
    """A line for each fact, and indented lines for those of a mapping."""
    found = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found += [shown(f"{indent}{name}"), *_aligned(value, f"{indent}  ")]
        else:
            found.append(shown(f"{indent}{name:12} {value}"))
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _hardware() -> dict[str, str]:
    """The runtime that `auto` takes, and what it calculates on."""
    engine = resolve_engine(Engine(), RUNTIMES)
    runtime = f"{engine.runtime} {version(engine.runtime)}"
    if not has_nvidia_driver():
        return {"runtime": runtime, "device": f"cpu ({os.cpu_count()} cores)"}
    if engine.runtime == "torch":
        on_gpu = "Triton" if find_spec("triton") else "PyTorch (faster: pip install triton)"
        return {"runtime": runtime, "device": "cuda", "codec on GPU": on_gpu}
    return {"runtime": runtime, "device": "cuda" if engine.providers else "cpu (no runtime can use the NVIDIA GPU)"}


def _weights_facts(weights: str) -> dict[str, Any]:
    """What the metadata of weights say; of weights that are not downloaded, what darkpose knows of them."""
    name = resolve_name(weights, None)
    file = downloaded_file(ZOO[name]) if name in ZOO else weights_file(name)
    if name in ZOO:
        schema, terms = ZOO[name].schema, {"terms": ZOO[name].terms, "url": ZOO[name].url}
        known = str(file) if file.is_file() else "downloaded at its first use"
        return {"markup": f"{schema.name}, {len(schema)} landmarks", "file": known, "provenance": terms}
    if file.suffix in PICKLED:
        unknown = f"in a {file.suffix} file, which only torch can read (darkpose convert makes a .safetensors of it)"
        return {"markup": unknown, "file": str(file), "provenance": {}}
    found = open_checkpoint(file)
    schema = found.with_schema(None).schema
    return {
        "markup": f"{schema.name}, {len(schema)} landmarks",
        "file": str(file),
        "schemas": ", ".join(part.name for part in found.schema.parts or (schema,)),
        "provenance": dict(found.provenance),
    }
