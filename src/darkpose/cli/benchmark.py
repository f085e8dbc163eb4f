"""`darkpose benchmark`: how long a face takes here, in torch and in every runtime."""

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def benchmark(
    *files: Path,
    weights: str = "default",
    schema: str | None = None,
    batch: Annotated[list[int] | None, Parameter(negative="", consume_multiple=True)] = None,
    threads: int | None = None,
    device: str = "cpu",
    rounds: int = 9,
    images: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    detector: str = "auto",
    output: Path | None = None,
    plot: Path | None = None,
    no_memory: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure ms per face in torch and in every runtime for exported files, and the whole way from a photograph.

    The baseline, in the same rounds, is plain PyTorch in fp32. Runtimes that are not installed are named. The first
    time, the weights are exported into the cache (about half a minute).

    Parameters
    ----------
    files
        Exported .onnx files to measure as well, for example one in int8.
    weights
        A checkpoint's path or a known name.
    schema
        Which markup, of weights that know several; their first where it is not given.
    batch
        Faces at a time; 1, 8 and 32 where it is not given.
    threads
        Of the processor, for all ways; as many as PyTorch thinks best where it is not given.
    device
        Of PyTorch: cpu, cuda, cuda:1, ...
    rounds
        In which all ways are measured in turn.
    images
        Photographs, folders or globs with faces for the whole way; drawn faces where it is not given.
    detector
        Of those faces: auto, yunet, haar, or the path of a YuNet file.
    output
        JSON file to write.
    plot
        Picture to write.
    no_memory
        Do not start a process for every way to measure its memory.
    json
        Print JSON instead of tables.
    """
    from json import dumps

    from torch import get_num_threads

    from darkpose.deploy.benchmark import benchmark as measure
    from darkpose.detect.detector import best_detector, named_detector
    from darkpose.errors import DarkposeError
    from darkpose.evaluation.plots import plot_speed
    from darkpose.files.atomic import write_text
    from darkpose.files.figure import check_matplotlib
    from darkpose.files.paths import is_folder
    from darkpose.predict.inputs import find_images

    for file in (output, plot):
        if file is not None and (is_folder(file) or not os.access(file.parent, os.W_OK)):
            why = "it is a folder" if is_folder(file) else "its folder does not exist or cannot be written to"
            raise DarkposeError(f"{file}: cannot be written: {why}")
    misplaced = [each for each in images or () if each.endswith(".onnx")]
    if misplaced:
        raise DarkposeError(f"{misplaced[0]}: is no photograph; name exported files before --images")
    if plot is not None:
        check_matplotlib(plot)
    found = measure(
        weights,
        schema=schema,
        files=files,
        photographs=[each.path for each in find_images(images)] if images else (),
        detector=named_detector(detector) or best_detector()[0],
        batches=batch or (1, 8, 32),
        threads=get_num_threads() if threads is None else threads,
        device=device,
        rounds=rounds,
        memory=not no_memory,
        tell=lambda step: print(f"darkpose: {step} ...", file=sys.stderr),
    )
    text = dumps(found.to_dict(), indent=1) + "\n"
    print(text if json else "\n".join(found.lines()), end="" if json else "\n", flush=True)
    if output is not None:
        write_text(output, text)
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
