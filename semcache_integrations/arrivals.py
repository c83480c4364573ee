"""A thread's future, awaited on an event loop.

The law: nobody is harmed by who waits. A waiter that is cancelled, or gives up, cancels nothing for others, and one
whose loop is closed by then is forgotten.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any


def arrival(coming: Future[Any]) -> asyncio.Future[None]:
    """Return what is done on the running loop when `coming` is done."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[None] = loop.create_future()
    coming.add_done_callback(partial(_wake, loop, arrived))
    return arrived


def _wake(loop: asyncio.AbstractEventLoop, arrived: asyncio.Future[None], _come: Future[Any]) -> None:
    with suppress(RuntimeError):  # the waiter is gone, and its loop is closed
        loop.call_soon_threadsafe(_tell, arrived)


def _tell(arrived: asyncio.Future[None]) -> None:
    if not arrived.done():
        arrived.set_result(None)
