"""`darkpose datasets check` and `make`: published and drawn data sets on disk."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from darkpose.cli.numbers import Count
from darkpose.cli.result import print_lines, print_result, tell
from darkpose.errors import DarkposeError

datasets = App(name="datasets", help="Check or make a data set.", help_format="markdown")


@datasets.command
def check(
    name: str,
    *,
    root: Path,
    sheet: Path | None = None,
    decode: Annotated[bool, Parameter(negative="--no-decode")] = True,
    json: bool = False,
) -> int:
    """Check the faces and images of a data set.

    It reports counts, unreadable lines, missing images, duplicates, and landmarks far outside the face. Exit code 1:
    something is missing or broken.

    Parameters
    ----------
    name
        wflw-train, wflw-test, wflw-pose (or another subset), aflw-train, aflw-full, aflw-frontal, 300w-train,
        300w-common, 300w-challenge, 300w-full, 300w-private, 300w-lfpw, cofw-train or cofw-test.
    root
        Folder of the data set: the official tree, or that of OpenMMLab with annotations/*.json and images/.
    sheet
        Image to write: random faces with their landmarks.
    decode
        Whether to decode the images; otherwise only check that they exist.
    json
        Print JSON.
    """
    from darkpose.datasets.catalogue import DATA_SETS
    from darkpose.datasets.check import check_samples
    from darkpose.datasets.contact_sheet import contact_sheet
    from darkpose.image.pixels import write_image

    if name not in DATA_SETS:
        raise DarkposeError(f"unknown data set {name!r}; the names are {', '.join(DATA_SETS)}")
    data_set, broken = DATA_SETS[name], list[str]()
    samples = data_set.read(root, broken=broken)
    report = check_samples(samples, data_set.schema, data_set.published, broken=broken, decode=decode)
    print_result(report.to_dict(), report.lines(), json=json)
    if sheet is not None:
        try:
            faces = contact_sheet(samples, data_set.schema)
        except DarkposeError as error:
            tell(f"no contact sheet: {error}")
            return 1
        write_image(sheet, faces)
        tell(f"{sheet}: random faces with their landmarks")
    return 0 if report.whole else 1


@datasets.command
def make(
    name: Literal["wflw", "aflw"],
    *,
    root: Path,
    train: int | None = None,
    test: int | None = None,
    seed: int = 0,
    workers: Count = 0,
) -> int:
    """Draw a data set: synthetic faces with exact landmarks, in the file layout of WFLW or AFLW.

    If it is interrupted, the same command continues.

    Parameters
    ----------
    name
        wflw (98 landmarks, six subsets) or aflw (19 landmarks, a MATLAB file).
    root
        Folder to write to.
    train
        Number of training faces. Default: as published, 7,500 (WFLW) or 20,000 (AFLW, the only possible number).
    test
        Number of test faces. Default: as published, 2,500 (WFLW) or 4,386 (AFLW).
    seed
        Seed of the random numbers.
    workers
        Number of additional processes.
    """
    from darkpose.datasets.aflw import PUBLISHED
    from darkpose.datasets.drawn_data_sets import make_aflw, make_wflw

    if name == "aflw" and train not in (None, PUBLISHED["train"]["faces"]):
        raise DarkposeError(
            f"AFLW needs the published number of training faces, {PUBLISHED['train']['faces']}, got {train}"
        )
    sizes = {key: value for key, value in (("train", train), ("test", test)) if value is not None}
    write = make_wflw if name == "wflw" else make_aflw
    try:
        write(root, **sizes, seed=seed, workers=workers)
    except KeyboardInterrupt:
        tell(f"interrupted; run the same command again to continue in {root}")
        return 130
    print_lines(f"{root}: drawn faces in the file layout of {name.upper()}")
    return 0
