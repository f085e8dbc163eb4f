"""`darkpose datasets check` and `make`: data sets on disk."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from darkpose.cli.numbers import Count
from darkpose.errors import DarkposeError


def check(
    name: str,
    *,
    root: Path,
    sheet: Path | None = None,
    decode: bool = True,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Look at every face and image of a data set: counts, broken lines, missing images, duplicates, stray landmarks.

    Exit code 0 where it is whole, 1 where something is missing.

    Parameters
    ----------
    name
        wflw-train, wflw-test, wflw-pose and so on, aflw-train, aflw-full, aflw-frontal, 300w-train, 300w-common,
        300w-challenge, 300w-full, 300w-private, 300w-lfpw, cofw-train or cofw-test.
    root
        Its folder: the official tree, or OpenMMLab's with annotations/*.json and images/.
    sheet
        Picture to write: random faces with their landmarks.
    decode
        Decode the images; without, only look whether they are there.
    json
        Print JSON.
    """
    from json import dumps

    from darkpose.datasets.catalogue import DATA_SETS
    from darkpose.datasets.check import check_samples
    from darkpose.datasets.contact_sheet import contact_sheet
    from darkpose.image.pixels import write_image

    if name not in DATA_SETS:
        raise DarkposeError(f"there is no data set {name!r}; the names are {', '.join(DATA_SETS)}")
    data_set, broken = DATA_SETS[name], list[str]()
    samples = data_set.read(root, broken=broken)
    report = check_samples(samples, data_set.schema, data_set.published, broken=broken, decode=decode)
    print(dumps(report.to_dict(), indent=2) if json else "\n".join(report.lines()))
    if sheet is not None:
        try:
            faces = contact_sheet(samples, data_set.schema)
        except DarkposeError as error:
            print(f"darkpose: no sheet: {error}", file=sys.stderr)
            return 1
        write_image(sheet, faces)
        print(f"darkpose: {sheet}: random faces with their landmarks", file=sys.stderr)
    return 0 if report.whole else 1


def make(
    name: Literal["wflw", "aflw"],
    *,
    root: Path,
    train: int | None = None,
    test: int | None = None,
    seed: int = 0,
    workers: Count = 0,
) -> int:
    """Draw a data set: faces of darkpose's own with exactly known landmarks, in the official files of WFLW or AFLW.

    An interrupted run goes on where it was when started again.

    Parameters
    ----------
    name
        wflw (98 landmarks, six subsets) or aflw (19 landmarks, a MATLAB file).
    root
        Folder to write to.
    train
        Training faces; as many as published (7,500; 20,000, which AFLW must have) where it is not given.
    test
        Test faces; as many as published (2,500; 4,386) where it is not given.
    seed
        Of all faces.
    workers
        Processes that draw beside this one.
    """
    from darkpose.datasets.aflw import PUBLISHED
    from darkpose.datasets.drawn_data_sets import make_aflw, make_wflw

    if name == "aflw" and train not in (None, PUBLISHED["train"]["faces"]):
        raise DarkposeError(
            f"the splits of AFLW's file need the published {PUBLISHED['train']['faces']} training faces"
        )
    sizes = {key: value for key, value in (("train", train), ("test", test)) if value is not None}
    write = make_wflw if name == "wflw" else make_aflw
    try:
        write(root, **sizes, seed=seed, workers=workers)
    except KeyboardInterrupt:
        print(f"darkpose: interrupted; the faces in {root} are kept, the same command goes on", file=sys.stderr)
        return 130
    print(f"{root}: drawn faces in the files of {name.upper()}")
    return 0
