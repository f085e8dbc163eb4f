"""`darkpose datasets check`, `convert` and `make`: published, own and drawn data sets on disk."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Group, Parameter

from darkpose.cli.numbers import Count
from darkpose.cli.result import count_of, print_lines, print_result, tell
from darkpose.errors import DarkposeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkpose.image.pixels import Pixels

datasets = App(name="datasets", help="Check, convert or make a data set.", help_format="markdown")

PUBLISHED, OWN = Group("Published data sets", sort_key=2), Group("Your own annotations", sort_key=3)
FACES = "random faces with their landmarks"
SHOWN, LEAST = 20, 0.01  # disagreements, and the smallest share of the normaliser that is shown
EXPLAINED = 9  # objects on the sheet of one's own annotations, which has numbers


@datasets.command
def check(
    name: str,
    *,
    root: Annotated[Path | None, Parameter(group=PUBLISHED)] = None,
    images: Annotated[Path | None, Parameter(group=OWN)] = None,
    schema: Annotated[Path | None, Parameter(group=OWN)] = None,
    write_schema: Annotated[Path | None, Parameter(group=OWN)] = None,
    category: Annotated[str | None, Parameter(group=OWN)] = None,
    against: Annotated[Path | None, Parameter(group=OWN)] = None,
    sheet: Path | None = None,
    decode: Annotated[bool, Parameter(negative="--no-decode")] = True,
    json: bool = False,
) -> int:
    """Check the faces and images of a data set.

    It reports counts, unreadable lines, missing images, duplicates, and landmarks far outside the face; of your own
    annotations also what was left out and inferred. Exit code 1: something is missing or broken.

    Parameters
    ----------
    name
        wflw-train, wflw-test, wflw-pose (or another subset), aflw-train, aflw-full, aflw-frontal, 300w-train,
        300w-common, 300w-challenge, 300w-full, 300w-private, 300w-lfpw, cofw-train or cofw-test; or your own
        annotations: COCO keypoints (.json), a CSV table, imglab (.xml), a folder of .pts files, YOLO-pose (.yaml), or
        predictions (.jsonl).
    root
        Folder of the data set: the official tree, or that of OpenMMLab with annotations/*.json and images/.
    images
        Folder of the images. Default: searched around the file.
    schema
        TOML file with the names, flip pairs, outlines, regions and normaliser of the landmarks. Default: inferred.
    write_schema
        TOML file to write the schema to.
    category
        Category of the objects. Default: the only one with landmarks.
    against
        Predictions of the same images, in any of these formats: lists the annotations that differ most from them, which
        are likely wrong, and draws these on the sheet.
    sheet
        Image to write: random faces with their landmarks; of your own annotations with their numbers, flip pairs joined
        by orange lines.
    decode
        Whether to decode the images; otherwise only check that they exist.
    json
        Print JSON.
    """
    from darkpose.datasets.catalogue import DATA_SETS
    from darkpose.datasets.check import check_samples
    from darkpose.datasets.contact_sheet import contact_sheet
    from darkpose.files.paths import exists

    if name in DATA_SETS and root is not None:
        data_set, broken = DATA_SETS[name], list[str]()
        samples = data_set.read(root, broken=broken)
        report = check_samples(samples, data_set.schema, data_set.published, broken=broken, decode=decode)
        print_result(report.to_dict(), report.lines(), json=json)
        return _draw(sheet, lambda: contact_sheet(samples, data_set.schema), FACES, whole=report.whole)
    if root is not None or not exists(name):
        if name in DATA_SETS:
            raise DarkposeError(f"the data set {name} needs --root, the folder that it is in")
        if root is None and (Path(name).suffix or Path(name).name != name):
            raise DarkposeError(f"{name}: no such file or folder")
        raise DarkposeError(f"unknown data set {name!r}; the names are {', '.join(DATA_SETS)}")
    return _check_own(Path(name), images, schema, write_schema, category, against, sheet, decode=decode, json=json)


def _check_own(
    file: Path,
    images: Path | None,
    schema: Path | None,
    write_to: Path | None,
    category: str | None,
    against: Path | None,
    sheet: Path | None,
    *,
    decode: bool,
    json: bool,
) -> int:
    """Check a user's own annotations."""
    import numpy as np

    from darkpose.datasets.annotations import read_annotations
    from darkpose.datasets.check import check_samples
    from darkpose.datasets.contact_sheet import contact_sheet, error_sheet
    from darkpose.datasets.disagreement import Disagreement, disagreements
    from darkpose.datasets.schema_file import read_schema, write_schema
    from darkpose.files.paths import shared_folder

    broken, differences = list[str](), list[Disagreement]()
    given = None if schema is None else read_schema(schema)
    found = read_annotations(file, images, schema=given, category=category, broken=broken)
    report = check_samples(found.samples, found.schema, broken=broken, decode=decode)
    notes = list(found.notes)
    if against is not None:
        folder = Path(*shared_folder(sample.image for sample in found.samples))
        predicted = read_annotations(against, images or folder, broken=[])
        differences, more = disagreements(found, predicted)
        notes += more
    landmarks = f"{found.format}: {len(found.schema)} landmarks of {found.schema.name}"
    sentences = [each.sentence(found.schema) for each in differences]
    values = {
        **report.to_dict(),
        **{"format": found.format, "schema": asdict(found.schema), "category": found.category, "notes": notes},
        **({} if against is None else {"disagreements": sentences}),
    }
    worst = [each for each in differences if each.largest >= LEAST][:SHOWN]
    lines = [landmarks, *report.lines(), *(f"note: {note}" for note in notes)]
    lines += [f"largest differences from {against} ({len(worst)} of {len(sentences)}):"] if worst else []
    print_result(values, [*lines, *(f"  {each.sentence(found.schema)}" for each in worst)], json=json)
    if write_to is not None:
        write_schema(write_to, found.schema, "\n".join([f"of {file.name}", *found.notes]))
        tell(f"{write_to}: the schema, to be edited and given as --schema")
    if worst:
        return _draw(
            sheet,
            lambda: error_sheet([each.sample for each in worst], np.stack([each.predicted for each in worst])),
            "annotated landmarks (green) and predicted ones (red) that differ most",
            whole=report.whole,
        )
    return _draw(
        sheet,
        lambda: contact_sheet(found.samples, found.schema, EXPLAINED, side=512, explained=True),
        "random objects, their landmarks numbered from 0, flip pairs joined by orange lines",
        whole=report.whole,
    )


def _draw(sheet: Path | None, draw: "Callable[[], Pixels]", what: str, *, whole: bool) -> int:
    """Write the sheet, if one is wanted; the exit code."""
    from darkpose.image.pixels import write_image

    if sheet is not None:
        try:
            picture = draw()
        except DarkposeError as error:
            tell(f"no contact sheet: {error}")
            return 1
        write_image(sheet, picture)
        tell(f"{sheet}: {what}")
    return 0 if whole else 1


@datasets.command
def convert(
    source: Path,
    target: Path,
    *,
    images: Path | None = None,
    schema: Path | None = None,
    category: str | None = None,
    to: str | None = None,
    write_schema: Path | None = None,
) -> int:
    """Write annotations in another format.

    What the format does not hold is said. Exit code 1: some annotations could not be read and are left out.

    Parameters
    ----------
    source
        Annotations, as for `darkpose datasets check`.
    target
        File to write, or a new folder for pts and yolo-pose.
    images
        Folder of the images. Default: searched around the source.
    schema
        TOML file with the names, flip pairs and outlines of the landmarks. Default: inferred.
    category
        Category of the objects. Default: the only one with landmarks.
    to
        coco, csv, imglab, pts or yolo-pose. Default: by the end of the target's name, .json, .csv or .xml.
    write_schema
        TOML file to write the schema to, which few formats hold.
    """
    from darkpose.datasets.annotations import read_annotations
    from darkpose.datasets.convert import target_format, write_annotations
    from darkpose.datasets.schema_file import read_schema
    from darkpose.datasets.schema_file import write_schema as write_schema_file

    format, broken = target_format(target, to), list[str]()
    given = None if schema is None else read_schema(schema)
    found = read_annotations(source, images, schema=given, category=category, broken=broken)
    lost = write_annotations(target, found, format)
    if write_schema is not None:
        write_schema_file(write_schema, found.schema, "\n".join([f"of {source.name}", *found.notes]))
    for message in [*broken, *found.notes, *lost]:
        tell(message)
    print_lines(f"{target}: {count_of(len(found.samples), 'object')} as {format}, from {found.format}")
    return 1 if broken else 0


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
