"""Chunks that are there already, given out as far apart as a replay asks for, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def paced(chunks: Iterable[T], delay_s: float) -> Iterator[T]:
    """Yield the chunks, waiting `delay_s` seconds between two of them."""
    for at, chunk in enumerate(chunks):
        if at and delay_s:
            time.sleep(delay_s)  # what the caller asked for: a replay as slow as a live stream
        yield chunk


async def apaced(chunks: Iterable[T], delay_s: float) -> AsyncIterator[T]:
    """Async twin of `paced`."""
    for at, chunk in enumerate(chunks):
        if at and delay_s:
            await asyncio.sleep(delay_s)
        yield chunk
