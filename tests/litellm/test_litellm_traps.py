"""What LiteLLM, and the code around it, does that would break a cache or be broken by one."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

import litellm
import pytest

from semcache_integrations import SemanticCache
from semcache_integrations.core.errors import StoreError
from semcache_integrations.litellm import LiteLLMSemanticCache
from semcache_integrations.litellm.ticket import Ticket, Tickets
from semcache_integrations.litellm.versions import CACHES_RESPONSES, HITS_NEED_MORE
from semcache_integrations.protocols import Store


def ask(text):
    return [{"role": "user", "content": text}]


def said(response):
    return response.choices[0].message.content


async def written():
    for _ in range(4):
        await asyncio.sleep(0.02)


async def read(answer):
    """The text of a plain answer or of a stream of either kind."""
    if hasattr(answer, "choices"):
        return said(answer)
    chunks = [chunk async for chunk in answer]
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# -- what the caller changes while the answer is on its way to the cache ----------------------------


@pytest.mark.parametrize("control", [{}, {"no-cache": True}], ids=["used", "refreshed"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_loop_that_appends_to_its_messages_poisons_nothing(
    cache, target, upstream, stream, control
):
    """Every chat loop appends the answer and the next question before LiteLLM's write task has run."""
    messages = ask("first question")
    first = await read(await litellm.acompletion(messages=messages, stream=stream, cache=control, **target))
    messages.append({"role": "assistant", "content": first})
    messages.append({"role": "user", "content": "and now something else entirely"})
    await written()
    second = await read(await litellm.acompletion(messages=messages, stream=stream, **target))
    assert "something else" in second


@pytest.mark.parametrize("stream", [False, True])
async def test_the_answer_is_kept_under_the_question_as_it_was(cache, target, upstream, stream):
    messages = ask("first question")
    first = await read(await litellm.acompletion(messages=messages, stream=stream, **target))
    messages.append({"role": "user", "content": "next"})
    await written()
    assert await read(await litellm.acompletion(messages=ask("first question"), **target)) == first
    assert upstream.chats == 1


def test_a_sync_stream_is_kept_under_the_question_as_it_was(cache, target, upstream):
    messages = ask("first question")
    for _ in litellm.completion(messages=messages, stream=True, **target):
        messages[0]["content"] = "changed meanwhile"
    litellm.completion(messages=ask("changed meanwhile"), **target)
    assert upstream.chats == 2
    litellm.completion(messages=ask("first question"), **target)
    assert upstream.chats == 2


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_stream_belongs_to_the_tenant_in_whose_block_it_was_asked(
    cache, engine, target, upstream, way
):
    with engine.scope(tenant="a"):
        if way == "sync":
            stream = litellm.completion(messages=ask("q"), stream=True, **target)
        else:
            stream = await litellm.acompletion(messages=ask("q"), stream=True, **target)
    if way == "sync":
        list(stream)
    else:
        await read(stream)
    await written()
    litellm.completion(messages=ask("q"), **target)
    assert upstream.chats == 2
    with engine.scope(tenant="a"):
        litellm.completion(messages=ask("q"), **target)
    assert upstream.chats == 2


def test_tickets_are_bounded_and_are_for_the_call_that_left_them():
    tickets = Tickets(most=2)
    calls = [{"litellm_call_id": str(at), "model": "m", "messages": ask("q")} for at in range(3)]
    for call in calls:
        tickets.leave(Ticket.of(None, call, str, call["messages"]), call)
    assert tickets.take(calls[0], subject=calls[0]["messages"]) is None
    assert tickets.take(calls[1], subject=ask("q")) is None
    assert tickets.take(calls[2]).subject is calls[2]["messages"]
    assert tickets.take(calls[2]) is None


def test_a_ticket_knows_the_messages_of_its_call_without_those_that_were_appended_since():
    messages = ask("q")
    ticket = Ticket.of(None, {}, str, messages)
    messages += ask("r")
    assert ticket.turns == ask("q")


def test_nested_calls_of_one_id_have_a_ticket_for_each_model():
    tickets = Tickets()
    calls = [{"litellm_call_id": "1", "model": model} for model in "mn"]
    left = [Ticket.of(None, call, str) for call in calls]
    for ticket, call in zip(left, calls, strict=True):
        tickets.leave(ticket, call)
    assert [tickets.take(call) for call in calls] == left


def test_a_call_that_fails_takes_its_own_tickets_alone():
    tickets = Tickets()
    calls = [{"litellm_call_id": str(at), "model": "m"} for at in range(2)]
    for call in calls:
        tickets.leave(Ticket.of(None, call, str), call)
    tickets.drop("0")
    assert tickets.take(calls[0]) is None
    assert tickets.take(calls[1]) is not None


# -- nothing raises into the user's call -------------------------------------------------------------


class BrokenStore(Store):
    in_process = True

    def _fail(self, *args):
        raise StoreError("down")

    get = find = search = put = touch = delete = count = _fail


class Hostile:
    def model_dump(self):
        raise RuntimeError("mine")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_broken_store_costs_a_miss(cache, words, target, upstream, stream):
    with SemanticCache(embedder=words, store=BrokenStore()) as engine:
        litellm.cache = LiteLLMSemanticCache(engine)
        assert await read(await litellm.acompletion(messages=ask("q"), stream=stream, **target))
        assert said(litellm.completion(messages=ask("q one"), **target))
        assert litellm.embedding(
            model="openai/text-embedding-3-small", input=["a"], api_base=upstream.url, api_key="k"
        ).data


async def test_arguments_that_raise_when_looked_at_cost_a_miss_and_one_line_in_the_log(cache, caplog):
    call = {"model": "m", "messages": ask("secret question"), "knob": Hostile()}
    with caplog.at_level(logging.WARNING):
        assert isinstance(cache.get_cache_key(**call), str)
        assert cache.get_cache(**call) is None
        assert await cache.async_get_cache(**call) is None
        cache.add_cache(None, **call)
        await cache.async_add_cache("{}", **call)
    assert "RuntimeError" in caplog.text
    assert "secret question" not in caplog.text
    assert set(cache.troubles) == {"key failed: RuntimeError"}  # a call without a key troubles nothing else


async def test_a_payload_that_cannot_be_read_is_a_miss(cache, engine, target, upstream):
    first = litellm.completion(messages=ask("q"), **target)
    engine.store(cache.get_cache_key(messages=ask("q"), **target).request, '{"v": 999}')
    metadata = {}
    assert said(litellm.completion(messages=ask("q"), metadata=metadata, **target)) != said(first)
    assert upstream.chats == 2
    assert metadata["semcache"] == {"status": "miss", "reason": "store_error"}


async def test_a_payload_that_holds_no_answer_costs_a_miss_and_one_line_in_the_log(
    cache, engine, target, caplog
):
    asked = {"prompt": "q", **target}
    engine.store(cache.get_cache_key(**asked).request, '{"v": 1, "response": {"choices": [7]}}')
    with caplog.at_level(logging.WARNING):
        assert cache.get_cache(**asked) is None
        assert await cache.async_get_cache(**asked) is None
    assert sum(cache.troubles.values()) == 2
    assert len(caplog.records) == 1


async def test_a_stream_without_litellms_logging_object_is_a_miss(cache, target, upstream):
    litellm.completion(messages=ask("q"), **target)
    assert cache.get_cache(messages=ask("q"), stream=True, **target) is None
    assert not cache.troubles
    assert cache.get_cache(messages=ask("q"), **target) is not None


@pytest.mark.skipif(not HITS_NEED_MORE, reason="LiteLLM 1.80 imports nothing of its proxy on a hit")
@pytest.mark.parametrize("missing", ["fastapi", "soundfile", "httpx_sse"])
def test_a_missing_package_is_named_when_the_adapter_is_imported_not_on_a_hit(missing):
    program = f"import sys; sys.modules[{missing!r}] = None; import semcache_integrations.litellm"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "ImportError: caching with LiteLLM needs " + missing in ran.stderr
    assert "semcache-integrations[litellm]" in ran.stderr


# -- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_cache_key_of_the_users_own_narrows_the_key_and_never_hides_the_messages(
    cache, target, upstream, way
):
    async def call(text, key):
        if way == "sync":
            return litellm.completion(messages=ask(text), cache_key=key, **target)
        answer = await litellm.acompletion(messages=ask(text), cache_key=key, **target)
        await written()
        return answer

    for text, key, calls in (("q", "mine", 1), ("q", "mine", 1), ("other", "mine", 2), ("q", "yours", 3)):
        await call(text, key)
        assert upstream.chats == calls


def test_a_call_with_the_id_of_one_that_was_answered_has_a_key_of_its_own(cache, target):
    """LiteLLM asks for a hit's key once more, without its record of the call; ids are the user's to give."""
    litellm.completion(messages=ask("q"), **target)
    assert cache.get_cache(messages=ask("q"), litellm_call_id="1", **target)
    other = cache.get_cache_key(
        messages=ask("r"), litellm_call_id="1", litellm_logging_obj=object(), **target
    )
    assert other == cache.get_cache_key(messages=ask("r"), **target)


def test_a_stream_that_is_to_be_returned_whole_is(cache, target, upstream):
    first = litellm.completion(messages=ask("q"), **target)
    whole = litellm.completion(messages=ask("q"), stream=True, complete_response=True, **target)
    assert said(whole) == said(first)
    assert upstream.chats == 1


# -- endpoints that are bridged, and the Router -------------------------------------------------


async def test_text_completion_on_a_chat_model_never_meets_a_chat_answer(cache, target, upstream):
    chat = litellm.completion(messages=ask("say"), **target)
    for _ in range(2):
        text = litellm.text_completion(prompt="say", **target)
        assert text.object == "text_completion"
    assert said(litellm.completion(messages=ask("say"), **target)) == said(chat)


async def test_one_input_for_chat_embedding_and_responses_collides_nowhere(cache, target, upstream):
    for _ in range(2):
        assert litellm.completion(messages=ask("q"), **target).object == "chat.completion"
        assert litellm.embedding(input="q", **target).object == "list"
        assert litellm.responses(input="q", **target).object == "response"
    assert (upstream.chats, upstream.embeddings) == (1, 1)
    assert upstream.calls["/v1/responses"] == (1 if CACHES_RESPONSES else 2)


@pytest.mark.parametrize("stream", [False, True])
async def test_anthropic_messages_on_a_chat_model_keeps_its_own_form(cache, target, upstream, stream):
    chat_only = {**target, "model": "hosted_vllm/some-model"}
    for _ in range(2):
        answer = await litellm.anthropic_messages(
            messages=ask("q"), max_tokens=50, stream=stream, **chat_only
        )
        if stream:
            assert b"message_stop" in b"".join([chunk async for chunk in answer])
        else:
            assert answer["type"] == "message"
        await written()
    assert upstream.chats == 1  # what it is bridged to is an ordinary chat call


@pytest.mark.parametrize("stream", [False, True])
async def test_a_router_that_caches_hits_sync_and_async(cache, target, upstream, stream):
    router = litellm.Router(
        model_list=[{"model_name": "group", "litellm_params": target}], cache_responses=True
    )
    first = await read(await router.acompletion(model="group", messages=ask("q"), stream=stream))
    await written()
    assert await read(await router.acompletion(model="group", messages=ask("q"), stream=stream)) == first
    assert upstream.chats == 1


def test_a_sync_router_needs_no_loop_of_ours(cache, target, upstream):
    router = litellm.Router(
        model_list=[{"model_name": "group", "litellm_params": target}], cache_responses=True
    )
    answers = {said(router.completion(model="group", messages=ask("q"))) for _ in range(2)}
    assert (len(answers), upstream.chats) == (1, 1)


async def test_a_router_that_does_not_cache_neither_reads_nor_writes(cache, target, upstream):
    router = litellm.Router(model_list=[{"model_name": "group", "litellm_params": target}])
    for _ in range(2):
        await router.acompletion(model="group", messages=ask("q"))
        await written()
    assert upstream.chats == 2
    assert cache.engine.stats().entries == 0
