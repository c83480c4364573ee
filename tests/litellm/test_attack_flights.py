"""Attacks on the single flight: leaders that fail, are given up or starve, and calls that would wait for each other."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import litellm
import pytest
from doubles.litellm_calls import KINDS, messages
from doubles.litellm_loops import run, until
from doubles.litellm_writes import written

from semcache_integrations.litellm import LiteLLMSemanticCache

PATIENCE_S = 4.0
"""What a waiter waits that nobody lets go: long beside a call, so that the order of events shows it."""


def airborne(cache):
    """How many calls others would wait for now."""
    return len(cache._flights._flights)


def kept(cache):
    """How many tickets wait for a write."""
    return len(cache._writes._tickets._open)


# -- leaders that fail ------------------------------------------------------------------------------


async def test_a_failed_async_call_lands_and_litellm_logs_no_error_of_ours(patient, provider, called, caplog):
    """LiteLLM hands a callback its arguments by name, and logs whatever the callback raises."""
    provider.fail(status=400)
    with caplog.at_level(logging.ERROR), pytest.raises(litellm.BadRequestError) as failure:
        await litellm.acompletion(messages=messages("a question"), **called)
    assert (
        failure.value.__traceback__ is not None
    )  # it keeps LiteLLM's record alive, as a log of errors would
    assert (airborne(patient), kept(patient)) == (0, 0)
    assert not [record for record in caplog.records if "FailureWatch" in record.getMessage()]


def test_a_failed_sync_call_lands_while_its_error_is_kept(patient, provider, called):
    provider.fail(status=400)
    with pytest.raises(litellm.BadRequestError) as failure:
        litellm.completion(messages=messages("a question"), **called)
    assert failure.value.__traceback__ is not None
    assert (airborne(patient), kept(patient)) == (0, 0)


def test_a_second_cache_sees_failures_too(cache, patient, provider, called):
    """LiteLLM takes one callback of a class, and no second one."""
    for one in (cache, patient):
        litellm.cache = one
        provider.fail(status=400)
        with pytest.raises(litellm.BadRequestError):
            litellm.completion(messages=messages("a question"), **called)
        assert airborne(one) == 0


async def test_callbacks_that_the_user_sets_later_do_not_blind_the_cache(
    patient, provider, called, monkeypatch
):
    monkeypatch.setattr(litellm, "failure_callback", [])
    monkeypatch.setattr(litellm, "_async_failure_callback", [])
    provider.fail(status=400, times=2)
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(messages=messages("a question"), **called)
    with pytest.raises(litellm.BadRequestError):
        await litellm.acompletion(messages=messages("another question"), **called)
    assert airborne(patient) == 0


def test_a_cache_that_nobody_uses_any_more_is_not_kept_alive(engine, cache):
    gone = weakref.ref(LiteLLMSemanticCache(engine))
    gc.collect()
    assert gone() is None


def test_callbacks_that_are_no_list_stop_no_cache(engine, cache, monkeypatch):
    monkeypatch.setattr(litellm, "failure_callback", None)
    assert LiteLLMSemanticCache(engine).engine is engine


def test_callbacks_do_not_pile_up_with_caches(engine, cache):
    before = len(litellm.failure_callback), len(litellm._async_failure_callback)
    for _ in range(40):
        LiteLLMSemanticCache(engine)
    assert (len(litellm.failure_callback), len(litellm._async_failure_callback)) == before


async def test_calls_that_bring_nothing_leave_no_tickets(patient, provider, called):
    for number in range(5):
        provider.fail(status=400, times=2)
        with suppress(litellm.BadRequestError):
            await litellm.acompletion(messages=messages(f"question {number}"), **called)
        with suppress(litellm.BadRequestError):
            litellm.completion(messages=messages(f"question {number}"), **called)
        await litellm.acompletion(messages=messages(f"query {number}"), cache={"no-store": True}, **called)
    assert (airborne(patient), kept(patient)) == (0, 0)


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_call_that_is_written_has_landed_though_its_record_and_its_task_live_on(patient, way):
    record = threading.Event()  # nothing that is told of a call, but something that lives
    asked = {"model": "m", "messages": messages("a question"), "litellm_logging_obj": record}
    answer = litellm.ModelResponse(choices=[{"message": {"content": "So."}, "finish_reason": "stop"}])
    if way == "sync":
        assert patient.get_cache(litellm_call_id="1", **asked) is None
        assert airborne(patient) == 1
        patient.add_cache(answer, litellm_call_id="1", **asked)
    else:
        assert await patient.async_get_cache(litellm_call_id="1", **asked) is None
        assert airborne(patient) == 1
        await patient.async_add_cache(answer.model_dump_json(), litellm_call_id="1", **asked)
    assert airborne(patient) == 0


async def test_a_hit_leads_nobody_and_leaves_no_ticket(patient, provider, called):
    for _ in range(2):
        await litellm.acompletion(messages=messages("a question"), **called)
        await written()
    assert provider.count == 1
    assert (airborne(patient), kept(patient)) == (0, 0)


async def test_a_cache_that_is_not_in_use_keeps_no_tickets(cache, patient, provider):
    await KINDS["text"].call("async", "a question", provider)
    await written()
    assert (kept(cache), kept(patient)) == (0, 0)


def test_a_call_id_that_is_no_text_fails_no_call(patient, provider, called):
    for _ in range(2):
        answer = litellm.completion(messages=messages("a question"), litellm_call_id=["odd"], **called)
        assert answer.choices[0].message.content
    assert airborne(patient) == 0


# -- leaders that are given up ----------------------------------------------------------------------


async def test_a_cancelled_leader_in_a_task_that_lives_on_lands(patient, provider, called):
    provider.fail(hang=True)
    call = litellm.acompletion(messages=messages("a question"), **called)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(call, 0.2)
    await until(lambda: airborne(patient) == 0)


@pytest.mark.xfail(
    strict=True,
    reason="nothing tells the cache that a stream was closed; it lands when its last reference goes, or its task",
)
@pytest.mark.parametrize("kind", ["chat", "responses", "messages"])
async def test_a_stream_that_was_closed_lands_though_somebody_holds_it(patient, provider, kind):
    kind = KINDS[kind]
    api_base = provider.origin if kind.origin else provider.url
    given = {kind.subject: kind.asked("a question"), "api_base": api_base, "api_key": "sk", **kind.extra}
    stream = await kind.coroutine(model=kind.model, stream=True, **given)
    await anext(aiter(stream))
    assert airborne(patient) == 1
    await (stream.aclose() if hasattr(stream, "aclose") else asyncio.sleep(0))
    await asyncio.sleep(0.1)
    assert airborne(patient) == 0


@pytest.mark.xfail(
    strict=True, reason="as above; of a sync stream in a thread that lives on, nothing else tells"
)
def test_a_sync_stream_that_was_closed_lands_though_somebody_holds_it(patient, provider, called):
    stream = litellm.completion(messages=messages("a question"), stream=True, **called)
    next(iter(stream))
    stream.close()
    assert airborne(patient) == 0


# -- calls that would wait for each other ------------------------------------------------------------


def test_two_threads_with_open_streams_that_ask_each_others_question(patient, provider, called):
    both, after = threading.Barrier(2), []

    def cross(mine, other):
        stream = litellm.completion(messages=messages(mine), stream=True, **called)
        next(iter(stream))
        both.wait()
        litellm.completion(messages=messages(other), **called)
        after.append(airborne(patient))  # the one that waited for nobody saw both streams open
        return list(stream)

    with ThreadPoolExecutor(2) as pool:
        crossing = [pool.submit(cross, *pair) for pair in (("alpha", "omega"), ("omega", "alpha"))]
        assert all(one.result() for one in crossing)
    assert after[0] == 2
    assert airborne(patient) == 0


async def test_two_tasks_with_open_streams_that_ask_each_others_question(patient, provider, called):
    opened, after = [], []

    async def cross(mine, other):
        stream = await litellm.acompletion(messages=messages(mine), stream=True, **called)
        await anext(stream)
        opened.append(mine)
        await until(lambda: len(opened) == 2)
        await litellm.acompletion(messages=messages(other), **called)
        after.append(airborne(patient))
        return [chunk async for chunk in stream]

    assert all(await asyncio.gather(cross("alpha", "omega"), cross("omega", "alpha")))
    assert after[0] == 2


def test_waiting_for_ever_can_be_asked_for(engine, cache, provider, called):
    litellm.cache = LiteLLMSemanticCache(engine, patience_s=math.inf)
    begin = threading.Barrier(8)

    def ask(_):
        begin.wait()
        return litellm.completion(messages=messages("a question"), **called).choices[0].message.content

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert (provider.count, litellm.cache.troubles) == (1, {})


async def test_threads_that_wait_leave_their_executor_to_the_one_they_wait_for(patient, provider, called):
    """`acompletion` begins in the loop's default executor: full of those who wait for it, it would never begin."""
    patient._flights._patience_s = 600.0
    loop, go = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(2))
    busy = [loop.run_in_executor(None, go.wait) for _ in range(2)]
    asked = {"messages": messages("a question"), **called}
    followers = [asyncio.ensure_future(asyncio.to_thread(litellm.completion, **asked)) for _ in range(2)]
    await asyncio.sleep(0)  # they stand in the queue of the executor
    leader = asyncio.ensure_future(litellm.acompletion(**asked))
    await until(lambda: airborne(patient) == 1)
    go.set()
    try:
        await until(leader.done)
    finally:
        for flight in list(patient._flights._flights.values()):
            patient._flights.land(flight.call)
        await asyncio.gather(leader, *followers, *busy)


@pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no os.fork, so there is no child to test"
)
def test_a_forked_process_waits_for_nobody_who_stayed_behind(patient):
    """The thread that leads is not in the child, so nothing there would ever land."""
    flights, led = patient._flights, threading.Event()

    def lead():
        flights.wait("a question", None, {"litellm_call_id": "1"})
        led.set()

    leader = threading.Thread(target=lead)
    leader.start()
    assert led.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if flights.wait("a question", None, {"litellm_call_id": "2"}) is False else 1)
    assert os.waitpid(child, 0)[1] == 0
    leader.join()
    assert airborne(patient) == 1


# -- attacks that held -------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async", "sync stream", "async stream"])
async def test_twenty_of_all_kinds_make_one_call(patient, provider, way):
    chat = KINDS["chat"]
    if way.startswith("async"):
        answers = await asyncio.gather(*[chat.call(way, "a question", provider) for _ in range(20)])
    else:
        together = threading.Barrier(
            20
        )  # a thread that asked before would not wait for what it has read itself

        def ask(_):
            together.wait()
            return run(chat.call(way, "a question", provider))

        with ThreadPoolExecutor(20) as pool:
            answers = await asyncio.gather(
                *[asyncio.get_running_loop().run_in_executor(pool, ask, None) for _ in range(20)]
            )
    await written()
    assert len({text for text, _ in answers}) == 1
    assert provider.count == 1
    assert airborne(patient) == 0
