"""Single flight: concurrent equal misses compute once; a failed leader hands over."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from semcache_integrations.single_flight import SingleFlight


def test_twenty_threads_compute_once():
    flights, calls, everyone = SingleFlight[str](), [], threading.Barrier(20)

    def compute() -> str:
        calls.append(1)
        gate.wait(5)
        return "answer"

    def ask() -> str:
        everyone.wait(5)
        return flights.do("key", compute)

    gate = threading.Event()
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(ask) for _ in range(20)]
        threading.Timer(0.2, gate.set).start()
        assert {future.result(10) for future in futures} == {"answer"}
    assert len(calls) == 1


def test_other_keys_do_not_wait():
    flights = SingleFlight[str]()
    assert flights.do("a", lambda: flights.do("b", lambda: "inner")) == "inner"


def test_a_failed_leader_keeps_its_exception_and_hands_over():
    flights, leading, gate = SingleFlight[str](), threading.Event(), threading.Event()

    def fail() -> str:
        leading.set()
        gate.wait(5)
        raise ValueError("the provider said no")

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(flights.do, "key", fail)
        assert leading.wait(5)
        follower = pool.submit(flights.do, "key", lambda: "from the follower")
        gate.set()
        assert follower.result(5) == "from the follower"
        with pytest.raises(ValueError, match="said no"):
            leader.result(5)


async def test_twenty_tasks_compute_once_and_a_cancelled_follower_harms_nobody():
    flights, calls, gate = SingleFlight[str](), [], asyncio.Event()

    async def compute() -> str:
        calls.append(1)
        await gate.wait()
        return "answer"

    tasks = [asyncio.create_task(flights.ado("key", compute)) for _ in range(20)]
    await asyncio.sleep(0)
    tasks[7].cancel()
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers.count("answer") == 19
    assert isinstance(answers[7], asyncio.CancelledError)
    assert len(calls) == 1


async def test_a_cancelled_leader_hands_over():
    flights, never = SingleFlight[str](), asyncio.Event()

    async def hang() -> str:
        await never.wait()
        return "never"

    async def answer() -> str:
        return "from the follower"

    leader = asyncio.create_task(flights.ado("key", hang))
    await asyncio.sleep(0)
    follower = asyncio.create_task(flights.ado("key", answer))
    await asyncio.sleep(0)
    leader.cancel()
    assert await asyncio.wait_for(follower, 5) == "from the follower"


def test_threads_and_two_event_loops_share_one_flight():
    flights, calls, gate = SingleFlight[str](), [], threading.Event()

    def compute() -> str:
        calls.append(1)
        gate.wait(5)
        return "answer"

    async def never_called() -> str:
        calls.append(1)
        return "second answer"

    with ThreadPoolExecutor(3) as pool:
        leader = pool.submit(flights.do, "key", compute)
        while not calls:
            threading.Event().wait(0.001)
        others = [pool.submit(asyncio.run, flights.ado("key", never_called)) for _ in range(2)]
        threading.Timer(0.2, gate.set).start()
        assert [future.result(10) for future in (leader, *others)] == ["answer"] * 3
    assert len(calls) == 1
