"""Fit the shape prior of 98 landmarks: fit_shape_prior.py DATA OUT {train,test}

DATA holds 300w/ and wflw/. The prior is of 300-W's training faces, whose 98 landmarks are derived, once each, and of
WFLW's training faces eight times each; with "test" of its test faces, whose images' names it keeps. The package's own,
src/darkpose/weights/shipped/wflw-98.prior.safetensors, is of the latter.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.derived.conversion import derive
from darkpose.evaluation.fitting import fit_shape_prior
from darkpose.predict.shape_prior import ShapePrior, write_shape_prior
from darkpose.schema import W300_68, WFLW_98

TIMES = 8


def prior_of(w300: Sequence[Sample], wflw: Sequence[Sample], split: str = "test") -> ShapePrior:
    """The prior of faces of both sets, WFLW's of a split."""
    derived = [derive(face.keypoints, face.visible, W300_68, WFLW_98) for face in w300]
    whole = [(points, face.box) for (points, seen), face in zip(derived, w300, strict=True) if seen.all()]
    whole += [(face.keypoints, face.box) for face in wflw]
    points, boxes = (np.stack(each) for each in zip(*whole, strict=True))
    derived_faces = len(whole) - len(wflw)
    return fit_shape_prior(
        points,
        boxes,
        WFLW_98,
        weights=[1] * derived_faces + [TIMES] * len(wflw),
        fitted=f"{derived_faces} faces of 300-W, {len(wflw)} of WFLW's {split} set {TIMES} times, all mirrored, too",
        test_images=[face.image.name for face in wflw] if split == "test" else [],
    )


def main(data: Path, out: Path, split: str) -> None:
    """Fit and write."""
    prior = prior_of(read_300w(data / "300w"), read_wflw(data / "wflw", split), split)
    write_shape_prior(prior, out)
    print(f"{out}: {prior.schema}, {len(prior.modes)} modes, {out.stat().st_size / 1000:.0f} kB; {prior.fitted}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
