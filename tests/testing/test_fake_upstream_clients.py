"""The real SDKs cannot tell FakeUpstream from a provider: plain, streamed, sync and async."""

from __future__ import annotations

import json
from collections.abc import Iterator

import anthropic
import openai
import pytest
from pydantic import BaseModel

from semcache_integrations.testing import FakeUpstream

MODEL = "gpt-4o-mini"
QUESTION = "What is the capital of France?"
ASKED = [{"role": "user", "content": QUESTION}]
ANSWER = f"Answer to: {QUESTION} ["
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


class City(BaseModel):
    """A structured answer with a structure in it."""

    name: str
    population: int
    districts: list[str]


@pytest.fixture(scope="module")
def served() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture
def upstream(served: FakeUpstream) -> FakeUpstream:
    served.reset()
    return served


@pytest.fixture
def client(upstream: FakeUpstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=upstream.url, api_key="none-needed", max_retries=0) as one:
        yield one


def joined(chunks) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# ---- openai


def test_openai_chat_gives_the_same_text_whole_and_streamed(client, upstream):
    whole = client.chat.completions.create(model=MODEL, messages=ASKED)
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASKED, stream=True))
    assert whole.choices[0].message.content == joined(chunks)
    assert whole.choices[0].message.content.startswith(ANSWER)
    assert whole.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks)
    assert [call.body.get("stream", False) for call in upstream.calls] == [False, True]


def test_openai_chat_streams_usage_where_it_is_asked_for(client):
    asked = {"model": MODEL, "messages": ASKED}
    *chunks, last = client.chat.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    )
    assert last.choices == []
    assert last.usage == client.chat.completions.create(**asked).usage
    assert all(chunk.usage is None for chunk in chunks)


def test_openai_chat_gives_n_different_choices(client):
    whole = client.chat.completions.create(model=MODEL, messages=ASKED, n=3)
    texts = [choice.message.content for choice in whole.choices]
    assert len(set(texts)) == 3
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASKED, n=3, stream=True))
    streamed = [joined(chunk for chunk in chunks if chunk.choices[0].index == index) for index in range(3)]
    assert streamed == texts


def test_openai_chat_gives_a_log_probability_for_every_token(client):
    asked = {"model": MODEL, "messages": ASKED, "logprobs": True}
    whole = client.chat.completions.create(**asked).choices[0]
    assert "".join(token.token for token in whole.logprobs.content) == whole.message.content
    streamed = [chunk.choices[0] for chunk in client.chat.completions.create(**asked, stream=True)]
    assert [t for one in streamed if one.logprobs for t in one.logprobs.content] == whole.logprobs.content


@pytest.mark.parametrize(
    ("question", "choice", "called"),
    [
        ("How is the weather in Paris?", "auto", True),
        ("Please use the tool.", "auto", True),
        ("How is Paris?", "auto", False),
        ("How is Paris?", "required", True),
        ("How is Paris?", {"type": "function", "function": {"name": "get_weather"}}, True),
        ("How is the weather in Paris?", "none", False),
    ],
)
def test_openai_chat_calls_a_tool_if_the_question_or_the_tool_choice_asks_for_it(
    client, question, choice, called
):
    asked = {"messages": [{"role": "user", "content": question}], "tools": [TOOL], "tool_choice": choice}
    whole = client.chat.completions.create(model=MODEL, **asked).choices[0]
    chunks = list(client.chat.completions.create(model=MODEL, **asked, stream=True))
    assert (whole.finish_reason == "tool_calls") == (whole.message.content is None) == called
    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert bool(deltas) == called
    if called:
        arguments = whole.message.tool_calls[0].function.arguments
        assert json.loads(arguments) == {"city": question, "days": 1}
        assert "".join(call.function.arguments for call in deltas) == arguments


def test_a_tool_result_is_answered_with_text(client):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    asked = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    message = client.chat.completions.create(model=MODEL, messages=asked, tools=[TOOL]).choices[0].message
    assert message.content.startswith("Answer to: weather?")


def test_openai_chat_parses_structured_answers(client):
    parsed = client.chat.completions.parse(model=MODEL, messages=ASKED, response_format=City)
    assert parsed.choices[0].message.parsed.name.startswith(ANSWER)
    plain = client.chat.completions.create(
        model=MODEL, messages=ASKED, response_format={"type": "json_object"}
    )
    assert json.loads(plain.choices[0].message.content)["answer"].startswith(ANSWER)


def test_openai_responses_gives_the_same_text_whole_and_streamed(client):
    whole = client.responses.create(model=MODEL, input=QUESTION, instructions="Be brief.")
    events = list(client.responses.create(model=MODEL, input=QUESTION, instructions="Be brief.", stream=True))
    assert whole.output_text.startswith(ANSWER)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert events[-1].response.output_text == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_the_openai_helper_for_streamed_responses_accumulates_text_and_tool_calls(client):
    tools = [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}]
    with client.responses.stream(model=MODEL, input=QUESTION) as stream:
        assert stream.until_done().get_final_response().output_text.startswith(ANSWER)
    with client.responses.stream(model=MODEL, input="weather in Paris?", tools=tools) as stream:
        (call,) = stream.until_done().get_final_response().output
    assert (call.name, json.loads(call.arguments)["city"]) == ("get_weather", "weather in Paris?")


def test_openai_responses_parses_structured_answers(client):
    assert client.responses.parse(model=MODEL, input=QUESTION, text_format=City).output_parsed.population == 1


def test_openai_completions_answers_each_prompt_of_a_list(client):
    whole = client.completions.create(model=MODEL, prompt=["one", "two"])
    assert [choice.text.split("[")[0] for choice in whole.choices] == ["Answer to: one ", "Answer to: two "]
    streamed = client.completions.create(model=MODEL, prompt="one", stream=True)
    text = "".join(chunk.choices[0].text for chunk in streamed)
    assert text == client.completions.create(model=MODEL, prompt="one").choices[0].text


def test_openai_embeddings_are_near_for_texts_with_words_in_common(client):
    texts = ["reset my password", "reset the password", "weather in Paris"]
    found = [
        item.embedding for item in client.embeddings.create(model="e", input=texts).data
    ]  # base64 inside
    plain = client.embeddings.create(model="e", input=texts[0], encoding_format="float", dimensions=256).data[
        0
    ]
    assert plain.embedding == pytest.approx(found[0], abs=1e-6)

    def cosine(one, two):
        return sum(a * b for a, b in zip(one, two, strict=True))

    assert cosine(found[0], found[1]) > 0.6 > cosine(found[0], found[2])


def test_openai_lists_the_models_and_that_is_no_call(client, upstream):
    assert MODEL in [model.id for model in client.models.list()]
    assert upstream.count == 0


async def test_openai_async_gives_what_the_sync_client_gets(client, upstream):
    async with openai.AsyncOpenAI(base_url=upstream.url, api_key="none-needed") as twin:
        whole = await twin.chat.completions.create(model=MODEL, messages=ASKED)
        stream = await twin.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
        chunks = [chunk async for chunk in stream]
        response = await twin.responses.create(model=MODEL, input=QUESTION)
    assert joined(chunks) == whole.choices[0].message.content
    assert client.chat.completions.create(model=MODEL, messages=ASKED).choices[0] == whole.choices[0]
    assert response.output_text.startswith(ANSWER)


# ---- anthropic


def test_anthropic_gives_the_same_message_whole_and_streamed(upstream):
    asked = {"model": "claude-fake", "max_tokens": 100, "messages": ASKED, "system": "Be brief."}
    with anthropic.Anthropic(base_url=upstream.origin, api_key="none-needed") as client:
        whole = client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        words = {"name": "get_weather", "input_schema": WEATHER}
        called = client.messages.create(**asked, tools=[words], tool_choice={"type": "any"})
    assert whole.content[0].text.startswith(ANSWER)
    assert (streamed.content[0].text, streamed.stop_reason, streamed.usage.output_tokens) == (
        whole.content[0].text,
        whole.stop_reason,
        whole.usage.output_tokens,
    )
    assert (called.stop_reason, called.content[0].input["city"]) == ("tool_use", QUESTION)
