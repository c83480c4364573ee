"""One upstream stream for concurrent equal calls: all read the same chunks, each at its own pace, from the first.

The law: nobody waits for somebody who does not read. No reader leads: whoever wants the next chunk first gets it
fetched for all. Who leaves (a `break`, a cancellation) takes nothing from the others; the last to leave closes the
stream. A stream that failed before it said anything is asked anew by those who only followed; one that failed later
fails for all who had heard its beginning.

Threads share sync streams, and tasks, on whatever loops, share async ones; a sync and an async call do not meet.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Hashable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Generic, TypeVar

T = TypeVar("T")

_opened: ContextVar[frozenset[object]] = ContextVar("semcache_opened", default=frozenset())
"""The streams whose source is running in this context: what it calls must not wait for it."""

_STOPPED = "the event loop of the stream has stopped"
_PATIENCE_S = 0.5  # between two looks whether the loop that a stream runs on is still running


class SharedStreams(Generic[T]):
    """The streams under way, by key."""

    def __init__(self) -> None:
        self._streams: dict[Hashable, _Stream[T]] = {}
        self._astreams: dict[Hashable, _AsyncStream[T]] = {}
        self._lock = threading.Lock()

    def read(self, key: Hashable, source: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield the chunks of the stream under way, or of a new one; every reader gets the same objects.

        Args:
            key: Equal keys, equal streams.
            source: Opens a stream; it is exhausted if, and only if, the stream is whole.
        """
        while True:
            stream, opened = self._join(key, source)
            heard = False
            try:
                for chunk in stream.chunks():
                    heard = True
                    yield chunk
            except Exception as error:
                if opened or heard or error is not stream.error:
                    raise
            else:
                return
            finally:
                self._leave(key, stream)

    async def aread(self, key: Hashable, source: Callable[[], AsyncIterator[T]]) -> AsyncIterator[T]:
        """Async twin of `read`."""
        while True:
            stream, opened = self._ajoin(key, source)
            heard = False
            try:
                async for chunk in stream.chunks():
                    heard = True
                    yield chunk
            except Exception as error:
                if opened or heard or error is not stream.error:
                    raise
            else:
                return
            finally:
                await self._aleave(key, stream)

    def _join(self, key: Hashable, source: Callable[[], Iterator[T]]) -> tuple[_Stream[T], bool]:
        with self._lock:
            stream = self._streams.get(key)
            if stream is not None and not stream.ended and not stream.is_fetched_by_me():
                stream.readers += 1
                return stream, False
            stream = _Stream(source)
            self._streams.setdefault(key, stream)
            return stream, True

    def _leave(self, key: Hashable, stream: _Stream[T]) -> None:
        with self._lock:
            stream.readers -= 1
            last = not stream.readers
            if (last or stream.ended) and self._streams.get(key) is stream:
                del self._streams[key]
        if last:
            stream.close()

    def _ajoin(self, key: Hashable, source: Callable[[], AsyncIterator[T]]) -> tuple[_AsyncStream[T], bool]:
        with self._lock:
            stream = self._astreams.get(key)
            if stream is not None and not stream.ended and stream not in _opened.get():
                stream.readers += 1
                return stream, False
            stream = _AsyncStream(source)
            self._astreams.setdefault(key, stream)
            return stream, True

    async def _aleave(self, key: Hashable, stream: _AsyncStream[T]) -> None:
        with self._lock:
            stream.readers -= 1
            last = not stream.readers
            if (last or stream.ended) and self._astreams.get(key) is stream:
                del self._astreams[key]
        if last:
            await stream.close()


class _Stream(Generic[T]):
    """One sync stream: whoever needs a chunk that is not there yet fetches it, one thread at a time."""

    def __init__(self, source: Callable[[], Iterator[T]]) -> None:
        self._open = source
        self._source: Iterator[T] | None = None
        self._turn = threading.Lock()
        self._fetching: int | None = None
        self._chunks: list[T] = []
        self.readers = 1
        self.ended = False
        self.error: Exception | None = None

    def is_fetched_by_me(self) -> bool:
        """Whether this very thread is inside the source."""
        return self._fetching == threading.get_ident()

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
        self._fetching = threading.get_ident()
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
            self._fetching = None

    def close(self) -> None:
        """Close the source, if it is open and not at its end."""
        if isinstance(self._source, Generator):
            self._source.close()


class _AsyncStream(Generic[T]):
    """One async stream: a task of its own walks the source, a step whenever a reader wants more than there is."""

    def __init__(self, source: Callable[[], AsyncIterator[T]]) -> None:
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._next: Future[None] = Future()
        self._task: asyncio.Task[None] | None = None
        self._chunks: list[T] = []
        self.readers = 1
        self.ended = False
        self.error: Exception | None = None

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
            self._want()
            await self._arrival(coming)
        if at < len(self._chunks):
            return True
        if self.error is not None:
            raise self.error
        return False

    def _want(self) -> None:
        if asyncio.get_running_loop() is self._loop:
            self._start()
            return
        try:
            self._loop.call_soon_threadsafe(self._start)
        except RuntimeError:  # it is closed
            self._end(RuntimeError(_STOPPED))

    def _start(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._walk())
        self._wanted.set()

    async def _arrival(self, coming: Future[None]) -> None:
        """Wait for the next chunk, or until the loop that fetches it has stopped."""
        mine = asyncio.get_running_loop() is self._loop
        while not coming.done():
            await asyncio.wait([asyncio.wrap_future(coming)], timeout=None if mine else _PATIENCE_S)
            if not coming.done() and not self._loop.is_running():
                self._end(RuntimeError(_STOPPED))

    async def _walk(self) -> None:
        _opened.set(_opened.get() | {self})
        error: Exception | None = None
        try:
            source = self._source()
            try:
                await self._step()
                async for chunk in source:
                    self._chunks.append(chunk)
                    self._announce()
                    await self._step()
            finally:
                if isinstance(source, AsyncGenerator):
                    await source.aclose()
        except asyncio.CancelledError:
            error = RuntimeError("the stream was closed")
            raise
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is raised in every reader
            error = failure
        finally:
            self._end(error)

    async def _step(self) -> None:
        await self._wanted.wait()
        self._wanted.clear()

    def _announce(self) -> None:
        arrived, self._next = self._next, Future()
        arrived.set_result(None)

    def _end(self, error: Exception | None) -> None:
        if not self.ended:
            self.error, self.ended = error, True
            self._announce()

    async def close(self) -> None:
        """Close the source, if it is not at its end."""
        if self._task is None or self._task.done():
            return
        if asyncio.get_running_loop() is not self._loop:
            if self._loop.is_running():
                self._loop.call_soon_threadsafe(self._task.cancel)
            return
        self._task.cancel()
        await asyncio.wait([self._task])
