"""`darkpose benchmark`: time per face in every runtime on this machine."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from darkpose.cli.result import print_result, tell


def benchmark(
    *files: Path,
    weights: str = "default",
    schema: str | None = None,
    batch: Annotated[list[int] | None, Parameter(consume_multiple=True)] = None,
    threads: int | None = None,
    device: str = "cpu",
    rounds: int = 9,
    images: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    detector: str = "auto",
    output: Path | None = None,
    plot: Path | None = None,
    no_memory: bool = False,
    json: bool = False,
) -> int:
    """Measure the time per face in every runtime.

    With images, also the time from an image to landmarks. The baseline is plain PyTorch in fp32, measured in the same
    rounds. Runtimes that are not installed are listed. Needs `pip install 'darkpose[torch]'`.

    Parameters
    ----------
    files
        Exported .onnx files to measure as well, for example one in int8.
    weights
        Name or path of a checkpoint.
    schema
        300w-68, wflw-98 or aflw-19, if the weights know several. Default: their first.
    batch
        Faces per call. Default: 1, 8 and 32.
    threads
        CPU threads of every runtime. Default: as torch chooses.
    device
        Device of torch: cpu, cuda, cuda:1, ...
    rounds
        Rounds in which every runtime is measured in turn.
    images
        Images, folders or globs with faces, measured from the image to landmarks. Default: drawn faces.
    detector
        Detector of these faces: auto, yunet, darkpose, haar, or the path of a file.
    output
        JSON file to write.
    plot
        Figure to write.
    no_memory
        Do not measure the memory, which takes a process per runtime.
    json
        Print JSON instead of tables.
    """
    from darkpose.runtime.open import check_address_space

    check_address_space()

    from torch import get_num_threads

    from darkpose.deploy.benchmark import benchmark as measure
    from darkpose.detect.detector import named_detector
    from darkpose.errors import DarkposeError
    from darkpose.evaluation.plots import plot_speed
    from darkpose.files.atomic import write_text
    from darkpose.files.figure import check_matplotlib
    from darkpose.files.json_text import format_json
    from darkpose.files.paths import is_folder
    from darkpose.predict.inputs import find_images

    for file in (output, plot):
        if file is not None and (is_folder(file) or not os.access(file.parent, os.W_OK)):
            why = "it is a folder" if is_folder(file) else "its folder does not exist or is not writable"
            raise DarkposeError(f"{file}: cannot be written: {why}")
    misplaced = [each for each in images or () if each.endswith(".onnx")]
    if misplaced:
        raise DarkposeError(f"{misplaced[0]}: not an image; name exported files before --images")
    if plot is not None:
        check_matplotlib(plot)
    found = measure(
        weights,
        schema=schema,
        files=files,
        photographs=[each.path for each in find_images(images)] if images else (),
        detector=named_detector(detector),
        batches=batch or (1, 8, 32),
        threads=get_num_threads() if threads is None else threads,
        device=device,
        rounds=rounds,
        memory=not no_memory,
        tell=tell,
    )
    print_result(found.to_dict(), found.lines(), json=json)
    if output is not None:
        write_text(output, format_json(found.to_dict(), indent=1) + "\n")
    if plot is not None:
        first = found.batches[0]
        plot_speed(
            plot,
            {each.way.name: {size: each.total[size].ms for size in found.batches} for each in found.ways},
            {each.way.name: found.whole(each, first) for each in found.ways},
            first,
            found.title,
        )
    return 0
