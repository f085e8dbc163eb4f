"""Draw the pictures of docs/decoding.md from examples/astronaut.png: decoding_pictures.py

docs/decoding-steps.png: for a landmark that the network is sure of and one that it is not, the crop, the heatmap, the
blurred heatmap, its logarithm around the maximum with the Newton step, and the ellipse. docs/decoding-ellipses.png: the
face with all of its 95 % ellipses.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.dark import FLOOR, modulation_kernel
from darkpose.codec.heatmap import decode
from darkpose.detect.haar import Haar
from darkpose.evaluation.fitting import LEVELS
from darkpose.files.atomic import write_atomically
from darkpose.image.geometry import box_to_crop, heatmap_to_crop, image_to_crop
from darkpose.image.pixels import Pixels, read_image, warp_image, write_image
from darkpose.predict.covariance import calibrated, ellipse
from darkpose.predict.draw import draw_faces
from darkpose.predict.predictor import Predictor
from darkpose.runtime.open import Engine, open_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.floating]
PHOTOGRAPH, OUT = Path("examples/astronaut.png"), Path("docs")
SHOWN = ("left_eye_outer_corner", "right_contour_4")
AROUND, CLOSE = 2, 36  # cells around the maximum; crop px around the landmark


def modulated(heatmap: Floats, kernel_size: int) -> Floats:
    """A heatmap (H, W) blurred as DARK blurs it."""
    taps = modulation_kernel(kernel_size)
    for axis in (0, 1):
        heatmap = np.apply_along_axis(np.convolve, axis, heatmap, taps, "same")
    return heatmap


def draw_row(
    row: NDArray[np.object_], name: str, crop: Pixels, heatmap: Floats, peak: Floats, kernel_size: int
) -> None:
    """One landmark in five panels: `heatmap` (H, W), `peak` its calibrated covariance (2, 2), heatmap px^2."""
    cell = decode(heatmap[None, None], method="argmax").points[0, 0]
    quarter = decode(heatmap[None, None], method="quarter").points[0, 0]
    found = decode(heatmap[None, None], kernel_size=kernel_size)
    point, score = found.points[0, 0], found.scores[0, 0]
    blurred = modulated(heatmap.astype(np.float64), kernel_size)
    x, y = heatmap_to_crop(point)
    photograph, raw, smooth, logarithm, close = row
    photograph.imshow(crop)
    photograph.plot(x, y, "+", color="red", markersize=12)
    photograph.set_title(f"crop, {name}", fontsize=10)
    for axes, values, title in ((raw, heatmap, f"heatmap, maximum {score:.2f}"), (smooth, blurred, "blurred")):
        axes.imshow(values, cmap="magma", vmin=0)
        axes.set_title(title, fontsize=10)
    draw_step(logarithm, np.log(np.maximum(blurred, FLOOR)), cell, quarter, point)
    close.imshow(crop, interpolation="nearest")
    for level, style in zip(LEVELS, ("-", "--", ":"), strict=True):
        corners = heatmap_to_crop(ellipse(point, peak, level))
        close.plot(*np.concatenate([corners, corners[:1]]).T, style, color="red", linewidth=1.2, label=f"{level:.0%}")
    close.plot(x, y, "+", color="red", markersize=8)
    close.set(xlim=(x - CLOSE, x + CLOSE), ylim=(y + CLOSE, y - CLOSE))
    close.set_title("calibrated ellipses", fontsize=10)
    close.legend(fontsize=7, loc="lower right")


def draw_step(axes: "Axes", logarithm: Floats, cell: Floats, quarter: Floats, point: Floats) -> None:
    """The logarithm around the maximum, and what each decoder makes of it."""
    (left, right), (top, bottom) = ((int(each) - AROUND, int(each) + AROUND + 1) for each in cell)
    part = logarithm[top:bottom, left:right]
    edges = (left - 0.5, right - 0.5, bottom - 0.5, top - 0.5)
    axes.imshow(part, cmap="magma", extent=edges)
    axes.contour(np.arange(left, right), np.arange(top, bottom), part, 12, colors="white", linewidths=0.5)
    tip, tail = (tuple(each.tolist()) for each in (point, cell))
    axes.annotate("", tip, tail, arrowprops={"arrowstyle": "->", "color": "cyan", "linewidth": 1.5})
    axes.plot(*cell, "s", color="black", markersize=5, label="maximum")
    axes.plot(*quarter, "^", color="lime", markersize=5, label="quarter")
    axes.plot(*point, "o", color="cyan", markersize=5, label="DARK")
    axes.set_title("log of the blurred, Newton step", fontsize=10)
    axes.legend(fontsize=7, loc="lower right")


def main() -> None:
    """Find the face, draw both pictures."""
    from matplotlib.figure import Figure

    weights = open_weights("default", None, Engine("onnxruntime"))
    config, image = weights.config, read_image(PHOTOGRAPH)
    predictor = Predictor(runtime="onnxruntime", detector=Haar(), covariance=True)
    assert predictor.calibration is not None
    (region,) = predictor.regions(image)
    (face,) = predictor.locate([region])
    center, sides = box_to_crop(region.crop_box, padding=config.padding)
    size = (config.crop_size, config.crop_size)
    crop = warp_image(image, image_to_crop(center, float(sides[0]), size), size)
    heatmaps = np.asarray(weights.network(crop[None]))
    peaks = decode(heatmaps, kernel_size=config.kernel_size, covariance=True).covariance
    assert peaks is not None
    doubt = calibrated(peaks, predictor.calibration)[0]
    figure = Figure(figsize=(15, 3.1 * len(SHOWN)), layout="constrained")
    for row, name in zip(figure.subplots(len(SHOWN), 5), SHOWN, strict=True):
        k = weights.schema.index(name)
        draw_row(row, name.replace("_", " "), crop, heatmaps[0, k], doubt[k], config.kernel_size)
        for axes in row:
            axes.set(xticks=[], yticks=[])
    write_atomically(OUT / "decoding-steps.png", lambda temporary: figure.savefig(temporary, format="png", dpi=90))
    enlarged = draw_faces(image, [face], boxes=False, zoom=4)
    x0, y0, x1, y1 = np.round((region.crop_box + np.array([-10, -20, 10, 10])) * 4).astype(int)
    write_image(OUT / "decoding-ellipses.png", enlarged[y0:y1, x0:x1])


if __name__ == "__main__":
    main()
