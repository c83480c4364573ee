"""A wrapped model's streams belong to the block in which they are asked for, wherever they are read.

The law: who says `with cache.scope(tenant=…): return model.astream(…)` means that tenant. LangChain's streams are
generators, which begin when they are first read, and that is behind the block.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any, TypeVar

from semcache_integrations.context import Holding, Surroundings, surroundings

T = TypeVar("T")


class BelongingStreams:
    """The streaming methods of LangChain's models; a mixin."""

    def stream(self, *said: Any, **about: Any) -> Iterator[Any]:  # Any: as LangChain types them
        """Stream one answer; see the model's own class."""
        model: Any = super()
        return _belonging(surroundings.get(), model.stream(*said, **about))

    def astream(self, *said: Any, **about: Any) -> AsyncIterator[Any]:  # Any: as above
        """Async twin of `stream`."""
        model: Any = super()
        return _abelonging(surroundings.get(), model.astream(*said, **about))

    def astream_events(self, *said: Any, **about: Any) -> Any:  # Any: as above
        """Stream the events of one answer; see the model's own class."""
        model: Any = super()
        events = model.astream_events(*said, **about)
        if not isinstance(events, AsyncIterator):
            return events  # v3 begins at once
        return _abelonging(surroundings.get(), events)


def _belonging(said: Surroundings, stream: Iterator[T]) -> Iterator[T]:
    try:
        while True:
            with Holding(said):
                chunk = next(stream, _END)
            if chunk is _END:
                return
            yield chunk
    finally:
        if isinstance(stream, Generator):
            with Holding(said):
                stream.close()


async def _abelonging(said: Surroundings, stream: AsyncIterator[T]) -> AsyncIterator[T]:
    try:
        while True:
            with Holding(said):
                chunk = await anext(stream, _END)
            if chunk is _END:
                return
            yield chunk
    finally:
        if isinstance(stream, AsyncGenerator):
            with Holding(said):
                await stream.aclose()


_END: Any = object()
