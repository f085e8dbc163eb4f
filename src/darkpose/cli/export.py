"""`darkpose export`: a checkpoint as one file for other runtimes."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def export(
    weights: str,
    out: Path,
    *,
    schema: str | None = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    flip_test: Literal["off", "published", "exact"] = "off",
    method: Literal["dark", "dark+", "quarter", "argmax"] = "dark",
    crops: Literal["uint8", "float32"] = "uint8",
    heatmaps: Annotated[bool, Parameter(negative="")] = False,
    opset: int = 20,
    faces: Annotated[list[str] | None, Parameter(negative="")] = None,
    detector: str = "auto",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write weights as one file whose outputs are landmarks in image px, and compare it with torch.

    Inputs of the file: crops (N, S, S, 3) RGB, and matrices (N, 2, 3), crop px to image px. Beside it, a report and a
    picture say how far its landmarks lie from torch's. Exit code 1 where they lie too far: the file's name then ends in
    .unverified.

    Parameters
    ----------
    weights
        A checkpoint's path or a known name; default for the shipped weights.
    out
        File to write: .onnx, or .pt2 (torch.export).
    schema
        Which markup, of weights that know several; their first where it is not given.
    precision
        Of the network: fp32; fp16, half the size; int8, a third, with scales from --faces.
    flip_test
        Average with the mirrored crop: twice the time, a little more accurate.
    method
        Decoder of the heatmaps.
    crops
        Type of the input; float32 crops go from 0 to 255, too.
    heatmaps
        Give the heatmaps, too.
    opset
        Version of ONNX's operators.
    faces
        Photographs, folders or globs with faces to compare by, and for int8 to take scales from; repeat for several.
        Drawn faces where it is not given.
    detector
        Of those faces: auto, yunet, haar, or the path of a YuNet file.
    json
        Print the report as JSON.
    """
    from json import dumps

    from darkpose.deploy.export import ExportOptions
    from darkpose.deploy.export_file import export_file
    from darkpose.detect.detector import named_detector
    from darkpose.network.load import load_checkpoint
    from darkpose.predict.inputs import find_images
    from darkpose.weights.calibrations import calibration_beside
    from darkpose.weights.zoo import weights_file

    options = ExportOptions(flip_test, method, precision, crops, heatmaps, opset)
    checkpoint = load_checkpoint(weights, schema=schema)
    exported = export_file(
        checkpoint,
        out,
        options,
        calibration=calibration_beside(weights_file(weights, schema), checkpoint.schema.name),
        photographs=[each.path for each in find_images(faces)] if faces else (),
        detector=named_detector(detector) if faces else None,
        tell=lambda step: print(f"darkpose: {step} ...", file=sys.stderr),
    )
    print(dumps(exported.to_dict(), indent=2) if json else "\n".join(exported.lines()))
    if not exported.verified:
        old = f"; {out} is the one that was there before" if out.exists() else ""
        print(f"darkpose: {exported.file}: it differs from torch by more than is allowed{old}", file=sys.stderr)
    return 0 if exported.verified else 1
