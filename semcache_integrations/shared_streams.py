"""One upstream stream for concurrent equal calls: all read the same chunks, each at its own pace, from the first.

The law: nobody waits for somebody who does not read. No reader leads: whoever wants the next chunk first gets it
fetched for all, and nothing is fetched that nobody wants yet. Who leaves (a `break`, a cancellation) takes nothing from
the others; the last to leave closes the stream. A stream that failed before it said anything is asked anew by those who
only followed; one that failed later fails for all who had heard its beginning.

Threads share sync streams, and tasks, on whatever loops, share async ones; a sync and an async call do not meet.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Hashable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Generic, TypeVar

from semcache_integrations.arrivals import arrival

T = TypeVar("T")
S = TypeVar("S", bound="_Shared")

_opened: ContextVar[frozenset[object]] = ContextVar("semcache_opened", default=frozenset())
"""The streams whose source is running in this context: what it calls must not wait for it."""

_STOPPED = "the event loop of the stream has stopped"
_PATIENCE_S = 0.5  # between two looks whether the loop that a stream runs on is still running


class SharedStreams(Generic[T]):
    """The streams under way, by key.

    Args:
        asks_anew: Whether those who only followed ask anew where a stream failed before it said anything; otherwise
            they get the error, too.
    """

    def __init__(self, *, asks_anew: bool = True) -> None:
        self._asks_anew = asks_anew
        self._streams: dict[Hashable, _Stream[T]] = {}
        self._astreams: dict[Hashable, _AsyncStream[T]] = {}
        self._lock = (
            threading.RLock()
        )  # a reader may be left to the garbage collector, which comes at any time

    def read(self, key: Hashable, source: Callable[[], Iterator[T]]) -> Generator[T, None, None]:
        """Yield the chunks of the stream under way, or of a new one; every reader gets the same objects.

        Args:
            key: Equal keys, equal streams.
            source: Opens a stream; it is exhausted if, and only if, the stream is whole.
        """
        while True:
            stream, opened = self._join(self._streams, key, partial(_Stream, source))
            heard = False
            try:
                for chunk in stream.chunks():
                    heard = True
                    yield chunk
            except Exception as error:
                if opened or heard or error is not stream.error or not self._asks_anew:
                    raise
            else:
                return
            finally:
                if self._leave(self._streams, key, stream):
                    stream.close()

    async def aread(self, key: Hashable, source: Callable[[], AsyncIterator[T]]) -> AsyncGenerator[T, None]:
        """Async twin of `read`."""
        while True:
            stream, opened = self._join(self._astreams, key, partial(_AsyncStream, source))
            heard = False
            try:
                async for chunk in stream.chunks():
                    heard = True
                    yield chunk
            except Exception as error:
                if opened or heard or error is not stream.error or not self._asks_anew:
                    raise
            else:
                return
            finally:
                if self._leave(self._astreams, key, stream):
                    await stream.close()

    def _join(self, streams: dict[Hashable, S], key: Hashable, new: Callable[[], S]) -> tuple[S, bool]:
        """Return the stream under way, or a new one, and whether it is new."""
        with self._lock:
            stream = streams.get(key)
            inside = stream is not None and stream in _opened.get()
            if stream is not None and not inside and stream.enter():
                return stream, False
            stream = new()
            if not inside:
                streams[key] = stream
            return stream, True

    def _leave(self, streams: dict[Hashable, S], key: Hashable, stream: S) -> bool:
        """Return whether it was the last reader who left."""
        with self._lock:
            stream.readers -= 1
            last = not stream.readers
            if (last or stream.ended) and streams.get(key) is stream:
                del streams[key]
            return last


class _Shared:
    """What both kinds of streams have in common."""

    def __init__(self) -> None:
        self.readers = 1
        self.ended = False
        self.error: Exception | None = None

    def goes_on(self) -> bool:
        """Whether there may be more to hear."""
        return not self.ended

    def enter(self) -> bool:
        """Become one of its readers, unless it is over."""
        self.readers += 1  # first of all: who leaves while we look is not the last one then
        if self.readers > 1 and self.goes_on():
            return True
        self.readers -= 1
        return False


class _Stream(_Shared, Generic[T]):
    """One sync stream: whoever needs a chunk that is not there yet fetches it, one thread at a time."""

    def __init__(self, source: Callable[[], Iterator[T]]) -> None:
        super().__init__()
        self._open = source
        self._source: Iterator[T] | None = None
        self._turn = threading.Lock()
        self._chunks: list[T] = []

    def chunks(self) -> Iterator[T]:
        """Yield all chunks, those of the past first."""
        at = 0
        while self._has(at):
            yield self._chunks[at]
            at += 1

    def _has(self, at: int) -> bool:
        if at >= len(self._chunks):
            with self._turn:
                if at >= len(self._chunks) and not self.ended:
                    self._fetch()
        if at < len(self._chunks):
            return True
        if self.error is not None:
            raise self.error
        return False

    def _fetch(self) -> None:
        outside = _opened.set(_opened.get() | {self})
        try:
            if self._source is None:
                self._source = self._open()
            self._chunks.append(next(self._source))
        except StopIteration:
            self.ended = True
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised in every reader
            self.error, self.ended = error, True
        except BaseException:
            self.error, self.ended = RuntimeError("the stream was interrupted"), True
            raise
        finally:
            _opened.reset(outside)

    def close(self) -> None:
        """Close the source, if it is open and not at its end."""
        if isinstance(self._source, Generator):
            self._source.close()


class _AsyncStream(_Shared, Generic[T]):
    """One async stream: a task of its own walks the source, a step whenever a reader wants more than there is."""

    def __init__(self, source: Callable[[], AsyncIterator[T]]) -> None:
        super().__init__()
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._goal = 0
        self._next: Future[None] = Future()
        self._task: asyncio.Task[None] | None = None
        self._chunks: list[T] = []

    def goes_on(self) -> bool:
        """As above; nothing comes from a loop that does not run."""
        return not self.ended and self._loop.is_running()

    async def chunks(self) -> AsyncIterator[T]:
        """Yield all chunks, those of the past first."""
        at = 0
        while await self._has(at):
            yield self._chunks[at]
            at += 1

    async def _has(self, at: int) -> bool:
        while at >= len(self._chunks) and not self.ended:
            coming = self._next
            if at < len(self._chunks) or self.ended:
                break
            self._want(at + 1)
            await self._arrival(coming)
        if at < len(self._chunks):
            return True
        if self.error is not None:
            raise self.error
        return False

    def _want(self, goal: int) -> None:
        if asyncio.get_running_loop() is self._loop:
            self._strive(goal)
            return
        try:
            self._loop.call_soon_threadsafe(self._strive, goal)
        except RuntimeError:  # it is closed
            self._end(RuntimeError(_STOPPED))

    def _strive(self, goal: int) -> None:
        self._goal = max(self._goal, goal)
        if self._task is None:
            self._task = self._loop.create_task(self._walk())
        self._wanted.set()

    async def _arrival(self, coming: Future[None]) -> None:
        """Wait for the next chunk, or until the loop that fetches it has stopped."""
        loop, arrived = asyncio.get_running_loop(), arrival(coming)
        while not coming.done():
            await asyncio.wait([arrived], timeout=None if loop is self._loop else _PATIENCE_S)
            if not coming.done() and not self._loop.is_running():
                self._end(RuntimeError(_STOPPED))

    async def _walk(self) -> None:
        _opened.set(_opened.get() | {self})
        error: Exception | None = RuntimeError("the stream was closed")  # as long as nothing else is known
        try:
            source = self._source()
            try:
                async for chunk in source:
                    self._chunks.append(chunk)
                    self._announce()
                    await self._step()
            finally:
                if isinstance(source, AsyncGenerator):
                    await source.aclose()
            error = None
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is raised in every reader
            error = failure
        finally:
            self._end(error)

    async def _step(self) -> None:
        while self._goal <= len(self._chunks):
            self._wanted.clear()
            await self._wanted.wait()

    def _announce(self) -> None:
        arrived, self._next = self._next, Future()
        with suppress(InvalidStateError):  # a stopped loop went on just when a reader gave it up
            arrived.set_result(None)

    def _end(self, error: Exception | None) -> None:
        if not self.ended:
            self.error, self.ended = error, True
            self._announce()

    async def close(self) -> None:
        """Close the source, if it is not at its end; that of another loop, as soon as that comes to it."""
        if self._task is None or self._task.done():
            return
        if asyncio.get_running_loop() is self._loop:
            self._task.cancel()
            await asyncio.wait([self._task])
            return
        with suppress(RuntimeError):  # the loop is closed, and all that ran on it
            self._loop.call_soon_threadsafe(self._task.cancel)
