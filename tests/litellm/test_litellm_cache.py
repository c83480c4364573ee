"""LiteLLM's chat calls through the cache, against a real upstream that counts them."""

from __future__ import annotations

import asyncio

import litellm
import pytest


def ask(text, *before):
    return [*before, {"role": "user", "content": text}]


def said(response):
    return response.choices[0].message.content


def hit(response):
    return response._hidden_params.get("cache_hit") is True


SYSTEM = {"role": "system", "content": "Be nice."}


def test_an_exact_repeat_is_a_hit(cache, target, upstream):
    first = litellm.completion(messages=ask("What is the capital of France?"), **target)
    again = litellm.completion(messages=ask("What is the capital of France?"), **target)
    assert (said(again), upstream.chats, hit(first), hit(again)) == (said(first), 1, False, True)


async def test_an_async_repeat_is_a_hit(cache, target, upstream):
    first = await litellm.acompletion(messages=ask("What is the capital of France?"), **target)
    await asyncio.sleep(0.05)
    again = await litellm.acompletion(messages=ask("What is the capital of France?"), **target)
    assert (said(again), upstream.chats, hit(again)) == (said(first), 1, True)


def test_a_reworded_question_is_a_semantic_hit_and_says_so(cache, target, upstream):
    litellm.completion(messages=ask("the capital of france is what"), **target)
    metadata = {}
    again = litellm.completion(messages=ask("what is the capital of france"), metadata=metadata, **target)
    assert upstream.chats == 1
    assert again._hidden_params["semcache"]["tier"] == "semantic"
    assert metadata["semantic-similarity"] == pytest.approx(1.0, abs=1e-4)
