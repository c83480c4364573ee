"""How an entry looks inside Qdrant, embedded or served: field names, schema version, filters. Pure.

The law: what is read back is either exactly the entry that was written or nothing. An unreadable payload,
an older schema or a foreign namespace is None, so the cache misses. No third party is imported here.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal, Protocol, TypeAlias

from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.models import (
    NEVER,
    UNKNOWN,
    CacheEntry,
    Candidate,
    Namespace,
    Selector,
    Standing,
    Vector,
)

SCHEMA_VERSION = 1
"""Part of every directory's and collection's name: an older schema is never read, it is left alone."""

VECTOR_NAME = "text"
"""A named vector: a point may then come without one, and is found by id only."""

NAMESPACE_FIELD = "ns"
"""The tenant-indexed field; every look-up filters on it."""

KEYWORD_FIELDS = ("tags", "model", "tenant")
FLOAT_FIELDS = ("expires_at", "created_at")

STORED_NEVER = 1e18
"""`expires_at` of an entry that never expires: JSON has no infinity, and null would fall out of the index."""

Payload: TypeAlias = Mapping[str, object]

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_PAIR = 2
_LARGEST_NORM = 1e15  # its square still fits the engine's 32-bit floats


class ScoredPoint(Protocol):
    """What both clients return for a neighbour."""

    @property
    def id(self) -> object:
        """The point's id, a UUID in either form."""

    @property
    def score(self) -> float:
        """The cosine."""

    @property
    def payload(self) -> Payload | None:
        """What `payload_of` made."""


@dataclass(frozen=True, slots=True)
class Match:
    """The field equals the value, or holds it if it is a list."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The field is below the value (`lt`), or at most the value (`lte`)."""

    field: str
    operator: Literal["lt", "lte"]
    value: float


@dataclass(frozen=True, slots=True)
class HasId:
    """The point is one of these."""

    ids: tuple[str, ...]


Condition: TypeAlias = Match | Bound | HasId


def payload_of(entry: CacheEntry) -> dict[str, object]:
    """Return the entry as a JSON-safe point payload.

    Raises:
        StoreError: A time is NaN or infinite where the schema has no word for it.
    """
    space = entry.namespace
    learned = {} if entry.standing == UNKNOWN else {"standing": _stored_standing(entry.standing)}
    return {
        "v": SCHEMA_VERSION,
        NAMESPACE_FIELD: space.id,
        "model": space.model,
        "tenant": space.tenant,
        "dialect": space.dialect,
        "text": entry.text,
        "payload": entry.payload,
        "created_at": _finite("created_at", entry.created_at),
        "expires_at": stored_expiry(entry.expires_at),
        "ttl_s": None if entry.ttl_s is None else _finite("ttl_s", entry.ttl_s),
        "tags": list(entry.tags),
        "signature": entry.signature,
        **learned,
    }


def renewal_of(entry: CacheEntry) -> dict[str, object]:
    """Return the part of the payload that a touch writes; it names the standing even if nothing is known.

    Raises:
        StoreError: A number has no word in the schema.
    """
    return {
        "expires_at": stored_expiry(entry.expires_at),
        "standing": _stored_standing(entry.standing),
        "signature": entry.signature,
    }


def entry_of(entry_id: str, payload: Payload | None) -> CacheEntry | None:
    """Return the entry with the namespace that its payload names, for who knows the id alone, or None."""
    if payload is None:
        return None
    names = [payload.get(name) for name in (NAMESPACE_FIELD, "model", "tenant", "dialect")]
    if not all(isinstance(name, str) for name in names):
        return None
    return entry_in(Namespace(*map(str, names)), entry_id, payload)


def entry_in(namespace: Namespace, entry_id: str, payload: Payload | None) -> CacheEntry | None:
    """Return the entry if it can be read and is of this namespace: knowing an id opens no other's entry."""
    if payload is None or payload.get("v") != SCHEMA_VERSION or payload.get(NAMESPACE_FIELD) != namespace.id:
        return None
    try:
        return _read(entry_id, payload, namespace)
    except (KeyError, TypeError):
        return None


def candidates_in(namespace: Namespace, points: Iterable[ScoredPoint]) -> list[Candidate]:
    """Return the readable neighbours in the order in which the store found them."""
    found = ((entry_in(namespace, str(point.id), point.payload), point.score) for point in points)
    return [Candidate(entry, score) for entry, score in found if entry is not None]


def stored_expiry(expires_at: float) -> float:
    """Return `expires_at` as it is stored.

    Raises:
        StoreError: It is NaN, which would neither expire nor be found by a filter.
    """
    if math.isnan(expires_at):
        raise StoreError("cannot store an entry whose expires_at is NaN")
    return _clamped(expires_at)


def conditions_of(selector: Selector) -> list[Condition] | None:
    """Return what a point must meet to be selected; an empty list selects all, None selects nothing."""
    if math.isnan(selector.created_before) or math.isnan(selector.expired_at):
        return None
    conditions: list[Condition] = []
    if selector.ids:
        ids = tuple(entry_id for entry_id in selector.ids if is_point_id(entry_id))
        if not ids:
            return None
        conditions.append(HasId(ids))
    words = {
        NAMESPACE_FIELD: selector.namespace,
        "tags": selector.tag,
        "model": selector.model,
        "tenant": selector.tenant,
    }
    conditions += [Match(field, value) for field, value in words.items() if value]
    if selector.created_before != math.inf:
        conditions.append(Bound("created_at", "lt", _clamped(selector.created_before)))
    if -math.inf < selector.expired_at < math.inf:  # by the end of time all has expired: no condition
        conditions.append(Bound("expires_at", "lte", _clamped(selector.expired_at)))
    return conditions


def is_point_id(entry_id: str) -> bool:
    """Whether Qdrant would take this as the id of a point; what it would not take cannot be stored."""
    return _UUID.fullmatch(entry_id) is not None


def unit_list(vector: Vector, dimension: int) -> list[float]:
    """Return the vector as a plain list: both clients take it faster than any array.

    Raises:
        StoreError: Its length is not `dimension`, or it has no direction (zero, NaN, infinite). Qdrant Edge
            takes NaN in silence.
    """
    floats: list[float] = vector.tolist() if hasattr(vector, "tolist") else list(vector)
    if len(floats) != dimension:
        raise StoreError(f"the vector has {len(floats)} dimensions, this store was made for {dimension}")
    try:
        norm = math.hypot(*floats)
    except (TypeError, OverflowError) as error:
        raise StoreError("the vector holds something that is not a number") from error
    if not 0.0 < norm < _LARGEST_NORM:
        raise StoreError(f"the vector has no direction: its length is {norm}")
    return floats


def slug(name: str, longest: int = 48) -> str:
    """Return `name` reduced to letters, digits and dashes, for people to read; add a digest to be unique."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:longest].strip("-") or "any"


def digest(parts: Iterable[object]) -> str:
    """Return ten hexadecimal digits over the parts; no two lists of parts read the same."""
    whole = "".join(f"{len(part)}:{part}" for part in map(str, parts))
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()


_strings = itemgetter("text", "payload", "signature")


def _read(entry_id: str, payload: Payload, namespace: Namespace) -> CacheEntry:
    """Read the entry; its namespace is the one that was asked, whose id is a digest over the other fields."""
    text, answer, signature = _strings(payload)
    expires_at, ttl_s, tags = payload["expires_at"], payload["ttl_s"], payload["tags"]
    standing = payload.get("standing")
    if not (isinstance(text, str) and isinstance(answer, str) and isinstance(signature, str)):
        raise TypeError
    never = _number(expires_at) >= STORED_NEVER
    return CacheEntry(
        entry_id,
        namespace,
        text,
        answer,
        _number(payload["created_at"]),
        NEVER if never else _number(expires_at),
        None if ttl_s is None else _number(ttl_s),
        _texts(tags) if tags else (),
        signature,
        UNKNOWN if standing is None else _standing(standing),
    )


def _stored_standing(standing: Standing) -> dict[str, object]:
    return {
        "group": standing.group,
        "quarantined": standing.quarantined,
        "seen": [[_finite("similarity", similarity), same] for similarity, same in standing.seen],
    }


def _standing(value: object) -> Standing:
    """Read what was learned; whatever is odd in it makes the entry unreadable: it might be quarantined."""
    if not isinstance(value, dict):
        raise TypeError
    group, quarantined, seen = value["group"], value["quarantined"], value["seen"]
    if not (isinstance(group, str) and isinstance(quarantined, bool) and isinstance(seen, list)):
        raise TypeError
    return Standing(group, quarantined, tuple(map(_observation, seen)))


def _observation(value: object) -> tuple[float, bool]:
    if not (isinstance(value, list) and len(value) == _PAIR and isinstance(value[1], bool)):
        raise TypeError
    return _number(value[0]), value[1]


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    if not all(isinstance(item, str) for item in value):
        raise TypeError
    return tuple(value)


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _finite(field: str, value: float) -> float:
    if not math.isfinite(value):
        raise StoreError(f"cannot store an entry whose {field} is {value}")
    return value


def _clamped(moment: float) -> float:
    return max(-STORED_NEVER, min(float(moment), STORED_NEVER))
