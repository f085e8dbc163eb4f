"""Which module may import which: every arrow is written out, and there is no cycle."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "darkpose"


# What each module may know of darkpose, written out: a new arrow is a decision, not an accident.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": {"*"},
    "__main__": {"cli.__init__"},
    "about": {"compiled", "detector", "fused_gpu", "zoo"},
    "adaptive_wing": set(),
    "atomic": {"errors"},
    "augment": {"degrade"},
    "average": set(),
    "batches": {"augment", "degrade", "errors", "geometry", "image", "sample", "schema"},
    "blur_vectors": {"compiled"},
    "boxfile": {"errors"},
    "boxrule": {"detector", "errors", "geometry", "image", "sample"},
    "calibration": {"errors", "modulation"},
    "calibration_file": {"atomic", "calibration", "errors"},
    "catalogue": {
        *("datasets.__init__", "datasets.aflw", "datasets.cofw", "datasets.joined", "datasets.openmmlab_tree"),
        *("datasets.w300", "datasets.wflw", "errors", "sample", "schema"),
    },
    "check": {"errors", "image", "paths", "sample", "schema"},
    "checkpoint": {"atomic", "errors", "geometry", "hrnet", "image", "modulation", "schema"},
    "cli.__init__": {
        *("cli.benchmark", "cli.datasets", "cli.evaluate", "cli.export", "cli.predict", "cli.train", "cli.weights"),
        "errors",
    },
    "cli.benchmark": {"atomic", "detector", "errors", "paths", "plots", "predict_files", "speed"},
    "cli.datasets": {
        "cli.numbers",
        "catalogue",
        "check",
        "contact_sheet",
        "datasets.aflw",
        "datasets.made",
        "errors",
        "image",
    },
    "cli.evaluate": {
        "cli.numbers",
        "errors",
        "evaluation",
        "heatmap",
        "inference",
        "predictions",
        "recipes",
        "report_folder",
    },
    "cli.export": {"calibration_file", "detector", "export", "export_files", "predict_files", "zoo"},
    "cli.predict": {
        *(
            "boxfile",
            "cli.numbers",
            "errors",
            "inputs",
            "paths",
            "predict_files",
            "predict_shards",
            "ray_pipeline",
            "results",
            "shards",
        ),
        "stopping",
    },
    "cli.numbers": set(),
    "cli.train": {
        *("checkpoint", "cli.numbers", "errors", "plan", "plots", "recipes", "run_folder", "runlog", "runs"),
        *("trackers", "train"),
    },
    "cli.weights": {"about", "models", "zoo"},
    "coarse_first": {"hrnet"},
    "compiled": set(),
    "contact_sheet": {"batches", "draw", "errors", "face", "geometry", "image", "sample", "schema"},
    "crop_cache": {"atomic", "augment", "crop_file", "errors", "geometry", "image", "lock", "sample"},
    "crop_file": {"errors", "image"},
    "dark_numpy": {"gaussian_fit", "modulation"},
    "dark_torch": {"dark_numpy", "errors", "gaussian_fit", "gaussians", "modulation"},
    "datasets.__init__": set(),
    "datasets.aflw": {"datasets.reading", "errors", "sample", "schema"},
    "datasets.coco": {"datasets.reading", "errors"},
    "datasets.cofw": {"datasets.reading", "errors", "image", "sample", "schema"},
    "datasets.joined": {"datasets.w300", "datasets.wflw", "derive", "errors", "sample", "schema"},
    "datasets.made": {
        *("atomic", "datasets.__init__", "datasets.aflw", "datasets.wflw", "derive", "drawn_face", "errors"),
        *("geometry", "image", "schema"),
    },
    "datasets.openmmlab": {"datasets.coco", "datasets.reading", "geometry", "sample", "schema"},
    "datasets.openmmlab_tree": {"datasets.openmmlab", "datasets.reading", "errors", "sample", "schema"},
    "datasets.points": {"datasets.coco", "datasets.reading", "errors", "sample", "schema"},
    "datasets.reading": {"errors", "geometry", "sample"},
    "datasets.w300": {"datasets.reading", "errors", "pts", "sample", "schema"},
    "datasets.wflw": {"datasets.reading", "errors", "sample", "schema"},
    "degrade": {"image"},
    "derive": {"errors", "schema"},
    "detector": {"download", "errors", "image", "opencv"},
    "device_batches": {
        *("augment", "batches", "crop_cache", "degrade", "device_effects", "device_jpeg", "geometry", "image"),
        *("resident_crops", "sample", "schema"),
    },
    "device_effects": set(),
    "device_jpeg": set(),
    "download": {"errors", "lock"},
    "draw": {"calibration", "face", "geometry", "image", "opencv"},
    "drawn_face": {"errors", "geometry", "image", "opencv", "schema"},
    "epoch_steps": set(),
    "errors": set(),
    "evaluation": {
        *("boxrule", "catalogue", "checkpoint", "datasets.made", "derive", "detector", "errors", "heatmap"),
        *("inference", "predict_samples", "predictions", "recipes", "report", "sample", "schema", "shape_prior", "zoo"),
    },
    "export": {
        *("calibration", "checkpoint", "coarse_first", "errors", "graph_card", "heatmap", "image", "inference"),
        *("landmark_graph", "quantise", "runtimes"),
    },
    "export_files": {
        *(
            "atomic",
            "calibration",
            "checkpoint",
            "detector",
            "download",
            "errors",
            "export",
            "face_crops",
            "graph_card",
        ),
        *("inference", "locator", "parity", "paths", "plots", "quantise", "runtimes"),
    },
    "face": {"errors", "geometry", "image", "schema"},
    "face_crops": {"checkpoint", "detector", "drawn_face", "errors", "geometry", "image"},
    "feed": {
        *("batches", "crop_cache", "device_batches", "epoch_steps", "resident_crops", "sample", "schema", "stopping"),
        "train_config",
    },
    "freed_memory": set(),
    "fused": {"blur_vectors", "compiled", "dark_numpy", "gaussian_fit", "highest", "prefetch", "threads", "weak_maps"},
    "fused_encode": {"compiled", "gaussians", "threads"},
    "fused_gpu": {"dark_numpy", "dark_torch", "errors", "modulation"},
    "gaussian_fit": set(),
    "gaussians": set(),
    "geometry": {"errors", "opencv"},
    "graph_card": {"checkpoint", "errors", "heatmap", "inference", "schema"},
    "graphed_passes": set(),
    "heads": {"derive", "errors", "hrnet", "schema"},
    "heatmap": {
        *("compiled", "dark_numpy", "dark_torch", "errors", "fused", "fused_encode", "fused_gpu", "gaussians"),
        "modulation",
    },
    "highest": {"compiled"},
    "hrnet": set(),
    "image": {"atomic", "errors", "geometry", "imagefile", "opencv"},
    "imagefile": {"errors", "opencv"},
    "inference": {"errors", "geometry", "heatmap", "image"},
    "inputs": {"errors", "paths"},
    "landmark_graph": {"calibration", "checkpoint", "dark_torch", "geometry", "heatmap", "hrnet", "inference"},
    "locator": {"calibration", "geometry", "hrnet", "image", "inference", "runtimes", "threads"},
    "lock": set(),
    "loss": {"gaussians"},
    "machine": set(),
    "metrics": {"errors"},
    "models": {"recipes", "zoo"},
    "modulation": {"errors"},
    "open_locator": {
        *("calibration", "calibration_file", "checkpoint", "errors", "export", "export_files", "graph_card", "heatmap"),
        *("inference", "locator", "runtimes", "schema", "torch_network", "zoo"),
    },
    "opencv": set(),
    "openvino_model": {"graph_card"},
    "parity": {"face_crops", "graph_card", "locator"},
    "parquet": {"errors"},
    "paths": set(),
    "pickles": {"errors"},
    "plan": {"batches", "epoch_steps", "feed", "run_state", "runs", "sent_step", "start", "train", "training_step"},
    "plots": {"atomic", "errors", "inference", "schema"},
    "predict_files": {
        *("atomic", "boxfile", "draw", "errors", "image", "inputs", "paths", "predictor", "results", "schema"),
        "stream",
    },
    "predict_samples": {
        *("batches", "boxrule", "errors", "geometry", "heatmap", "hrnet", "image", "inference", "metrics"),
        *("predictions", "sample", "schema"),
    },
    "predict_shards": {"boxfile", "detector", "errors", "image", "inputs", "predictor", "results", "shards", "stream"},
    "predictions": {"errors", "lock"},
    "predictor": {
        *("detector", "errors", "face", "face_crops", "geometry", "heatmap", "image", "inference", "open_locator"),
        *("runtimes", "schema", "shape_prior"),
    },
    "pts": {"errors"},
    "prefetch": {"compiled"},
    "published": {"checkpoint", "errors", "hrnet", "pickles", "schema"},
    "quantise": {"errors", "image"},
    "ray_pipeline": {"errors", "inference", "inputs", "parquet", "predict_shards", "shards"},
    "readahead": set(),
    "recipes": {"augment", "catalogue", "errors", "heatmap", "hrnet", "inference", "schedule", "start", "train_config"},
    "resident_crops": {"crop_cache", "errors", "image"},
    "report": {"errors", "geometry", "metrics", "sample", "schema"},
    "report_folder": {
        *("atomic", "contact_sheet", "errors", "evaluation", "image", "metrics", "plots", "report", "schema"),
    },
    "results": {"face", "pts", "schema"},
    "run_folder": {"atomic", "errors", "lock", "runlog"},
    "run_state": {"atomic", "average", "errors", "graphed_passes", "hrnet", "train_config"},
    "runlog": {"atomic", "errors"},
    "runs": {
        *("augment", "catalogue", "checkpoint", "errors", "heads", "hrnet", "inference", "predict_samples"),
        *("recipes", "run_folder", "sample"),
        *("schedule", "schema", "start", "train", "zoo"),
    },
    "runtimes": {"errors", "graph_card", "openvino_model"},
    "sample": {"errors", "schema"},
    "schedule": set(),
    "schema": {"errors"},
    "sent_step": {"atomic", "batches", "device_batches", "errors", "run_state", "runlog"},
    "shape_prior": {"atomic", "errors", "geometry", "schema"},
    "shards": {"atomic", "errors", "inference", "inputs", "lock", "parquet"},
    "speed": {
        *("checkpoint", "detector", "drawn_face", "errors", "export", "export_files", "face_crops", "geometry"),
        *(
            "graph_card",
            "heatmap",
            "hrnet",
            "image",
            "inference",
            "locator",
            "open_locator",
            "opencv",
            "runtimes",
            "speed_report",
        ),
        "zoo",
    },
    "speed_report": {"machine", "runtimes"},
    "start": {"checkpoint", "download", "errors", "heads", "hrnet", "pickles", "published", "schema", "zoo"},
    "stopping": set(),
    "stream": {"errors", "face", "image", "opencv", "predictor", "readahead"},
    "supervision": {"errors", "face"},
    "threads": set(),
    "torch_network": {"errors"},
    "trackers": {"errors", "train_config"},
    "train": {
        *("batches", "checkpoint", "epoch_steps", "errors", "feed", "freed_memory", "hrnet", "image", "run_folder"),
        *("run_state", "runlog", "sample"),
        *("schema", "sent_step", "stopping", "trackers", "train_config", "training_step"),
    },
    "train_config": {"augment", "errors", "geometry", "hrnet", "schedule", "schema"},
    "training_step": {
        *("adaptive_wing", "batches", "geometry", "heatmap", "hrnet", "image", "loss", "run_state", "train_config"),
    },
    "weak_maps": {"compiled", "dark_numpy"},
    "zoo": {"checkpoint", "download", "errors", "heads", "published", "schema"},
}

# One outside thing, one door.
DOORS = {
    "cv2": {"opencv"},
    "safetensors": {"checkpoint", "sent_step", "shape_prior"},
    "urllib": {"download"},
    "accelerate": {"feed", "run_state", "train", "trackers"},
    "cyclopts": {
        "cli.__init__",
        "cli.benchmark",
        "cli.datasets",
        "cli.evaluate",
        "cli.export",
        "cli.numbers",
        "cli.predict",
        "cli.train",
        "cli.weights",
    },
    "matplotlib": {"plots"},
    "llvmlite": {"compiled"},
    "numba": {"compiled"},
    "h5py": {"datasets.cofw"},
    "scipy": {"datasets.aflw", "datasets.made"},
    "supervision": {"supervision"},
    "triton": {"fused_gpu"},
    "pyarrow": {"parquet"},
    "onnx": {"export", "quantise"},
    "onnxscript": {"export"},
    "onnxruntime": {"quantise", "runtimes"},
    "openvino": {"openvino_model", "runtimes"},
    "ray": {"ray_pipeline"},
}


OPTIONAL = (
    "accelerate",
    "h5py",
    "llvmlite",
    "matplotlib",
    "numba",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "pyarrow",
    "ray",
    "scipy",
    "supervision",
    "triton",
)  # what the extras bring


def modules() -> dict[str, ast.Module]:
    files = sorted(SOURCE.rglob("*.py"))
    return {".".join(f.relative_to(SOURCE).with_suffix("").parts): ast.parse(f.read_text()) for f in files}


def imports(tree: ast.Module) -> set[str]:
    """Dotted names of everything imported anywhere in a module, functions included."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def own_imports(tree: ast.Module, names: set[str]) -> set[str]:
    dotted = {name.removeprefix("darkpose.") for name in imports(tree) if name.startswith("darkpose.")}
    return (dotted | {f"{name}.__init__" for name in dotted}) & names  # a package stands for its file


def test_every_module_imports_only_what_it_may() -> None:
    trees = modules()
    assert set(MAY_IMPORT) == set(trees), "a module came or went: say here what it may import"
    for name, tree in trees.items():
        allowed = MAY_IMPORT[name]
        unexpected = own_imports(tree, set(trees)) - allowed if "*" not in allowed else set()
        assert not unexpected, f"{name} imports {sorted(unexpected)}"


def test_nothing_is_allowed_that_is_not_used() -> None:
    trees = modules()
    for name, tree in trees.items():
        if "*" not in MAY_IMPORT[name]:
            assert MAY_IMPORT[name] == own_imports(tree, set(trees)), name


def test_there_is_no_import_cycle() -> None:
    remaining = {name: set(allowed) for name, allowed in MAY_IMPORT.items() if name != "__init__"}
    while remaining:
        free = {name for name, needs in remaining.items() if not needs & set(remaining)}
        assert free, f"a cycle among {sorted(remaining)}"
        remaining = {name: needs for name, needs in remaining.items() if name not in free}


@pytest.mark.parametrize("package", DOORS)
def test_every_outside_thing_has_its_doors(package: str) -> None:
    users = {name for name, tree in modules().items() if any(i.split(".")[0] == package for i in imports(tree))}
    assert users == DOORS[package]


def test_torch_load_is_called_in_two_places_and_always_with_weights_only() -> None:
    calls = [
        (name, node)
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert {name for name, _ in calls} == {"pickles", "run_state"}
    for name, node in calls:
        assert "weights_only=True" in ast.unparse(node), name


def test_the_layers_below_the_command_line_need_no_command_line_library() -> None:
    for name, tree in modules().items():
        if name.split(".")[0] not in ("cli", "__main__"):
            assert not any(i.split(".")[0] in ("cyclopts", "rich") for i in imports(tree)), name


def test_every_module_can_be_imported_without_the_extras() -> None:
    names = [name for name in modules() if name not in ("__init__", "__main__")]
    script = (
        "import sys, importlib\n"
        f"for name in {OPTIONAL!r}: sys.modules[name] = None\n"
        f"for name in {names!r}: importlib.import_module('darkpose.' + name.removesuffix('.__init__'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
