"""The local upstream serves the real SDKs, and counts."""

from __future__ import annotations

import litellm
import pytest
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, InternalServerError, OpenAI

from semcache_integrations.testing import FakeUpstream, Latency

ASK = [{"role": "user", "content": "How are you?"}]
ANSWER = "Answer to: How are you?"


@pytest.fixture(scope="module")
def running():
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(running):
    running.reset()
    return running


@pytest.fixture
def client(upstream):
    with OpenAI(base_url=upstream.url, api_key="x", max_retries=0) as client:
        yield client


def test_the_openai_sdk_gets_answers_and_streams(client, upstream):
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=ASK, n=2)
    assert [choice.message.content for choice in reply.choices] == [ANSWER, ANSWER]
    assert reply.usage.total_tokens == 8
    stream = list(
        client.chat.completions.create(
            model="gpt-4o-mini", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == ANSWER
    assert stream[-1].usage.total_tokens == 8
    assert upstream.count == 2
    assert upstream.calls[1].body["stream"] is True
    assert upstream.calls[0].headers["authorization"] == "Bearer x"


async def test_the_async_openai_sdk_gets_answers(upstream):
    async with AsyncOpenAI(base_url=upstream.url, api_key="x") as client:
        reply = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
        assert reply.choices[0].message.content == ANSWER
        vectors = await client.embeddings.create(model="e", input=["a", "b", "a"])
        assert vectors.data[0].embedding == vectors.data[2].embedding != vectors.data[1].embedding


def test_tools_are_called_when_asked_for(client):
    tools = [{"type": "function", "function": {"name": "search", "parameters": {}}}]
    ask = [{"role": "user", "content": [{"type": "text", "text": "use the tool"}]}]
    reply = client.chat.completions.create(model="m", messages=ask, tools=tools)
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.choices[0].message.tool_calls[0].function.name == "search"
    stream = client.chat.completions.create(model="m", messages=ask, tools=tools, stream=True)
    assert any(chunk.choices[0].delta.tool_calls for chunk in stream)
    assert (
        client.chat.completions.create(model="m", messages=ASK, tools=tools).choices[0].finish_reason
        == "stop"
    )


def test_it_fails_as_often_as_it_is_told(client, upstream):
    upstream.fail(500, times=2)
    with pytest.raises(InternalServerError):
        client.chat.completions.create(model="m", messages=ASK)
    with pytest.raises(InternalServerError):
        client.embeddings.create(model="m", input="a")
    assert client.chat.completions.create(model="m", messages=ASK)
    assert upstream.count == 3


def test_langchain_and_litellm_get_answers(upstream):
    model = ChatOpenAI(model="m", base_url=upstream.url, api_key="x")
    assert model.invoke("How are you?").content == ANSWER
    assert "".join(str(chunk.content) for chunk in model.stream("How are you?")) == ANSWER
    reply = litellm.completion("openai/m", ASK, api_base=upstream.url, api_key="x", caching=False)
    assert reply.choices[0].message.content == ANSWER


def test_latencies_are_spread_around_their_median_and_repeat():
    first, second = Latency(0.5, seed=1).sampler(), Latency(0.5, seed=1).sampler()
    drawn = sorted(first() for _ in range(1001))
    assert sorted(second() for _ in range(1001)) == drawn
    assert 0.45 < drawn[500] < 0.55
    assert drawn[0] < 0.3
    assert drawn[-1] > 1.0


def test_several_run_at_once_and_stop():
    with (
        FakeUpstream(answer=str.upper) as one,
        FakeUpstream(answer=str.lower, latency=Latency(0.001)) as other,
    ):
        assert one.url != other.url
        with OpenAI(base_url=one.url, api_key="x") as client:
            assert (
                client.chat.completions.create(model="m", messages=ASK).choices[0].message.content
                == "HOW ARE YOU?"
            )
        with OpenAI(base_url=other.url, api_key="x") as client:
            assert (
                client.chat.completions.create(model="m", messages=ASK).choices[0].message.content
                == "how are you?"
            )
