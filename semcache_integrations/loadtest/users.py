"""The users: as many tasks, each of which asks, reads, waits, and asks again, until the time is over or somebody stops it.

The law: the first question is asked alone, before any user comes. At the end nobody begins another question; those
under way may end, and what takes longer than that is counted as cut off, as neither an answer nor an error.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import httpx

from semcache_integrations.loadtest.asking import Asking
from semcache_integrations.loadtest.mix import Mix
from semcache_integrations.loadtest.plan import Plan
from semcache_integrations.loadtest.tally import Outcome, Tally

USERS_PER_MIX = 25  # more users would ask for rewordings before the question itself is answered
DRAIN_S = 10.0
_SHOW_EVERY_S = 0.2


@dataclass(slots=True)
class Load:
    """One run.

    Attributes:
        plan: What is to be done.
        asking: How the proxy is asked.
        mixes: What is asked, one for each `USERS_PER_MIX` users.
        show: Is told five times a second.
        tally: What came back.
        stop: Set it to end the run early.
        seconds: How long it took, without the first question.
        came: How many users came.
        interrupted: Whether somebody stopped it.
        cut_off: How many requests were cut off at the end.
        busy: Share of that time in which this process was computing.
    """

    plan: Plan
    asking: Asking
    mixes: Sequence[Mix]
    show: Callable[[Load], None] = lambda _load: None
    tally: Tally = field(default_factory=Tally)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    seconds: float = 0.0
    came: int = 0
    interrupted: bool = False
    cut_off: int = 0
    busy: float = 0.0
    _begun: int = 0
    _started: float = 0.0
    _tls: ssl.SSLContext = field(default_factory=httpx.create_ssl_context)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the users began to come; 0 before that."""
        return time.perf_counter() - self._started if self._started else 0.0

    async def cold_start(self) -> Outcome:
        """Ask the first question, and return what became of it."""
        turn = self.mixes[0].next()
        self._begun += 1
        async with self._transport() as transport:
            outcome = await self.asking.ask(transport, turn)
        self.tally.first(turn, outcome)
        return outcome

    async def run(self) -> None:
        """Let the users come and ask until the time is over."""
        self._started, computed = time.perf_counter(), time.process_time()
        users: list[asyncio.Task[None]] = []
        helpers = [asyncio.create_task(self._invite(users)), asyncio.create_task(self._show())]
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.stop.wait(), self.plan.seconds)
        self.stop.set()
        await _ended(helpers[:1])
        await self._drain(users)
        self.seconds = self.elapsed_s
        self.busy = (time.process_time() - computed) / self.seconds
        await _ended(helpers)

    async def _invite(self, users: list[asyncio.Task[None]]) -> None:
        for number in range(self.plan.users):
            await asyncio.sleep(self._started + self.plan.comes_after_s(number) - time.perf_counter())
            users.append(asyncio.create_task(self._user(number)))
            self.came += 1

    async def _user(self, number: int) -> None:
        mix = self.mixes[number // USERS_PER_MIX]
        pauses = Random(f"{self.plan.seed}-pauses-{number}")
        async with self._transport() as transport:
            while self._may_ask():
                turn = mix.next()
                self.tally.add(turn, await self.asking.ask(transport, turn))
                await self._pause(pauses)

    def _may_ask(self) -> bool:
        if self._begun == self.plan.requests:
            self.stop.set()
        self._begun += not self.stop.is_set()
        return not self.stop.is_set()

    async def _pause(self, pauses: Random) -> None:
        if self.plan.pause_s:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.stop.wait(), pauses.expovariate(1 / self.plan.pause_s))

    async def _drain(self, users: Sequence[asyncio.Task[None]]) -> None:
        if users:
            _, late = await asyncio.wait(users, timeout=DRAIN_S)
            self.cut_off = len(late)
        await _ended(users)
        for user in users:
            user.result() if not user.cancelled() else None

    async def _show(self) -> None:
        while True:
            self.show(self)
            await asyncio.sleep(_SHOW_EVERY_S)

    def _transport(self) -> httpx.AsyncHTTPTransport:
        """Return a user's own connection: a pool of two thousand would be searched for each request."""
        return httpx.AsyncHTTPTransport(verify=self._tls, limits=httpx.Limits(max_connections=1))


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel what has not ended, and wait for it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
