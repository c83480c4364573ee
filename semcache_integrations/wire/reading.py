"""Reads JSON of which nothing is known yet: whatever a provider, a proxy or an old entry wrote.

The law: the wrong shape reads as empty, so that the modules of formats state what they look for and no
shape checks; only what cannot be compared with anything raises, and then `ValueError`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, TypeAlias

from semcache_integrations.core.answers import called

Json: TypeAlias = Mapping[str, Any]
"""A JSON object; `Any`, because its values are whatever the wire brought."""

HEX_DIGITS = 24


def mapping(value: object) -> Json:
    """Return the value if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[Json]:
    """Return the JSON objects in a list; none for whatever is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def listed(value: object, otherwise: str) -> list[Json]:
    """Return the JSON objects in a list.

    Raises:
        ValueError: it is no list; `otherwise` is the message.
    """
    if isinstance(value, list):
        return mappings(value)
    raise ValueError(otherwise)


def text(value: object) -> str:
    """Return the value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def call_text(name: object, arguments: object) -> str:
    """Return a tool call as `core.answers.called` writes it.

    Raises:
        ValueError: the arguments are nested too deeply, or hold what JSON cannot.
    """
    try:
        return called(name, arguments)
    except TypeError as error:
        raise ValueError(f"the arguments of the call of {name!r} cannot be compared: {error}") from error


def new_id(prefix: str) -> str:
    """Return an id that no conversation has met."""
    return prefix + uuid.uuid4().hex[:HEX_DIGITS]


def renamed_fields(item: Json, names: Mapping[str, str], fields: frozenset[str]) -> dict[str, Any]:
    """Return a copy of an item in which those fields that hold a key of `names` hold the new name instead."""
    return {
        field: names.get(value, value) if field in fields and isinstance(value, str) else value
        for field, value in item.items()
    }
