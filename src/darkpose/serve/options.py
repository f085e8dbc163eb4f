"""Options of a request, from its query."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from darkpose.errors import DarkposeError, shown
from darkpose.predict.predictor import BoxKind
from darkpose.runtime.flip import FlipTest

Boxes = list[list[float]]
MOST_SHOWN = 60  # characters of a value in a message


class Options(BaseModel):
    """Options of `v1/landmarks`, as those of `darkpose predict`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_name: str | None = Field(
        None, alias="schema", description="300w-68, wflw-98, aflw-19, ... Default: the first of v1/model."
    )
    covariance: bool = Field(False, description="Also give the covariance of each landmark.")
    flip_test: FlipTest | None = Field(
        None, description="Average with the mirrored crop: twice the time. Default: as the service was started."
    )
    boxes: str | None = Field(
        None,
        description="Boxes instead of a detector: x0,y0,x1,y1 in image px; several with a semicolon between them.",
    )
    box_kind: BoxKind = Field("detector", description="What the boxes are, as for darkpose predict.")


class FrameOptions(BaseModel):
    """Options of `v1/frames`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_name: str | None = Field(None, alias="schema")
    smooth: Literal["causal", "off"] = "causal"


def parse_boxes(text: str | None, most: int) -> Boxes | None:
    """Boxes of the option `boxes`: [x0, y0, x1, y1] in image px; None: not given.

    Raises:
        DarkposeError: it is no such text, or has more than `most` boxes.
    """
    if text is None:
        return None
    parts = [part for part in text.split(";") if part.strip()]
    if not parts:
        raise DarkposeError("boxes: expected x0,y0,x1,y1 got none")
    if len(parts) > most:
        raise DarkposeError(f"boxes: expected at most {most}, got {len(parts)}")
    return [_box(part) for part in parts]


def _box(text: str) -> list[float]:
    try:
        numbers = [float(each) for each in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise DarkposeError(f"boxes: expected x0,y0,x1,y1 in image px, got {text[:MOST_SHOWN]!r}")
    return numbers


def sentence(errors: Sequence[Any], options: type[BaseModel] = Options) -> str:
    """The first of pydantic's errors about options as a sentence."""
    error = errors[0]
    name = str(error["loc"][-1]) if error["loc"] else "the request"
    if error["type"] == "extra_forbidden":
        known = ", ".join(field.alias or key for key, field in options.model_fields.items())
        return shown(f"there is no option {name[:MOST_SHOWN]!r}; the options are {known}")
    return shown(f"{name}: {error['msg']}, got {str(error.get('input'))[:MOST_SHOWN]!r}")
