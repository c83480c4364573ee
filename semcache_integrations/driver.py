"""Performs the ops of a flow against the backends: the sync and the async driver, which differ by `await` alone.

The law: whatever a backend does (raise, hang, return garbage), what comes out is an answer of the op's
type or a `BackendError` thrown into the flow, within the time that the op may take.
"""

from __future__ import annotations

import asyncio
import math
import queue
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from semcache_integrations.breaker import Breaker
from semcache_integrations.core.errors import BackendError, EmbeddingError, StoreError
from semcache_integrations.core.flow import Embed, FetchExact, FindNearest, Flow, Op, Verify, Write
from semcache_integrations.core.models import CacheEntry, Candidate, Vector
from semcache_integrations.lanes import Lane
from semcache_integrations.protocols import Embedder, Store, Verifier

T = TypeVar("T")
_LEAST_S = 0.001  # a flow that has used up its time still gets an answer that is there already
_TIMEOUTS = (FutureTimeoutError, asyncio.TimeoutError, TimeoutError)  # three classes before Python 3.11


class Call(NamedTuple):
    """How one op is performed.

    Attributes:
        side: Which backend performs it.
        function: The blocking call.
        native: The backend's own coroutine function for it, or None.
        check: Raises `TypeError` or `ValueError` for an answer that is not one.
        args: Of the call.
    """

    side: Side
    function: Callable[..., Any]  # Any: each op has its own answer type; `check` looks at it
    native: Callable[..., Awaitable[Any]] | None
    check: Callable[[Any], None]
    args: tuple[object, ...]


class Side:
    """One backend as the driver sees it: where its calls run, how long they may take, whether it is asked at all.

    Args:
        name: What messages call it.
        error: What its failures become.
        breaker: Stops asking it for a while after repeated failures.
        lane: Threads for calls that may block; None runs them on the caller's thread, unwatched.
        timeout_s: Seconds that one call may take; for the store, all calls of one flow together.
    """

    def __init__(
        self, name: str, error: type[BackendError], breaker: Breaker, lane: Lane | None, timeout_s: float
    ) -> None:
        self.name = name
        self.error = error
        self.breaker = breaker
        self.lane = lane
        self.timeout_s = timeout_s

    def perform(self, call: Call, budget: Budget) -> object:
        """Make a call within the time that this side has left.

        Raises:
            BackendError: this side's kind of it.
        """
        self._admit()
        try:
            if self.lane is None:
                answer = call.function(*call.args)
            else:
                with budget.of(self) as timeout_s:
                    answer = _result(self.lane.submit(call.function, *call.args), timeout_s)
            call.check(answer)
        except Exception as error:
            raise self._failure(error) from error
        self.breaker.succeeded()
        return answer

    async def aperform(self, call: Call, budget: Budget) -> object:
        """Async twin of `perform`, through the backend's own coroutine if it has one."""
        self._admit()
        try:
            if call.native is not None:
                with budget.of(self) as timeout_s:
                    answer = await _within(call.native(*call.args), timeout_s)
            elif self.lane is None:
                answer = call.function(*call.args)
            else:
                with budget.of(self) as timeout_s:
                    waiting = asyncio.wrap_future(self.lane.submit(call.function, *call.args))
                    answer = await asyncio.wait_for(waiting, timeout_s)
            call.check(answer)
        except Exception as error:
            raise self._failure(error) from error
        self.breaker.succeeded()
        return answer

    def _admit(self) -> None:
        if not self.breaker.allows():
            raise self.error(f"the {self.name} is resting after repeated failures")

    def _failure(self, error: Exception) -> BackendError:
        """Map whatever a plug-in raised; its own text may hold prompts, so only its type is passed on."""
        self.breaker.failed()
        if isinstance(error, self.error):
            return error
        if isinstance(error, _TIMEOUTS):
            return self.error(f"the {self.name} gave no answer in time ({self.timeout_s:.3g} s)")
        if isinstance(error, queue.Full):
            return self.error(f"the {self.name} has too many calls waiting")
        return self.error(f"the {self.name} failed: {type(error).__name__}")


class Budget:
    """The time that one flow may take: what the store has left of its own, and every other side's per call.

    Args:
        store: Whose time is counted over the whole flow.
        total_s: Seconds that it has in all.
    """

    __slots__ = ("_left_s", "_store")

    def __init__(self, store: Side, total_s: float) -> None:
        self._store = store
        self._left_s = total_s

    @contextmanager
    def of(self, side: Side) -> Iterator[float]:
        """Give the seconds that a call of this side may take now, and count what it took."""
        started = perf_counter()
        try:
            yield max(_LEAST_S, self._left_s) if side is self._store else side.timeout_s
        finally:
            if side is self._store:
                self._left_s -= perf_counter() - started


class Driver:
    """Runs flows.

    Args:
        embedder: Turns texts into vectors, with its side.
        store: Keeps the entries, with its side; the side's timeout is the budget of a whole flow.
        verifier: Has the last word on a candidate, with its side; None if nobody has.
    """

    def __init__(
        self,
        embedder: tuple[Embedder, Side],
        store: tuple[Store, Side],
        verifier: tuple[Verifier, Side] | None = None,
    ) -> None:
        encoder, embedding = embedder
        keeper, storing = store
        self._dimension = encoder.dimension
        self._recall = encoder.recall
        self._storing = storing
        self._fetch = (storing, keeper.get, _native(keeper, "aget"), _check_entry)
        self._search = (storing, keeper.search, _native(keeper, "asearch"), _check_candidates)
        self._write = (storing, keeper.put, _native(keeper, "aput"), _check_nothing)
        self._embed = (embedding, encoder.embed, _native(encoder, "aembed"), self._check_vector)
        remembering = Side(embedding.name, embedding.error, embedding.breaker, None, embedding.timeout_s)
        self._remembered = (remembering, _itself, None, self._check_vector)
        if verifier is not None:
            judge, judging = verifier
            self._verify = (judging, judge.verify, _native(judge, "averify"), _check_bool)

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
        if isinstance(op, FetchExact):
            return Call(*self._fetch, (op.namespace, op.entry_id))
        if isinstance(op, Embed):
            known = self._known(op.text)
            return Call(*self._embed, (op.text,)) if known is None else Call(*self._remembered, (known,))
        if isinstance(op, FindNearest):
            return Call(*self._search, (op.namespace, op.vector, op.limit))
        if isinstance(op, Write):
            return Call(*self._write, (op.entry, op.vector))
        if isinstance(op, Verify):
            return Call(*self._verify, (op.request, op.candidate))
        raise TypeError(f"nobody performs {type(op).__name__}")

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


async def _within(call: Awaitable[Any], timeout_s: float) -> object:
    """Await a plug-in's coroutine, and leave it behind when its time is up.

    `asyncio.wait_for` waits for the cancelled one to end: one that swallows its cancellation would hang us.
    """
    task = asyncio.ensure_future(call)
    try:
        done, _ = await asyncio.wait((task,), timeout=timeout_s)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if not done:
        _abandon(task)
        raise TimeoutError
    return task.result()


def _abandon(task: asyncio.Future[Any]) -> None:
    task.cancel()
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # else asyncio complains


def _result(waiting: Future[Any], timeout_s: float) -> object:
    """Wait for a lane's answer; what is given up before it began must not run later, nor keep its prompt."""
    try:
        return waiting.result(timeout_s)
    finally:
        waiting.cancel()


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
