"""Embeddings through the cache: exactly, the sync call as a whole, the async one input by input."""

from __future__ import annotations

import asyncio

import litellm
import pytest

from semcache_integrations.litellm.noting import noted
from semcache_integrations.litellm.versions import PARTIAL_HITS


@pytest.fixture
def target(upstream):
    return {"model": "openai/text-embedding-3-small", "api_base": upstream.url, "api_key": "sk-test"}


def vectors(response):
    return [item["embedding"] for item in response.data]


async def embed(inputs, **arguments):
    response = await litellm.aembedding(input=inputs, **arguments)
    await asyncio.sleep(0.05)  # LiteLLM writes in a task of its own
    return response


def test_a_sync_repeat_is_a_hit_as_a_whole(cache, target, upstream):
    first = litellm.embedding(input=["a", "b"], **target)
    again = litellm.embedding(input=["a", "b"], **target)
    assert (vectors(again), upstream.embeddings) == (vectors(first), 1)
    assert again.usage.prompt_tokens == first.usage.prompt_tokens
    litellm.embedding(input=["b", "a"], **target)
    litellm.embedding(input=["a"], **target)
    assert upstream.embeddings == 3


@pytest.mark.skipif(not PARTIAL_HITS, reason="LiteLLM 1.80 asks for all inputs after a partial hit")
async def test_async_inputs_are_kept_one_by_one_and_only_the_new_ones_are_asked(cache, target, upstream):
    first = vectors(await embed(["a", "b"], **target))
    mixed = await embed(["b", "c", "a"], **target)
    assert upstream.bodies[-1]["input"] == ["c"]
    again = await embed(["b", "c", "a"], **target)
    assert upstream.embeddings == 2
    assert vectors(again) == vectors(mixed)
    assert [vectors(again)[2], vectors(again)[0]] == first
    assert again.usage.prompt_tokens == 21


async def test_after_a_partial_hit_every_input_has_its_own_vector(cache, target):
    """LiteLLM 1.80 gave the vector of the first input to the missing one."""
    alone = {text: vectors(litellm.embedding(input=[text], **target))[0] for text in "abc"}
    for text in "ab":
        await embed([text], **target)
    assert vectors(await embed(["b", "c", "a"], **target)) == [alone["b"], alone["c"], alone["a"]]


async def test_one_async_string_is_kept_too(cache, target, upstream):
    first = await embed("a", **target)
    assert vectors(await embed("a", **target)) == vectors(first)
    assert upstream.embeddings == 1


async def test_a_positional_model_is_keyed(cache, target, upstream):
    where = {name: value for name, value in target.items() if name != "model"}
    small = vectors(await litellm.aembedding("openai/text-embedding-3-small", input=["a"], **where))
    await asyncio.sleep(0.05)
    ada = vectors(await litellm.aembedding("openai/text-embedding-3-large-x", input=["a"], **where))
    await asyncio.sleep(0.05)
    assert small != ada
    assert upstream.embeddings == 2
    assert vectors(await litellm.aembedding("openai/text-embedding-3-small", input=["a"], **where)) == small
    assert upstream.embeddings == 2


@pytest.mark.parametrize(
    "change",
    [{"dimensions": 2}, {"api_key": "sk-other"}, {"user": "b"}, {"model": "openai/text-embedding-3-large"}],
)
@pytest.mark.parametrize("way", ["sync", "async"])
async def test_another_parameter_is_another_vector(cache, target, upstream, change, way):
    for arguments in (target, {**target, **change}):
        if way == "sync":
            litellm.embedding(input=["a"], **arguments)
        else:
            await embed(["a"], **arguments)
    assert upstream.embeddings == 2


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_an_age_of_zero_is_a_miss_and_a_ttl_ends(cache, target, upstream, way):
    async def call(**control):
        if way == "sync":
            return litellm.embedding(input=["a"], cache=control, **target)
        return await embed(["a"], cache=control, **target)

    await call(ttl=0.3)
    await call(**{"s-maxage": 60})
    assert upstream.embeddings == 1
    await call(**{"s-maxage": 0, "no-store": True})
    assert upstream.embeddings == 2
    await asyncio.sleep(0.35)
    await call()
    assert upstream.embeddings == 3


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_caching_false_neither_reads_nor_writes(cache, target, upstream, way):
    for caching in (False, None, False):
        arguments = {"caching": caching} if caching is False else {}
        if way == "sync":
            litellm.embedding(input=["a"], **target, **arguments)
        else:
            await embed(["a"], **target, **arguments)
    assert upstream.embeddings == 3


async def test_a_list_that_is_refilled_after_the_call_poisons_nothing(cache, target, upstream):
    """The write runs after the caller has gone on: batch[:] = … is what batching code does."""
    batch = ["a", "b"]
    first = vectors(await litellm.aembedding(input=batch, **target))
    batch[:] = ["x", "y"]
    await asyncio.sleep(0.05)
    assert vectors(await embed(["x", "y"], **target)) != first
    batch = ["m", "n"]
    await litellm.aembedding(input=batch, **target)
    batch.reverse()
    await asyncio.sleep(0.05)
    before = upstream.embeddings
    await embed(["n", "m"], **target)
    assert upstream.embeddings == before + 1


@pytest.mark.parametrize(
    ("inputs", "status"), [(["new", "old"], "miss"), (["old", "new"], "miss"), (["old"], "hit")], ids=str
)
async def test_a_call_is_noted_as_a_hit_only_if_all_its_inputs_are_found(cache, target, inputs, status):
    await embed(["old"], **target)
    metadata = {"semcache": {"status": "miss"}}  # what a client writes there counts for nothing
    await embed(inputs, metadata=metadata, **target)
    assert metadata["semcache"]["status"] == status


def test_a_note_that_a_client_has_written_is_none():
    forged = {"status": "hit", "tier": "hash"}
    assert noted({"metadata": {"semcache": forged}, "litellm_metadata": {"semcache": forged}}) is None


async def test_tenants_never_meet(cache, engine, target, upstream):
    for tenant, calls in (("a", 1), ("b", 2), ("a", 2)):
        with engine.scope(tenant=tenant):
            await embed(["q"], **target)
        assert upstream.embeddings == calls


def test_a_hit_belongs_to_its_caller_alone(cache, target, upstream):
    first = vectors(litellm.embedding(input=["a"], **target))
    vectors(litellm.embedding(input=["a"], **target))[0].append(1.0)
    assert vectors(litellm.embedding(input=["a"], **target)) == first
    assert upstream.embeddings == 1
