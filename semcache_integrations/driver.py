"""Performs the ops of a flow against the backends: the sync and the async driver, which differ by `await` alone.

The law: whatever a backend does (raise, hang, return garbage), what comes out is an answer of the op's
type or a `BackendError` thrown into the flow, within the time that the op may take (see `side.py`).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from semcache_integrations.breaker import Breaker
from semcache_integrations.core.errors import BackendError, EmbeddingError, StoreError
from semcache_integrations.core.flow import (
    Compare,
    Embed,
    FetchExact,
    FindById,
    FindNearest,
    Flow,
    Op,
    Touch,
    Verify,
    Write,
)
from semcache_integrations.core.models import CacheEntry, Candidate, Vector
from semcache_integrations.protocols import AnswerComparer, Embedder, Store, Verifier
from semcache_integrations.side import Budget, Call, Side

T = TypeVar("T")
_Performer: TypeAlias = tuple[
    Side,
    Callable[..., Any],  # Any: each op has its own answer type
    "Callable[..., Awaitable[Any]] | None",
    Callable[[Any], None],
]


class Driver:
    """Runs flows.

    Args:
        embedder: Turns texts into vectors, with its side.
        store: Keeps the entries, with its side; the side's timeout is the budget of a whole flow.
        verifier: Has the last word on a candidate, with its side; None if nobody has.
        comparer: Compares answers, with its side; None if nothing is learned from them.
    """

    def __init__(
        self,
        embedder: tuple[Embedder, Side],
        store: tuple[Store, Side],
        verifier: tuple[Verifier, Side] | None = None,
        comparer: tuple[AnswerComparer, Side] | None = None,
    ) -> None:
        encoder, embedding = embedder
        keeper, storing = store
        self._dimension = encoder.dimension
        self._recall = encoder.recall
        self._storing = storing
        self._embed = (embedding, encoder.embed, _native(encoder, "aembed"), self._check_vector)
        self._performed_by: dict[type[Op[Any]], _Performer] = {  # Any: every op has its own answer type
            FetchExact: (storing, keeper.get, _native(keeper, "aget"), _check_entry),
            FindById: (storing, keeper.find, _native(keeper, "afind"), _check_entry),
            FindNearest: (storing, keeper.search, _native(keeper, "asearch"), _check_candidates),
            Write: (storing, keeper.put, _native(keeper, "aput"), _check_nothing),
            Touch: (storing, keeper.touch, _native(keeper, "atouch"), _check_nothing),
        }
        # A breaker of its own: what is remembered says nothing of how the embedder is now.
        remembering = Side(embedding.name, embedding.error, Breaker(), None, embedding.timeout_s)
        self._remembered = (remembering, _itself, None, self._check_vector)
        if verifier is not None:
            judge, judging = verifier
            self._performed_by[Verify] = (judging, judge.verify, _native(judge, "averify"), _check_bool)
        if comparer is not None:
            reader, comparing = comparer
            self._performed_by[Compare] = (comparing, reader.same, None, _check_bool)

    def run(self, steps: Flow[T], budget_s: float | None = None) -> T:
        """Run a flow on this thread; the store may take `budget_s` seconds in all."""
        budget = Budget(self._storing, budget_s or self._storing.timeout_s)
        try:
            op = next(steps)
            while True:
                call = self._plan(op)
                try:
                    answer = call.side.perform(call, budget)
                except BackendError as error:
                    op = steps.throw(error)
                else:
                    op = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def arun(self, steps: Flow[T], budget_s: float | None = None) -> T:
        """Async twin of `run`."""
        budget = Budget(self._storing, budget_s or self._storing.timeout_s)
        try:
            op = next(steps)
            while True:
                call = self._plan(op)
                try:
                    answer = await call.side.aperform(call, budget)
                except BackendError as error:
                    op = steps.throw(error)
                else:
                    op = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _plan(self, op: Op[Any]) -> Call:  # Any: every op has its own answer type
        """Return the call that performs an op; the op's fields are its arguments, in their order."""
        if isinstance(op, Embed):
            known = self._known(op.text)
            return Call(*self._embed, (op.text,)) if known is None else Call(*self._remembered, (known,))
        performer = self._performed_by.get(type(op))
        if performer is None:
            raise TypeError(f"nobody performs {type(op).__name__}")
        names: tuple[str, ...] = op.__slots__
        return Call(*performer, tuple([getattr(op, name) for name in names]))

    def _known(self, text: str) -> Vector | None:
        try:
            return self._recall(text)
        except Exception:  # noqa: BLE001 - a plug-in's memory is no reason to fail: it is asked to embed instead
            return None

    def _check_vector(self, answer: Any) -> None:  # Any: a plug-in's answer, which may be anything
        if answer is None:
            return
        if not (isinstance(answer, Sequence) or hasattr(answer, "tolist")):  # an array will do
            raise EmbeddingError(f"the embedder returned a {type(answer).__name__} instead of a vector")
        if len(answer) != self._dimension:
            raise EmbeddingError(f"the embedder returned {len(answer)} numbers instead of {self._dimension}")
        if not math.isfinite(sum(answer)):
            raise EmbeddingError("the embedder returned a vector that is not finite")


def _native(backend: object, name: str) -> Callable[..., Awaitable[Any]] | None:
    """Return the backend's coroutine method unless it is the protocol's default, which only hops to a thread."""
    method = getattr(backend, name)
    default = any(getattr(base, name, None) is method.__func__ for base in (Embedder, Store, Verifier))
    return None if default else method


def _itself(vector: Vector) -> Vector:
    return vector


def _check_entry(answer: object) -> None:
    if answer is not None and not isinstance(answer, CacheEntry):
        raise TypeError("not an entry")


def _check_candidates(answer: Sequence[Candidate]) -> None:
    if not isinstance(answer, Sequence):  # to look at an iterator would use it up
        raise StoreError(f"the store returned a {type(answer).__name__} instead of a list of candidates")
    if not all(isinstance(found, Candidate) and math.isfinite(found.similarity) for found in answer):
        raise TypeError("not candidates")


def _check_bool(answer: object) -> None:
    if not isinstance(answer, bool):
        raise TypeError("not a bool")


def _check_nothing(_answer: object) -> None:
    return
