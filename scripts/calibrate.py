"""Calibrate the covariances of weights, and measure the result: calibrate.py WEIGHTS 300W WFLW NAME [FOLDS]

Landmarks are found by DARK, without flip test, in boxes made from the annotation, for each schema of the weights. The
calibration of a schema is fitted on one half of some faces, split by image. The shares of errors within the 50, 90 and
95 % regions are counted on the other half: by the peak itself, by other ways to make a covariance of it, fitted on the
same half, and calibrated.

The faces are those of LFPW test (of 300-W): for the 68 landmarks by their annotation, for the others by landmarks
derived from it (a landmark that cannot be derived has no calibration). The 68 landmarks are compared with WFLW, too, by
the 50 landmarks that both schemas share, and the 98 with the annotation of WFLW. This is not possible for weights that
were trained on the faces of WFLW: with FOLDS, a folder that scripts/cross_validate.py made by the same recipe, their 98
landmarks are calibrated on the faces of WFLW, each found by the weights of the fold that was not trained on it;
without, they are not compared with WFLW.

The file goes next to the weights, the numbers to benchmarks/calibration/NAME.json, the plot to
docs/calibration-NAME.png. WEIGHTS is a path or a shipped name. 300W and WFLW are folders as `darkpose datasets check`
takes them.
"""

import json
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from cross_validate import FOLDS, fold_of
from surroundings import surroundings

from darkpose.codec.heatmap import decode
from darkpose.datasets.sample import Sample, nme_normaliser
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.derived.conversion import derive, derive_shared
from darkpose.evaluation.fitting import LEVELS, auroc, coverage, fit_calibration, peak_width, spread
from darkpose.evaluation.metrics import bootstrap_interval
from darkpose.evaluation.predict_samples import cut_samples
from darkpose.files.atomic import make_folder, write_atomically, write_text
from darkpose.image.geometry import box_to_crop, crop_to_heatmap, image_to_crop, transform
from darkpose.predict.covariance import calibrated, chi2_quantile, squared_distances
from darkpose.runtime.open import Engine, OpenedWeights, open_weights
from darkpose.schema import AFLW_19, W300_68, WFLW_98, KeypointSchema
from darkpose.weights.calibrations import Calibration, file_beside, write_calibrations
from darkpose.weights.zoo import SHIPPED, resolve_name, shipped_file

Floats = NDArray[np.float64]
SCHEMAS = (W300_68, WFLW_98, AFLW_19)
SEED = 0  # of the split
FAR = 0.10  # of the inter-ocular distance: a landmark is off beyond it
CURVE = np.linspace(0.02, 0.98, 49)
ENGINE, BATCH = Engine("onnxruntime"), 8


@dataclass(frozen=True)
class Found:
    """What was found on N faces.

    Attributes:
        errors: (N, K, 2) heatmap px, NaN where not annotated.
        peaks: (N, K, 2, 2) heatmap px^2, NaN where not known.
        scores: (N, K).
        shares: (N, K) distances over the inter-ocular distance.
        images: (N,) the image of every face.
    """

    errors: Floats
    peaks: Floats
    scores: Floats
    shares: Floats
    images: NDArray[np.str_]

    def of(self, faces: NDArray[np.intp]) -> "Found":
        """Some of the faces."""
        arrays = (self.errors, self.peaks, self.scores, self.shares, self.images)
        return Found(*(each[faces] for each in arrays))  # type: ignore[arg-type]


def find(weights: OpenedWeights, samples: list[Sample], schema: KeypointSchema, *, derived: bool = False) -> Found:
    """Find landmarks, and compare them with the annotation: the points that both schemas share, or all derived ones."""
    known = derive if derived else derive_shared
    config, points_found, scores, peaks = weights.config, [], [], []
    for start in range(0, len(samples), BATCH):
        crops, _, _ = cut_samples(samples[start : start + BATCH], config.crop_size, config.padding)
        heatmaps = np.asarray(weights.network(np.stack(list(crops))))
        decoded = decode(heatmaps, kernel_size=config.kernel_size, covariance=True)
        points_found.append(decoded.points)
        scores.append(decoded.scores)
        assert decoded.covariance is not None
        peaks.append(decoded.covariance)
    center, sides = box_to_crop(np.stack([sample.box for sample in samples]), padding=config.padding)
    size, annotated = (config.crop_size, config.crop_size), []
    for sample, middle, side in zip(samples, center, sides, strict=True):
        points, visible = known(sample.keypoints, sample.visible, schema, weights.schema)
        cells = crop_to_heatmap(transform(image_to_crop(middle, float(side[0]), size), points))
        annotated.append(np.where(visible[:, None] > 0, cells, np.nan))
    errors = np.concatenate(points_found) - np.stack(annotated)
    lengths = np.array([nme_normaliser(sample, schema) for sample in samples])
    cells_per_length = crop_to_heatmap(config.crop_size * lengths / sides[:, 0])
    shares = np.linalg.norm(errors, axis=-1) / cells_per_length[:, None]
    images = np.array([str(sample.image) for sample in samples])
    return Found(errors, np.concatenate(peaks).astype(np.float64), np.concatenate(scores), shares, images)


def halves(images: NDArray[np.str_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The faces of one half of the images, and of the other."""
    names, membership = np.unique(images, return_inverse=True)
    first = (np.random.default_rng(SEED).permutation(len(names)) < len(names) // 2)[membership]
    return np.flatnonzero(first), np.flatnonzero(~first)


def ways(fitted_on: Found, calibration: Calibration) -> dict[str, Calibration]:
    """The calibration beside other ways to make covariances of peaks, fitted on the same faces."""

    def fit(peaks: Floats, width: float) -> Calibration:
        return fit_calibration(fitted_on.errors, peaks, schema=calibration.schema, width=width, fitted={})

    count, floor = len(calibration.scale), np.where(np.isnan(calibration.floor), np.nan, 1e-9)
    tiny = tuple(floor.tolist())
    quantiles = np.nanquantile(squared_distances(fitted_on.errors, fitted_on.peaks), LEVELS, axis=0)
    factors = np.exp(np.log(quantiles / chi2_quantile(LEVELS)[:, None]).mean(axis=0))
    return {
        "the peak itself": Calibration(calibration.schema, 0.0, (1.0,) * count, tiny, {}),
        "factor * C": Calibration(calibration.schema, 0.0, tuple(factors.tolist()), tiny, {}),
        "scale * C + floor": fit(fitted_on.peaks, 0.0),
        "floor alone": fit(np.where(np.isfinite(fitted_on.peaks), 0.0, np.nan), 0.0),  # its scale is 0
        "calibrated": calibration,
    }


def coverage_with_interval(found: Found, covariances: Floats) -> dict[str, Any]:
    """Shares within the regions, with 95 % intervals over images; those of each landmark's widest fifth of peaks."""
    rows = np.concatenate([found.errors, covariances.reshape(*covariances.shape[:2], 4)], axis=-1)

    def interval(level: float) -> list[float]:
        def share(drawn: Floats) -> float:
            return float(coverage(drawn[..., :2], drawn[..., 2:].reshape(*drawn.shape[:2], 2, 2), [level])[0])

        return [round(each, 3) for each in bootstrap_interval(rows, share, groups=found.images, draws=200)]

    distances = squared_distances(found.errors, covariances)
    wide = spread(found.peaks)
    widest = wide >= np.nanquantile(np.where(np.isfinite(distances), wide, np.nan), 0.8, axis=0)
    known = np.isfinite(distances)
    likelihood = -np.log(2 * np.pi) - 0.5 * np.log(np.linalg.det(covariances[known])) - 0.5 * distances[known]
    return {
        "levels": LEVELS,
        "coverage": np.round(coverage(found.errors, covariances, LEVELS), 3).tolist(),
        "interval": [interval(level) for level in LEVELS],
        "coverage_of_widest_fifth": np.round(coverage(found.errors[widest], covariances[widest], LEVELS), 3).tolist(),
        "mean_log_likelihood": round(float(likelihood.mean()), 3),
    }


def detection(found: Found, covariances: Floats) -> dict[str, Any]:
    """How well landmarks that are far off are told from the others."""
    annotated = np.isfinite(found.shares)
    off = found.shares[annotated] > FAR

    def area(doubt: Floats) -> float:
        return round(auroc(off, np.where(np.isnan(doubt), np.inf, doubt)[annotated]), 4)

    return {
        "landmarks": int(off.size),
        "off": int(off.sum()),
        "auroc": {
            "score": area(-found.scores),
            "root of the peak's trace": area(spread(found.peaks)),
            "root of the calibrated trace": area(spread(covariances)),
        },
    }


def report(found: Found, every: dict[str, Calibration]) -> dict[str, Any]:
    """All numbers of one set of faces."""
    covariances = {name: calibrated(found.peaks, way) for name, way in every.items()}
    return {
        "faces": len(found.errors),
        "without_covariance": int((~np.isfinite(found.peaks).all(axis=(-2, -1))).sum()),
        "ways": {name: coverage_with_interval(found, each) for name, each in covariances.items()},
        "off_by_more_than_10_per_cent": detection(found, covariances["calibrated"]),
    }


def plot(path: Path, sets: dict[str, tuple[Found, dict[str, Calibration]]]) -> None:
    """Share of errors within each region against the region's level."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(sets), 4.8), layout="constrained")
    for axes, (title, (found, every)) in zip(figure.subplots(1, len(sets)), sets.items(), strict=True):
        axes.plot([0, 100], [0, 100], color="grey", linewidth=0.8, linestyle=":")
        for name, way in every.items():
            shares = coverage(found.errors, calibrated(found.peaks, way), CURVE)
            axes.plot(100 * CURVE, 100 * shares, label=name, linewidth=2.6 if name == "calibrated" else 1.2)
        axes.set(xlabel="region (%)", ylabel="errors within (%)", xlim=(0, 100), ylim=(0, 100), aspect="equal")
        axes.set_title("\n".join(wrap(title, 44)), fontsize=9)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower right")
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=100))


def found_by_folds(folder: Path, samples: list[Sample]) -> Found:
    """The faces of WFLW, each found by the weights of the fold that was not trained on it, fold after fold."""
    folds, parts = fold_of(samples), []
    for fold in range(FOLDS):
        weights = open_weights(folder / f"fold-{fold}" / "weights.safetensors", WFLW_98.name, ENGINE)
        faces = [sample for sample, its in zip(samples, folds, strict=True) if its == fold]
        parts.append(find(weights, faces, WFLW_98))
    fields = ("errors", "peaks", "scores", "shares", "images")
    return Found(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def sets_of(
    weights: OpenedWeights, lfpw: list[Sample], wflw: list[Sample], folds: Path | None
) -> tuple[str, Found, dict[str, Found]]:
    """The faces that a schema is fitted on, in words and found, and further faces to measure its calibration on."""
    own, clean = weights.schema, not weights.provenance.get("test_images_learnt")
    if own.name == WFLW_98.name and folds is not None:
        return "WFLW's list, found by cross-validation", found_by_folds(folds, wflw), {}
    fitted_on = "LFPW test" if own.name == W300_68.name else "LFPW test, by landmarks derived from the 68 annotated"
    others = {}
    if clean and own.name in (W300_68.name, WFLW_98.name):
        others[f"{len(wflw)} hard faces of WFLW's test set"] = find(weights, wflw, WFLW_98)
    return fitted_on, find(weights, lfpw, W300_68, derived=own.name != W300_68.name), others


def main(weights: str, w300: str, wflw: str, name: str, folds: str = "") -> None:
    """Fit, measure, write."""
    known = resolve_name(weights, W300_68.name)
    lfpw, hard = read_300w(Path(w300), LFPW_TEST_FOLDERS), read_wflw(Path(wflw))
    file = shipped_file(known) if known in SHIPPED else Path(known)
    calibrations, results = [], {}
    plots: dict[str, tuple[Found, dict[str, Calibration]]] = {}
    for schema in SCHEMAS:
        opened = open_weights(known, schema.name, ENGINE)
        what, found, others = sets_of(opened, lfpw, hard, Path(folds) if folds else None)
        fitting, held_out = (found.of(faces) for faces in halves(found.images))
        fitted = {
            "faces": f"{len(fitting.errors)} of {len(found.errors)} of {what}, drawn by image with the seed {SEED}",
            "boxes": "made from the annotation",
            "flip_test": "off",
            "method": "dark",
            "kernel_size": opened.config.kernel_size,
            "levels": list(LEVELS),
            "weights_sha256": sha256(file.read_bytes()).hexdigest(),
            "command": f"python scripts/calibrate.py {weights} 300W WFLW {name}" + (" FOLDS" if folds else ""),
        }
        width = peak_width(opened.config.sigma, opened.config.kernel_size)
        calibration = fit_calibration(fitting.errors, fitting.peaks, schema=schema.name, width=width, fitted=fitted)
        every = ways(fitting, calibration)
        sets = {f"{len(held_out.errors)} of {what}": held_out, **others}
        calibrations.append(calibration)
        results[schema.name] = {
            "fitted": fitted,
            "measured": {title: report(faces, every) for title, faces in sets.items()},
        }
        plots |= {f"{len(schema)} landmarks, {title}": (faces, every) for title, faces in sets.items()}
    out = Path("benchmarks/calibration")
    make_folder(out)
    content = {**surroundings(), "method": __doc__, "weights": known, "results": results}
    write_text(out / f"{name}.json", json.dumps(content, indent=1) + "\n")
    plot(Path(f"docs/calibration-{name}.png"), plots)
    write_calibrations(calibrations, file_beside(file))
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    main(*sys.argv[1:])
