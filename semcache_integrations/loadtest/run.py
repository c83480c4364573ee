"""A whole load test: a target, a run of the users, what they left deleted, and a report.

The law: whatever ends a run, what it stored is deleted and what it measured is reported.
"""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from secrets import token_hex

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.demo.traffic import load_traffic
from semcache_integrations.loadtest.asking import Asking
from semcache_integrations.loadtest.files import room_for
from semcache_integrations.loadtest.mix import Mix
from semcache_integrations.loadtest.plan import Plan
from semcache_integrations.loadtest.report import Cold, Report, counted
from semcache_integrations.loadtest.tally import HIT_TIERS, Outcome
from semcache_integrations.loadtest.target import Target, delete, origin_of, own_proxy
from semcache_integrations.loadtest.users import DRAIN_S, USERS_PER_MIX, Load

LATENCY_S = 0.2
_KEPT_ON_S = 60  # seconds that entries outlive the run, where nobody deletes them
_MENDS = {
    "no connection": "nothing answers there: start `semcache serve`, or leave the URL out",
    "no x-cache-status": "what answers there is no semcache proxy",
    "HTTP 401": "its upstream wants a key: --api-key, or SEMCACHE_LOADTEST_API_KEY",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What is to be asked.

    Attributes:
        url: A proxy's; None for one of our own.
        headers: Sent with every request.
        admin_token: With which the proxy lets its entries be deleted.
        latency_s: Seconds that our own provider takes, in the median.
    """

    url: str | None = None
    headers: Mapping[str, str]
    admin_token: str = ""
    latency_s: float = LATENCY_S


def run(plan: Plan, where: Where, show: Callable[[Load], None] = lambda _load: None) -> Report:
    """Run a load test; Ctrl-C ends it early, and it reports all the same.

    Args:
        plan: What is to be done.
        where: What is to be asked.
        show: Is told five times a second how far it is.

    Raises:
        ConfigurationError: the target is not there, is no semcache proxy, or fails the very first request.
    """
    room_for(plan.users)
    return asyncio.run(arun(plan, where, show))


async def arun(plan: Plan, where: Where, show: Callable[[Load], None] = lambda _load: None) -> Report:
    """Run a load test on the loop that is running; as for `run`."""
    tag, deleted = f"loadtest-{token_hex(4)}", None
    async with _target(where) as target:
        load = _load(plan, _asking(plan, where, target.origin, tag), show)
        try:
            with _stoppable(load):
                _check(await load.cold_start(), target.origin)
                await load.run()
        finally:
            if not target.own:
                deleted = await delete(target.origin, tag, where.admin_token)
    return _report(load, target, deleted)


@asynccontextmanager
async def _target(where: Where) -> AsyncIterator[Target]:
    if where.url is not None:
        yield Target(origin_of(where.url), own=False)
        return
    async with own_proxy(where.latency_s) as target:
        yield target


def _asking(plan: Plan, where: Where, origin: str, tag: str) -> Asking:
    return Asking(
        origin=origin,
        model=plan.model,
        tag=tag,
        ttl_s=math.ceil(plan.seconds + DRAIN_S) + _KEPT_ON_S,
        timeout_s=plan.timeout_s,
        headers=where.headers,
    )


def _load(plan: Plan, asking: Asking, show: Callable[[Load], None]) -> Load:
    traffic = load_traffic()
    mixes = [
        Mix(
            traffic,
            plan.shares,
            namespace=f"{asking.tag}-{number}",
            stream_share=plan.stream_share,
            seed=f"{plan.seed}-{number}",
        )
        for number in range(math.ceil(plan.users / USERS_PER_MIX))
    ]
    return Load(plan, asking, mixes, show)


def _check(first: Outcome, origin: str) -> None:
    """Go no further where the very first request fails, or finds an answer where this run has stored none.

    Raises:
        ConfigurationError: it did.
    """
    if first.tier in HIT_TIERS:
        raise ConfigurationError(
            f"{origin} keeps no namespaces apart (x-semcache-namespace): a load would mix with what others stored there"
        )
    if first.error:
        mend = _MENDS.get(first.error, f"it said: {first.message}")
        raise ConfigurationError(f"the first request to {origin} failed ({first.error}): {mend}")


@contextmanager
def _stoppable(load: Load) -> Iterator[None]:
    """Let Ctrl-C stop the run, where the loop can; elsewhere it interrupts, as ever. The second one always does."""
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        load.interrupted = True
        load.stop.set()

    # asyncio knows no signals on Windows, nor on a thread other than the main one: there Ctrl-C interrupts, as ever.
    with suppress(NotImplementedError, RuntimeError):
        loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        with suppress(NotImplementedError, RuntimeError):  # as above: where none was added, none is removed
            loop.remove_signal_handler(signal.SIGINT)


def _report(load: Load, target: Target, deleted: int | None) -> Report:
    tally, cold = load.tally, load.tally.cold
    return Report(
        target=target.origin,
        own=target.own,
        run=load.asking.tag,
        users=load.came,
        planned_users=load.plan.users,
        seconds=load.seconds,
        cold=Cold(cold.tier, cold.seconds) if cold else None,
        cut_off=load.cut_off,
        upstream_calls=target.upstream_calls,
        deleted=deleted,
        ttl_s=load.asking.ttl_s,
        interrupted=load.interrupted,
        busy=load.busy,
        **counted(tally),
    )
