"""The values that the engine speaks in: what is asked, what is kept, what is answered. No behaviour.

`CacheRequest` holds what is *keyed*; `Controls` holds how one call is *treated*. Whatever could change
the answer belongs in the first, whatever cannot belongs in the second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

Vector: TypeAlias = Sequence[float]
"""One embedding: unit length, as many floats as the embedder's `dimension`."""

Tier: TypeAlias = Literal["hash", "exact", "semantic"]
"""Where a hit came from: this process's memory, the store by id, the store by similarity."""

MissReason: TypeAlias = Literal[
    "bypassed",  # the caller asked for no look-up
    "embedder_error",
    "expired",
    "explored",  # an answer that could have been served is asked anew, to learn whether it would have been right
    "not_found",  # nothing similar in the namespace
    "quarantined",  # somebody said that the answer was wrong
    "rejected",  # candidates were found and none was good enough
    "store_error",
    "time_sensitive",  # the answer may have changed since
    "unembeddable",  # the text is blank, longer than the embedder's window, or unknown to it
    "unkeyable",  # the request has no canonical form
]

NEVER = math.inf
"""`CacheEntry.expires_at` of an entry without a TTL."""


@dataclass(frozen=True, slots=True)
class Controls:
    """How one call is treated. Nothing in here is part of the key.

    Attributes:
        semantic: False keeps the call to the exact tiers (tools bound, attachments, no user turn at the end).
        similarity_threshold: Cosine in 0-1; may only tighten the cache's own threshold.
        ttl_s: Seconds that the stored entry lives; None means the cache's own TTL.
        max_age_s: Seconds; an older entry is not served to this call.
        tags: Labels under which the stored entry can be invalidated.
    """

    semantic: bool = True
    similarity_threshold: float = 0.0
    ttl_s: float | None = None
    max_age_s: float = math.inf
    tags: tuple[str, ...] = ()


DEFAULT_CONTROLS = Controls()
NO_PARAMS: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """What is asked, split into the part that may be reworded and the part that must match exactly.

    Attributes:
        text: The last message if a user wrote it: the one part that is embedded and may be similar only.
        model: The LLM's name.
        params: Every generation parameter, tools and response format included.
        context: Whatever else must match: system prompt, earlier turns, hashes of attachments (JSON-like).
        tenant: Whose entry it is; from a trusted place, never from text.
        dialect: The form of the payload; entries of one dialect are never served to another.
        controls: How this call is treated; not part of the key.
    """

    text: str
    model: str = ""
    params: Mapping[str, object] = field(default_factory=lambda: NO_PARAMS)
    context: object = None
    tenant: str = ""
    dialect: str = "text"
    controls: Controls = DEFAULT_CONTROLS


@dataclass(frozen=True, slots=True)
class Namespace:
    """The isolation boundary of one entry: all that must match exactly, as one digest.

    Attributes:
        id: 32 hexadecimal digits over dialect, tenant, model, params, context and embedder.
        model: The LLM's name, readable: it names the collection and serves `invalidate(model=…)`.
        tenant: Readable, for administration; isolation rests on `id`.
        dialect: The form of the payloads in it.
    """

    id: str
    model: str = ""
    tenant: str = ""
    dialect: str = "text"


@dataclass(frozen=True, slots=True)
class Standing:
    """What was learned about an entry since it was written: it changes, the answer does not.

    Attributes:
        group: Name of its answer group; "" until its answer was compared with its neighbours'.
        quarantined: Whether somebody said that its answer was wrong: it is served to nobody.
        seen: Comparisons of its answer with fresh ones, as (similarity of the questions, same answer).
    """

    group: str = ""
    quarantined: bool = False
    seen: tuple[tuple[float, bool], ...] = ()


UNKNOWN = Standing()
"""The standing of an entry about which nothing was learned yet."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One stored answer.

    Attributes:
        id: The point id, a UUID made of namespace and text: writing twice keeps one entry.
        text: The question that it answered.
        payload: The answer, in the adapter's own versioned JSON.
        created_at: Seconds since the epoch.
        expires_at: Seconds since the epoch, or `NEVER`.
        ttl_s: Seconds by which a sliding TTL is renewed on access, or None.
        signature: Keyed digest over all of these fields, empty when the cache has no secret.
        standing: What was learned about it.
    """

    id: str
    namespace: Namespace
    text: str
    payload: str
    created_at: float
    expires_at: float = NEVER
    ttl_s: float | None = None
    tags: tuple[str, ...] = ()
    signature: str = ""
    standing: Standing = UNKNOWN


@dataclass(frozen=True, slots=True)
class Candidate:
    """A neighbour that the store found; `similarity` is the cosine, 1.0 for the same direction."""

    entry: CacheEntry
    similarity: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A stored answer that may be served. True in a condition.

    Attributes:
        similarity: Cosine of the two questions, 1.0 for the same question.
        score: Estimated probability that the answer is right; None where the policy estimates none.
    """

    entry: CacheEntry
    similarity: float
    tier: Tier
    score: float | None = None

    @property
    def payload(self) -> str:
        """The stored answer, as the adapter wrote it."""
        return self.entry.payload


@dataclass(frozen=True, slots=True)
class Miss:
    """No answer may be served, and why. False in a condition.

    Attributes:
        similarity: Cosine of the nearest candidate, None if there was none.
        detail: What refused the nearest candidate, or what failed; never any prompt text.
    """

    reason: MissReason
    similarity: float | None = None
    detail: str = ""

    def __bool__(self) -> Literal[False]:
        return False


Lookup: TypeAlias = Hit | Miss


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one candidate: accepted if `refusal` is empty.

    Attributes:
        score: Estimated probability that its answer is right; None where nothing was estimated.
    """

    candidate: Candidate
    refusal: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Selector:
    """Which entries to delete: all conditions that are given must hold. No condition selects everything."""

    ids: tuple[str, ...] = ()
    namespace: str = ""
    tag: str = ""
    model: str = ""
    tenant: str = ""
    created_before: float = math.inf
    expired_at: float = -math.inf
    """Select what has expired by this moment (seconds since the epoch)."""

    def selects(self, entry: CacheEntry) -> bool:
        """Whether `entry` meets every condition that is given."""
        space = entry.namespace
        return (
            (not self.ids or entry.id in self.ids)
            and self.namespace in ("", space.id)
            and (not self.tag or self.tag in entry.tags)
            and self.model in ("", space.model)
            and self.tenant in ("", space.tenant)
            and entry.created_at < self.created_before
            and (self.expired_at == -math.inf or entry.expires_at <= self.expired_at)
        )


@dataclass(frozen=True, slots=True)
class CacheEvent:
    """Something that happened, for hooks: no prompt and no answer text in it.

    Attributes:
        kind: `hit`, `miss`, `store`, `store_failed`, `dropped`, `breaker_open`, `breaker_closed`, `expired`…
        tier: The tier of a hit.
        reason: The reason of a miss or the kind of failure.
        seconds: How long the operation took.
    """

    kind: str
    tier: str = ""
    reason: str = ""
    similarity: float | None = None
    seconds: float = 0.0
    model: str = ""
    tenant: str = ""
    entry_id: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
