"""What the page must know of the model, as JSON values; for the page of the service and for the static one."""

from typing import Any

from darkpose.schema import KeypointSchema


def schema_values(schema: KeypointSchema) -> dict[str, Any]:
    """Name, landmark names, outlines and flip pairs of a schema; a closed outline repeats its first index."""
    return {
        "name": schema.name,
        "names": list(schema.names),
        "outlines": [list(line) for line in schema.outlines],
        "flip_pairs": [list(pair) for pair in schema.flip_pairs],
    }
