"""The results of the benchmark as numbers, JSON values and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from darkpose.deploy.benchmark_ways import Way
from darkpose.deploy.machine import commit, machine, versions

PACKAGES = ("darkpose", "torch", "numpy", "opencv-python-headless", "numba", "onnxruntime", "openvino")
METHOD = """\
Ways take turns in one process, another one first in every round; a turn is some calls at every batch size, and their \
median is the time of the round. ms are medians over the rounds, shortest_ms the shortest of all calls, over_eager \
medians of the ratios within a round and the ratio of the shortest calls. torch eager: plain PyTorch, fp32, tensors \
in NCHW order; torch: as Predictor runs it, batch norms folded, channels last. Calls take crops and give landmarks in \
image px; the stage "network" includes normalising. The stages of the photographs are timed in every round, too; the \
whole way is their sum with the stages of a way, one after the other. rest_share is everything but decoding, detecting \
and the network. memory_mb is the most memory of a new process that opened the way and ran a batch of 8 (import_mb: \
that only imported darkpose). foreign_cores: cores that other processes kept busy in each round."""


@dataclass(frozen=True)
class Timing:
    """A time, ms per face.

    Attributes:
        rounds: the median call of every round.
        shortest: the shortest of all calls.
    """

    rounds: tuple[float, ...]
    shortest: float

    @property
    def ms(self) -> float:
        """Median over the rounds."""
        return median(self.rounds)

    def over(self, other: "Timing") -> dict[str, float]:
        """How many times as fast as another: median over the rounds, and by the shortest calls."""
        each = [theirs / own for own, theirs in zip(self.rounds, other.rounds, strict=True)]
        return {"median": _digits(median(each)), "shortest": _digits(other.shortest / self.shortest)}

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        rounds = [_digits(each) for each in self.rounds]
        return {"ms": _digits(self.ms), "shortest_ms": _digits(self.shortest), "rounds": rounds}


@dataclass(frozen=True)
class WaySpeed:
    """The results of one way.

    Attributes:
        way: that was measured.
        runtime: runtime, version and settings, for people.
        total: batch size -> time from crops to landmarks in image px.
        stages: batch size -> stage -> its part of the time.
        memory_mb: the most memory of a new process that runs the way; None if it was not measured.
    """

    way: Way
    runtime: str
    total: Mapping[int, Timing]
    stages: Mapping[int, Mapping[str, Timing]]
    memory_mb: float | None


@dataclass(frozen=True)
class Speed:
    """The results of a benchmark.

    Attributes:
        weights: name of the weights, for people.
        ways: the first is torch eager.
        front: stage before the network -> time.
        left_out: name of a way that could not be measured -> reason.
        photographs: where the photographs come from, for people.
        detector: name of the detector.
        threads, batches, device: of the measurement.
        foreign: cores that other processes kept busy in each round; empty if it is not known.
        import_mb: memory of a process that has only imported darkpose; None if it was not measured.
    """

    weights: str
    ways: Sequence[WaySpeed]
    front: Mapping[str, Timing]
    left_out: Mapping[str, str]
    photographs: str
    detector: str
    threads: int
    batches: Sequence[int]
    device: str
    foreign: Sequence[float]
    import_mb: float | None

    @property
    def _cores(self) -> str:
        return f"{self.threads} thread{'' if self.threads == 1 else 's'}"

    @property
    def title(self) -> str:
        """Weights, machine and threads, for people."""
        return f"{self.weights}: {machine()}, {self._cores}"

    def whole(self, way: WaySpeed, batch: int) -> dict[str, float]:
        """Stage -> ms per face of the whole way from the photograph."""
        front = {name: timing.ms for name, timing in self.front.items()}
        return front | {name: timing.ms for name, timing in way.stages[batch].items()}

    def rest_share(self, way: WaySpeed, batch: int) -> float:
        """Share of the whole way that is neither decoding the image, detecting nor the network."""
        stages = self.whole(way, batch)
        counted = ("decode image", "detect", "network")
        return sum(ms for name, ms in stages.items() if name not in counted) / sum(stages.values())

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        eager = self.ways[0]
        results = {}
        for found in self.ways:
            batches = {}
            for batch in self.batches:
                stages = self.whole(found, batch)
                batches[str(batch)] = {
                    **found.total[batch].to_dict(),
                    "over_eager": found.total[batch].over(eager.total[batch]),
                    "stages_ms": {name: _digits(timing.ms) for name, timing in found.stages[batch].items()},
                    "whole_way_ms": _digits(sum(stages.values())),
                    "faces_per_second": _digits(1000 / sum(stages.values())),
                    "rest_share": _digits(self.rest_share(found, batch)),
                }
            memory = None if found.memory_mb is None else round(found.memory_mb)
            results[found.way.name] = {"runtime": found.runtime, "memory_mb": memory, "ms_per_face": batches}
        return {
            **({"commit": commit()} if commit() else {}),
            "machine": f"{machine()}, {self._cores}",
            "device": self.device,
            "versions": versions(PACKAGES),
            "method": METHOD,
            "weights": self.weights,
            "photographs": self.photographs,
            "detector": self.detector,
            "foreign_cores": [round(each, 2) for each in self.foreign],
            "import_mb": None if self.import_mb is None else round(self.import_mb),
            "before_the_network": {name: timing.to_dict() for name, timing in self.front.items()},
            "results": results,
            "left_out": dict(self.left_out),
        }

    def lines(self) -> list[str]:
        """Tables for people."""
        rounds, eager, first = len(self.ways[0].total[self.batches[0]].rounds), self.ways[0], self.batches[0]
        width = max(len(found.way.name) for found in self.ways) + 2
        lines = [
            f"{self.title}, {rounds} rounds",
            "Crops to landmarks, ms per face, median (shortest call); times faster than torch eager",
            "".join([" " * width, *(f"{f'batch {batch}':>22}" for batch in self.batches), f"{'memory':>10}"]),
        ]
        for found in self.ways:
            cells = []
            for batch in self.batches:
                timing, faster = found.total[batch], found.total[batch].over(eager.total[batch])["median"]
                cells.append(f"{f'{timing.ms:.1f} ({timing.shortest:.1f}) {faster:5.2f}x':>22}")
            memory = "" if found.memory_mb is None else f"{found.memory_mb:.0f} MB"
            lines.append(f"{found.way.name:{width}}{''.join(cells)}{memory:>10}")
        before = ", ".join(f"{name} {timing.ms:.1f}" for name, timing in self.front.items())
        lines += ["", f"The whole way, ms per face: {self.photographs}, found by {self.detector}: {before}"]
        for found in self.ways:
            stages = ", ".join(f"{name} {timing.ms:.1f}" for name, timing in found.stages[first].items())
            lines.append(f"{found.way.name:{width}}{stages}")
        lines += [
            "",
            "Faces per second, the whole way, and its share without decoding, detecting and the network",
        ]
        for found in self.ways:
            cells = []
            for batch in self.batches:
                each = 1000 / sum(self.whole(found, batch).values())
                cells.append(f"{f'{each:.1f}/s, {100 * self.rest_share(found, batch):.1f} %':>22}")
            lines.append(f"{found.way.name:{width}}{''.join(cells)}")
        lines += [f"left out: {name}: {why}" for name, why in self.left_out.items()]
        if self.foreign:
            usual, most = median(self.foreign), max(self.foreign)
            lines.append(f"other processes kept {usual:.2f} cores busy in the median round, {most:.2f} in the worst")
        return lines


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
