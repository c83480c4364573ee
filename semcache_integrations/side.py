"""One backend as the driver sees it: where its calls run, how long they may take, whether it is asked at all.

The law: a call that may block ends in time, whatever the plug-in does with its thread, its coroutine or its
cancellation. Only a backend that calls itself `in_process` runs on the caller's thread, unwatched.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple

from semcache_integrations.breaker import Breaker
from semcache_integrations.core.errors import BackendError
from semcache_integrations.lanes import Lane

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
