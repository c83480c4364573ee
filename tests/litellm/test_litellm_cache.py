"""LiteLLM's chat calls through the cache, sync and async, against a real upstream that counts them."""

from __future__ import annotations

import asyncio
import threading

import litellm
import pytest
from doubles.litellm_calls import asked
from doubles.litellm_witness import Witness
from doubles.litellm_writes import written
from pydantic import BaseModel

from semcache_integrations import SemanticCache
from semcache_integrations.litellm import LiteLLMSemanticCache

SYSTEM = {"role": "system", "content": "Be nice."}
TOOLS = [
    {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
]


def ask(text, *before):
    return [*before, {"role": "user", "content": text}]


def said(response):
    return response.choices[0].message.content


def hit(response):
    return response._hidden_params.get("cache_hit") is True


@pytest.fixture(params=["sync", "async"])
def call(request, cache, target):
    """Calls LiteLLM either way, and waits for the write."""

    async def chat(text="What is the capital of France?", **arguments):
        merged = {**target, "messages": ask(text), **arguments}
        return await asked(request.param, litellm.completion, litellm.acompletion, **merged)

    return chat


async def test_an_exact_repeat_is_a_hit(call, upstream):
    first, again = await call(), await call()
    assert (said(again), upstream.chats, hit(first), hit(again)) == (said(first), 1, False, True)


async def test_a_reworded_question_is_a_semantic_hit_and_says_so(call, upstream):
    await call("the capital of france is what")
    metadata = {}
    again = await call("what is the capital of france", metadata=metadata)
    assert upstream.chats == 1
    assert again._hidden_params["semcache"]["tier"] == "semantic"
    assert metadata["semantic-similarity"] == pytest.approx(1.0, abs=1e-4)


async def test_another_question_is_a_miss(call, upstream):
    await call("What is the capital of France?")
    await call("How do I bake sourdough bread at home?")
    assert upstream.chats == 2


@pytest.mark.parametrize(
    "change",
    [
        {"model": "openai/gpt-4o"},
        {"temperature": 0.5},
        {"max_tokens": 7},
        {"n": 2},
        {"stop": ["x"]},
        {"seed": 3},
        {"user": "someone"},
        {"tools": TOOLS},
        {"api_key": "sk-other"},
        {"organization": "org-2"},
        {"extra_body": {"vendor": 1}},
        {"extra_headers": {"x-variant": "b"}},
        {"response_format": {"type": "json_object"}},
        {"messages": ask("What is the capital of France?", SYSTEM)},
        {"messages": [{"role": "assistant", "content": "What is the capital of France?"}]},
        {"cache": {"namespace": "other"}},
        {"metadata": {"user_api_key": "another virtual key"}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_whatever_may_change_the_answer_is_keyed(call, upstream, change):
    await call()
    assert not hit(await call(**change))
    assert upstream.chats == 2


@pytest.mark.parametrize(
    "change",
    [
        {"timeout": 11},
        {"max_retries": 1},
        {"num_retries": 1},
        {"n": 1},
        {"temperature": None},
        {"metadata": {"trace": "t"}},
        {"extra_headers": {"traceparent": "00-1"}},
        {
            "messages": [
                {"content": [{"text": "What is the capital of France?", "type": "text"}], "role": "user"}
            ]
        },
        {"cache": {"tags": ["a"]}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_whatever_cannot_change_the_answer_is_not_keyed(call, upstream, change):
    await call()
    assert hit(await call(**change))
    assert upstream.chats == 1


async def test_numbers_and_the_order_of_arguments_do_not_matter(cache, target, upstream):
    litellm.completion(temperature=0, top_p=1.0, messages=ask("q"), **target)
    litellm.completion(**target, messages=ask("q"), top_p=1, temperature=0.0)
    litellm.completion(
        target["model"], ask("q"), top_p=1, temperature=0.0, api_base=target["api_base"], api_key="sk-test"
    )
    assert upstream.chats == 1


async def test_two_schemas_of_one_name_are_two_requests(call, upstream):
    def schema(field):
        return type("Answer", (BaseModel,), {"__annotations__": {field: str}})

    await call(response_format=schema("city"))
    await call(response_format=schema("country"))
    assert upstream.chats == 2
    await call(response_format=schema("city"))
    assert upstream.chats == 2


async def test_another_picture_with_the_same_question_is_a_miss(call, upstream):
    def look(url):
        return [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": url}},
                ],
            }
        ]

    await call(messages=look("http://127.0.0.1/cat.png"))
    await call(messages=look("http://127.0.0.1/dog.png"))
    assert upstream.chats == 2
    assert hit(await call(messages=look("http://127.0.0.1/cat.png")))


async def test_with_tools_bound_a_reworded_question_is_a_miss_and_a_repeat_a_hit(call, upstream):
    await call("the capital of france is what", tools=TOOLS)
    await call("what is the capital of france", tools=TOOLS)
    assert upstream.chats == 2
    assert hit(await call("what is the capital of france", tools=TOOLS))


async def test_long_conversations_are_cached_too(call, upstream):
    history = [{"role": role, "content": str(turn)} for turn in range(6) for role in ("user", "assistant")]
    await call(messages=ask("and now?", *history))
    assert hit(await call(messages=ask("and now?", *history)))
    assert not hit(await call(messages=ask("and now?", *history[:-2])))


@pytest.mark.parametrize(
    "arguments",
    [{"n": 2, "logprobs": True}, {"model": "openai/gpt-5-mini", "reasoning_effort": "low"}],
    ids=["choices", "reasoning"],
)
async def test_everything_in_the_answer_comes_back(call, upstream, arguments):
    first, again = await call(**arguments), await call(**arguments)
    assert upstream.chats == 1
    assert again.model_dump(exclude_none=True) == first.model_dump(exclude_none=True)


async def test_a_replayed_tool_call_has_an_id_of_its_own(call, upstream):
    first, again, third = [(await call(tools=TOOLS)).choices[0].message.tool_calls[0] for _ in range(3)]
    assert upstream.chats == 1
    assert again.function == first.function
    assert len({first.id, again.id, third.id}) == 3


async def test_a_hit_belongs_to_its_caller_alone(call, upstream):
    await call()
    mine = await call()
    mine.choices[0].message.content = "changed"
    mine.choices.append(mine.choices[0])
    mine.usage.prompt_tokens = 99
    mine.usage.prompt_tokens_details.cached_tokens = 99
    mine._hidden_params["mine"] = True
    yours = await call()
    assert (said(yours), len(yours.choices)) == (said(yours).replace("changed", ""), 1)
    assert (yours.usage.prompt_tokens, yours.usage.prompt_tokens_details.cached_tokens) == (11, 4)
    assert "mine" not in yours._hidden_params


@pytest.mark.parametrize("trouble", ["length", "content_filter", "refusal", "empty"])
async def test_an_incomplete_answer_is_not_kept(call, upstream, trouble):
    await call(f"please be {trouble}")
    await call(f"please be {trouble}")
    assert upstream.chats == 2


# -- controls of one call -------------------------------------------------------------------------


async def test_no_cache_refreshes_the_entry(call, upstream):
    first = await call()
    second = await call(cache={"no-cache": True})
    assert said(second) != said(first)
    assert said(await call()) == said(second)


async def test_no_store_keeps_nothing(call, upstream):
    await call(cache={"no-store": True})
    await call()
    assert upstream.chats == 2


async def test_caching_false_neither_reads_nor_writes(call, upstream):
    await call(caching=False)
    first = await call()
    other = await call(caching=False)
    assert upstream.chats == 3
    assert said(await call()) == said(first) != said(other)


async def test_an_age_of_zero_is_a_miss_and_a_day_a_hit(call, upstream):
    await call()
    for name in ("s-maxage", "s-max-age"):
        assert hit(await call(cache={name: 86_400}))
        assert not hit(await call(cache={name: 0}))


async def test_a_ttl_ends(call, upstream):
    await call(cache={"ttl": 0.2})
    assert hit(await call())
    await asyncio.sleep(0.25)
    assert not hit(await call())


async def test_a_threshold_may_tighten_and_semantic_may_be_switched_off(call, upstream):
    await call("alpha beta gamma delta epsilon zeta eta theta iota kappa")
    near = "alpha beta gamma delta epsilon zeta eta theta iota"
    assert not hit(await call(near, cache={"similarity_threshold": 0.999, "no-store": True}))
    assert not hit(await call(near, cache={"semantic": False, "no-store": True}))
    assert hit(await call(near, cache={"similarity_threshold": 0.1}))


async def test_a_control_without_meaning_keeps_the_call_out_of_the_cache(call, upstream):
    for _ in range(2):
        assert not hit(await call(cache={"ttl": "soon"}))


async def test_entries_can_be_invalidated_by_tag(call, cache, upstream):
    await call(cache={"tags": ["faq"]})
    assert cache.engine.invalidate(tag="faq") == 1
    assert not hit(await call())


def test_default_off_caches_only_who_asks_for_it(cache, engine, target, upstream):
    litellm.cache = LiteLLMSemanticCache(engine, mode="default_off")
    for cached, calls in ((False, 1), (False, 2), (True, 3), (True, 3)):
        arguments = {"cache": {"use-cache": True}} if cached else {}
        litellm.completion(messages=ask("q"), **target, **arguments)
        assert upstream.chats == calls


# -- tenants --------------------------------------------------------------------------------------


async def test_tenants_never_meet(call, cache, engine, upstream):
    with engine.scope(tenant="a"):
        await call()
        assert hit(await call())
    with engine.scope(tenant="b"):
        assert not hit(await call())
    assert not hit(await call())


def test_the_tenant_of_a_cache_is_part_of_every_key(cache, engine, target, upstream):
    for tenant, calls in (("a", 1), ("b", 2), ("a", 2)):
        litellm.cache = LiteLLMSemanticCache(engine, tenant=tenant)
        litellm.completion(messages=ask("q"), **target)
        assert upstream.chats == calls


def test_the_secret_of_an_engine_keys_the_digests_of_credentials(cache, target):
    with SemanticCache(hash_only=True, secret="anise-basil-chervil-dill") as engine:
        secretive, asked = LiteLLMSemanticCache(engine), {"messages": ask("q"), **target}
        keys = [one.get_cache_key(**asked) for one in (cache, secretive)]
    assert keys[0].request.context != keys[1].request.context


# -- many at once ---------------------------------------------------------------------------------


def test_many_threads_get_their_own_answers(cache, target, upstream):
    questions = [f"Question {name}?" for name in ("alpha", "beta", "gamma", "delta")]
    first = {question: said(litellm.completion(messages=ask(question), **target)) for question in questions}
    wrong = []

    def work(question):
        answers = [said(litellm.completion(messages=ask(question), **target)) for _ in range(5)]
        wrong.extend(answer for answer in answers if answer != first[question])

    threads = [threading.Thread(target=work, args=(question,)) for question in questions * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert upstream.chats == 4


async def test_many_tasks_get_their_own_answers(cache, target, upstream):
    questions = [f"Question {name}?" for name in ("alpha", "beta", "gamma", "delta")]

    async def one(question):
        return said(await litellm.acompletion(messages=ask(question), **target))

    first = await asyncio.gather(*map(one, questions))
    await written()
    assert await asyncio.gather(*map(one, questions * 3)) == first * 3
    assert upstream.chats == 4


# -- what LiteLLM is told -------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_hit_is_one_success_event_that_cost_nothing(cache, target, upstream, way, stream):
    witness = Witness()
    litellm.callbacks = [witness]
    litellm.completion(messages=ask("q"), **target)
    assert len(await witness.settled()) == 1
    if way == "sync":
        answer = litellm.completion(messages=ask("q"), stream=stream, **target)
        list(answer) if stream else None
    else:
        answer = await litellm.acompletion(messages=ask("q"), stream=stream, **target)
        [chunk async for chunk in answer] if stream else None
    assert [event.short for event in await witness.settled()] == [(way, True, 0.0)]
    assert upstream.chats == 1


def test_a_hit_shows_its_key_and_its_cost(cache, target, upstream):
    litellm.completion(messages=ask("q"), **target)
    shown = litellm.completion(messages=ask("q"), **target)._hidden_params
    assert shown["response_cost"] == 0.0
    assert shown["cache_key"] == litellm.completion(messages=ask("q"), **target)._hidden_params["cache_key"]
    assert shown["cache_key"] == cache.get_cache_key(messages=ask("q"), **target)


def test_what_is_kept_survives_a_restart(tmp_path, cache, words, target, upstream):
    for _ in range(2):
        with SemanticCache(path=tmp_path, embedder=words) as engine:
            litellm.cache = LiteLLMSemanticCache(engine)
            litellm.completion(messages=ask("q"), **target)
    assert upstream.chats == 1


async def test_disconnect_closes_an_engine_of_its_own_and_leaves_a_shared_one(
    cache, engine, target, upstream
):
    await cache.disconnect()
    litellm.completion(messages=ask("q"), **target)
    assert hit(litellm.completion(messages=ask("q"), **target))
    own = LiteLLMSemanticCache(hash_only=True)
    await own.disconnect()
