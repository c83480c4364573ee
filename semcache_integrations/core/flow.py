"""What to do next, never how: look-up, store and explain as generators of typed ops.

A flow yields an `Op` whenever it needs the outside world and is sent that op's answer, or thrown the
`BackendError` that stood in its way. It performs nothing itself, so one flow serves the sync and the
async driver (`driver.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from semcache_integrations.core.acceptance import Case, is_fresh
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
from semcache_integrations.core.policy import Policy

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
class FindById(Op["CacheEntry | None"]):
    """Read one entry whose namespace is not known; never for a look-up."""

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
class Compare(Op[bool]):
    """Say whether two answers' texts say the same."""

    request: CacheRequest
    fresh: str
    cached: str


@dataclass(frozen=True, slots=True)
class Touch(Op[None]):
    """Write what changes in an entry, if it is still there."""

    entry: CacheEntry


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


def _never() -> float:
    return 1.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What every flow of one cache needs to know.

    Attributes:
        semantic: Whether there is a semantic tier at all.
        verifies: Whether a verifier has the last word.
        recheck_share: Share of the semantic hits that are asked anew all the same, 0-1.
        draw: Returns a random number in [0, 1).
    """

    policy: Policy
    keyring: Keyring
    semantic: bool = True
    verifies: bool = False
    recheck_share: float = 0.0
    draw: Callable[[], float] = _never


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
    if entry is not None and not belongs(entry, ask, rules):
        entry = None
    if entry is not None and is_fresh(entry, controls, now):
        return Miss("quarantined", 1.0) if entry.standing.quarantined else Hit(entry, 1.0, "exact")
    if not (rules.semantic and controls.semantic):
        return Miss("not_found" if entry is None else "expired")
    candidates = yield from _neighbours(ask, rules)
    if candidates is None:
        return Miss("unembeddable")
    refused: Verdict | None = None
    for judged in rules.policy.rule.judge(case_of(ask, candidates, rules, now)):
        verdict = yield from verified(ask, rules, judged)
        if not verdict.refusal:
            return _served(verdict, rules)
        refused = refused or verdict
    if refused is None:
        return Miss("not_found")
    is_itself = entry is not None and refused.candidate.entry.id == entry.id  # and it is too old
    return Miss("expired" if is_itself else "rejected", refused.candidate.similarity, refused.refusal)


def case_of(ask: Ask, candidates: Sequence[Candidate], rules: Rules, now: float) -> Case:
    """Return the question with its neighbours, best first, for a rule to judge."""
    return rules.policy.case(ask.text, candidates, ask.request.controls, now, ask.without_vetoes)


def _served(verdict: Verdict, rules: Rules) -> Lookup:
    """Serve an accepted neighbour, unless the draw says that its answer is to be checked."""
    candidate = verdict.candidate
    share = max(rules.recheck_share, rules.policy.rule.explored_share(candidate))
    if share > 0.0 and rules.draw() < share:
        return Miss("explored", candidate.similarity)
    return Hit(candidate.entry, candidate.similarity, "semantic", verdict.score)


def _neighbours(ask: Ask, rules: Rules) -> Flow[Sequence[Candidate] | None]:
    vector = yield from do(Embed(ask.text))
    if vector is None:
        return None
    found = yield from do(FindNearest(ask.namespace, vector, rules.policy.top_k))
    return [candidate for candidate in found if belongs(candidate.entry, ask, rules)]


def belongs(entry: CacheEntry, ask: Ask, rules: Rules) -> bool:
    """Whether a plug-in store kept its promise: an entry of this namespace that this cache wrote."""
    return entry.namespace.id == ask.namespace.id and rules.keyring.genuine(entry)


def verified(ask: Ask, rules: Rules, verdict: Verdict) -> Flow[Verdict]:
    """Let the verifier, if there is one, refuse what the policy has accepted."""
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
    if entry is not None and not belongs(entry, ask, rules):
        entry = None
    semantic = rules.semantic and ask.request.controls.semantic
    candidates = (yield from _neighbours(ask, rules)) if semantic else ()
    verdicts: list[Verdict] = []
    for judged in rules.policy.rule.judge(case_of(ask, candidates or (), rules, now)):
        verdict = yield from verified(ask, rules, judged)
        verdicts.append(verdict)
    return entry, verdicts


def store(ask: Ask, entry: CacheEntry, rules: Rules) -> Flow[CacheEntry]:
    """Write `entry`, with its vector unless the request, the encoder or the policy rules that out.

    A policy that learns from observations gives it its vector later, if it turns out to be worth one.

    Raises:
        StoreError: the entry was not written.
    """
    vector: Vector | None = None
    if rules.semantic and ask.request.controls.semantic and rules.policy.learns != "observations":
        try:
            vector = yield from do(Embed(ask.text))
        except EmbeddingError:
            vector = None  # an exact repeat can still be served
    yield from do(Write(entry, vector))
    return entry
