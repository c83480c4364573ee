"""Between a look-up that missed and the call, somebody else may have stored the answer: then nobody is asked."""

from __future__ import annotations

import asyncio

import pytest
from doubles.langchain_calls import CountingChat, StreamingChat
from doubles.langchain_texts import ASKED, StreamingText

from semcache_integrations import SemanticCache
from semcache_integrations.langchain import LangChainSemanticCache, with_semantic_cache
from semcache_integrations.testing import HashingEmbedder, MemoryStore


class Meanwhile:
    """A hook that does something once, when a look-up has missed."""

    def __init__(self):
        self.do = None

    def __call__(self, event):
        if event.kind == "miss" and self.do is not None:
            do, self.do = self.do, None
            do()


@pytest.fixture
def meanwhile():
    return Meanwhile()


@pytest.fixture
def engine(meanwhile):
    with SemanticCache(embedder=HashingEmbedder(), store=MemoryStore(), hooks=[meanwhile]) as engine:
        yield engine


async def streamed(model):
    return [chunk async for chunk in model.astream("q")]


WAYS = {
    "invoke": lambda model: model.invoke("q"),
    "stream": lambda model: list(model.stream("q")),
    "ainvoke": lambda model: asyncio.run(model.ainvoke("q")),
    "astream": lambda model: asyncio.run(streamed(model)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize("kind", [StreamingChat, StreamingText], ids=["chat", "text"])
def test_a_late_answer_is_taken_by_every_way_to_call_a_model(engine, meanwhile, kind, way):
    ASKED.clear()
    model = with_semantic_cache(kind(), LangChainSemanticCache(engine))
    meanwhile.do = lambda: model.invoke("q")
    assert way(model)
    assert (model.calls if isinstance(model, CountingChat) else len(ASKED)) == 1


def test_a_late_answer_is_taken_by_get_or_compute(engine, meanwhile):
    meanwhile.do = lambda: engine.put("q", "stored meanwhile")
    assert engine.get_or_compute("q", lambda: "computed") == "stored meanwhile"


async def test_a_late_answer_is_taken_by_aget_or_compute(engine, meanwhile):
    async def compute():
        return "computed"

    meanwhile.do = lambda: engine.put("q", "stored meanwhile")
    assert await engine.aget_or_compute("q", compute) == "stored meanwhile"
