"""Connections in several small pools instead of a large one.

The law: a request goes to the first pool that is not busy, so that connections are used again, and no pool grows large.
httpcore looks at every connection of a pool for every request that begins or ends: 200 at once took half of the
proxy's time in one pool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import httpcore

BUSY: Final = 32
"""Requests at once, from which on a pool is busy; it may have as many connections."""


class Pools:
    """Pools of connections, made as they are needed.

    Args:
        make: Makes one, of at most so many connections.
        connections: Of all pools together.
    """

    def __init__(self, make: Callable[[int], httpcore.AsyncConnectionPool], connections: int) -> None:
        self._make = make
        self._size = min(BUSY, connections)
        self._most = max(1, connections // self._size)
        self._pools: list[_Counted] = []

    def place(self) -> Place:
        """Return a place in a pool; whoever takes it must leave it."""
        return Place(self._free())

    async def aclose(self) -> None:
        """Close all connections."""
        for counted in self._pools:
            await counted.pool.aclose()

    def _free(self) -> _Counted:
        for counted in self._pools:
            if counted.busy < self._size:
                return counted
        if len(self._pools) < self._most:
            self._pools.append(_Counted(self._make(self._size)))
            return self._pools[-1]
        return min(self._pools, key=lambda counted: counted.busy)


class _Counted:
    """A pool, and how many requests are under way in it."""

    __slots__ = ("busy", "pool")

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self.pool = pool
        self.busy = 0


class Place:
    """One request's place in a pool."""

    __slots__ = ("_counted", "_left")

    def __init__(self, counted: _Counted) -> None:
        self._counted = counted
        self._left = False
        counted.busy += 1

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request; where it fails, the place is left."""
        try:
            return await self._counted.pool.handle_async_request(request)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Leave the place; leaving twice is fine."""
        if not self._left:
            self._left = True
            self._counted.busy -= 1
