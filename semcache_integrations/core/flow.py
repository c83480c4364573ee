"""What to do next, never how: look-up, store and explain as generators of typed ops.

A flow yields an `Op` whenever it needs the outside world and is sent that op's answer, or thrown the
`BackendError` that stood in its way. It performs nothing itself, so one flow serves the sync and the
async driver (`driver.py`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from semcache_integrations.core.errors import BackendError, EmbeddingError, StoreError
from semcache_integrations.core.keys import Keyring
from semcache_integrations.core.models import (
    CacheEntry,
    CacheRequest,
    Candidate,
    Hit,
    Lookup,
    Miss,
    Namespace,
    Vector,
    Verdict,
)
from semcache_integrations.core.policy import Policy, is_fresh

R = TypeVar("R")


class Op(Generic[R]):
    """A request to the outside world whose answer has type `R`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class FetchExact(Op["CacheEntry | None"]):
    """Read one entry by its id."""

    namespace: Namespace
    entry_id: str


@dataclass(frozen=True, slots=True)
class Embed(Op["Vector | None"]):
    """Embed a text; None where the encoder is blind."""

    text: str


@dataclass(frozen=True, slots=True)
class FindNearest(Op[Sequence[Candidate]]):
    """Find the nearest entries of one namespace, best first."""

    namespace: Namespace
    vector: Vector
    limit: int


@dataclass(frozen=True, slots=True)
class Verify(Op[bool]):
    """Let the verifier have the last word on a candidate."""

    request: CacheRequest
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Write(Op[None]):
    """Write an entry; without a vector it can be found by its id only."""

    entry: CacheEntry
    vector: Vector | None


Flow: TypeAlias = Generator[Op[Any], Any, R]  # Any: each op is sent its own answer type, see `do`


def do(op: Op[R]) -> Flow[R]:
    """Yield one op and return its answer, typed by the op."""
    answer: R = yield op
    return answer


@dataclass(frozen=True, slots=True)
class Ask:
    """A request with its keys.

    Attributes:
        request: The request as it came.
        text: Its canonical text.
        namespace: Where its entries live.
        entry_id: The id of its own entry.
        without_vetoes: Names of the vetoes that are not asked.
    """

    request: CacheRequest
    text: str
    namespace: Namespace
    entry_id: str
    without_vetoes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rules:
    """What every flow of one cache needs to know.

    Attributes:
        semantic: Whether there is a semantic tier at all.
        verifies: Whether a verifier has the last word.
    """

    policy: Policy
    keyring: Keyring
    semantic: bool = True
    verifies: bool = False


def lookup(ask: Ask, rules: Rules, now: float) -> Flow[Lookup]:
    """Find a stored answer for `ask`: by id, else by similarity; any trouble is a miss with its reason."""
    try:
        return (yield from _lookup(ask, rules, now))
    except EmbeddingError as error:
        return Miss("embedder_error", detail=str(error))
    except StoreError as error:
        return Miss("store_error", detail=str(error))


def _lookup(ask: Ask, rules: Rules, now: float) -> Flow[Lookup]:
    controls = ask.request.controls
    entry = yield from do(FetchExact(ask.namespace, ask.entry_id))
    if entry is not None and not _belongs(entry, ask, rules):
        entry = None
    if entry is not None and is_fresh(entry, controls, now):
        return Hit(entry, 1.0, "exact")
    if not (rules.semantic and controls.semantic):
        return Miss("not_found" if entry is None else "expired")
    candidates = yield from _neighbours(ask, rules)
    if candidates is None:
        return Miss("unembeddable")
    refused: Verdict | None = None
    for judged in rules.policy.judge(ask.text, candidates, controls, now, ask.without_vetoes):
        verdict = yield from _verified(ask, rules, judged)
        if not verdict.refusal:
            return Hit(verdict.candidate.entry, verdict.candidate.similarity, "semantic")
        refused = refused or verdict
    if refused is None:
        return Miss("not_found")
    return Miss("rejected", refused.candidate.similarity, refused.refusal)


def _neighbours(ask: Ask, rules: Rules) -> Flow[Sequence[Candidate] | None]:
    vector = yield from do(Embed(ask.text))
    if vector is None:
        return None
    found = yield from do(FindNearest(ask.namespace, vector, rules.policy.top_k))
    return [candidate for candidate in found if _belongs(candidate.entry, ask, rules)]


def _belongs(entry: CacheEntry, ask: Ask, rules: Rules) -> bool:
    """Whether a plug-in store kept its promise: an entry of this namespace that this cache wrote."""
    return entry.namespace.id == ask.namespace.id and rules.keyring.genuine(entry)


def _verified(ask: Ask, rules: Rules, verdict: Verdict) -> Flow[Verdict]:
    if verdict.refusal or not rules.verifies:
        return verdict
    try:
        agreed = yield from do(Verify(ask.request, verdict.candidate))
    except BackendError:
        return Verdict(verdict.candidate, "verifier failed")  # unsure, so refuse
    return verdict if agreed else Verdict(verdict.candidate, "verifier")


def explain(ask: Ask, rules: Rules, now: float) -> Flow[tuple[CacheEntry | None, Sequence[Verdict]]]:
    """Return the exact entry, if any, and the verdict on every neighbour.

    Raises:
        BackendError: the embedder or the store failed; here that is what the caller wants to know.
    """
    entry = yield from do(FetchExact(ask.namespace, ask.entry_id))
    if entry is not None and not _belongs(entry, ask, rules):
        entry = None
    semantic = rules.semantic and ask.request.controls.semantic
    candidates = (yield from _neighbours(ask, rules)) if semantic else ()
    verdicts: list[Verdict] = []
    for judged in rules.policy.judge(
        ask.text, candidates or (), ask.request.controls, now, ask.without_vetoes
    ):
        verdict = yield from _verified(ask, rules, judged)
        verdicts.append(verdict)
    return entry, verdicts


def store(ask: Ask, entry: CacheEntry, rules: Rules) -> Flow[CacheEntry]:
    """Write `entry`, with its vector unless the request or the encoder rules that out.

    Raises:
        StoreError: the entry was not written.
    """
    vector: Vector | None = None
    if rules.semantic and ask.request.controls.semantic:
        try:
            vector = yield from do(Embed(ask.text))
        except EmbeddingError:
            vector = None  # an exact repeat can still be served
    yield from do(Write(entry, vector))
    return entry
