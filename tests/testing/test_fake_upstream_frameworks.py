"""LiteLLM and LangChain work with FakeUpstream as they do with a provider, on every route they know."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import litellm
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from semcache_integrations.testing import FakeUpstream

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Item.* using the `ReadOnly` qualifier:UserWarning"
    ),  # LiteLLM's own models
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # both keep HTTP clients that nobody closes
]
MODEL = "gpt-4o-mini"
QUESTION = "What is the capital of France?"
ASKED = [{"role": "user", "content": QUESTION}]
ANSWER = f"Answer to: {QUESTION} ["
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
}


class City(BaseModel):
    """A structured answer."""

    name: str
    population: int


@tool
def get_weather(city: str) -> str:
    """Tell the weather."""
    return city


@pytest.fixture(autouse=True, scope="module")
def _their_leaks() -> Iterator[None]:
    """Collect the clients that the frameworks left behind here, unreported."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    """One for each test: the frameworks keep clients by address, and an async one dies with its test's loop."""
    with FakeUpstream() as running:
        yield running


def joined(chunks) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# ---- LiteLLM


def litellm_settings(upstream: FakeUpstream) -> dict[str, object]:
    return {"model": f"openai/{MODEL}", "messages": ASKED, "api_base": upstream.url, "api_key": "none-needed"}


def test_litellm_gives_the_same_text_whole_and_streamed(upstream):
    whole = litellm.completion(**litellm_settings(upstream))
    streamed = litellm.completion(**litellm_settings(upstream), stream=True)
    assert joined(streamed) == whole.choices[0].message.content
    assert whole.choices[0].message.content.startswith(ANSWER)
    called = litellm.completion(**litellm_settings(upstream), tools=[TOOL], tool_choice="required")
    assert called.choices[0].message.tool_calls[0].function.name == "get_weather"


async def test_litellm_async_gives_the_same_text_whole_and_streamed(upstream):
    whole = await litellm.acompletion(**litellm_settings(upstream))
    streamed = await litellm.acompletion(**litellm_settings(upstream), stream=True)
    assert joined([chunk async for chunk in streamed]) == whole.choices[0].message.content


def test_litellm_speaks_to_the_anthropic_route(upstream):
    settings = litellm_settings(upstream) | {"model": "anthropic/claude-fake", "api_base": upstream.origin}
    assert litellm.completion(**settings).choices[0].message.content.startswith(ANSWER)
    assert [call.path for call in upstream.calls] == ["/v1/messages"]


# ---- LangChain


@pytest.fixture(params=["openai", "responses", "anthropic"])
def model(request, upstream):
    if request.param == "anthropic":
        return ChatAnthropic(model="claude-fake", base_url=upstream.origin, api_key="none-needed")
    responses = request.param == "responses"
    return ChatOpenAI(model=MODEL, base_url=upstream.url, api_key="none-needed", use_responses_api=responses)


async def test_langchain_gives_the_same_text_in_all_four_ways(model):
    whole = model.invoke(QUESTION).text
    assert whole.startswith(ANSWER)
    assert "".join(chunk.text for chunk in model.stream(QUESTION)) == whole
    assert (await model.ainvoke(QUESTION)).text == whole
    assert "".join([chunk.text async for chunk in model.astream(QUESTION)]) == whole


def test_langchain_calls_tools_and_parses_structured_answers(model):
    (call,) = model.bind_tools([get_weather]).invoke("How is the weather in Paris?").tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "How is the weather in Paris?"})
    assert model.with_structured_output(City).invoke(QUESTION).population == 1
