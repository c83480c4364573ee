"""Wait for what LiteLLM writes to its cache in tasks of its own, after it has returned the answer."""

from __future__ import annotations

import asyncio

from litellm.caching import caching_handler

_WRITING = ("async_add_cache", "async_cache_streaming_response", "_complete_cache_write")


async def written():
    """Return when all answers that were handed out so far are written.

    A stream's write begins in a task that puts the answer together. LiteLLM 1.80 keeps no list of its writes.
    """
    while writes := _writes():
        await asyncio.gather(*writes, return_exceptions=True)


def _writes():
    known = getattr(caching_handler, "_PENDING_CACHE_WRITES", ())
    tasks = (task for task in asyncio.all_tasks() if not task.done())
    return [*known, *(task for task in tasks if any(name in repr(task.get_coro()) for name in _WRITING))]
