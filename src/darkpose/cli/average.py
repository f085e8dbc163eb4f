"""`darkpose average`: images in, their average face out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from darkpose.cli.model import INPUT, OUTPUT, Compute, Model, predictor_options, runtime_for
from darkpose.cli.result import count_of, print_lines, tell, tell_facts
from darkpose.errors import DarkposeError

LARGEST = 4096


def average(
    *paths: Annotated[str, Parameter(group=INPUT)],
    detector: Annotated[str, Parameter(group=INPUT)] = "auto",
    model: Model | None = None,
    output: Annotated[Path, Parameter(group=OUTPUT)] = Path("average.png"),
    size: Annotated[int, Parameter(group=OUTPUT)] = 512,
    compute: Compute | None = None,
) -> int:
    """Average the faces of images: each is warped onto their mean shape.

    The face of each image that the detector is surest of is taken; heads that are turned by more than 40 degrees are
    left out.

    Parameters
    ----------
    paths
        Images, folders (searched whole) or globs.
    detector
        auto or darkpose (the one in the package), yunet, haar, or the path of a detector's file.
    output
        Image file for the average.
    size
        Its width and height, px.
    """
    if not paths:
        raise DarkposeError("name at least one image, folder or glob (darkpose average --help)")
    if not 16 <= size <= LARGEST:
        raise DarkposeError(f"--size must be from 16 to {LARGEST} px, got {size}")
    from darkpose.files.atomic import check_place
    from darkpose.predict.inputs import find_images

    inputs = find_images(paths)  # a wrong name is reported before the slow imports below
    check_place(output)

    from darkpose.image.pixels import write_image
    from darkpose.predict.average import average_of
    from darkpose.predict.predictor import Predictor

    model, compute = model or Model(), compute or Compute()
    options = predictor_options(model, compute) | {"runtime": runtime_for(model, compute, len(inputs))}
    predictor = Predictor(**options, detector=detector)
    found = average_of(predictor, inputs, size)
    write_image(output, found.image)
    for reason in found.left_out:
        tell(reason)
    tell_facts(predictor, covariance=False)
    print_lines(f"{count_of(found.faces, 'face')} of {count_of(len(inputs), 'image')} -> {output}")
    return 1 if found.left_out else 0
