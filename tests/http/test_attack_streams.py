"""Streams under attack: cut, stalled and malformed ones, readers that leave, and many readers of one."""

from __future__ import annotations

import asyncio
import json
import threading

import anthropic
import httpx2
import openai
import pytest
from doubles.http_questions import QUESTION, WHOLE, chat, events, status
from doubles.http_wire import WireUpstream

from semcache_integrations.httpx2 import AsyncSemanticCacheTransport, SemanticCacheTransport

EVENTS = {"content-type": "text/event-stream"}
DONE = b"data: [DONE]\n\n"
SPOKEN = tuple(events({"role": "assistant", "content": "Par"}, {"content": "is"}))


@pytest.fixture
def client(cache):
    with httpx2.Client(transport=SemanticCacheTransport(cache), timeout=30) as one:
        yield one


@pytest.fixture
async def aclient(cache):
    async with httpx2.AsyncClient(transport=AsyncSemanticCacheTransport(cache), timeout=30) as one:
        yield one


def asked(wire, **more):
    return {"url": f"{wire.origin}/v1/chat/completions", "json": chat(stream=True, **more)}


def twice(client, *pieces, **headers):
    """Ask a stream twice, and say what the second one was; both must be what the upstream sent."""
    with WireUpstream(*pieces, headers={**EVENTS, **headers}) as wire:
        first, second = (client.post(**asked(wire)) for _ in range(2))
        assert first.content == b"".join(pieces)
        return status(second)


# -- what is kept, and what is not ---------------------------------------------------------------------


def crlf(piece):
    return piece.replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    "pieces",
    [
        (*SPOKEN, DONE),
        (b"".join((*SPOKEN, DONE)),),
        tuple(bytes([byte]) for byte in b"".join((*SPOKEN, DONE))),
        tuple(map(crlf, (*SPOKEN, DONE))),
        (b": ping\n\n", *SPOKEN, b": ping\n\n", DONE),
        (b"\xef\xbb\xbf" + SPOKEN[0], *SPOKEN[1:], DONE),
        (*(b"id: 1\nretry: 5\n" + piece for piece in SPOKEN), DONE),
        (*SPOKEN, DONE, b": bye\n\n"),
        (*events({"role": "assistant", "content": "x\n\ndata: [DONE]\n\n"}), DONE),
    ],
)
def test_a_whole_stream_is_kept_however_it_is_written(client, pieces):
    assert twice(client, *pieces) == "hit"


ERROR = b'data: {"error": {"message": "overloaded"}}\n\n'


@pytest.mark.parametrize(
    "pieces",
    [
        SPOKEN,
        SPOKEN[:1],
        (),
        (DONE,),
        (*SPOKEN[:1], DONE),
        (SPOKEN[0], ERROR, *SPOKEN[1:], DONE),
        (*SPOKEN, ERROR, DONE),
        (*SPOKEN, b"event: error\ndata: {}\n\n", DONE),
        (SPOKEN[0], b"data: {\n\n", *SPOKEN[1:], DONE),
        (SPOKEN[0], b"data: \xff\n\n", *SPOKEN[1:], DONE),
        (*SPOKEN, b"data: [DO"),
        (*events({"role": "assistant", "content": "it ends with [DONE]\n\ndata: [DONE]"}),),
        (json.dumps(WHOLE).encode(),),
        (*SPOKEN, *SPOKEN, DONE),
    ],
)
def test_a_stream_that_is_not_known_to_be_whole_passes_and_is_not_kept(client, pieces):
    assert twice(client, *pieces) == "miss"


def test_a_stream_that_says_no_store_is_not_kept(client):
    assert twice(client, *SPOKEN, DONE, **{"cache-control": "no-store"}) == "miss"


def test_what_comes_after_the_end_reaches_the_reader_and_no_later_one(client):
    late = b'data: {"choices": [], "late": true}\n\n'
    with WireUpstream(*SPOKEN, DONE, late, headers=EVENTS) as wire:
        first, second = (client.post(**asked(wire)) for _ in range(2))
        assert (first.content.endswith(late), wire.count) == (True, 1 if status(second) == "hit" else 2)


def until(cache, lookups):
    """Wait until so many calls have been looked up."""
    while cache.stats().lookups < lookups:
        pass


# -- who leaves, and who stays -------------------------------------------------------------------------


@pytest.mark.parametrize("heard", range(len(SPOKEN) + 2))
def test_a_reader_may_leave_at_any_point_and_the_next_one_gets_a_whole_stream(client, heard):
    with WireUpstream(*SPOKEN, DONE, headers=EVENTS) as wire:
        with client.stream("POST", **asked(wire)) as response:
            for _, _piece in zip(range(heard), response.iter_raw(), strict=False):
                pass
        again = client.post(**asked(wire))
        assert again.text.endswith(DONE.decode())
        assert [json.loads(line[6:])["choices"][0]["delta"].get("content", "") for line in data(again)] != []


def data(response):
    return [line for line in response.text.splitlines() if line.startswith("data: {")]


def said(response):
    chunks = (json.loads(line[6:]) for line in data(response))
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


async def test_a_task_that_is_cancelled_takes_nothing_from_those_who_read_the_same(aclient, cache):
    hold = threading.Event()
    with WireUpstream(SPOKEN[0], hold, *SPOKEN[1:], DONE, headers=EVENTS) as wire:
        tasks = [asyncio.create_task(aclient.post(**asked(wire))) for _ in range(50)]
        await asyncio.to_thread(until, cache, 50)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks[::2])
        hold.set()
        answers = await asyncio.gather(*tasks[1::2])
        assert {said(answer) for answer in answers} == {"Paris"}
        assert wire.count == 1


async def test_all_leave_and_the_next_one_asks_anew(aclient, cache):
    hold = threading.Event()
    with WireUpstream(SPOKEN[0], hold, *SPOKEN[1:], DONE, headers=EVENTS) as wire:
        tasks = [asyncio.create_task(aclient.post(**asked(wire))) for _ in range(5)]
        await asyncio.to_thread(until, cache, 5)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        hold.set()
        assert said(await aclient.post(**asked(wire))) == "Paris"


def test_a_loop_that_ends_in_the_middle_leaves_the_next_loop_alone(cache):
    hold = threading.Event()
    transport = AsyncSemanticCacheTransport(cache)

    async def begins(wire):
        one = httpx2.AsyncClient(transport=transport, timeout=30)
        response = await one.send(one.build_request("POST", **asked(wire)), stream=True)
        return await anext(response.aiter_raw())

    async def reads(wire):
        async with httpx2.AsyncClient(transport=AsyncSemanticCacheTransport(cache), timeout=30) as one:
            return said(await one.post(**asked(wire)))

    with WireUpstream(SPOKEN[0], hold, *SPOKEN[1:], DONE, headers=EVENTS) as wire:
        assert asyncio.run(begins(wire)) == SPOKEN[0]
        hold.set()
        assert asyncio.run(reads(wire)) == "Paris"


def test_who_has_little_time_does_not_wait_by_the_clock_of_another(client, cache):
    hold = threading.Event()
    with WireUpstream(hold, json.dumps(WHOLE).encode()) as wire:
        url = f"{wire.origin}/v1/chat/completions"
        patient = threading.Thread(target=lambda: client.post(url, json=chat(), timeout=30))
        patient.start()
        while cache.stats().lookups < 1:
            pass
        try:
            with pytest.raises(httpx2.TimeoutException):
                client.post(url, json=chat(), timeout=0.2)
            assert not hold.is_set()
        finally:
            hold.set()
            patient.join()


def test_one_client_serves_many_threads_with_different_questions(client, provider):
    told = {}

    def ask(number):
        body = chat(f"What is {number} and {number}?", stream=number % 2 == 0)
        told[number] = [client.post(f"{provider.url}/chat/completions", json=body).text for _ in range(3)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(f"What is {number} and {number}?" in told[number][0] or number % 2 == 0 for number in told)
    assert provider.count == 16


# -- the SDKs ------------------------------------------------------------------------------------------


def test_an_sdk_sees_an_error_in_the_middle_of_a_stream_each_time(cache):
    http = httpx2.Client(transport=SemanticCacheTransport(cache))
    with WireUpstream(SPOKEN[0], ERROR, headers=EVENTS) as wire:
        sdk = openai.OpenAI(base_url=f"{wire.origin}/v1", api_key="k", http_client=http, max_retries=0)
        with sdk:
            for _ in range(2):
                with pytest.raises(openai.APIError, match="overloaded"):
                    list(sdk.chat.completions.create(**chat(stream=True)))
        assert wire.count == 2


def test_an_sdk_that_breaks_out_of_a_stream_may_ask_again(cache, provider):
    with (
        httpx2.Client(transport=SemanticCacheTransport(cache)) as http,
        anthropic.Anthropic(base_url=provider.origin, api_key="k", http_client=http, max_retries=0) as sdk,
    ):
        turns = [{"role": "user", "content": QUESTION}]
        texts = []
        for most in (1, 1000, 1000):
            with sdk.messages.stream(model="claude-fake", max_tokens=99, messages=turns) as stream:
                texts.append("".join(text for _, text in zip(range(most), stream.text_stream, strict=False)))
        assert texts[1] == texts[2]
        assert texts[1].startswith(texts[0])
        assert provider.count in (1, 2)
