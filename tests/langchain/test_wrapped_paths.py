"""Every way in which LangChain and LangGraph call a model, cold and warm: what is asked, heard and stored."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from doubles.langchain_calls import CountingChat, StreamingChat
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from semcache_integrations.core.replay import Replay
from semcache_integrations.langchain import LangChainSemanticCache, with_semantic_cache

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:astream_events version='v1':DeprecationWarning"
    ),  # users still call it
    pytest.mark.filterwarnings("ignore:The method .* is in beta"),  # v3 is
]

ASKED = "What is the capital of France?"
WORDS = "The capital of France is Paris, and it has been so for long. "


@pytest.fixture
def model(cache):
    plain = StreamingChat(reply=AIMessage(WORDS.strip(), response_metadata={"finish_reason": "stop"}))
    return with_semantic_cache(plain, LangChainSemanticCache(cache), replay=Replay("words", 3))


class Heard(BaseCallbackHandler):
    """Counts what a handler is told."""

    run_inline = True

    def __init__(self):
        self.events = Counter()
        self.tokens = []

    def on_chat_model_start(self, *about, **more):
        self.events["start"] += 1

    def on_llm_new_token(self, token, **about):
        if token:
            self.tokens.append(token)

    def on_llm_end(self, *about, **more):
        self.events["end"] += 1

    def on_llm_error(self, *about, **more):
        self.events["error"] += 1


class AsyncHeard(AsyncCallbackHandler):
    """Its async twin."""

    def __init__(self):
        self.events = Counter()
        self.tokens = []

    async def on_chat_model_start(self, *about, **more):
        self.events["start"] += 1

    async def on_llm_new_token(self, token, **about):
        if token:
            self.tokens.append(token)

    async def on_llm_end(self, *about, **more):
        self.events["end"] += 1


def calls(model):
    """How often the model itself was asked: the count is kept in the state that the wrapped model shares."""
    return model.calls


async def events_of(model, version, handler):
    events = [
        event async for event in model.astream_events(ASKED, version=version, config={"callbacks": [handler]})
    ]
    return [event["data"]["chunk"].text for event in events if event["event"] == "on_chat_model_stream"]


async def heard_by_astream(model, handler):
    return [chunk.text async for chunk in model.astream(ASKED, config={"callbacks": [handler]})]


PATHS = {
    "invoke": lambda model, handler: [model.invoke(ASKED, config={"callbacks": [handler]}).text],
    "batch": lambda model, handler: [model.batch([ASKED], config={"callbacks": [handler]})[0].text],
    "generate": lambda model, handler: [
        model.generate([[HumanMessage(ASKED)]], callbacks=[handler]).generations[0][0].text
    ],
    "ainvoke": lambda model, handler: [
        asyncio.run(model.ainvoke(ASKED, config={"callbacks": [handler]})).text
    ],
    "abatch": lambda model, handler: [
        asyncio.run(model.abatch([ASKED], config={"callbacks": [handler]}))[0].text
    ],
    "stream": lambda model, handler: [
        chunk.text for chunk in model.stream(ASKED, config={"callbacks": [handler]})
    ],
    "astream": lambda model, handler: asyncio.run(heard_by_astream(model, handler)),
    "astream_events v1": lambda model, handler: asyncio.run(events_of(model, "v1", handler)),
    "astream_events v2": lambda model, handler: asyncio.run(events_of(model, "v2", handler)),
}
STREAMED = [name for name in PATHS if "stream" in name]


@pytest.mark.parametrize("warm", PATHS)
@pytest.mark.parametrize("cold", ["invoke", "ainvoke", "stream", "astream"])
def test_what_one_way_has_stored_every_way_reads(model, cold, warm):
    first = "".join(PATHS[cold](model, Heard()))
    again = "".join(PATHS[warm](model, Heard()))
    assert again.strip() == first.strip() == WORDS.strip()
    assert calls(model) == 1


@pytest.mark.parametrize("path", PATHS)
def test_start_and_end_are_told_once_and_tokens_once_each(model, path):
    for told in (Heard(), Heard()):
        PATHS[path](model, told)
        assert told.events == {"start": 1, "end": 1}
        if path in STREAMED:
            assert "".join(told.tokens).strip() == WORDS.strip()
        else:
            assert told.tokens == []
    assert calls(model) == 1


@pytest.mark.parametrize("path", STREAMED)
def test_a_replayed_answer_comes_in_the_chunks_that_were_asked_for(model, path):
    PATHS[path](model, Heard())
    chunks = [chunk for chunk in PATHS[path](model, Heard()) if chunk]
    assert chunks[:2] == ["The capital of ", "France is Paris, "]
    assert "".join(chunks).strip() == WORDS.strip()


async def test_an_async_handler_hears_each_token_once(model):
    for _ in range(2):
        told = AsyncHeard()
        [chunk async for chunk in model.astream(ASKED, config={"callbacks": [told]})]
        assert told.events == {"start": 1, "end": 1}
        assert "".join(told.tokens).strip() == WORDS.strip()


@pytest.mark.skipif(
    not hasattr(CountingChat, "stream_events"), reason="langchain-core has no protocol events"
)
async def test_protocol_events_are_those_of_a_live_stream(model):
    """`stream_events` v3: LangChain's newest protocol, sync and async."""

    def kinds():
        return [event["event"] for event in model.stream_events(ASKED, version="v3")]

    async def akinds():
        stream = await model.astream_events(ASKED, version="v3")
        return [event["event"] async for event in stream]

    live, again, later = kinds(), kinds(), await akinds()
    assert calls(model) == 1
    assert set(again) == set(live) == set(later)
    assert again[0] == live[0] == later[0]
    assert again[-1] == live[-1] == later[-1]


def test_a_question_that_was_never_asked_is_put_to_the_model(model):
    model.invoke(ASKED)
    list(model.stream("What is the capital of Spain?"))
    assert calls(model) == 2


def test_a_chain_streams_what_is_stored(model):
    chain = ChatPromptTemplate.from_messages([("system", "be brief"), ("human", "{q}")]) | model
    live = list((chain | StrOutputParser()).stream({"q": ASKED}))
    again = [chunk for chunk in (chain | StrOutputParser()).stream({"q": ASKED}) if chunk]
    assert "".join(again) == "".join(live)
    assert len(again) > 2
    assert calls(model) == 1


# -- LangGraph ---------------------------------------------------------------------------------------------


def graph_of(model, streams):
    def answer(state):
        if not streams:
            return {"messages": [model.invoke(state["messages"])]}
        chunks = list(model.stream(state["messages"]))
        return {"messages": [sum(chunks[1:], chunks[0])]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=InMemorySaver())


@pytest.mark.parametrize("streams", [True, False], ids=["node streams", "node invokes"])
def test_langgraph_streams_the_tokens_of_a_hit(model, streams):
    graph = graph_of(model, streams)
    heard = []
    for thread in ("one", "two"):
        about = {"configurable": {"thread_id": thread}}
        asked = {"messages": [("user", ASKED)]}
        heard.append(
            [
                chunk.text
                for chunk, _ in graph.stream(asked, config=about, stream_mode="messages")
                if chunk.text
            ]
        )
    live, again = heard
    assert "".join(again).strip() == "".join(live).strip() == WORDS.strip()
    assert len(again) > 2
    assert calls(model) == 1


def test_the_same_question_twice_in_one_thread_leaves_two_answers(model):
    """A hit with an id that was seen before would be dropped from the state."""
    graph = graph_of(model, streams=False)
    about = {"configurable": {"thread_id": "one"}}
    graph.invoke({"messages": [("user", ASKED)]}, config=about)
    state = graph.invoke({"messages": [("user", ASKED)]}, config=about)
    assert [message.type for message in state["messages"]] == ["human", "ai", "human", "ai"]


async def test_langgraph_streams_async_what_is_stored(model):
    async def answer(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    compiled = graph.compile()
    for _ in range(2):
        stream = compiled.astream({"messages": [("user", ASKED)]}, stream_mode="messages")
        chunks = [chunk.text async for chunk, _ in stream]
        assert "".join(chunks).strip() == WORDS.strip()
        assert len(chunks) > 2
    assert calls(model) == 1
