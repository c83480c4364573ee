"""What all payloads of this adapter are: our own versioned JSON around an answer's JSON.

The law: a payload that cannot be read, or is another version's, is a miss. Whoever opens one gets objects of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel

_VERSION = 1


def sealed(body: Mapping[str, Any]) -> str:  # Any: JSON
    """Return the payload that holds an answer's JSON."""
    return orjson.dumps({"v": _VERSION, "response": body}, default=_plain).decode()


def opened(payload: str) -> dict[str, Any] | None:  # Any: JSON
    """Return the answer's JSON, or None if this version cannot read the payload."""
    try:
        envelope = orjson.loads(payload)
        body = envelope["response"] if envelope["v"] == _VERSION else None
    except (ValueError, TypeError, KeyError):
        return None
    return body if isinstance(body, dict) else None


def body_of(result: object) -> Mapping[str, Any] | None:  # Any: JSON
    """Return an answer's JSON, whether LiteLLM hands it over as an object, as JSON text or as a mapping."""
    if isinstance(result, BaseModel):
        dumped: Mapping[str, Any] = result.model_dump(
            mode="json", warnings=False
        )  # LiteLLM fills fields with other types
        return dumped
    if isinstance(result, Mapping):
        return result
    if not isinstance(result, str):
        return None
    try:
        loaded = orjson.loads(result)
    except ValueError:
        return None
    return loaded if isinstance(loaded, dict) else None


def _plain(value: object) -> object:
    """LiteLLM mixes models into the mappings of bridged answers."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON")
