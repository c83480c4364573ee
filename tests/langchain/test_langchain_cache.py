"""The cache in its place: LangChain's models, batches, threads, graphs and a provider that counts its calls."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.chat_models import SimpleChatModel
from langchain_core.language_models.llms import LLM
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel

from semcache_integrations import ConfigurationError, SemanticCache, StoreError, UnkeyableError
from semcache_integrations.langchain import LangChainSemanticCache, keys
from semcache_integrations.testing import FakeClock, HashingEmbedder, MemoryStore

FRANCE = "What is the capital of France?"
FRANCE_TOO = "What's the capital of France?"


class CountingChat(SimpleChatModel):
    """Answers with the number of the call, so that a stale or shared answer shows."""

    calls: list[str] = []  # noqa: RUF012 - a pydantic field: each model gets its own
    temperature: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "counting-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": "counting", "temperature": self.temperature}

    def _call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        self.calls.append(str(messages[-1].content))
        return f"answer {len(self.calls)}"


class CountingCompletion(LLM):
    calls: list[str] = []  # noqa: RUF012 - a pydantic field: each model gets its own

    @property
    def _llm_type(self) -> str:
        return "counting-completion"

    def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        self.calls.append(prompt)
        return f"answer {len(self.calls)}"


@pytest.fixture
def langchain_cache(cache: SemanticCache) -> Iterator[LangChainSemanticCache]:
    one = LangChainSemanticCache(cache)
    set_llm_cache(one)
    yield one
    set_llm_cache(None)


@pytest.fixture
def model(langchain_cache: LangChainSemanticCache) -> CountingChat:
    """A model that finds the cache where users put it: in LangChain's global setting."""
    return CountingChat()


def mark(message: Any) -> dict[str, Any]:
    return message.response_metadata.get("semcache", {})


def hit(message: Any) -> bool:
    return bool(mark(message).get("hit"))


# -- hits and misses --------------------------------------------------------------------------------


def test_the_same_question_is_answered_once(model: CountingChat) -> None:
    first, second = model.invoke(FRANCE), model.invoke(FRANCE)
    assert first.content == second.content == "answer 1"
    assert not hit(first)
    assert mark(second)["tier"] == "hash"


def test_a_similar_question_is_answered_by_similarity(model: CountingChat) -> None:
    model.invoke(FRANCE)
    found = mark(model.invoke(FRANCE_TOO))
    assert found["tier"] == "semantic"
    assert 0.75 <= found["similarity"] < 1
    assert not hit(model.invoke("How tall is Mont Blanc?"))


@pytest.mark.parametrize("system", ["Be brief.", None])
def test_a_similar_question_in_another_context_misses(model: CountingChat, system: str | None) -> None:
    model.invoke([SystemMessage("Be kind."), HumanMessage(FRANCE)])
    other = [SystemMessage(system)] if system else []
    assert not hit(model.invoke([*other, HumanMessage(FRANCE_TOO)]))
    assert hit(model.invoke([SystemMessage("Be kind."), HumanMessage(FRANCE_TOO)]))


def test_other_questions_in_one_long_wrapper_miss(model: CountingChat) -> None:
    """Caches that embed LangChain's JSON find every question similar to every other one."""
    system = SystemMessage("You are a helpful assistant. " * 20)
    model.invoke([system, HumanMessage("What is 1+1?")])
    assert not hit(model.invoke([system, HumanMessage("Tell me one joke")]))


def test_another_parameter_misses(langchain_cache: LangChainSemanticCache) -> None:
    CountingChat().invoke(FRANCE)
    assert not hit(CountingChat(temperature=0.5).invoke(FRANCE))
    assert not hit(CountingChat().invoke(FRANCE, stop=["x"]))
    assert hit(CountingChat().invoke(FRANCE))


def test_an_answer_in_the_history_does_not_break_the_key(model: CountingChat) -> None:
    first, again = model.invoke("q1"), model.invoke("q1")
    assert first.id != again.id
    model.invoke([HumanMessage("q1"), first, HumanMessage("q2")])
    assert hit(model.invoke([HumanMessage("q1"), again, HumanMessage([{"type": "text", "text": "q2"}])]))


def test_the_mark_says_what_was_served(model: CountingChat, clock: FakeClock, cache: SemanticCache) -> None:
    model.invoke(FRANCE)
    clock.advance(60)
    found = mark(model.invoke(FRANCE))
    assert found == {
        "hit": True,
        "tier": "hash",
        "similarity": 1.0,
        "entry_id": found["entry_id"],
        "age_s": 60.0,
    }
    assert cache.invalidate(found["entry_id"]) == 1
    assert not hit(model.invoke(FRANCE))


def test_a_hit_is_not_stored_again(langchain_cache: LangChainSemanticCache, cache: SemanticCache) -> None:
    message = AIMessage("a", response_metadata={"semcache": {"hit": True}})
    langchain_cache.update("prompt", "llm", [ChatGeneration(message=message)])
    assert langchain_cache.lookup("prompt", "llm") is None


# -- every way in -----------------------------------------------------------------------------------


async def test_all_ways_of_asking_share_entries(model: CountingChat) -> None:
    model.invoke("q")
    assert hit(await model.ainvoke("q"))
    assert all(map(hit, model.batch(["q", "q"])))
    assert all(map(hit, await model.abatch(["q", "q"])))
    assert hit(model.generate([[HumanMessage("q")]]).generations[0][0].message)
    assert hit((await model.agenerate([[HumanMessage("q")]])).generations[0][0].message)
    assert len(model.calls) == 1


async def test_what_async_stored_sync_finds(model: CountingChat) -> None:
    await model.ainvoke("q")
    assert hit(model.invoke("q"))


def test_completion_models_are_cached(langchain_cache: LangChainSemanticCache) -> None:
    model = CountingCompletion()
    assert model.invoke(FRANCE) == model.invoke(FRANCE_TOO) == "answer 1"
    assert model.batch([FRANCE, "How tall is Mont Blanc?"]) == ["answer 1", "answer 2"]


def test_a_model_of_its_own_cache_leaves_the_global_one_alone(
    langchain_cache: LangChainSemanticCache,
) -> None:
    with LangChainSemanticCache(hash_only=True) as own:
        model = CountingChat(cache=own)
        model.invoke("q")
        assert hit(model.invoke("q"))
    assert not hit(CountingChat().invoke("q"))
    assert not hit(CountingChat(cache=False).invoke("q"))


def test_usage_counts_and_survives_langchains_cost(model: CountingChat) -> None:
    """LangChain adds `total_cost` to a hit's usage; without all three counts the message cannot be read back."""
    model.invoke("q")
    usage = UsageMetadataCallbackHandler()
    message = model.invoke("q", config={"callbacks": [usage]})
    assert message.usage_metadata == {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "total_cost": 0,
    }
    AIMessage.model_validate(message.model_dump())


def test_callers_cannot_spoil_each_others_answers(model: CountingChat) -> None:
    model.invoke("q")
    first = model.invoke("q")
    first.content = "spoilt"
    first.response_metadata["spoilt"] = first.additional_kwargs["spoilt"] = True
    second = model.invoke("q")
    assert second.content == "answer 1"
    assert "spoilt" not in {**second.response_metadata, **second.additional_kwargs}


def test_sixteen_threads_get_answers_of_their_own(model: CountingChat) -> None:
    model.invoke("q")
    answers = model.batch(["q"] * 64, config={"max_concurrency": 16})
    assert len({answer.id for answer in answers}) == 64
    assert all(map(hit, answers))


def test_sixteen_threads_ask_and_store_at_once(langchain_cache: LangChainSemanticCache) -> None:
    def work(worker: int) -> list[tuple[str, str]]:
        seen = []
        for step in range(20):
            prompt = f"question number {(worker + step) % 8}"
            langchain_cache.update(prompt, "llm", [Generation(text=prompt)])
            found = langchain_cache.lookup(prompt, "llm")
            seen.append((prompt, found[0].text if found else ""))
        return seen

    with ThreadPoolExecutor(16) as pool:
        for seen in pool.map(work, range(16)):
            assert all(prompt == text for prompt, text in seen)
    assert langchain_cache.failures == 0


def graph(model: Any) -> Any:
    built = StateGraph(MessagesState)
    built.add_node("llm", lambda state: {"messages": [model.invoke(state["messages"][-1:])]})
    built.add_edge(START, "llm")
    built.add_edge("llm", END)
    return built.compile(checkpointer=InMemorySaver())


def test_langgraph_keeps_both_answers_to_the_same_question(model: CountingChat) -> None:
    """A hit that replays the old message id replaces the first answer, and streams nothing."""
    app, thread = graph(model), {"configurable": {"thread_id": "1"}}
    for _ in range(2):
        streamed = list(app.stream({"messages": [("user", "hi")]}, thread, stream_mode="messages"))
        assert "".join(chunk.text for chunk, _ in streamed) == "answer 1"
    kept = app.get_state(thread).values["messages"]
    assert [message.type for message in kept] == ["human", "ai", "human", "ai"]
    assert len(model.calls) == 1


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol:Warning")
def test_langgraph_reads_a_hit_back_as_protocol_events(model: CountingChat) -> None:
    app = graph(model)
    for thread in ("1", "2"):
        run = app.stream_events(
            {"messages": [("user", "hi")]}, {"configurable": {"thread_id": thread}}, version="v3"
        )
        assert ["".join(part.text) for part in run.messages] == ["answer 1"]


# -- a real client, and a provider that counts ------------------------------------------------------


class Provider:
    """OpenAI's chat completions over a transport in memory."""

    def __init__(self, **message: Any) -> None:
        self.calls = 0
        self.message = message
        self.finish_reason = "tool_calls" if "tool_calls" in message else "stop"

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        message = {"role": "assistant", "content": f"answer {self.calls}", **self.message}
        body = {
            "id": f"chatcmpl-{self.calls}",
            "object": "chat.completion",
            "created": 1,
            "model": json.loads(request.content)["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        }
        return httpx2.Response(200, json=body)


@pytest.fixture
def openai(langchain_cache: LangChainSemanticCache) -> Iterator[Callable[..., ChatOpenAI]]:
    clients = []

    def make(provider: Provider, **given: Any) -> ChatOpenAI:
        client = httpx2.Client(transport=httpx2.MockTransport(provider))
        clients.append(client)
        return ChatOpenAI(model="gpt-4o-mini", api_key="sk-test", http_client=client, **given)

    yield make
    for client in clients:
        client.close()


def test_chat_openai_is_asked_once(openai) -> None:
    provider = Provider()
    model = openai(provider)
    first, second, third = model.invoke(FRANCE), model.invoke(FRANCE), model.invoke(FRANCE_TOO)
    assert provider.calls == 1
    assert first.content == second.content == third.content
    assert mark(third)["tier"] == "semantic"
    assert second.usage_metadata["total_tokens"] == 5
    assert second.response_metadata["finish_reason"] == "stop"
    assert len({first.id, second.id, third.id}) == 3
    openai(provider, temperature=0.3).invoke(FRANCE)
    assert provider.calls == 2


def test_an_answer_that_was_cut_short_is_not_stored(openai) -> None:
    provider = Provider()
    provider.finish_reason = "length"
    model = openai(provider)
    model.invoke(FRANCE)
    model.invoke(FRANCE)
    assert provider.calls == 2


WEATHER_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
WEATHER = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def test_with_tools_only_the_very_same_question_hits(openai) -> None:
    provider = Provider(content=None, tool_calls=[WEATHER_CALL])
    model = openai(provider).bind_tools([WEATHER])
    first, second = model.invoke(FRANCE), model.invoke(FRANCE)
    assert provider.calls == 1
    assert first.tool_calls[0]["args"] == second.tool_calls[0]["args"] == {"a": 1}
    assert first.tool_calls[0]["id"] == "call_1" != second.tool_calls[0]["id"]
    model.invoke(FRANCE_TOO)
    assert provider.calls == 2


def test_a_tool_loop_repeats_from_the_cache(openai) -> None:
    """The second run's call ids differ, and so do its tool results' ids: it is the same conversation still."""
    provider = Provider(content=None, tool_calls=[WEATHER_CALL])
    model = openai(provider).bind_tools([WEATHER])
    for _ in range(2):
        call = model.invoke(FRANCE)
        done = ToolMessage("sunny", tool_call_id=call.tool_calls[0]["id"])
        model.invoke([HumanMessage(FRANCE), call, done])
    assert provider.calls == 2


def test_an_answer_that_calls_a_tool_is_never_served_to_a_similar_question(cache: SemanticCache) -> None:
    """Even where similar questions may be answered although tools are bound."""
    one = LangChainSemanticCache(cache, semantic_with_tools=True)
    bound = "[('_type', 'x'), ('tools', [{'name': 'f'}])]"
    calling = AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}])
    one.update(FRANCE, bound, [ChatGeneration(message=calling)])
    assert one.lookup(FRANCE_TOO, bound) is None
    assert one.lookup(FRANCE, bound) is not None
    one.update("How tall is Mont Blanc?", bound, [ChatGeneration(message=AIMessage("4806 m"))])
    assert one.lookup("How tall is the Mont Blanc?", bound) is not None
    assert LangChainSemanticCache(cache).lookup("How tall is this Mont Blanc?", bound) is None


class Capital(BaseModel):
    name: str


def test_structured_output_by_class_asks_every_time_and_by_schema_once(openai) -> None:
    """LangChain shows the class by name only, and yesterday's answer must not be read into today's schema."""
    provider = Provider(content='{"name": "Paris"}')
    by_class = openai(provider).with_structured_output(Capital)
    assert by_class.invoke(FRANCE) == by_class.invoke(FRANCE) == Capital(name="Paris")
    assert provider.calls == 2
    schema = {
        "title": "Capital",
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    }
    by_schema = openai(provider).with_structured_output(schema)
    assert by_schema.invoke(FRANCE) == by_schema.invoke(FRANCE) == {"name": "Paris"}
    assert provider.calls == 3


# -- whose, and whether -----------------------------------------------------------------------------


def test_tenants_share_nothing(model: CountingChat, langchain_cache: LangChainSemanticCache) -> None:
    with langchain_cache.scope(tenant="a"):
        model.invoke(FRANCE)
    for tenant, question in (("b", FRANCE), ("c", FRANCE_TOO), ("", FRANCE_TOO)):
        with langchain_cache.scope(tenant=tenant):
            assert not hit(model.invoke(question))
    with langchain_cache.scope(tenant="a"):
        assert all(map(hit, model.batch([FRANCE, FRANCE_TOO])))


def test_the_constructors_tenant_keeps_caches_apart(cache: SemanticCache) -> None:
    one, other = (LangChainSemanticCache(cache, tenant=name) for name in "ab")
    one.update("q", "llm", [Generation(text="x")])
    assert other.lookup("q", "llm") is None
    assert one.lookup("q", "llm") is not None


def test_bypass_and_refresh(model: CountingChat, langchain_cache: LangChainSemanticCache) -> None:
    with langchain_cache.bypass():
        model.invoke("q")
    assert model.invoke("q").content == "answer 2"
    with langchain_cache.refresh():
        assert model.invoke("q").content == "answer 3"
    assert model.invoke("q").content == "answer 3"


# -- trouble ----------------------------------------------------------------------------------------


class BrokenStore(MemoryStore):
    def get(self, *args: Any) -> None:
        raise RuntimeError("secret prompt")

    put = search = delete = get


async def test_a_broken_store_never_breaks_the_call(embedder: HashingEmbedder) -> None:
    with LangChainSemanticCache(embedder=embedder, store=BrokenStore()) as broken:
        model = CountingChat(cache=broken)
        assert model.invoke("q").content == "answer 1"
        assert (await model.ainvoke("r")).content == "answer 2"


async def test_what_nobody_foresaw_never_breaks_the_call(
    langchain_cache: LangChainSemanticCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*args: Any) -> None:
        raise ZeroDivisionError("secret prompt")

    for name in ("lookup", "alookup", "store", "astore"):
        monkeypatch.setattr(langchain_cache.cache, name, explode)
    model = CountingChat()
    with caplog.at_level(logging.WARNING):
        assert model.invoke("q").content == "answer 1"
        assert (await model.ainvoke("q")).content == "answer 2"
    assert langchain_cache.failures == 4
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


def test_cancelling_is_not_swallowed(
    langchain_cache: LangChainSemanticCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*args: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(langchain_cache.cache, "alookup", hang)

    async def ask() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(langchain_cache.alookup("q", "llm"), 0.01)

    asyncio.run(ask())


async def test_an_unreadable_entry_is_a_miss(
    langchain_cache: LangChainSemanticCache, cache: SemanticCache
) -> None:
    langchain_cache.update("q", "llm", [Generation(text="a")])
    cache.store(langchain_cache._request("q", "llm"), '{"v": 99, "g": []}')
    assert langchain_cache.lookup("q", "llm") is None
    assert await langchain_cache.alookup("q", "llm") is None


def test_unkeyable_calls_are_counted(langchain_cache: LangChainSemanticCache) -> None:
    llm_string = "[('response_format', <class 'app.Answer'>)]"
    langchain_cache.update("q", llm_string, [Generation(text="a")])
    assert langchain_cache.lookup("q", llm_string) is None
    assert langchain_cache.stats().misses["unkeyable"] == 1
    assert langchain_cache.stats().counts["unkeyable"] == 1
    assert langchain_cache.failures == 0


def test_an_answer_that_cannot_be_written_is_not_stored(langchain_cache: LangChainSemanticCache) -> None:
    langchain_cache.update("q", "llm", [Generation(text="a", generation_info={"x": float("nan")})])
    assert langchain_cache.lookup("q", "llm") is None
    assert langchain_cache.failures == 1


# -- holding it -------------------------------------------------------------------------------------


def test_the_cache_is_true_even_if_empty(langchain_cache: LangChainSemanticCache) -> None:
    assert langchain_cache


async def test_clear_needs_no_arguments(langchain_cache: LangChainSemanticCache) -> None:
    for clear in (langchain_cache.clear, langchain_cache.aclear):
        langchain_cache.update("q", "llm", [Generation(text="a")])
        outcome = clear()
        if outcome is not None:
            await outcome
        assert langchain_cache.lookup("q", "llm") is None


async def test_invalidate(langchain_cache: LangChainSemanticCache) -> None:
    with langchain_cache.scope(tags=["docs-v1"]):
        for prompt in ("one", "two"):
            langchain_cache.update(prompt, "llm", [Generation(text="a")])
    assert langchain_cache.invalidate(tag="docs-v2") == 0
    assert langchain_cache.invalidate(tag="docs-v1") == 2
    assert await langchain_cache.ainvalidate(tag="docs-v1") == 0


def test_explain_takes_text_or_messages(model: CountingChat, langchain_cache: LangChainSemanticCache) -> None:
    model.invoke(FRANCE)
    by_text = langchain_cache.explain(FRANCE_TOO)
    assert by_text.served is not None
    assert by_text.ask.text == FRANCE_TOO
    assert langchain_cache.explain([HumanMessage(FRANCE)]).exact is not None
    assert langchain_cache.explain([SystemMessage("s"), HumanMessage(FRANCE)]).served is None
    assert langchain_cache.explain(FRANCE, llm_string="another").served is None
    with pytest.raises(UnkeyableError):
        langchain_cache.explain(FRANCE, llm_string="[('a', <class 'b.C'>)]")


def test_explain_does_not_change_who_asked_last(
    model: CountingChat, langchain_cache: LangChainSemanticCache
) -> None:
    model.invoke(FRANCE)
    langchain_cache.explain(FRANCE, llm_string="another")
    assert langchain_cache.explain(FRANCE).exact is not None


def test_explain_takes_a_completion_prompt(langchain_cache: LangChainSemanticCache) -> None:
    CountingCompletion().invoke(FRANCE)
    assert langchain_cache.explain(FRANCE).exact is not None


class ClosingStore(MemoryStore):
    closed = 0

    def close(self) -> None:
        self.closed += 1


async def test_a_shared_engine_stays_open(cache: SemanticCache) -> None:
    one = LangChainSemanticCache(cache)
    one.update("q", "llm", [Generation(text="a")])
    one.close()
    await one.aclose()
    assert LangChainSemanticCache(cache).lookup("q", "llm") is not None


async def test_an_engine_of_our_own_is_closed() -> None:
    async with LangChainSemanticCache(hash_only=True) as one:
        one.update("q", "llm", [Generation(text="a")])
        assert one.lookup("q", "llm") is not None
    assert one.lookup("q", "llm") is None


def test_settings_reach_the_engine_and_mistakes_are_loud(cache: SemanticCache) -> None:
    with LangChainSemanticCache(hash_only=True, ttl_s=5) as one:
        assert one.cache.config.ttl_s == 5
    with pytest.raises(ConfigurationError, match="ttl_s"):
        LangChainSemanticCache(cache, ttl_s=5)
    with pytest.raises(ConfigurationError, match="hit_usage"):
        LangChainSemanticCache(cache, hit_usage="none")
    with pytest.raises(ConfigurationError, match="no such setting"):
        LangChainSemanticCache(similarity=0.5)


def test_hit_usage_zero(cache: SemanticCache) -> None:
    one = LangChainSemanticCache(cache, hit_usage="zero")
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    one.update("q", "llm", [ChatGeneration(message=AIMessage("a", usage_metadata=usage))])
    assert set(one.lookup("q", "llm")[0].message.usage_metadata.values()) == {0}
    assert LangChainSemanticCache(cache).lookup("q", "llm")[0].message.usage_metadata == usage


async def test_async_look_ups_do_not_leave_the_loops_thread(cache: SemanticCache) -> None:
    """BaseCache's own async methods hop to a thread for every call."""
    seen = set()

    class Watching(LangChainSemanticCache):
        def _request(self, prompt: str, llm_string: str) -> Any:
            seen.add(threading.get_ident())
            return super()._request(prompt, llm_string)

    one = Watching(cache)
    await one.aupdate("q", "llm", [Generation(text="a")])
    assert (await one.alookup("q", "llm"))[0].text == "a"
    assert seen == {threading.get_ident()}


def test_without_langchain_the_import_names_the_extra() -> None:
    code = "import sys; sys.modules['langchain_core'] = None; import semcache_integrations.langchain"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError" in done.stderr
    assert "semcache-integrations[langchain]" in done.stderr


def test_the_parsers_import_no_langchain() -> None:
    """They are read by people and by other adapters that have none."""
    folder = Path(keys.__file__).parent
    for name in ("keys.py", "identity.py", "opaque.py"):
        tree = ast.parse((folder / name).read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {module for module in imported if module and module.startswith("langchain")}


def test_clearing_says_when_it_could_not(embedder: HashingEmbedder) -> None:
    class Stuck(MemoryStore):
        def delete(self, selector: Any) -> int:
            raise StoreError("no")

    with LangChainSemanticCache(embedder=embedder, store=Stuck()) as one, pytest.raises(StoreError):
        one.clear()
