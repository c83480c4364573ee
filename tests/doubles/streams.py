"""Sources of numbers that know how often they were opened, how far each was read, and how each ended."""

from __future__ import annotations

import asyncio


class Source:
    """A sync one; `before(number)` is called before each chunk."""

    def __init__(self, chunks=3, before=None):
        self.chunks, self.before = chunks, before
        self.opened = self.fetched = self.whole = self.broken_off = 0

    def __call__(self):
        self.opened += 1
        mine = self.opened
        try:
            for number in range(self.chunks):
                if self.before:
                    self.before(number)
                self.fetched += 1
                yield (mine, number)
            self.whole += 1
        except GeneratorExit:
            self.broken_off += 1
            raise


class AsyncSource(Source):
    """Its async twin."""

    async def __call__(self):
        self.opened += 1
        mine = self.opened
        try:
            for number in range(self.chunks):
                if self.before:
                    await self.before(number)
                self.fetched += 1
                yield (mine, number)
            self.whole += 1
        except (GeneratorExit, asyncio.CancelledError):
            self.broken_off += 1
            raise


def whole(opened=1, chunks=3):
    """Return what a reader hears of the stream that was opened so many times before and now."""
    return [(opened, number) for number in range(chunks)]
