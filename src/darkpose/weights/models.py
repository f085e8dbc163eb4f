"""Models by name: their schemas, errors, terms and files. Reads only metadata, and downloads nothing."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from darkpose.files.download import weak_check
from darkpose.weights.checkpoint import open_checkpoint
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
        name: value of `--weights`.
        schemas: name -> number of landmarks.
        error: NME in per cent by test set.
        terms: of use.
        default_for: the schemas for which "default" means this model.
        file: path, if the file is on this machine; else empty.
        megabytes: size of the file, if it is on this machine.
        check: how far a download is checked, if only a part of its SHA-256 is known; else empty.
    """

    name: str
    schemas: dict[str, int]
    error: dict[str, float]
    terms: str
    default_for: tuple[str, ...] = ()
    file: str = ""
    megabytes: float | None = None
    check: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values; the schemas under the key "markups"."""
        return {"markups" if key == "schemas" else key: value for key, value in asdict(self).items()}

    def lines(self) -> list[str]:
        """For people."""
        schemas = ", ".join(f"{name} ({count} landmarks)" for name, count in self.schemas.items())
        errors = ", ".join(f"{what} {value:.2f}" for what, value in self.error.items())
        file = f"{self.file}, {self.megabytes:.1f} MB" if self.file else "downloaded at its first use"
        file += f", {self.check}" if self.check else ""
        default = f", the default for {' and '.join(self.default_for)}" if self.default_for else ""
        return [self.name + default, f"  {schemas}", f"  NME in per cent: {errors}", f"  {self.terms}", f"  {file}"]


def models() -> list[Model]:
    """All models with a name, the shipped ones first.

    Raises:
        DarkposeError: the shipped weights cannot be read.
    """
    return [*(_shipped(name) for name in SHIPPED), *(_published(name) for name in ZOO)]


def _shipped(name: str) -> Model:
    file = shipped_file(name)
    weights = open_checkpoint(file)
    schemas = {part.name: len(part) for part in weights.schema.parts or (weights.schema,)}
    default = tuple(schema for schema in schemas if default_for(schema) == name)
    terms = str(weights.provenance.get("terms", ""))
    return Model(name, schemas, MEASURED[name], terms, default, str(file), _megabytes(file))


def _published(name: str) -> Model:
    model = ZOO[name]
    file = downloaded_file(model)
    path, size = (str(file), _megabytes(file)) if file.is_file() else ("", None)
    error = {f"{subset} (published)": value for subset, value in model.published.items()}
    check = weak_check(model.sha256_prefix)
    return Model(name, {model.schema.name: len(model.schema)}, error, model.terms, (), path, size, check)


def _megabytes(file: Path) -> float:
    return round(file.stat().st_size / 1e6, 1)
