"""`darkpose convert`, `info` and `models`: weights, and what is here."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

LONGEST = 160  # characters of a fact that is printed for people


def convert(source: Path, target: Path) -> int:
    """Rewrite a checkpoint (OpenMMLab 0.x or 1.x, HRNet-Facial-Landmark-Detection) as a safetensors file of darkpose's.

    Parameters
    ----------
    source
        The .pth file.
    target
        The .safetensors file to write.
    """
    from darkpose.network.load import convert as convert_checkpoint

    checkpoint = convert_checkpoint(source, target)
    print(f"{target}: {checkpoint.schema.name}, {len(checkpoint.schema)} landmarks")
    return 0


def info(*, weights: str = "default", json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Print versions, device, weights and detector.

    Parameters
    ----------
    weights
        A checkpoint's path or a known name.
    json
        Print JSON.
    """
    from json import dumps

    from darkpose.cli.about import about

    facts = about(weights)
    if json:
        print(dumps(facts, indent=2))
    else:
        for line in _lines(facts):
            print(line)
    return 0


def _lines(facts: Mapping[str, object], indent: str = "") -> Iterator[str]:
    """A line for every fact, long ones cut short: JSON has all of them."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}"
            yield from _lines(value, f"{indent}  ")
        else:
            text = str(value)
            yield f"{indent}{name:12} {text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}"


def models(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the models that go by a name: landmarks, error, terms, and whether they are here.

    Parameters
    ----------
    json
        Print JSON.
    """
    from json import dumps

    from darkpose.weights.models import models as all_models

    found = all_models()
    print(
        dumps([m.to_dict() for m in found], indent=2) if json else "\n".join(line for m in found for line in m.lines())
    )
    return 0
