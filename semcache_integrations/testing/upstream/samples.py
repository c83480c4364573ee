"""A value that fits a JSON schema: for tool arguments and structured output. Not a validator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEEPEST = 8  # a schema that contains itself ends here


def sample(schema: Mapping[str, Any], text: str) -> Any:
    """Return the same value for the same arguments: `text` for strings, 1 for numbers, the first of a choice.

    It is `Any` because JSON is.
    """
    return _sample(schema, text, schema, DEEPEST)


def _sample(schema: Mapping[str, Any], text: str, root: Mapping[str, Any], depth: int) -> Any:
    if depth == 0:
        return None
    if "$ref" in schema:
        return _sample(_resolve(schema["$ref"], root), text, root, depth - 1)
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return _sample(schema[choice][0], text, root, depth - 1)
    if "const" in schema or schema.get("enum"):
        return schema.get("const", schema.get("enum", [None])[0])
    return _sample_of_type(schema, text, root, depth)


def _sample_of_type(schema: Mapping[str, Any], text: str, root: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            fields = schema.get("properties", {}).items()
            return {name: _sample(field, text, root, depth - 1) for name, field in fields}
        case "array":
            return [_sample(schema.get("items", {}), text, root, depth - 1)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return text


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)
