"""The same records by Ray Data, on one machine or many.

`predict_parts` makes the shards of a folder that all machines share, part by part, as `predict_shards` would, and a run
of either goes on with the other. `predict_dataset` turns a Ray data set of image files, say from an object store, into
one of records.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from darkpose.errors import DarkposeError
from darkpose.predict.batched import batched
from darkpose.predict.inputs import Source
from darkpose.predict.parquet import to_table
from darkpose.predict.shard_run import Step, predict_sources
from darkpose.predict.shards import STATUSES, Format, Part, Shards, part_file, tally, write_part

if TYPE_CHECKING:
    import ray.data

WAVE = 1000  # parts that the driver holds at a time


def start_ray() -> None:
    """Connect to the cluster that $RAY_ADDRESS names, or that runs here, or start one here.

    Raises:
        DarkposeError: Ray is not installed, or there is no cluster at that address.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise DarkposeError("running on Ray needs Ray Data: pip install 'darkpose[ray]'") from error
    if not ray.is_initialized():
        try:
            ray.init(log_to_driver=False)
        except (ConnectionError, RuntimeError) as error:
            first_line = str(error).splitlines()[0]
            raise DarkposeError(f"there is no Ray cluster to be had ($RAY_ADDRESS): {first_line}") from error
    ray.data.DataContext.get_current().enable_progress_bars = False


def _over(
    dataset: "ray.data.Dataset", actor: type, step: Step, *arguments: object, actors: int, batch_size: int
) -> "ray.data.Dataset":
    """The data set through actors of a class; each has a GPU, where there are any and the step may use them."""
    import ray
    from ray.data import ActorPoolStrategy

    check_actors(actors)
    resources: Callable[[], dict[str, float]] = ray.cluster_resources
    gpu = step.options.get("device") != "cpu" and resources().get("GPU", 0) > 0
    return dataset.map_batches(
        actor,
        fn_constructor_args=(step, *arguments),
        compute=ActorPoolStrategy(min_size=1, max_size=actors),
        num_cpus=step.threads or 1,
        num_gpus=1 if gpu else None,
        batch_size=batch_size,
    )


def check_actors(actors: int) -> None:
    """Refuse a number of predictors that is none.

    Raises:
        DarkposeError: it is below 1.
    """
    if actors < 1:
        raise DarkposeError(f"expected at least one predictor on Ray, got {actors}")


def predict_parts(step: Step, sources: Iterable[Source], shards: Shards, *, actors: int) -> Iterator[dict[str, int]]:
    """Make the parts that are missing; one that is begun is made anew.

    The sources and the folder must be found under the same paths on all machines. A machine that is lost has its parts
    made again by others.

    Args:
        step: what is done to an image; its threads are the processors that a predictor takes, 1 where it does not say.
        sources: as for `predict_shards`.
        shards: open for writing, in this process alone.
        actors: predictors at work at the same time, as far as the cluster has room.

    Yields:
        Counts of each part that is made, in any order.

    Raises:
        DarkposeError: as `predict_shards`; there is no Ray; or a machine could not do its part.
    """
    check_actors(actors)
    start_ray()
    import ray.data
    from ray.exceptions import RayError

    folder = shards.folder.resolve()
    for wave in batched(shards.unfinished(sources), WAVE):
        rows = ray.data.from_items([_row(part) for part in wave], override_num_blocks=len(wave))
        made = _over(rows, PartMaker, step, folder, shards.format, shards.run, actors=actors, batch_size=1)
        try:
            for counts in made.iter_rows():
                kept = tally(next(part.kept for part in wave if part.number == counts["part"]))
                shards.added.update({key: value for key, value in counts.items() if key != "part"})
                shards.added.subtract(kept)
                yield counts
        except RayError as error:
            raise DarkposeError(f"a machine could not do its part: {_last_line(error)}") from error
    if not shards.summary()["inputs"]:
        raise DarkposeError("there are no images in what was named")
    shards.finish()


def _last_line(error: Exception) -> str:
    return [line for line in str(error).splitlines() if line.strip()][-1].strip()


def _row(part: Part) -> dict[str, Any]:
    """What is sent of a part; its paths as every machine can find them."""
    sources = [source._replace(file=str(Path(source.file).absolute())) for source in part.sources]
    return {"part": part.number, "first": part.first, "sources": json.dumps(sources)}


def _on_an_actor(step: Step) -> Step:
    """The step with as many threads as the actor has processors."""
    return replace(step, threads=step.threads or 1)


class PartMaker:
    """An actor that makes parts."""

    def __init__(self, step: Step, folder: Path, format: Format, run: dict[str, Any]) -> None:
        self.step, self.folder, self.format, self.run = _on_an_actor(step), folder, format, run
        self.predictor = step.predictor()
        here = json.loads(json.dumps(step.facts(self.predictor)))
        for name, value in here.items():
            if value != run[name]:
                raise DarkposeError(f"this machine would predict otherwise: {name} is {value}, expected {run[name]}")

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[int]]:
        """Make a part; how many records of each status it has."""
        number, first = int(batch["part"][0]), int(batch["first"][0])
        sources = [Source._make(values) for values in json.loads(str(batch["sources"][0]))]
        records = list(predict_sources(self.predictor, self.step, enumerate(sources, first)))
        write_part(part_file(self.folder, self.format, number), records, self.run)
        counts = tally(records)
        return {"part": [number], **{key: [counts[key]] for key in (*STATUSES, "faces")}}


def predict_dataset(
    dataset: "ray.data.Dataset", step: Step, *, actors: int, batch_size: int = 256
) -> "ray.data.Dataset":
    """A Ray data set of image files -> one of records, with the columns of `parquet.arrow_schema`, input being null.

    Args:
        dataset: rows of path and bytes, as `ray.data.read_binary_files(..., include_paths=True)` gives them.
        step, actors: as for `predict_parts`.
        batch_size: images per call of an actor.

    Raises:
        DarkposeError: Ray is not installed or no cluster to be had.
    """
    start_ray()
    return _over(dataset, ImageReader, step, actors=actors, batch_size=batch_size)


class _Read(NamedTuple):
    """An image that is here already."""

    name: str
    data: bytes

    def read(self) -> bytes:
        return self.data


class ImageReader:
    """An actor that turns rows of path and bytes into rows of records."""

    def __init__(self, step: Step) -> None:
        self.step, self.predictor = _on_an_actor(step), step.predictor()

    def __call__(self, batch: dict[str, Any]) -> object:
        """The records of a batch, as an Arrow table."""
        images = [_Read(str(path), data) for path, data in zip(batch["path"], batch["bytes"], strict=True)]
        return to_table(list(predict_sources(self.predictor, self.step, ((None, image) for image in images))))
