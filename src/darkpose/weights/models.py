"""The models that go by a name: what they find, how well, under which terms, and whether they are here."""

from dataclasses import asdict, dataclass
from typing import Any

from darkpose.network.load import load_checkpoint
from darkpose.weights.zoo import SHIPPED, ZOO, default_for, downloaded_file, shipped_file

LFPW, HARD = "LFPW test (68 landmarks)", "310 hard faces of WFLW's test set (98)"
# NME in per cent of the distance between the outer eye corners: annotated boxes, no flip test (docs/accuracy.md).
MEASURED = {
    "300w-hrnetv2-w18-dark": {LFPW: 2.93, HARD: 8.52},
    "faces-hrnetv2-w18-dark": {LFPW: 3.14, f"{HARD} by cross-validation": 5.99},
    "300w-small-dark": {LFPW: 3.41, HARD: 9.50},
}


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        name: what `--weights` takes.
        markups: name -> number of landmarks.
        error: NME in per cent by what it was measured on, and by whom.
        terms: of its use.
        default_for: the markups for which it is the one that "default" means.
        file: path, where it is here; else empty.
        megabytes: size of the file, where it is here.
    """

    name: str
    markups: dict[str, int]
    error: dict[str, float]
    terms: str
    default_for: tuple[str, ...] = ()
    file: str = ""
    megabytes: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        markups = ", ".join(f"{name} ({count} landmarks)" for name, count in self.markups.items())
        errors = ", ".join(f"{what} {value:.2f}" for what, value in self.error.items())
        here = f"{self.file}, {self.megabytes:.1f} MB" if self.file else "not here; downloaded at its first use"
        default = f", the default for {' and '.join(self.default_for)}" if self.default_for else ""
        return [self.name + default, f"  {markups}", f"  NME in per cent: {errors}", f"  {self.terms}", f"  {here}"]


def models() -> list[Model]:
    """All models that go by a name, the shipped ones first.

    Raises:
        DarkposeError: the shipped weights cannot be read.
    """
    return [*(_shipped(name) for name in SHIPPED), *(_published(name) for name in ZOO)]


def _shipped(name: str) -> Model:
    found, file = load_checkpoint(name, whole=True), shipped_file(name)
    markups = {part.name: len(part) for part in found.schema.parts or (found.schema,)}
    terms, size = str(found.provenance.get("terms", "")), file.stat().st_size / 1e6
    default = tuple(markup for markup in markups if default_for(markup) == name)
    return Model(name, markups, MEASURED[name], terms, default, str(file), round(size, 1))


def _published(name: str) -> Model:
    model = ZOO[name]
    file = downloaded_file(model)
    here = (str(file), round(file.stat().st_size / 1e6, 1)) if file.is_file() else ("", None)
    error = {f"{subset} (published)": value for subset, value in model.published.items()}
    return Model(name, {model.schema.name: len(model.schema)}, error, model.terms, (), *here)
