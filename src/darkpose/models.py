"""The models that go by a name: what they find, how well, under which terms, and whether they are here."""

from dataclasses import asdict, dataclass
from typing import Any

from darkpose.recipes import RECIPES
from darkpose.zoo import DEFAULT, ZOO, default_file, downloaded_file, load_checkpoint


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        name: what `--weights` takes.
        markups: name -> number of landmarks.
        error: NME in per cent by what it was measured on, and by whom.
        terms: of its use.
        file: path, where it is here; else empty.
        megabytes: size of the file, where it is here.
    """

    name: str
    markups: dict[str, int]
    error: dict[str, float]
    terms: str
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
        return [self.name, f"  {markups}", f"  NME in per cent: {errors}", f"  {self.terms}", f"  {here}"]


def models() -> list[Model]:
    """All models that go by a name, the shipped one first.

    Raises:
        DarkposeError: the shipped weights cannot be read.
    """
    return [_shipped(), *(_published(name) for name in ZOO)]


def _shipped() -> Model:
    found, file = load_checkpoint(DEFAULT, whole=True), default_file()
    markups = {part.name: len(part) for part in found.schema.parts or (found.schema,)}
    validated = f"{found.provenance['validation_set']}, measured while training"
    error = {validated: 100 * float(found.provenance["validation_nme"])}
    terms, size = str(found.provenance.get("terms", "")), file.stat().st_size / 1e6
    return Model(DEFAULT, markups, error, terms, str(file), round(size, 1))


def _published(name: str) -> Model:
    model = ZOO[name]
    row = next((recipe.published for recipe in RECIPES.values() if recipe.checkpoint == name), {})
    file = downloaded_file(model)
    here = (str(file), round(file.stat().st_size / 1e6, 1)) if file.is_file() else ("", None)
    error = {f"{subset} (published)": value for subset, value in row.items()}
    return Model(name, {model.schema.name: len(model.schema)}, error, model.terms, *here)
