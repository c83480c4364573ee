"""Replayed streams: indistinguishable from live ones, for `for` and for `async for`."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import suppress

import litellm
import pytest
from doubles.litellm_witness import Witness
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper

from semcache_integrations.litellm import LiteLLMSemanticCache, Replay
from semcache_integrations.litellm.stream import ReplayStream
from semcache_integrations.litellm.versions import CUT_STREAMS_FAIL

TOOLS = [
    {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
]
USAGE = {"stream_options": {"include_usage": True}}


def ask(text):
    return [{"role": "user", "content": text}]


async def written():
    for _ in range(3):  # the write is a task of a task
        await asyncio.sleep(0.02)


@pytest.fixture(params=["sync", "async"])
def way(request):
    return request.param


@pytest.fixture
def stream(way, cache, target):
    """Reads a whole stream either way, and waits for the write."""

    async def read(text="What is the capital of France?", **arguments):
        merged = {**target, "messages": ask(text), "stream": True, **arguments}
        if way == "sync":
            return list(litellm.completion(**merged))
        chunks = [chunk async for chunk in await litellm.acompletion(**merged)]
        await written()
        return chunks

    return read


def merged(chunks):
    """One answer of a stream's chunks; ids of tool calls and the moment are each stream's own."""
    whole = litellm.stream_chunk_builder(chunks).model_dump(exclude={"created", "id"})
    for choice in whole["choices"]:
        for call in choice["message"].get("tool_calls") or ():
            del call["id"]
    return whole


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


ANSWERS = {
    "text": {},
    "usage": USAGE,
    "tools": {"tools": TOOLS},
    "tools and usage": {"tools": TOOLS, **USAGE},
    "reasoning": {"model": "openai/gpt-5-mini", "reasoning_effort": "low", **USAGE},
}


@pytest.mark.parametrize(
    "arguments", [USAGE, {"tools": TOOLS, **USAGE}, ANSWERS["reasoning"]], ids=["text", "tools", "reasoning"]
)
async def test_a_replayed_stream_merges_into_what_the_live_one_merged_into(stream, upstream, arguments):
    live, replayed = await stream(**arguments), await stream(**arguments)
    assert upstream.chats == 1
    ours, theirs = merged(replayed), merged(live)
    for usage in (ours["usage"], theirs["usage"]):
        usage.pop("cost", None)  # LiteLLM prices live streams only
        for details in ("completion_tokens_details", "prompt_tokens_details"):
            usage[details] = {name: count for name, count in usage[details].items() if count is not None}
    assert ours == theirs


@pytest.mark.parametrize("arguments", ANSWERS.values(), ids=ANSWERS)
async def test_a_replayed_stream_has_the_shape_of_a_live_one(stream, upstream, arguments):
    live, replayed = await stream(**arguments), await stream(**arguments)
    assert upstream.chats == 1
    for chunks in (live, replayed):
        assert chunks[0].choices[0].delta.role == "assistant"
        assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
        assert [
            chunk.choices[0].finish_reason
            for chunk in chunks
            if chunk.choices and chunk.choices[0].finish_reason
        ] == ["tool_calls" if "tools" in arguments else "stop"]
        assert bool(getattr(chunks[-1], "usage", None)) is ("stream_options" in arguments)
    assert len({(chunk.id, chunk.model) for chunk in replayed}) == 1
    assert len(replayed) > 3


async def test_one_entry_serves_plain_calls_and_streams(stream, way, target, upstream):
    live = await stream()
    plain = litellm.completion(messages=ask("What is the capital of France?"), **target)
    assert plain.choices[0].message.content == text(live) == text(await stream())
    assert upstream.chats == 1
    assert plain.usage.total_tokens > 0


async def test_a_plain_answer_is_replayed(stream, target, upstream):
    plain = litellm.completion(messages=ask("What is the capital of France?"), **target)
    assert text(await stream()) == plain.choices[0].message.content
    assert upstream.chats == 1


async def test_a_reworded_question_is_answered_by_a_stream(stream, upstream):
    first = await stream("the capital of france is what")
    assert text(await stream("what is the capital of france")) == text(first)
    assert upstream.chats == 1


async def test_several_choices_are_replayed_one_by_one(stream, target, upstream):
    plain = litellm.completion(messages=ask("q"), n=2, **target)
    chunks = await stream("q", n=2)
    assert upstream.chats == 1
    for choice in plain.choices:
        mine = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == choice.index]
        assert "".join(part.delta.content or "" for part in mine) == choice.message.content
        assert mine[-1].finish_reason == "stop"


async def test_logprobs_are_replayed(stream, target, upstream):
    plain = litellm.completion(messages=ask("q"), logprobs=True, **target)
    chunks = await stream("q", logprobs=True)
    assert upstream.chats == 1
    assert [chunk.choices[0].logprobs for chunk in chunks if chunk.choices[0].logprobs] == [
        plain.choices[0].logprobs
    ]


async def test_a_stream_of_several_choices_is_not_kept(stream, upstream):
    await stream(n=2)
    await stream(n=2)
    assert upstream.chats == 2


@pytest.mark.parametrize("trouble", ["length", "content_filter", "no finish", "refusal", "empty"])
@pytest.mark.parametrize("options", [{}, USAGE], ids=["plain", "usage"])
async def test_an_incomplete_stream_is_not_kept(stream, upstream, trouble, options):
    for _ in range(2):
        with suppress(
            litellm.exceptions.MidStreamFallbackError
        ):  # from 1.110 on LiteLLM fails on a cut stream
            await stream(f"please be {trouble} with me", max_retries=0, **options)
    assert upstream.chats == 2


async def test_a_stream_whose_line_goes_dead_is_not_kept(stream, way, upstream):
    fails = pytest.raises(Exception, match=r"MidStreamFallback|incomplete|peer|connection")
    if way == "async" and not CUT_STREAMS_FAIL:
        fails = suppress(Exception)  # 1.80 takes a dead line for the end
    for _ in range(2):
        with fails:
            await stream("dead line please", max_retries=0)
    assert upstream.chats == 2


async def test_a_stream_that_nobody_read_to_its_end_is_not_kept(cache, target, upstream):
    live = litellm.completion(messages=ask("q"), stream=True, **target)
    next(live)
    getattr(live, "close", gc.collect)()  # 1.80's streams cannot be closed
    litellm.completion(messages=ask("q"), **target)
    assert upstream.chats == 2


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_caller_picks_how_an_answer_is_cut(engine, cache, target, size):
    litellm.cache = LiteLLMSemanticCache(engine, replay=Replay("characters", size))
    plain = litellm.completion(messages=ask("q"), **target)
    pieces = [
        chunk.choices[0].delta.content
        for chunk in litellm.completion(messages=ask("q"), stream=True, **target)
    ]
    assert [piece for piece in pieces if piece] == [
        plain.choices[0].message.content[at : at + size]
        for at in range(0, len(plain.choices[0].message.content), size)
    ]


async def test_one_call_may_pick_another_cut(stream, upstream):
    await stream()
    words, whole = await stream(), await stream(cache={"replay": Replay("characters", 10_000)})
    named = await stream(cache={"replay": "sentences"})
    assert text(words) == text(whole) == text(named)
    assert len(whole) == 2 < len(named) < len(words)
    assert len(await stream(cache={"replay": "no such cut"})) == len(words)


async def test_a_paced_async_stream_never_blocks_the_loop(engine, cache, target):
    litellm.cache = LiteLLMSemanticCache(engine, replay=Replay("words", 1, delay_s=0.01))
    await litellm.acompletion(messages=ask("q"), **target)
    await written()
    beats = 0

    async def heart():
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(heart())
    chunks = 0
    async for _ in await litellm.acompletion(messages=ask("q"), stream=True, **target):
        chunks += 1
    beating.cancel()
    assert beats > chunks > 5


def test_a_paced_sync_stream_takes_its_time(engine, cache, target):
    litellm.cache = LiteLLMSemanticCache(engine, replay=Replay("words", 1, delay_s=0.02))
    litellm.completion(messages=ask("q"), **target)
    started = time.monotonic()
    chunks = list(litellm.completion(messages=ask("q"), stream=True, **target))
    assert time.monotonic() - started >= 0.02 * (len(chunks) - 1)


async def test_a_replay_is_what_litellm_takes_a_stream_for(cache, target, upstream):
    litellm.completion(messages=ask("q"), **target)
    replay = await litellm.acompletion(messages=ask("q"), stream=True, **target)
    assert isinstance(replay, CustomStreamWrapper)
    assert isinstance(replay, ReplayStream)
    assert "detail" not in replay  # asking must not read the stream
    assert replay._hidden_params["cache_hit"] is True
    async with replay:
        assert (await anext(replay)).choices[0].delta.role == "assistant"
    assert [chunk async for chunk in replay] == []


async def test_a_replay_that_was_closed_is_not_told_as_one_that_was_read(cache, target):
    witness = Witness()
    litellm.callbacks = [witness]
    litellm.completion(messages=ask("q"), **target)
    await witness.settled()
    replay = litellm.completion(messages=ask("q"), stream=True, **target)
    next(replay)
    replay.close()
    assert list(replay) == []
    litellm.completion(messages=ask("q"), **target)
    assert len(await witness.settled()) == 1


async def test_chunks_of_one_replay_share_nothing_that_callers_write_into(cache, target):
    litellm.completion(messages=ask("q"), **target)
    for chunk in litellm.completion(messages=ask("q"), stream=True, **target):
        assert "mine" not in chunk._hidden_params
        chunk._hidden_params["mine"] = True
        chunk.choices[0].delta.content = "changed"
    again = litellm.completion(messages=ask("q"), stream=True, **target)
    assert "changed" not in text(again)
