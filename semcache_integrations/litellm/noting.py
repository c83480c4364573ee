"""What a look-up did, noted in the metadata of the call: the proxy's response headers are made of it.

The law: a note is ours alone and never in the way. It is a type of its own, which no JSON of a client can
be; it goes where LiteLLM keeps what it knows of a call, not what it sends; and taking it never raises.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from semcache_integrations.core.models import Lookup, Miss
from semcache_integrations.troubles import Troubles

NOTE: Final = "semcache"
"""The key of the note in `litellm_metadata`, or in `metadata` where a call has no such argument."""

_troubles = Troubles(logging.getLogger("semcache_integrations.litellm"))


class Note(dict[str, Any]):  # Any: texts and numbers, by name
    """`status`, and on a hit `tier`, `similarity`, `age_s` and `entry_id`, on a miss `reason`."""


def note(
    arguments: Mapping[str, object], found: Lookup | None, age_s: float = 0.0, *, one_of_many: bool = False
) -> None:
    """Note what the look-up for a call found.

    Args:
        arguments: Of the call.
        found: What it found, or None if the call was not to be looked up.
        age_s: Seconds since the answer that was found was stored.
        one_of_many: Whether the call makes several look-ups: it is a hit if all of them are.
    """
    with _troubles.going_on("note"):
        metadata = _place(arguments)
        if metadata is None:
            return
        known = metadata.get(NOTE)
        if one_of_many and isinstance(known, Note) and known["status"] != "hit":
            return
        metadata[NOTE] = _described(found, age_s)
        own = arguments.get("metadata")
        if isinstance(own, dict):  # the proxy makes its x-litellm-semantic-similarity of it
            own["semantic-similarity"] = (found.similarity if found is not None else None) or 0.0


def noted(arguments: Mapping[str, object]) -> Note | None:
    """Return the note in a call's metadata, or None if there was no look-up."""
    for name in ("litellm_metadata", "metadata"):
        metadata = arguments.get(name)
        written = metadata.get(NOTE) if isinstance(metadata, Mapping) else None
        if isinstance(written, Note):
            return written
    return None


def _place(arguments: Mapping[str, object]) -> dict[str, object] | None:
    for name in ("litellm_metadata", "metadata"):
        metadata = arguments.get(name)
        if isinstance(metadata, dict):
            return metadata
    return None


def _described(found: Lookup | None, age_s: float) -> Note:
    if found is None:
        return Note(status="bypass")
    if isinstance(found, Miss):
        return Note(status="bypass" if found.reason == "bypassed" else "miss", reason=found.reason)
    return Note(
        status="hit",
        tier=found.tier,
        similarity=found.similarity,
        age_s=age_s,
        entry_id=found.entry.id,
    )
