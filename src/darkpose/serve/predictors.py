"""One predictor for each schema and flip test."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkpose.errors import DarkposeError
from darkpose.predict.predictor import Predictor
from darkpose.runtime.flip import FlipTest
from darkpose.schema import WFLW_98, KeypointSchema
from darkpose.weights.checkpoint import open_checkpoint
from darkpose.weights.zoo import DEFAULT, PICKLED, weights_file


class Predictors:
    """Predictors of the same weights; each but the first is made when it is first asked for.

    Those of a schema use one network, and all use one detector. Threads may share this object.

    Attributes:
        first: the one of the default schema, with the flip test asked for.
        weights: name of the weights, or of their file.
        schemas: that can be asked for, by name, the default first.
        has_covariance: whether the faces have covariances: the decoders "argmax" and "quarter" give none.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Load the first predictor with its detector.

        Args:
            options: of `Predictor`.

        Raises:
            DarkposeError: the options cannot be used.
        """
        self.has_covariance = options.get("method") not in ("argmax", "quarter")
        self._options = {**options, "covariance": self.has_covariance}
        self.first = Predictor(**self._options)
        _ = self.first.detector
        weights = options.get("weights", DEFAULT)
        self.weights = Path(weights).name
        others = _schemas(weights)
        self.schemas = {each.name: each for each in (self.first.schema, *others)}
        self._lock = threading.Lock()
        self._made: dict[tuple[str, FlipTest | None], Predictor] = {(self.first.schema.name, None): self.first}

    def check(self, schema: str | None) -> str:
        """The name of the schema; None: the default.

        Raises:
            DarkposeError: the weights do not know it.
        """
        name = self.first.schema.name if schema is None else schema
        if name not in self.schemas:
            raise DarkposeError(f"schema: expected one of {', '.join(self.schemas)}, got {name[:60]!r}")
        return name

    def get(self, schema: str | None = None, flip_test: FlipTest | None = None) -> Predictor:
        """The predictor of a schema and flip test; None: the default.

        Raises:
            DarkposeError: there is no such predictor.
        """
        name = self.check(schema)
        if (name, flip_test) not in self._made:
            with self._lock:
                if (name, flip_test) not in self._made:  # another thread may have made it
                    self._made[name, flip_test] = self._make(name, flip_test)
        return self._made[name, flip_test]

    def _make(self, name: str, flip_test: FlipTest | None) -> Predictor:
        usual = self._made.get((name, None))
        if usual is None:
            options = {**self._options, "schema": name, "detector": self.first.detector}
            usual = self._made[name, None] = Predictor(**options)
        return usual if flip_test is None else usual.with_flip_test(flip_test)


def _schemas(weights: str | Path) -> list[KeypointSchema]:
    """The schemas that weights know; none of a kind of file that has to be loaded for that, or has one only."""
    if Path(weights).suffix in (".onnx", *PICKLED):
        return []
    named = [weights_file(weights), *([weights_file(weights, WFLW_98.name)] if str(weights) == DEFAULT else [])]
    whole = [open_checkpoint(file).schema for file in named if file.suffix not in PICKLED]
    return [part for schema in whole for part in schema.parts or (schema,)]
