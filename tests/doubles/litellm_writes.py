"""Wait for what LiteLLM writes to its cache in tasks of its own, after it has returned the answer."""

from __future__ import annotations

import asyncio

from litellm.caching import caching_handler


async def written():
    """Return when all answers that were handed out so far are written.

    LiteLLM 1.80 keeps no list of these tasks; there they are known by the method that they run.
    """
    while writes := _writes():
        await asyncio.gather(*writes)


def _writes():
    if hasattr(caching_handler, "_PENDING_CACHE_WRITES"):
        return list(caching_handler._PENDING_CACHE_WRITES)
    return [task for task in asyncio.all_tasks() if "async_add_cache" in task.get_coro().__qualname__]
