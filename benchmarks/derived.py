"""Head poses on real faces: derived.py DATA OUT.json

DATA holds 300w/, wflw/, merlrav/, cfp/ and clips/. Measured are

* poses of annotated against poses of predicted landmarks: 224 faces of LFPW test (68) and 310 hard ones of WFLW (98);
* how far annotated landmarks are from the placed mean face, as a share of the distance of the outer eye corners;
* the same faces by 19 landmarks that are derived from the 68;
* the yaw of faces that annotators have sorted into frontal, half-profile and profile (MERL-RAV), and of profiles (CFP);
* the steadiness of poses in a clip, with and without smoothing.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from darkpose.datasets.posed_faces import read_cfp, read_merlrav
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.derived.conversion import convert
from darkpose.derived.pose import Pose, assumed_camera, head_pose
from darkpose.files.atomic import write_text
from darkpose.files.json_text import format_json
from darkpose.image.pixels import read_image
from darkpose.predict.predictor import Predictor
from darkpose.schema import AFLW_19, W300_68, WFLW_98, KeypointSchema
from darkpose.video.analysis import rows_of
from darkpose.video.clip import open_clip
from darkpose.video.derived_rows import with_derived
from darkpose.video.smoothed import smoothed
from darkpose.video.tracker import Tracker

CLIP, CLIP_END = "LivePortrait_d3.mp4", 3.0  # s


def angles(pose: Pose) -> list[float]:
    """Yaw, pitch and roll."""
    return [pose.yaw, pose.pitch, pose.roll]


def annotated(face: Sample, schema: KeypointSchema, size: tuple[int, int]) -> tuple[Pose, float]:
    """The pose of annotated landmarks, and their residual in units of the face."""
    points = np.where((face.visible > 0)[:, None], face.keypoints, np.nan)
    camera = assumed_camera(points, schema, size)
    pose = head_pose(points, schema, camera)
    return pose, pose.residual * pose.translation[2] / camera.focal[0]


def size_of(face: Sample) -> tuple[int, int]:
    """Width and height of the image of a face."""
    height, width = read_image(face.image).shape[:2]
    return width, height


def against_predictions(faces: Sequence[Sample], schema: KeypointSchema) -> dict[str, Any]:
    """Poses of annotated against those of predicted landmarks."""
    predictor, rows = Predictor(schema=schema.name, covariance=True, threads=1), []
    for face in tqdm(faces):
        image = read_image(face.image)
        size = (image.shape[1], image.shape[0])
        found = predictor(image, [face.box], "landmarks")[0]
        truth, residual = annotated(face, schema, size)
        pose = found.pose()
        rows.append([*angles(truth), *angles(pose), *pose.errors, residual])
    values = np.array(rows)
    difference = np.abs(values[:, :3] - values[:, 3:6])
    ratio, wide = difference / values[:, 6:9], np.abs(values[:, 0]) > 30
    return {
        "faces": len(faces),
        "landmarks": len(schema),
        "predicted_pose_not_known": int(np.isnan(values[:, 3]).sum()),
        "annotated_pose_not_known": int(np.isnan(values[:, 0]).sum()),
        "median_difference": rounded(np.nanmedian(difference, axis=0)),
        "difference_of_90_per_cent": rounded(np.nanpercentile(difference, 90, axis=0)),
        "median_difference_beyond_30_degrees": rounded(np.nanmedian(difference[wide], axis=0)),
        "faces_beyond_30_degrees": int(wide.sum()),
        "median_standard_error": rounded(np.nanmedian(values[:, 6:9], axis=0)),
        "within_1_standard_error": rounded(np.nanmean(ratio < 1, axis=0)),
        "within_2_standard_errors": rounded(np.nanmean(ratio < 2, axis=0)),
        "residual_median_per_cent": rounded(100 * np.nanmedian(values[:, 9])),
        "residual_of_95_per_cent": rounded(100 * np.nanpercentile(values[:, 9], 95)),
    }


def by_19(faces: Sequence[Sample]) -> dict[str, Any]:
    """Poses of 19 landmarks that are derived from 68 against those of the 68."""
    rows = []
    for face in faces:
        size, few = size_of(face), convert(face.keypoints, W300_68, AFLW_19).keypoints
        one, other = annotated(face, W300_68, size)[0], head_pose(few, AFLW_19, assumed_camera(few, AFLW_19, size))
        rows.append(np.abs(np.array(angles(one)) - angles(other)))
    return {"faces": len(faces), "median_difference": rounded(np.nanmedian(rows, axis=0))}


def by_class(faces: Sequence[Sample]) -> dict[str, Any]:
    """The yaw to either side of faces of each class."""
    yaws = np.array([abs(annotated(face, W300_68, size_of(face))[0].yaw) for face in faces])
    classes = np.array([next(iter(face.subsets), "") for face in faces])
    return {
        str(name): {
            "faces": int((classes == name).sum()),
            "not_known": int(np.isnan(yaws[classes == name]).sum()),
            "yaw_of_5_50_95_per_cent": rounded(np.nanpercentile(yaws[classes == name], [5, 50, 95])),
        }
        for name in np.unique(classes)
    }


def steadiness(path: Path) -> dict[str, Any]:
    """The median of the second differences of angles from frame to frame, of the first track of a clip."""
    tracker = Tracker(Predictor(covariance=True, threads=1))
    with open_clip(str(path)) as clip:
        raw = [row for frame in tqdm(clip.frames(0.0, CLIP_END, 1)) for row in rows_of(frame, tracker, covariance=True)]
        result: dict[str, Any] = {"clip": path.name, "seconds": CLIP_END}
        for how in ("off", "causal", "two-pass"):
            rows = [with_derived(row, W300_68, clip.size) for row in smoothed(iter(raw), how) if row.track == 1]
            known = [row.derived for row in rows if row.derived is not None]
            values = np.array([[each[name] or np.nan for name in ("yaw", "pitch", "roll")] for each in known])
            result[how] = rounded(np.nanmedian(np.abs(np.diff(values, 2, axis=0)), axis=0))
            result["frames"] = len(values)
            errors = [[each[f"{name}_error"] or np.nan for name in ("yaw", "pitch", "roll")] for each in known]
            result["median_standard_error"] = rounded(np.nanmedian(errors, axis=0))
    return result


def rounded(values: Any) -> Any:
    """Numbers of JSON with three digits."""
    return np.round(np.asarray(values, np.float64), 3).tolist()


def main(data: Path, out: Path) -> None:
    """Measure and write; angles are degrees, lists are yaw, pitch and roll."""
    lfpw, cfp = read_300w(data / "300w", LFPW_TEST_FOLDERS), data / "cfp"
    merl = [*read_merlrav(data / "merlrav", "train"), *read_merlrav(data / "merlrav", "validation")]
    found = {
        "lfpw_test": against_predictions(lfpw, W300_68),
        "wflw_hard": against_predictions(read_wflw(data / "wflw", "test"), WFLW_98),
        "lfpw_test_by_19": by_19(lfpw),
        "merlrav_classes": by_class(merl),
        "cfp": by_class([*read_cfp(cfp, "train"), *read_cfp(cfp, "validation")]),
        "clip": steadiness(data / "clips" / CLIP),
    }
    write_text(out, format_json(found, indent=1) + "\n")
    print(format_json(found, indent=1))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
