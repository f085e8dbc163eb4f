"""Predictions by Ray Data, on one machine or many.

`predict_parts` makes the same shards as `predict_shards`, part by part, in a folder that all machines share; each can
continue a run of the other. `predict_dataset` turns a Ray data set of image files, for example from an object store,
into one of records.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json, parse_json, shortened
from darkpose.predict.parquet import to_table
from darkpose.predict.part import STATUSES, ShardFormat, count_records, part_path, write_part
from darkpose.predict.shard_run import Step, predict_images
from darkpose.predict.shards import Shards, UnfinishedPart
from darkpose.predict.sources import Source
from darkpose.predict.stream import batched

if TYPE_CHECKING:
    import ray.data

MAX_PARTS = 1000  # that the driver holds at a time


def start_ray() -> None:
    """Connect to the cluster of $RAY_ADDRESS or on this machine, or start one here.

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
            raise DarkposeError(f"there is no Ray cluster available ($RAY_ADDRESS): {first_line}") from error
    ray.data.DataContext.get_current().enable_progress_bars = False


def _map(
    dataset: "ray.data.Dataset", actor: type, step: Step, *arguments: object, actors: int, batch_size: int
) -> "ray.data.Dataset":
    """The data set through actors of a class; each has a GPU if the cluster has any and the step may use them."""
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
    """Check the number of predictors on Ray.

    Raises:
        DarkposeError: it is below 1.
    """
    if actors < 1:
        raise DarkposeError(f"expected at least one predictor on Ray, got {actors}")


def predict_parts(step: Step, sources: Iterable[Source], shards: Shards, *, actors: int) -> Iterator[dict[str, int]]:
    """Make the missing parts; incomplete ones are made again from their first input.

    All machines must find the sources and the folder under the same paths. If a machine is lost, others make its parts.

    Args:
        step: how images are predicted; its threads are the processors per predictor, None: 1.
        sources: as for `predict_shards`.
        shards: entered, in this process only.
        actors: predictors at the same time, if the cluster has room for them.

    Yields:
        For each part that is made: its number, and the numbers of its records by status and of faces; in any order.

    Raises:
        DarkposeError: as `predict_shards`; Ray is not available; or a machine failed.
    """
    check_actors(actors)
    start_ray()
    import ray.data
    from ray.exceptions import RayError

    folder = shards.folder.resolve()
    for parts in batched(shards.unfinished(sources), MAX_PARTS):
        rows = ray.data.from_items([_row(part) for part in parts], override_num_blocks=len(parts))
        made = _map(rows, PartMaker, step, folder, shards.format, shards.run, actors=actors, batch_size=1)
        try:
            for counts in made.iter_rows():
                kept = count_records(next(part.kept for part in parts if part.number == counts["part"]))
                shards.added.update({key: value for key, value in counts.items() if key != "part"})
                shards.added.subtract(kept)
                yield counts
        except RayError as error:
            raise DarkposeError(f"a machine failed: {_last_line(error)}") from error
    shards.finish()


def _last_line(error: Exception) -> str:
    return [line for line in str(error).splitlines() if line.strip()][-1].strip()


def _row(part: UnfinishedPart) -> dict[str, Any]:
    """A part as a row of a Ray data set; with absolute paths, because machines have other working folders."""
    sources = [source._replace(file=str(Path(source.file).absolute())) for source in part.sources]
    return {"part": part.number, "first": part.first, "sources": format_json(sources)}


def _on_actor(step: Step) -> Step:
    """The step with one thread per processor of the actor."""
    return replace(step, threads=step.threads or 1)


class PartMaker:
    """An actor that makes parts."""

    def __init__(self, step: Step, folder: Path, format: ShardFormat, run: dict[str, Any]) -> None:
        self.step, self.folder, self.format, self.run = _on_actor(step), folder, format, run
        self.predictor = step.predictor()
        here = parse_json(format_json(step.facts(self.predictor)))
        for name, value in here.items():
            if value != run.get(name):
                expected = shortened(run.get(name))
                raise DarkposeError(
                    f"this machine would predict otherwise: {name} is {shortened(value)}, expected {expected}"
                )

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[int]]:
        """Make a part; its number, and the numbers of its records by status and of faces."""
        number, first = int(batch["part"][0]), int(batch["first"][0])
        sources = [Source._make(values) for values in parse_json(str(batch["sources"][0]))]
        records = list(predict_images(self.predictor, self.step, enumerate(sources, first)))
        write_part(part_path(self.folder, self.format, number), records, self.run)
        counts = count_records(records)
        return {"part": [number], **{key: [counts[key]] for key in (*STATUSES, "faces")}}


def predict_dataset(
    dataset: "ray.data.Dataset", step: Step, *, actors: int, batch_size: int = 256
) -> "ray.data.Dataset":
    """Turn a Ray data set of image files into one of records.

    Args:
        dataset: rows of path and bytes, as `ray.data.read_binary_files(..., include_paths=True)` gives them.
        step, actors: as for `predict_parts`.
        batch_size: images per call of an actor.

    Returns:
        Rows with the columns of `parquet.arrow_schema`; input is null.

    Raises:
        DarkposeError: Ray is not installed, or there is no cluster.
    """
    start_ray()
    return _map(dataset, RecordMaker, step, actors=actors, batch_size=batch_size)


class _LoadedImage(NamedTuple):
    """An image whose bytes are in memory."""

    name: str
    data: bytes

    def read(self) -> bytes:
        return self.data


class RecordMaker:
    """An actor that turns rows of path and bytes into rows of records."""

    def __init__(self, step: Step) -> None:
        self.step, self.predictor = _on_actor(step), step.predictor()

    def __call__(self, batch: dict[str, Any]) -> object:
        """The records of a batch, as an Arrow table."""
        images = [_LoadedImage(str(path), data) for path, data in zip(batch["path"], batch["bytes"], strict=True)]
        records = list(predict_images(self.predictor, self.step, ((None, image) for image in images)))
        return to_table(records, derived=self.step.derived)
