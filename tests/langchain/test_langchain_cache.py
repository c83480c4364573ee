"""`LangChainSemanticCache` as LangChain's global cache, from `invoke` to LangGraph."""

from __future__ import annotations

import asyncio
import copy
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles.langchain_calls import CountingChat, StreamingChat, chat_answer, prompt_of
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.language_models.llms import LLM
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import Generation
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel

from semcache_integrations import ConfigurationError, SemanticCache, StoreError
from semcache_integrations.langchain import LangChainSemanticCache
from semcache_integrations.testing import FaultyStore, HashingEmbedder, MemoryStore

FRANCE = "What is the capital of France?"
REWORDED = "What's the capital of France?"
SETTINGS = "[('_type', 'fake'), ('stop', None)]"


def mark(message):
    return message.response_metadata.get("semcache")


# -- every way to call ----------------------------------------------------------------------------


def test_invoke_hits_the_same_question_and_no_other(adapter):
    model = CountingChat()
    first, second, other = model.invoke("q"), model.invoke("q"), model.invoke("r")
    assert mark(first) is mark(other) is None
    assert second.content == first.content
    assert model.calls == 2


@pytest.mark.parametrize("usage", [None, {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}])
def test_all_three_token_counts_are_there(adapter, usage):
    """LangChain adds total_cost; without the counts the message could not be validated again."""
    model = CountingChat(
        reply=AIMessage("a", usage_metadata=usage, response_metadata={"finish_reason": "stop"})
    )
    model.invoke("q")
    found = model.invoke("q")
    AIMessage.model_validate(found.model_dump())
    expected = usage or {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert found.usage_metadata == {**expected, "total_cost": 0}


def test_a_hit_says_so(adapter, clock):
    model = CountingChat()
    model.invoke("q")
    clock.advance(2.5)
    said = mark(model.invoke("q"))
    assert said == {
        "hit": True,
        "tier": "hash",
        "similarity": 1.0,
        "entry_id": said["entry_id"],
        "age_s": 2.5,
    }
    assert adapter.invalidate(said["entry_id"]) == 1
    assert mark(model.invoke("q")) is None


def test_a_reworded_question_hits_within_its_context_only(adapter):
    model = CountingChat()
    model.invoke([SystemMessage("s"), HumanMessage(FRANCE)])
    said = mark(model.invoke([SystemMessage("s"), HumanMessage(REWORDED)]))
    assert said["tier"] == "semantic"
    assert 0.75 <= said["similarity"] < 1
    assert mark(model.invoke([SystemMessage("t"), HumanMessage(REWORDED)])) is None
    assert mark(model.invoke([HumanMessage("a"), AIMessage("b"), HumanMessage(REWORDED)])) is None
    assert mark(model.bind(stop=["x"]).invoke([SystemMessage("s"), HumanMessage(REWORDED)])) is None
    assert mark(CountingChat(setting=1).invoke([SystemMessage("s"), HumanMessage(REWORDED)])) is None


def test_different_questions_under_one_long_system_prompt_do_not_hit(adapter):
    """Embedded as LangChain writes it, such a prompt is similar to every other one."""
    model, rules = CountingChat(), SystemMessage("You are a careful assistant. " * 20)
    model.invoke([rules, HumanMessage("What is 1+1?")])
    assert mark(model.invoke([rules, HumanMessage("Tell me one joke")])) is None


async def test_ainvoke_shares_with_invoke(adapter):
    model = CountingChat()
    await model.ainvoke("q")
    assert mark(await model.ainvoke("q"))["hit"]
    assert mark(model.invoke("q"))["hit"]
    assert model.calls == 1


async def test_batch_generate_and_their_twins_hit(adapter):
    model = CountingChat()
    model.invoke("q")
    model.invoke("r")
    assert all(mark(message) for message in model.batch(["q", "r", "q"]))
    assert all(mark(message) for message in await model.abatch(["q", "r", "q"]))
    question = [[HumanMessage("q")], [HumanMessage("r")]]
    for result in (model.generate(question), await model.agenerate(question)):
        assert all(mark(generations[0].message) for generations in result.generations)
    assert model.calls == 2


def test_an_unseen_question_twice_in_one_generate_is_asked_once(adapter):
    model = CountingChat()
    model.generate([[HumanMessage("q")], [HumanMessage("q")]])
    assert model.calls == 1


async def test_streams_are_left_alone(adapter):
    """LangChain asks no cache when it streams; `with_semantic_cache` does."""
    model = StreamingChat()
    for _ in range(2):
        assert "".join(chunk.text for chunk in model.stream("q")).startswith("answer")
        assert [chunk async for chunk in model.astream("q")]
    assert model.calls == 4
    assert adapter.stats().lookups == 0


async def test_an_invoke_that_streams_for_a_handler_is_kept_whole(adapter):
    """Under `astream_events` LangChain drives `ainvoke` through `_stream`."""
    model = StreamingChat()
    chain = RunnableLambda(model.ainvoke)
    cold = [event["event"] async for event in chain.astream_events("q", version="v2")]
    warm = [event["event"] async for event in chain.astream_events("q", version="v2")]
    assert cold.count("on_chat_model_stream") > 1
    assert warm.count("on_chat_model_stream") == 0
    found = await model.ainvoke("q")
    assert type(found) is AIMessage
    assert found.content == "answer 1 "
    assert model.calls == 1


def test_a_models_own_cache_setting_wins(adapter):
    assert CountingChat(cache=False).invoke("q")
    assert adapter.stats().lookups == 0
    with LangChainSemanticCache(hash_only=True) as own:
        model = CountingChat(cache=own)
        model.invoke("q")
        assert mark(model.invoke("q"))["hit"]
    assert adapter.stats().lookups == 0
    assert not CountingChat(cache=True).invoke("q").response_metadata.get("semcache")
    assert adapter.stats().lookups == 1


# -- what LangChain does with a hit ---------------------------------------------------------------


def test_callbacks_see_a_hit_and_its_usage(adapter):
    class Handler(BaseCallbackHandler):
        def __init__(self):
            self.seen = []

        def on_chat_model_start(self, *args, **kwargs):
            self.seen.append("start")

        def on_llm_end(self, response, **kwargs):
            self.seen.append(mark(response.generations[0][0].message))

    model, handler, usage = CountingChat(), Handler(), UsageMetadataCallbackHandler()
    model.invoke("q")
    found = model.invoke("q", config={"callbacks": [handler, usage]})
    assert handler.seen == ["start", mark(found)]
    AIMessage.model_validate(found.model_dump())
    assert found.usage_metadata["input_tokens"] == 3


def test_a_hit_may_count_for_nothing(cache):
    model = CountingChat(cache=LangChainSemanticCache(cache, hit_usage="zero"))
    model.invoke("q")
    assert model.invoke("q").usage_metadata == {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "total_cost": 0,
    }


def test_a_caller_who_edits_an_answer_edits_nobody_elses(adapter):
    model = CountingChat()
    fresh = model.invoke("q")
    fresh.response_metadata["mine"] = fresh.additional_kwargs["mine"] = True
    found = model.invoke("q")
    found.response_metadata["mine"] = found.additional_kwargs["mine"] = found.name = "mine"
    found.usage_metadata["input_tokens"] = 99
    again = model.invoke("q")
    assert "mine" not in again.response_metadata | again.additional_kwargs
    assert again.name is None
    assert again.usage_metadata["input_tokens"] == 3


def graph(model, checkpointer=None):
    builder = StateGraph(MessagesState)
    builder.add_node("llm", lambda state: {"messages": [model.invoke(state["messages"][-1:])]})
    builder.add_edge(START, "llm")
    builder.add_edge("llm", END)
    return builder.compile(checkpointer=checkpointer)


def test_the_same_question_twice_in_one_thread_is_answered_twice(adapter):
    """With the id of the first answer, LangGraph drops the second one from its state and streams nothing."""
    model, thread = CountingChat(), {"configurable": {"thread_id": "1"}}
    flow = graph(model, InMemorySaver())
    for _ in range(2):
        streamed = [
            chunk for chunk, _ in flow.stream({"messages": [("user", "hi")]}, thread, stream_mode="messages")
        ]
        assert [chunk.text for chunk in streamed] == ["answer 1"]
    state = flow.get_state(thread).values["messages"]
    assert [message.type for message in state] == ["human", "ai", "human", "ai"]
    assert model.calls == 1


@pytest.mark.skipif(
    not hasattr(CompiledStateGraph, "stream_events"), reason="this version has no such events"
)
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_langgraphs_protocol_events_replay_a_hit(adapter):
    """Without the token counts, the events of a hit could not be validated."""
    model = CountingChat()
    for _ in range(2):
        run = graph(model).stream_events({"messages": [("user", "hi")]}, version="v3")
        assert ["".join(stream.text) for stream in run.messages] == ["answer 1"]
    assert model.calls == 1


def test_a_conversation_through_hits_goes_on_hitting(adapter):
    """Ids, usage and marks of earlier answers differ from run to run; what was said does not."""
    model = CountingChat()
    for _ in range(2):
        first = model.invoke("q1")
        second = model.invoke([HumanMessage("q1"), first, HumanMessage("q2")])
    assert mark(second)["tier"] == "hash"


# -- tools ----------------------------------------------------------------------------------------

CALLING = AIMessage(
    "",
    tool_calls=[{"name": "weather", "args": {"city": "Paris"}, "id": "call_1"}],
    response_metadata={"finish_reason": "tool_calls"},
)
TOOLS = [{"type": "function", "function": {"name": "weather"}}]


def test_tool_calls_hit_the_same_question_only_with_new_ids(adapter):
    model = CountingChat(reply=CALLING)
    bound = model.bind_tools(TOOLS)
    bound.invoke(FRANCE)
    found, again = bound.invoke(FRANCE), bound.invoke(FRANCE)
    assert found.tool_calls[0]["args"] == {"city": "Paris"}
    assert len({"call_1", found.tool_calls[0]["id"], again.tool_calls[0]["id"]}) == 3
    assert mark(bound.invoke(REWORDED)) is None


def test_with_tools_bound_an_answer_may_be_reworded_if_asked_for_but_never_a_call(cache):
    adapter = LangChainSemanticCache(cache, semantic_with_tools=True)
    answering = CountingChat(cache=adapter).bind_tools(TOOLS)
    answering.invoke(FRANCE)
    assert mark(answering.invoke(REWORDED))["tier"] == "semantic"
    calling = CountingChat(cache=adapter, setting=1, reply=CALLING).bind_tools(TOOLS)
    calling.invoke(FRANCE)
    assert mark(calling.invoke(REWORDED)) is None
    assert mark(calling.invoke(FRANCE))


def test_agents_turns_share_nothing_but_equal_histories(adapter):
    """The last turn of an agent is a tool's result: embedded, all of them would look alike."""
    model = CountingChat()

    def turn(city, result, call_id):
        call = {"name": "weather", "args": {"city": city}, "id": call_id}
        return [
            HumanMessage("w?"),
            AIMessage("", tool_calls=[call]),
            ToolMessage(result, tool_call_id=call_id),
        ]

    model.invoke(turn("Paris", "sun", "call_1"))
    assert mark(model.invoke(turn("Paris", "sun", "call_2")))
    assert mark(model.invoke(turn("Rome", "sun", "call_3"))) is None
    assert mark(model.invoke(turn("Paris", "rain", "call_4"))) is None


# -- providers ------------------------------------------------------------------------------------


class Capital(BaseModel):
    city: str


def models(provider):
    return {
        "openai": ChatOpenAI(model="gpt-4o-mini", base_url=provider.url + "/v1"),
        "responses": ChatOpenAI(model="o4-mini", base_url=provider.url + "/v1", use_responses_api=True),
        "anthropic": ChatAnthropic(model="claude-of-tests", base_url=provider.url, max_tokens=100),
    }


@pytest.mark.parametrize("name", ["openai", "responses", "anthropic"])
async def test_real_models_hit_and_say_the_same(name, adapter, provider):
    model = models(provider)[name]
    cold, warm, awaited = model.invoke("q"), model.invoke("q"), await model.ainvoke("q")
    assert len(provider.asked) == 1
    assert cold.text == warm.text == awaited.text == "Paris"
    assert mark(warm)["hit"]
    assert len({cold.id, warm.id, awaited.id}) == 3
    assert warm.usage_metadata["total_tokens"] == 5
    assert warm.response_metadata["model_name"] == cold.response_metadata["model_name"]


@pytest.mark.parametrize("name", ["openai", "responses", "anthropic"])
def test_a_hit_can_be_sent_back_to_its_provider(name, adapter, provider):
    model = models(provider)[name]
    cold, warm = model.invoke("q"), model.invoke("q")
    for first in (cold, warm):
        model.invoke([HumanMessage("q"), first, HumanMessage(f"and after {first.id}?")])
    sent = str(provider.asked[-1])
    assert "Paris" in sent
    for handle in ("resp_1", "msg_1", "rs_1", "chatcmpl-1"):
        assert handle not in sent


def test_the_next_call_is_not_chained_to_the_conversation_of_another_user(adapter, provider):
    """`use_previous_response_id` reads the id from the last answer's metadata."""
    model = ChatOpenAI(model="o4-mini", base_url=provider.url + "/v1", use_previous_response_id=True)
    model.invoke("q")
    found = model.invoke("q")
    assert mark(found)
    model.invoke([HumanMessage("q"), found, HumanMessage("r")])
    assert "previous_response_id" not in provider.asked[-1]


def test_structured_output_hits_with_its_schema(adapter, provider):
    answer = provider.bodies["/v1/chat/completions"]["choices"][0]["message"]
    answer["content"] = '{"city": "Paris"}'
    chain = models(provider)["openai"].with_structured_output(Capital, method="json_schema")
    assert chain.invoke("q") == chain.invoke("q") == Capital(city="Paris")
    assert len(provider.asked) == 1


def test_a_cut_answer_is_not_kept(adapter, provider):
    provider.bodies["/v1/chat/completions"]["choices"][0]["finish_reason"] = "length"
    model = models(provider)["openai"]
    model.invoke("q")
    model.invoke("q")
    assert len(provider.asked) == 2
    assert adapter.troubles["not storable"] == 2


def test_keys_of_two_users_share_unless_a_tenant_is_set(adapter, provider):
    """LangChain hides API keys from its cache, so only `scope` can keep users apart."""
    ann, bob = (
        ChatOpenAI(model="gpt-4o-mini", base_url=provider.url + "/v1", api_key=key) for key in ("a", "b")
    )
    ann.invoke("q")
    assert mark(bob.invoke("q"))
    with adapter.scope(tenant="bob"):
        assert mark(bob.invoke("q")) is None
        assert mark(bob.invoke("q"))


# -- text models ----------------------------------------------------------------------------------


class CountingText(LLM):
    calls: int = 0

    @property
    def _llm_type(self):
        return "counting-text"

    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        self.calls += 1
        return f"answer {self.calls}"


async def test_text_models_hit(adapter):
    model = CountingText()
    assert model.invoke(FRANCE) == model.invoke(FRANCE) == await model.ainvoke(FRANCE) == "answer 1"
    assert model.invoke(REWORDED) == "answer 1"
    assert model.invoke("How tall is Mont Blanc?") == "answer 2"
    assert model.batch([FRANCE, "How tall is Mont Blanc?"]) == ["answer 1", "answer 2"]


def test_a_chat_model_without_a_serialised_form_hits(adapter):
    model = FakeListChatModel(responses=["a", "b"])
    assert model.invoke("q").content == model.invoke("q").content == "a"


# -- scopes, sharing, life ------------------------------------------------------------------------


def test_scope_bypass_and_refresh(adapter):
    model = CountingChat()
    model.invoke("q")
    with adapter.bypass():
        assert mark(model.invoke("q")) is None
    with adapter.refresh():
        assert model.invoke("q").content == "answer 3"
    assert model.invoke("q").content == "answer 3"


def test_a_scope_holds_in_the_threads_of_batch(adapter):
    model = CountingChat()
    with adapter.scope(tenant="ann", tags=["t"]):
        model.batch(["q", "r"])
        assert all(mark(message) for message in model.batch(["q", "r"]))
    assert mark(model.invoke("q")) is None
    assert adapter.invalidate(tag="t") == 2


def test_tenants_of_two_adapters_on_one_engine_never_meet(cache):
    ann, bob = (CountingChat(cache=LangChainSemanticCache(cache, tenant=name)) for name in ("ann", "bob"))
    ann.invoke(FRANCE)
    assert mark(bob.invoke(FRANCE)) is None
    assert mark(bob.invoke(REWORDED))["similarity"] < 1
    assert bob.invoke(FRANCE).content == "answer 1"
    assert ann.calls == bob.calls == 1


async def test_clear_is_for_those_who_ask(cache):
    everybody, ann = LangChainSemanticCache(cache), LangChainSemanticCache(cache, tenant="ann")
    for clear_ann in (ann.clear, ann.aclear):
        for adapter in (everybody, ann):
            CountingChat(cache=adapter).invoke("q")
        done = clear_ann(llm_string="ignored")
        if done is not None:
            await done
        assert mark(CountingChat(cache=everybody).invoke("q"))
        assert mark(CountingChat(cache=ann).invoke("q")) is None
    await everybody.aclear()
    assert mark(CountingChat(cache=ann).invoke("q")) is None


def test_clear_within_a_scope_spares_the_others(adapter):
    model = CountingChat()
    model.invoke("q")
    with adapter.scope(tenant="ann"):
        model.invoke("q")
        adapter.clear()
        assert mark(model.invoke("q")) is None
    assert mark(model.invoke("q"))


def test_adapters_may_share_an_engine_and_close_their_own_only(cache):
    with LangChainSemanticCache(cache) as first:
        first.update("p", SETTINGS, [Generation(text="a")])
    assert LangChainSemanticCache(cache).lookup("p", SETTINGS) == [Generation(text="a")]
    own = LangChainSemanticCache(hash_only=True)
    own.update("p", SETTINGS, [Generation(text="a")])
    own.close()
    assert own.lookup("p", SETTINGS) is None


async def test_closing_is_async_too(cache):
    async with LangChainSemanticCache(cache) as shared, LangChainSemanticCache(hash_only=True) as own:
        await shared.aupdate("p", SETTINGS, [Generation(text="a")])
        await own.aupdate("p", SETTINGS, [Generation(text="a")])
        assert await own.alookup("p", SETTINGS)
        assert await shared.ainvalidate(older_than_s=-1) == 1
    assert await own.alookup("p", SETTINGS) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cache": SemanticCache(hash_only=True), "ttl_s": 5}, "drop cache=, or ttl_s"),
        ({"hit_usage": "none"}, "hit_usage"),
        ({"no_such_setting": 1}, "no such setting"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        LangChainSemanticCache(**arguments)


def test_answers_survive_a_restart(tmp_path):
    settings = {"embedder": HashingEmbedder(), "path": tmp_path / "cache", "similarity_threshold": 0.75}
    with LangChainSemanticCache(**settings) as first:
        CountingChat(cache=first).invoke(FRANCE)
    with LangChainSemanticCache(**settings) as second:
        model = CountingChat(cache=second)
        assert mark(model.invoke(FRANCE))["tier"] == "exact"
        assert mark(model.invoke(REWORDED))["tier"] == "semantic"
    assert model.calls == 0


def test_explain_shows_what_a_lookup_sees(adapter):
    asked = prompt_of(HumanMessage(FRANCE))
    adapter.update(asked, SETTINGS, chat_answer())
    assert adapter.explain(asked, SETTINGS).exact.text == FRANCE
    assert adapter.explain(prompt_of(HumanMessage(REWORDED)), SETTINGS).served.text == FRANCE


def test_it_is_true_and_copies_of_a_model_share_it(adapter):
    """Older versions of LangChain ask `if llm_cache:`; an engine's locks cannot be copied."""
    assert adapter
    model = CountingChat(cache=adapter)
    assert copy.deepcopy(model).cache is model.model_copy(deep=True).cache is adapter


def test_a_lookup_returns_a_list_or_none(adapter):
    """LangChain takes a tuple for a miss, and fails on an empty list."""
    adapter.update("p", SETTINGS, [Generation(text="a")])
    adapter.update("r", SETTINGS, [])
    assert type(adapter.lookup("p", SETTINGS)) is list
    assert adapter.lookup("r", SETTINGS) is None


# -- trouble --------------------------------------------------------------------------------------


@pytest.fixture
def faulty():
    store = FaultyStore(MemoryStore())
    with SemanticCache(embedder=HashingEmbedder(), store=store, local_ttl_s=1e-9) as cache:
        yield store, LangChainSemanticCache(cache)
        store.heal()


async def test_a_broken_store_breaks_no_call(faulty):
    store, adapter = faulty
    store.fail()
    model = CountingChat(cache=adapter)
    assert model.invoke("q").content == "answer 1"
    assert (await model.ainvoke("q")).content == "answer 2"


def test_garbage_from_the_store_is_a_miss(faulty):
    store, adapter = faulty
    model = CountingChat(cache=adapter)
    model.invoke("q")
    store.garble()
    assert model.invoke("q").content == "answer 2"


def test_clear_says_if_the_store_could_not_do_it(faulty):
    store, adapter = faulty
    store.fail("delete")
    with pytest.raises(StoreError):
        adapter.clear()


async def test_even_a_bug_breaks_no_call_and_is_logged_once_without_the_prompt(adapter, monkeypatch, caplog):
    def bug(*_args):
        raise ZeroDivisionError("top secret")

    for name in ("lookup", "store", "alookup", "astore"):
        monkeypatch.setattr(adapter.cache, name, bug)
    model = CountingChat()
    with caplog.at_level(logging.DEBUG, "semcache_integrations.langchain"):
        for _ in range(3):
            assert model.invoke("a private question").content
            assert (await model.ainvoke("a private question")).content
    assert adapter.troubles == {"look-up failed: ZeroDivisionError": 6, "write failed: ZeroDivisionError": 6}
    assert len(caplog.records) == 2
    assert "private" not in caplog.text
    assert "secret" not in caplog.text


def test_what_has_no_key_is_not_cached_and_says_why_once(adapter, caplog):
    model = CountingChat(setting=object())
    with caplog.at_level(logging.INFO, "semcache_integrations.langchain"):
        assert model.invoke("q").content == "answer 1"
        assert model.invoke("q").content == "answer 2"
    assert len(caplog.records) == 1
    assert "'setting'" in caplog.text


def test_an_answer_that_is_no_message_of_ours_is_passed_on(adapter):
    """A handler that returns something odd is LangChain's business; it is only not kept."""
    model = CountingChat(reply=AIMessageChunk("a"))
    assert model.invoke("q").content == "a"


def test_many_threads_get_an_answer_each_of_their_own(adapter):
    model = CountingChat()
    model.invoke("q")
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: model.invoke("q"), range(160)))
    assert len({message.id for message in found}) == 160
    assert {message.content for message in found} == {"answer 1"}
    assert model.calls == 1


async def test_many_tasks_get_an_answer_each_of_their_own(adapter):
    model = CountingChat()
    await model.ainvoke("q")
    found = await asyncio.gather(*(model.ainvoke("q") for _ in range(50)))
    assert len({message.id for message in found}) == 50
    assert model.calls == 1


# -- what this interface cannot see ---------------------------------------------------------------


@pytest.mark.xfail(strict=True, reason="langchain#39598: LangChain's key keeps a model's first settings")
def test_a_setting_that_was_changed_after_the_first_call_misses(adapter, provider):
    model = ChatOpenAI(model="gpt-4o-mini", temperature=0, base_url=provider.url + "/v1")
    model.invoke("q")
    model.temperature = 0.9
    assert mark(model.invoke("q")) is None


@pytest.mark.xfail(strict=True, reason="langchain#40403: arguments of a text model's call are in no key")
def test_an_argument_of_a_text_models_call_misses(adapter):
    model = CountingText()
    assert model.invoke("q", temperature=0) != model.invoke("q", temperature=1)


# -- with the real model --------------------------------------------------------------------------


@pytest.mark.model
def test_a_paraphrase_hits_and_another_question_does_not(minilm):
    with LangChainSemanticCache() as adapter:
        model = CountingChat(cache=adapter)
        system = SystemMessage("You are a helpful assistant.")
        model.invoke([system, HumanMessage(FRANCE)])
        assert mark(model.invoke([system, HumanMessage("what is France's capital?")]))["tier"] == "semantic"
        assert mark(model.invoke([system, HumanMessage("What is the capital of Spain?")])) is None
        assert mark(model.invoke([system, HumanMessage("Tell me one joke")])) is None
