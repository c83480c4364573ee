"""Whose a stream is: that of the block in which it is asked for, wherever it is read to its end."""

from __future__ import annotations

import pytest
from doubles.langchain_calls import StreamingChat
from doubles.langchain_texts import StreamingText
from langchain_core.messages import HumanMessage

from semcache_integrations.langchain import LangChainSemanticCache, with_semantic_cache

scope, bypass = LangChainSemanticCache.scope, LangChainSemanticCache.bypass


@pytest.fixture(params=["chat", "text"])
def model(request, cache):
    plain = StreamingChat() if request.param == "chat" else StreamingText()
    return with_semantic_cache(plain, LangChainSemanticCache(cache))


def words(chunk):
    return chunk if isinstance(chunk, str) else chunk.text


def asked_for(tenant, model, how="stream"):
    with scope(tenant=tenant):
        return getattr(model, how)("q")


async def read(stream):
    return "".join([words(chunk) async for chunk in stream])


def test_a_stream_that_is_read_behind_its_block_is_that_tenants(model, cache):
    mine, other = asked_for("one", model), asked_for("two", model)
    first, second = "".join(map(words, mine)), "".join(map(words, other))
    assert first != second
    assert "".join(map(words, asked_for("one", model))) == first
    assert cache.invalidate(tenant="one") == 1
    assert "".join(map(words, asked_for("two", model))) == second


async def test_an_async_stream_is_too(model, cache):
    first = await read(asked_for("one", model, "astream"))
    assert await read(asked_for("two", model, "astream")) != first
    assert await read(asked_for("one", model, "astream")) == first
    assert cache.invalidate(tenant="two") == 1


async def test_events_are_too(model, cache):
    with scope(tenant="one"):
        events = model.astream_events("q", version="v2")
    assert [event async for event in events]
    assert cache.invalidate(tenant="one") == 1


@pytest.mark.skipif(
    not hasattr(StreamingChat, "stream_events"), reason="langchain-core has no protocol events"
)
@pytest.mark.filterwarnings("ignore:The method .* is in beta")
async def test_protocol_events_are_too(kept, cache):
    chat = with_semantic_cache(StreamingChat(), kept)
    with scope(tenant="one"):
        events, later = chat.stream_events("q", version="v3"), chat.astream_events("r", version="v3")
    assert list(events)
    assert [event async for event in await later]
    assert cache.invalidate(tenant="one") == 2


def test_a_stream_that_falls_back_on_invoke_is_too(kept, cache):
    stream = asked_for("one", with_semantic_cache(StreamingChat(disable_streaming=True), kept))
    assert list(stream)
    assert cache.invalidate(tenant="one") == 1


def test_what_is_begun_inside_a_block_is_kept_for_it_though_it_ends_outside(kept, cache):
    """LangChain's own way to the hook, for models with bound tools and for chains."""
    chunks = with_semantic_cache(StreamingChat(), kept)._stream([HumanMessage("q")])
    with scope(tenant="one", tags=["mine"]):
        next(chunks)
    list(chunks)
    assert cache.invalidate(tag="mine") == 1


def test_a_stream_that_is_read_inside_another_block_is_not_that_ones(model, cache):
    stream = model.stream("q")
    with scope(tenant="other"):
        list(stream)
    assert cache.invalidate(tenant="other") == 0
    with bypass():
        passed = model.stream("r")
    list(passed)
    assert cache.stats().counts["stored"] == 1


def test_what_runs_between_two_chunks_is_in_its_own_block(model):
    from semcache_integrations.context import surroundings

    with scope(tenant="one"):
        stream = model.stream("q")
    seen = [surroundings.get().tenant for _ in stream]
    assert set(seen) == {""}


async def test_a_stream_that_is_closed_early_leaves_nothing_behind(model, cache):
    sync, asynchronous = asked_for("one", model), asked_for("one", model, "astream")
    next(sync)
    sync.close()
    await anext(asynchronous)
    await asynchronous.aclose()
    assert cache.invalidate(tenant="one") == 0
