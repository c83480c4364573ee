"""`with_semantic_cache` around the real classes of OpenAI and Anthropic, through their own SDKs."""

from __future__ import annotations

from functools import reduce
from operator import add

import pytest
from doubles.langchain_calls import model_of
from langchain_core.messages import AIMessage
from pydantic import BaseModel, create_model

from semcache_integrations.core.replay import Replay
from semcache_integrations.langchain import with_semantic_cache
from semcache_integrations.testing import FakeUpstream

ASKED = "greet me, with any tool that there is"
TEXT = "Hello from Paris.\r\nNice day, 今日は 👩‍👩‍👧!\n\n```py\nx  =  1\n```"


@pytest.fixture
def apis():
    with FakeUpstream(lambda question: TEXT) as running:
        yield running


KINDS = ["chat", "responses", "anthropic"]
UNTOLD = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
}  # OpenAI's streams have no counts unless asked
HANDLES = ("id", "semcache", "headers")


def merged(chunks):
    return reduce(add, chunks)


async def streamed(model, asked):
    return [chunk async for chunk in model.astream(asked)]


def said(message):
    """All that a message says, but for ids of calls that are over, which no two calls share."""
    told = message.model_dump(exclude={"id", "tool_call_chunks", "chunk_position", "type"})
    told["response_metadata"] = {
        name: value for name, value in told["response_metadata"].items() if name not in HANDLES
    }
    for call in told["tool_calls"]:
        call["id"] = "an id"
    if isinstance(told["content"], list):
        told["content"] = [
            {name: "an id" if name == "id" else value for name, value in block.items()}
            for block in told["content"]
            if block.get("type") != "text" or block.get("text")
        ]
        for block in told["content"]:
            if block.get("type") == "text":
                block.pop("id", None)
    return told


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"sun in {city}"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_replayed_stream_adds_up_to_the_live_one(kind, apis, kept):
    model = with_semantic_cache(model_of(kind, apis), kept)
    live = list(model.stream(ASKED))
    again = list(model.stream(ASKED))
    later = await streamed(model, ASKED)
    assert apis.count == 1
    assert merged(again).text == merged(later).text == TEXT
    assert said(merged(again)) == said(merged(later)) == said(merged(live))
    assert len([chunk for chunk in again if chunk.text]) > 1
    assert merged(again).response_metadata["semcache"]["hit"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_replayed_async_stream_adds_up_to_the_live_one(kind, apis, kept):
    model = with_semantic_cache(model_of(kind, apis), kept)
    live = merged(await streamed(model, ASKED))
    again = merged(await streamed(model, ASKED))
    assert apis.count == 1
    assert said(again) == said(live)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_entry_of_a_stream_answers_invoke_and_the_other_way_round(kind, apis, kept):
    model = with_semantic_cache(model_of(kind, apis), kept)
    streamed_first = merged(list(model.stream(ASKED)))
    answer = model.invoke(ASKED)
    assert (type(answer), answer.text, answer.usage_metadata) == (
        AIMessage,
        streamed_first.text,
        streamed_first.usage_metadata or UNTOLD,
    )
    assert answer.response_metadata["semcache"]["hit"]
    invoked_first = await model.ainvoke("another")
    assert merged(list(model.stream("another"))).text == invoked_first.text
    assert apis.count == 2


@pytest.mark.parametrize("kind", KINDS)
def test_its_entries_are_those_of_langchains_own_cache(kind, apis, kept):
    plain = model_of(kind, apis, cache=kept)
    plain.invoke(ASKED)
    assert merged(list(with_semantic_cache(model_of(kind, apis), kept).stream(ASKED))).text == TEXT
    list(with_semantic_cache(model_of(kind, apis), kept).stream("another"))
    assert plain.invoke("another").response_metadata["semcache"]["hit"]
    assert apis.count == 2


@pytest.mark.parametrize("kind", ["chat", "anthropic"])
def test_tool_calls_are_replayed_with_ids_of_their_own(kind, apis, kept):
    model = with_semantic_cache(model_of(kind, apis), kept).bind_tools([get_weather])
    live, again = merged(list(model.stream(ASKED))), merged(list(model.stream(ASKED)))
    assert apis.count == 1
    assert said(again) == said(live)
    (old,), (new,) = live.tool_calls, again.tool_calls
    assert (new["name"], new["args"]) == (old["name"], old["args"]) == ("get_weather", {"city": ASKED})
    assert new["id"] != old["id"]
    assert model.invoke(ASKED).tool_calls[0]["args"] == {"city": ASKED}
    assert apis.count == 1


def test_thoughts_are_replayed(apis, kept):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    model = with_semantic_cache(model_of("anthropic", apis, thinking=thinking), kept)
    live, again = merged(list(model.stream(ASKED))), merged(list(model.stream(ASKED)))
    assert apis.count == 1
    assert said(again) == said(live)
    assert again.content[0]["thinking"] == live.content[0]["thinking"] != ""


class Answer(BaseModel):
    """An answer."""

    answer: str


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the OpenAI SDK's own parsed answers
@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
def test_structured_output_is_replayed(method, apis, kept):
    model = with_semantic_cache(model_of("chat", apis), kept).with_structured_output(Answer, method=method)
    live = list(model.stream("a city, as json"))[-1]
    again = list(model.stream("a city, as json"))[-1]
    assert live == again == model.invoke("a city, as json")
    assert isinstance(again, Answer)
    assert apis.count == 1


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # as above
def test_two_schemas_of_one_name_do_not_share_an_answer(apis, kept):
    other = create_model("Answer", __module__=__name__, answer=(str, ...), river=(str, ...))
    model = with_semantic_cache(model_of("chat", apis), kept)
    model.with_structured_output(Answer, method="json_schema").invoke("json")
    assert model.with_structured_output(other, method="json_schema").invoke("json").river == TEXT
    assert apis.count == 2


def test_a_setting_that_was_changed_after_the_first_call_misses(apis, kept):
    model = with_semantic_cache(model_of("chat", apis, temperature=0), kept)
    model.invoke(ASKED)
    model.temperature = 1.0
    list(model.stream(ASKED))
    assert apis.count == 2
    model.temperature = 0
    assert model.invoke(ASKED).response_metadata["semcache"]["hit"]
    model.model_copy(update={"temperature": 0.5}).invoke(ASKED)
    assert apis.count == 3


@pytest.mark.parametrize("strategy", ["words", "sentences", "paragraphs", "characters", "none"])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_way_of_replay_is_lossless(kind, strategy, size, apis, kept):
    model = with_semantic_cache(model_of(kind, apis), kept, replay=Replay(strategy, size))
    live = merged(list(model.stream(ASKED)))
    again = list(model.stream(ASKED))
    assert "".join(chunk.text for chunk in again) == live.text == TEXT
    assert said(merged(again)) == said(live)


def test_usage_can_be_zero_for_what_cost_nothing(apis, cache):
    model = with_semantic_cache(model_of("chat", apis), cache, hit_usage="zero")
    assert model.invoke(ASKED).usage_metadata["total_tokens"] > 0
    assert merged(list(model.stream(ASKED))).usage_metadata["total_tokens"] == 0


def test_the_v1_format_of_messages_is_replayed(apis, kept):
    model = with_semantic_cache(model_of("chat", apis, output_version="v1"), kept)
    live, again = merged(list(model.stream(ASKED))), merged(list(model.stream(ASKED)))
    assert apis.count == 1
    assert [block["type"] for block in again.content_blocks] == [
        block["type"] for block in live.content_blocks
    ]
    assert again.text == live.text == TEXT
