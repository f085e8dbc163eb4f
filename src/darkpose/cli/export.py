"""`darkpose export`: weights as one file for programs without darkpose."""

from pathlib import Path
from typing import Literal

from darkpose.cli.result import print_lines, print_result, tell


def export(
    weights: str,
    out: Path,
    *,
    schema: str | None = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    flip_test: Literal["off", "published", "exact"] = "off",
    method: Literal["dark", "dark+", "quarter", "argmax"] = "dark",
    crops: Literal["uint8", "float32"] = "uint8",
    heatmaps: bool = False,
    opset: int = 20,
    faces: list[str] | None = None,
    detector: str = "auto",
    json: bool = False,
) -> int:
    """Export weights as one ONNX or PyTorch file.

    Inputs of the file: crops (N, S, S, 3) RGB, and matrices (N, 2, 3) from crop px to image px; outputs: landmarks in
    image px. A report and a figure next to the file compare its landmarks with those of torch. Exit code 1: they
    differ too much, and the name of the file ends in .unverified. Needs `pip install 'darkpose[export]'`.

    Parameters
    ----------
    weights
        Name or path of a checkpoint; default: the shipped weights; detector: darkpose's face detector, an .onnx file
        that takes images (N, H, W, 3) and gives boxes, scores and rolls. The options are for landmark networks.
    out
        File to write: .onnx, or .pt2 (torch.export).
    schema
        300w-68, wflw-98 or aflw-19, if the weights know several. Default: their first.
    precision
        Number type of the network: fp32; fp16, half the size; int8, a third of the size, calibrated on --faces.
    flip_test
        Average with the mirrored crop: twice the time, slightly more accurate.
    method
        Decoder of the heatmaps.
    crops
        Number type of the crops; values are 0 to 255 in both.
    heatmaps
        Also return the heatmaps.
    opset
        Version of the ONNX operators.
    faces
        Images, folders or globs with faces for the comparison and for int8; those that cannot be used are named and
        passed over. Repeat for several. Default: drawn faces.
    detector
        Detector of these faces: auto, yunet, darkpose, haar, or the path of a file.
    json
        Print the report as JSON.
    """
    if weights == "detector":
        from darkpose.deploy.detector_graph import export_detector
        from darkpose.weights.face_detector import open_face_detector

        print_lines(*export_detector(open_face_detector(), out))
        return 0
    from darkpose.runtime.open import check_address_space

    check_address_space()
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
        calibration=calibration_beside(weights_file(weights, schema), checkpoint.schema),
        photographs=[each.path for each in find_images(faces)] if faces else (),
        detector=named_detector(detector) if faces else None,
        tell=tell,
    )
    print_result(exported.to_dict(), exported.lines(), json=json)
    if not exported.verified:
        old = f"; {out} is from an earlier export" if out.exists() else ""
        tell(f"{exported.file}: differs from torch by more than allowed{old}")
    return 0 if exported.verified else 1
