"""`SemanticCacheAgentMiddleware` in LangChain's agents, and `StreamReplayHandler` on its cache."""

from __future__ import annotations

from collections import Counter

import pytest
from doubles.langchain_calls import CountingChat, StreamingChat, model_of
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage

from semcache_integrations import ConfigurationError
from semcache_integrations.core.replay import Replay
from semcache_integrations.langchain import (
    SemanticCacheAgentMiddleware,
    StreamReplayHandler,
    with_semantic_cache,
)
from semcache_integrations.testing import FakeUpstream

agents = pytest.importorskip("langchain.agents")
chat_models = pytest.importorskip("langchain.chat_models")

ASKED = {"messages": [("user", "greet me, with any tool that there is")]}
TEXT = "Hello from Paris. Nice day!"


class Heard(BaseCallbackHandler):
    """Writes down what it is told, in order."""

    run_inline = True

    def __init__(self):
        self.told = []

    def on_chat_model_start(self, *about, **more):
        self.told.append("start")

    def on_llm_new_token(self, token, **about):
        self.told.append(token)

    def on_llm_end(self, *about, **more):
        self.told.append("end")

    def on_llm_error(self, *about, **more):
        self.told.append("error")


class OnlyText(BaseCallbackHandler):
    """A handler from before chat models."""

    def __init__(self):
        self.prompts = []

    def on_llm_start(self, model, prompts, **about):
        self.prompts += prompts


@pytest.fixture
def apis():
    with FakeUpstream(lambda question: TEXT) as running:
        yield running


def get_weather(city: str) -> str:
    """Tell the weather."""
    weather.update([city])
    return f"sun in {city}"


weather: Counter[str] = Counter()


@pytest.mark.parametrize("kind", ["chat", "anthropic"])
def test_an_agents_answer_is_asked_for_once(kind, apis, kept):
    agent = agents.create_agent(model_of(kind, apis), middleware=[SemanticCacheAgentMiddleware(kept)])
    first, again = agent.invoke(ASKED), agent.invoke(ASKED)
    assert apis.count == 1
    assert first["messages"][-1].text == again["messages"][-1].text == TEXT
    assert first["messages"][-1].id != again["messages"][-1].id


@pytest.mark.parametrize("kind", ["chat", "anthropic"])
async def test_an_agent_streams_the_tokens_of_a_hit(kind, apis, kept):
    agent = agents.create_agent(
        model_of(kind, apis), middleware=[SemanticCacheAgentMiddleware(kept, replay=Replay("words", 1))]
    )
    heard = [[chunk.text for chunk, _ in agent.stream(ASKED, stream_mode="messages")] for _ in range(2)]
    heard.append([chunk.text async for chunk, _ in agent.astream(ASKED, stream_mode="messages")])
    assert apis.count == 1
    assert {"".join(texts) for texts in heard} == {TEXT}
    assert min(len([text for text in texts if text]) for texts in heard) > 3


def test_an_agents_callbacks_are_told_of_a_hit(apis, kept):
    agent = agents.create_agent(model_of("chat", apis), middleware=[SemanticCacheAgentMiddleware(kept)])
    for _ in range(2):
        told = Heard()
        agent.invoke(ASKED, config={"callbacks": [told]})
        assert (told.told.count("start"), told.told.count("end")) == (1, 1)


def test_a_tool_is_called_each_time_though_the_model_is_not(apis, kept):
    weather.clear()
    agent = agents.create_agent(
        model_of("chat", apis), [get_weather], middleware=[SemanticCacheAgentMiddleware(kept)]
    )
    first, again = agent.invoke(ASKED), agent.invoke(ASKED)
    assert apis.count == 2
    assert weather.total() == 2
    ids = [message.tool_call_id for state in (first, again) for message in state["messages"][2:3]]
    assert len(set(ids)) == 2


def test_what_the_caller_excludes_is_not_cached(apis, kept):
    never = SemanticCacheAgentMiddleware(kept, when=lambda request: len(request.messages) > 1)
    agent = agents.create_agent(model_of("chat", apis), middleware=[never])
    agent.invoke(ASKED)
    agent.invoke(ASKED)
    assert apis.count == 2


def test_an_agent_goes_on_with_what_only_stands_for_a_model(apis, kept):
    chosen = {"model_provider": "openai", "configurable_fields": ("temperature",)}
    model = chat_models.init_chat_model("gpt-4o-mini", base_url=apis.url, **chosen)
    agent = agents.create_agent(model, middleware=[SemanticCacheAgentMiddleware(kept)])
    assert agent.invoke({"messages": [("user", "q")]})["messages"][-1].text
    assert kept.troubles == {"wrapping failed: ConfigurationError": 1}


def test_a_middleware_with_wrong_settings_is_refused():
    with pytest.raises(ConfigurationError):
        SemanticCacheAgentMiddleware(similarity_threshold=7.0)


# -- StreamReplayHandler -----------------------------------------------------------------------------------


def test_a_hit_of_invoke_reaches_a_handler_token_by_token(adapter):
    model, told = (
        CountingChat(reply=AIMessage("one two three", response_metadata={"finish_reason": "stop"})),
        Heard(),
    )
    handler = StreamReplayHandler(told, replay=Replay("words", 1))
    for _ in range(2):
        model.invoke("q", config={"callbacks": [handler]})
    assert told.told == ["start", "end", "start", "one ", "two ", "three", "", "end"]


async def test_a_hit_of_ainvoke_does_too(adapter):
    model, told = CountingChat(), Heard()
    model.invoke("q")
    await model.ainvoke("q", config={"callbacks": [StreamReplayHandler(told)]})
    assert told.told == ["start", "answer 1", "", "end"]


def test_what_was_streamed_is_not_replayed_a_second_time(kept):
    model, told = with_semantic_cache(StreamingChat(), kept), Heard()
    list(model.stream("q"))
    list(model.stream("q", config={"callbacks": [StreamReplayHandler(told)]}))
    assert told.told == ["start", "answer 1 ", "", "end"]


def test_every_handler_hears_and_one_from_before_chat_models_too(adapter):
    old, told = OnlyText(), Heard()
    CountingChat().invoke("q", config={"callbacks": [StreamReplayHandler(old, told)]})
    assert old.prompts == ["Human: q"]
    assert told.told == ["start", "end"]


@pytest.mark.parametrize(("ignored", "told"), [("ignore_llm", ["start"]), ("ignore_chat_model", ["end"])])
def test_a_handler_is_not_told_of_what_it_ignores(adapter, ignored, told):
    kind = type("Ignoring", (Heard,), {ignored: True})
    handler = kind()
    CountingChat().invoke("q", config={"callbacks": [StreamReplayHandler(handler)]})
    assert handler.told == told


def test_an_error_is_handed_on(adapter):
    class Failing(CountingChat):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            raise ValueError("the provider failed")

    told = Heard()
    with pytest.raises(ValueError, match="the provider failed"):
        Failing().invoke("q", config={"callbacks": [StreamReplayHandler(told)]})
    assert told.told == ["start", "error"]


@pytest.mark.parametrize("handlers", [(), ("print",)], ids=["none", "no handler"])
def test_what_is_no_handler_is_refused(handlers):
    with pytest.raises(ConfigurationError, match="StreamReplayHandler wraps callback handlers"):
        StreamReplayHandler(*handlers)


def test_the_middleware_refuses_a_replay_that_is_none():
    with pytest.raises(ConfigurationError, match=r"such as ReplayConfig\('words', 3\), not 'words'"):
        SemanticCacheAgentMiddleware(hash_only=True, replay="words")


def test_a_model_that_is_made_at_each_call_is_refused_with_the_way_out():
    from langchain.chat_models import init_chat_model

    with pytest.raises(ConfigurationError, match=r"name the model in init_chat_model\(\)"):
        with_semantic_cache(init_chat_model(configurable_fields=("model",)), hash_only=True)
