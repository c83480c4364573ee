"""Equal calls at the same time: one goes upstream, the others get what it brings, and nobody waits for nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import litellm
import pytest
from doubles.litellm_calls import KINDS
from doubles.litellm_loops import run, until
from doubles.litellm_writes import written

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.litellm import LiteLLMSemanticCache
from semcache_integrations.litellm.versions import CACHES_RESPONSES
from semcache_integrations.testing import FakeUpstream

QUESTION = "What is the capital of France?"
MANY = 12
PATIENCE_S = 60.0  # a test that had to wait so long fails by its own limits
SHARED = [
    pytest.param(KINDS[name], way, id=f"{name}: {way}")
    for name in ("chat", "text", "responses", "messages", "messages by chat")
    for way in ("async", "async stream")
]
SHARED_BY_THREADS = [
    pytest.param(KINDS[name], way, id=f"{name}: {way}")
    for name in ("chat", "text", "responses")
    for way in ("sync", "sync stream")
]


@pytest.fixture
def gate():
    """Holds back all answers of the provider until it is opened."""
    return threading.Event()


@pytest.fixture
def provider(gate):
    def held_back():
        gate.wait(30)
        return 0.0

    with FakeUpstream(latency=held_back) as running:
        yield running
        gate.set()


@pytest.fixture
def open_provider(provider, gate):
    gate.set()
    return provider


@pytest.fixture
def chat(called):
    """Asks, sync or async, whatever fails failing at once."""

    class Chat:
        about = called

        def sync(self, question=QUESTION, **more):
            return litellm.completion(messages=[{"role": "user", "content": question}], **self.about, **more)

        async def ask(self, question=QUESTION, **more):
            asked = [{"role": "user", "content": question}]
            return await litellm.acompletion(messages=asked, **self.about, **more)

    return Chat()


def said(response):
    return response.choices[0].message.content


@pytest.mark.parametrize(("kind", "way"), SHARED)
async def test_equal_calls_of_tasks_make_one_call_upstream(patient, provider, gate, kind, way):
    tasks = [asyncio.create_task(kind.call(way, QUESTION, provider)) for _ in range(MANY)]
    await until(lambda: patient.engine.stats().lookups >= MANY)
    gate.set()
    answers = await asyncio.gather(*tasks)
    assert {text for text, _ in answers} == {answers[0][0]}
    assert provider.count == 1


@pytest.mark.parametrize(("kind", "way"), SHARED_BY_THREADS)
def test_equal_calls_of_threads_make_one_call_upstream(patient, provider, gate, kind, way):
    def ask(_number):
        return run(kind.call(way, QUESTION, provider))[0]

    with ThreadPoolExecutor(MANY) as pool:
        asked = [pool.submit(ask, number) for number in range(MANY)]
        run(until(lambda: patient.engine.stats().lookups >= MANY))
        gate.set()
        answers = {one.result() for one in asked}
    assert len(answers) == 1
    assert provider.count == 1


async def test_a_sync_and_an_async_call_meet(patient, chat, provider, gate):
    first = asyncio.create_task(chat.ask())
    await until(lambda: patient.engine.stats().lookups == 1)
    second = asyncio.create_task(asyncio.to_thread(chat.sync))
    await until(lambda: patient.engine.stats().lookups == 2)
    gate.set()
    assert said(await first) == said(await second)
    assert provider.count == 1


def test_calls_of_two_event_loops_meet(patient, chat, provider, gate):
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(run, chat.ask()) for _ in range(2)]
        run(until(lambda: patient.engine.stats().lookups == 2))
        gate.set()
        assert said(asked[0].result()) == said(asked[1].result())
    assert provider.count == 1


async def test_a_plain_call_and_a_stream_meet(patient, provider, gate):
    kind = KINDS["chat"]
    plain = asyncio.create_task(kind.call("async", QUESTION, provider))
    await until(lambda: patient.engine.stats().lookups == 1)
    stream = asyncio.create_task(kind.call("async stream", QUESTION, provider))
    await until(lambda: patient.engine.stats().lookups == 2)
    gate.set()
    assert (await plain)[0] == (await stream)[0]
    assert provider.count == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"temperature": 0.5}),
        ({}, {"api_key": "sk-other"}),
        ({}, {"cache": {"no-store": True}}),
        ({"cache": {"no-store": True}}, {}),
    ],
    ids=["setting", "credential", "follower keeps nothing", "leader keeps nothing"],
)
async def test_calls_that_are_not_equal_do_not_wait_for_each_other(patient, chat, provider, gate, one, other):
    chat.about.pop("api_key") if "api_key" in other else None
    first = asyncio.create_task(chat.ask(**{"api_key": "sk-test", **one} if "api_key" in other else one))
    await until(lambda: patient.engine.stats().lookups == 1)
    second = asyncio.create_task(chat.ask(**other))
    await until(lambda: patient.engine.stats().lookups == 2)
    gate.set()
    await asyncio.gather(first, second)
    assert provider.count == 2


@pytest.mark.parametrize("block", ["bypass", "refresh"])
async def test_calls_that_are_not_looked_up_wait_for_nobody(patient, chat, open_provider, block):
    open_provider.fail(hang=True)
    first = asyncio.create_task(chat.ask())
    await until(lambda: open_provider.count == 1)
    with getattr(patient.engine, block)():
        second = asyncio.create_task(chat.ask())
    await until(second.done)  # before its patience ends
    assert said(second.result()).startswith("Answer to")
    first.cancel()


# -- whoever leads and brings nothing ------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_who_waited_for_a_call_that_fails_goes_upstream(patient, chat, provider, gate, way):
    ask = chat.ask if way == "async" else lambda: asyncio.to_thread(chat.sync)
    provider.fail(status=500)
    first = asyncio.create_task(ask())
    await until(lambda: patient.engine.stats().lookups == 1)
    others = [asyncio.create_task(ask()) for _ in range(3)]
    await until(lambda: patient.engine.stats().lookups == 4)
    gate.set()
    with pytest.raises(litellm.InternalServerError):
        await first
    assert len({said(answer) for answer in await asyncio.gather(*others)}) == 1
    assert 2 <= provider.count <= 4  # who comes to wait when it has failed may find what another one has kept


async def test_who_waited_for_a_call_that_is_cancelled_goes_upstream(patient, chat, open_provider):
    open_provider.fail(hang=True)
    first = asyncio.create_task(chat.ask())
    await until(lambda: open_provider.count == 1)
    second = asyncio.create_task(chat.ask())
    await until(lambda: patient.engine.stats().lookups == 2)
    first.cancel()
    assert said(await second).startswith("Answer to")
    assert open_provider.count == 2


@pytest.mark.parametrize(
    "fault", [{"finish_reason": "length"}, {"refusal": True}], ids=["cut short", "refused"]
)
async def test_who_waited_for_an_answer_that_is_not_kept_goes_upstream(patient, chat, provider, gate, fault):
    provider.fail(**fault)
    first = asyncio.create_task(chat.ask())
    await until(lambda: patient.engine.stats().lookups == 1)
    others = [asyncio.create_task(chat.ask()) for _ in range(3)]
    await until(lambda: patient.engine.stats().lookups == 4)
    gate.set()
    await asyncio.gather(first, *others)
    assert provider.count == 4


async def test_who_waited_for_an_answer_that_is_not_kept_is_told_of_a_miss(patient, chat, provider, gate):
    provider.fail(finish_reason="length")
    first = asyncio.create_task(chat.ask())
    await until(lambda: patient.engine.stats().lookups == 1)
    metadata = {}
    second = asyncio.create_task(chat.ask(metadata=metadata))
    await until(lambda: patient.engine.stats().lookups == 2)
    gate.set()
    await asyncio.gather(first, second)
    assert metadata["semcache"]["status"] == "miss"


@pytest.mark.parametrize("end", ["closed", "dropped"])
async def test_who_waited_for_a_stream_that_is_left_goes_upstream(patient, chat, open_provider, end):
    """The task that left it ends, and with it the wait, whatever becomes of the stream."""

    async def leave():
        stream = await chat.ask(stream=True)
        await anext(stream)
        began.set()
        await leaving.wait()
        if end == "closed" and hasattr(stream, "aclose"):  # 1.80's streams cannot be closed
            await stream.aclose()

    began, leaving = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(leave())
    await began.wait()
    second = asyncio.create_task(chat.ask())
    await until(lambda: patient.engine.stats().lookups == 2)
    leaving.set()
    await first
    assert said(await second).startswith("Answer to")
    assert open_provider.count == 2


@pytest.mark.skipif(
    not CACHES_RESPONSES,
    reason="LiteLLM 1.80 keeps the records of its streams alive, so nothing tells that one was dropped",
)
def test_who_waited_for_a_sync_stream_that_is_dropped_goes_upstream(patient, chat, open_provider):
    stream = chat.sync(stream=True)
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(chat.sync)
        run(until(lambda: patient.engine.stats().lookups == 2))
        del stream
        run(until(lambda: gc.collect() is not None and second.done()))
        assert said(second.result()).startswith("Answer to")
    assert open_provider.count == 2


# -- nobody waits for itself ---------------------------------------------------------------------------


async def test_a_task_whose_own_stream_is_open_does_not_wait_for_it(patient, chat, open_provider):
    one, other = await chat.ask(stream=True), await chat.ask(stream=True)
    text = ["", ""]
    for _ in range(3):  # in turns
        text[0] += (await anext(one)).choices[0].delta.content or ""
        text[1] += (await anext(other)).choices[0].delta.content or ""
    assert text[0] == text[1]
    assert open_provider.count == 2


async def test_a_task_that_asks_again_at_once_finds_its_own_answer(patient, chat, open_provider):
    """LiteLLM writes in a task of its own, which has not run yet."""
    assert said(await chat.ask()) == said(await chat.ask())
    assert open_provider.count == 1


async def test_what_a_task_starts_does_not_wait_for_its_open_stream(patient, chat, open_provider):
    stream = await chat.ask(stream=True)
    assert said(await asyncio.create_task(chat.ask())).startswith("Answer to")
    assert said(await asyncio.to_thread(chat.sync)).startswith("Answer to")
    assert [chunk async for chunk in stream]


def test_a_thread_whose_own_stream_is_open_does_not_wait_for_it(patient, chat, open_provider):
    stream = chat.sync(stream=True)
    assert said(chat.sync()).startswith("Answer to")
    assert list(stream)


async def test_a_sync_call_does_not_hold_up_the_loop_on_which_its_equal_runs(patient, chat, open_provider):
    open_provider.fail(hang=True)
    first = asyncio.create_task(chat.ask())
    await until(lambda: open_provider.count == 1)
    assert said(chat.sync()).startswith("Answer to")
    first.cancel()


# -- bounds --------------------------------------------------------------------------------------------


async def test_patience_ends(cache, engine, chat, open_provider):
    litellm.cache = LiteLLMSemanticCache(engine, patience_s=0.05)
    open_provider.fail(hang=True)
    first = asyncio.create_task(chat.ask())
    await until(lambda: open_provider.count == 1)
    assert said(await chat.ask()).startswith("Answer to")
    assert said(await asyncio.to_thread(chat.sync, "Another question?")).startswith("Answer to")
    assert not first.done()
    first.cancel()


async def test_without_patience_calls_go_side_by_side(cache, engine, chat, provider, gate):
    litellm.cache = LiteLLMSemanticCache(engine, patience_s=0)
    tasks = [asyncio.create_task(chat.ask()) for _ in range(3)]
    await until(lambda: engine.stats().lookups == 3)
    gate.set()
    await asyncio.gather(*tasks)
    assert provider.count == 3


@pytest.mark.parametrize("patience_s", [-1, float("nan"), True, "long"])
def test_patience_is_a_number_of_seconds(engine, patience_s):
    with pytest.raises(ConfigurationError, match="patience_s"):
        LiteLLMSemanticCache(engine, patience_s=patience_s)


async def test_nothing_is_left_of_calls_that_are_over(patient, chat, open_provider):
    task = asyncio.current_task()
    for number in range(5):
        await chat.ask(f"Question {number}?")
        chat.sync(f"Sync question {number}?")
        [chunk async for chunk in await chat.ask(f"Streamed question {number}?", stream=True)]
    open_provider.fail(status=500)
    with pytest.raises(litellm.InternalServerError):
        await chat.ask("A question that fails?")
    await written()
    flights = patient._flights
    assert (flights._flights, flights._keys) == ({}, {})
    assert "_watched" not in repr(task)
