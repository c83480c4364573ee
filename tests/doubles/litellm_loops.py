"""Event loops that LiteLLM runs on, to their end, and waiting on them for what others do."""

from __future__ import annotations

import asyncio

from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER


def run(coroutine):
    """Run a coroutine on a loop of its own, and return what it returns."""

    async def whole():
        try:
            return await coroutine
        finally:
            await logging_ended()

    return asyncio.run(whole())


async def logging_ended():
    """End the task in which LiteLLM logs on this loop.

    A loop that closes cancels its tasks once. Before Python 3.12, `wait_for` swallows a cancellation that comes just
    as what it waits for is done; LiteLLM 1.80 logs within one, and the loop would wait for ever.
    """
    worker = getattr(GLOBAL_LOGGING_WORKER, "_worker_task", None)
    while worker is not None and worker.get_loop() is asyncio.get_running_loop() and not worker.done():
        worker.cancel()
        await asyncio.sleep(0)


async def until(condition):
    """Let others run until the condition holds."""
    for _ in range(6_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")
