"""The course of a training run: the steps and validations in its log, with the types and ranges of their fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeVar

from darkpose.errors import DarkposeError
from darkpose.files.records import parse_record

LARGEST = 1e9  # of any number in a log
Line = TypeVar("Line", "Step", "Validated")


@dataclass(frozen=True)
class Step:
    """A training step.

    Attributes:
        epoch: counted from 1.
        iter: counted from 0, over all epochs.
        lr: learning rate.
        loss: not negative.
    """

    epoch: int
    iter: int
    lr: float
    loss: float

    def __post_init__(self) -> None:
        _check_range(1, epoch=self.epoch)
        _check_range(0, iter=self.iter, lr=self.lr, loss=self.loss)


@dataclass(frozen=True)
class Validated:
    """A validation.

    Attributes:
        epoch: counted from 1.
        NME: a fraction, not negative; None where no face could be measured.
    """

    epoch: int
    NME: float | None

    def __post_init__(self) -> None:
        _check_range(1, epoch=self.epoch)
        _check_range(0, NME=self.NME or 0)


class Course(NamedTuple):
    """The steps and the measured validations of a run, in order; there is at least one step."""

    steps: list[Step]
    validations: list[tuple[int, float]]  # epoch, NME

    @property
    def steps_per_epoch(self) -> float:
        """The largest ratio, because an unfinished epoch or missing steps make a ratio smaller."""
        ends = {step.epoch: step.iter + 1 for step in self.steps}
        return float(max(end / epoch for epoch, end in ends.items()))


def course_of(name: str, lines: Sequence[Mapping[str, Any]]) -> Course:
    """The course of a run.

    Args:
        name: of the run, for messages.
        lines: of its log, as read by `training.log.read_log`; of other kinds than "train" and "val" are left out.

    Raises:
        DarkposeError: there are no steps, or a line lacks a field or has one of another type or range.
    """
    steps = [_parse(Step, name, line) for line in lines if line.get("mode") == "train"]
    validations = [_parse(Validated, name, line) for line in lines if line.get("mode") == "val"]
    if not steps:
        raise DarkposeError(f"{name}: expected a training log, found no lines of training in it")
    return Course(steps, [(each.epoch, each.NME) for each in validations if each.NME is not None])


def _parse(kind: type[Line], name: str, line: Mapping[str, Any]) -> Line:
    known = {field.name for field in fields(kind)}
    try:
        return parse_record(kind, {key: value for key, value in line.items() if key in known})
    except DarkposeError as error:
        raise DarkposeError(f"{name}: a line of its log cannot be used: {error}") from error


def _check_range(least: float, **numbers: float) -> None:
    for name, number in numbers.items():
        if not least <= number <= LARGEST:
            raise DarkposeError(f"{name}: expected a number from {least:g} to {LARGEST:g}, got {number:g}")
