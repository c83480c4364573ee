"""The response headers that say what the cache did, the same for every proxy and transport.

| header | says |
|---|---|
| `x-cache-status` | `hit`, `miss`, `bypass`, `stale` or `error` |
| `x-cache-tier` | on a hit, where from: `hash`, `exact`, `semantic`, or `flight` for an equal call's answer |
| `x-cache-similarity` | the cosine of the two questions; on a miss, of the nearest one |
| `x-cache-age` | on a hit, seconds since the answer was stored |
| `x-cache-entry` | on a hit, the id by which the answer can be deleted |
| `x-cache-reason` | otherwise, why there was none |
"""

from __future__ import annotations

from semcache_integrations.core.models import Hit

NAMES = frozenset({f"x-cache-{name}" for name in ("status", "tier", "similarity", "age", "entry", "reason")})
"""All of them; whoever speaks for the cache lets nobody else use them."""


def of_hit(found: Hit, age_s: float, status: str = "hit") -> dict[str, str]:
    """Return the headers of an answer that the cache found."""
    return hit(
        tier=found.tier,
        similarity=found.similarity,
        age_s=age_s,
        entry_id=found.entry.id,
        status=status,
    )


def hit(
    *, tier: str, similarity: float, age_s: float = 0.0, entry_id: str = "", status: str = "hit"
) -> dict[str, str]:
    """Return the headers of an answer from the cache."""
    said = {"x-cache-status": status, "x-cache-tier": tier, "x-cache-similarity": f"{similarity:.4f}"}
    return {**said, "x-cache-age": f"{int(age_s)}", **({"x-cache-entry": entry_id} if entry_id else {})}


def other(status: str, reason: str = "", similarity: float | None = None) -> dict[str, str]:
    """Return the headers of an answer from upstream."""
    said = {"x-cache-status": status, **({"x-cache-reason": reason} if reason else {})}
    return said if similarity is None else {**said, "x-cache-similarity": f"{similarity:.4f}"}
