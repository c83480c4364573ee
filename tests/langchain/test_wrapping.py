"""What comes out of `with_semantic_cache` is the model that went in, for whoever looks, copies or builds on it."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
from doubles.langchain_calls import CountingChat, StreamingChat
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.load import dumpd
from langchain_core.messages import HumanMessage, convert_to_messages
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_openai import ChatOpenAI

from semcache_integrations import ConfigurationError, SemanticCache
from semcache_integrations.core.replay import Replay
from semcache_integrations.langchain import (
    LangChainSemanticCache,
    ReplayConfig,
    StreamReplayHandler,
    cache_runnable,
    semantic_cache_of,
    with_semantic_cache,
    without_semantic_cache,
)
from semcache_integrations.testing import FakeUpstream, HashingEmbedder, MemoryStore


def hit(message):
    return message.response_metadata.get("semcache", {}).get("hit", False)


@pytest.mark.parametrize(
    "model",
    [ChatOpenAI(model="gpt-4o-mini", api_key="k"), ChatAnthropic(model="claude-of-tests", api_key="k")],
    ids=["openai", "anthropic"],
)
def test_it_is_of_the_same_class_and_says_the_same_of_itself(model, kept):
    wrapped = with_semantic_cache(model, kept)
    assert isinstance(wrapped, type(model))
    assert type(wrapped).__name__ == type(model).__name__
    assert dumpd(wrapped) == dumpd(model)
    assert (wrapped.get_name(), wrapped._llm_type) == (model.get_name(), model._llm_type)
    assert wrapped._get_ls_params() == model._get_ls_params()
    assert wrapped.model_dump(exclude={"cache"}) == model.model_dump(exclude={"cache"})
    assert type(model).model_fields.keys() == type(wrapped).model_fields.keys()


def test_the_model_that_went_in_is_left_as_it_was(kept):
    model = CountingChat()
    before = dict(vars(model))
    wrapped = with_semantic_cache(model, kept)
    wrapped.invoke("q")
    assert vars(model) == before
    assert semantic_cache_of(model) is None
    assert semantic_cache_of(wrapped) is kept


def test_it_can_be_taken_off_again(kept):
    wrapped = with_semantic_cache(CountingChat(setting=3), kept)
    plain = without_semantic_cache(wrapped)
    assert type(plain) is CountingChat
    assert plain.setting == 3
    assert plain.cache is None
    assert without_semantic_cache(plain) is plain


def test_wrapping_twice_wraps_once(kept, cache):
    other = LangChainSemanticCache(cache, tenant="other")
    twice = with_semantic_cache(with_semantic_cache(CountingChat(), kept), other)
    assert semantic_cache_of(twice) is other
    twice.invoke("q")
    assert cache.stats().lookups == 1


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda model: model.model_copy(),
        lambda model: pickle.loads(pickle.dumps(model)),
    ],
    ids=["copy", "deepcopy", "model_copy", "pickle"],
)
def test_copies_are_cached_too(again, kept):
    wrapped = with_semantic_cache(StreamingChat(), kept, replay=ReplayConfig("characters", 2))
    first = wrapped.invoke("q")
    twin = again(wrapped)
    assert isinstance(twin, StreamingChat)
    assert hit(twin.invoke("q"))
    assert [chunk.text for chunk in twin.stream("q")][:2] == [first.text[:2], first.text[2:4]]


def test_a_pickle_takes_the_cache_that_is_set_where_its_own_is_unknown(kept, adapter):
    pickled = pickle.dumps(with_semantic_cache(CountingChat(), kept))
    from semcache_integrations.langchain import wrapping

    wrapping._by_name.clear()  # as in another process
    assert semantic_cache_of(pickle.loads(pickled)) is adapter


def test_bound_tools_and_fallbacks_and_retries_go_on_caching(kept):
    wrapped = with_semantic_cache(CountingChat(), kept)
    bound = wrapped.bind_tools([]).with_retry().with_fallbacks([RunnableLambda(lambda _: "never")])
    bound.invoke("q")
    assert hit(bound.invoke("q"))


def test_models_that_langchain_makes_of_configurable_fields_are_cached():
    with FakeUpstream() as apis, LangChainSemanticCache(hash_only=True) as cache:
        model = ChatOpenAI(model="gpt-4o-mini", base_url=apis.url, temperature=0)
        chosen = with_semantic_cache(model, cache).configurable_fields(temperature=ConfigurableField(id="t"))
        for _ in range(2):
            chosen.invoke("q")
            chosen.invoke("q", config={"configurable": {"t": 0.5}})
        assert apis.count == 2


def test_tokens_are_counted_as_by_the_model(kept):
    model = CountingChat(custom_get_token_ids=lambda text: [1] * len(text))
    wrapped = with_semantic_cache(model, kept)
    assert wrapped.get_num_tokens_from_messages([HumanMessage("four")]) == model.get_num_tokens_from_messages(
        [HumanMessage("four")]
    )


def test_langchains_own_cache_is_not_asked_as_well(adapter, cache):
    wrapped = with_semantic_cache(CountingChat(), adapter)
    wrapped.invoke("q")
    wrapped.invoke("q")
    assert cache.stats().lookups == 2


# -- which cache -------------------------------------------------------------------------------------------


def test_without_a_cache_it_takes_the_one_that_is_set(adapter):
    assert semantic_cache_of(with_semantic_cache(CountingChat())) is adapter


def test_settings_make_a_cache_of_its_own(adapter):
    own = semantic_cache_of(with_semantic_cache(CountingChat(), hash_only=True))
    assert own is not adapter
    own.close()


def test_a_cache_of_another_kind_that_is_set_is_not_taken():
    from langchain_core.caches import InMemoryCache

    set_llm_cache(InMemoryCache())
    try:
        own = semantic_cache_of(with_semantic_cache(CountingChat(), hash_only=True))
        assert isinstance(own, LangChainSemanticCache)
        own.close()
    finally:
        set_llm_cache(None)


def test_an_engine_is_a_cache():
    with SemanticCache(embedder=HashingEmbedder(), store=MemoryStore()) as engine:
        wrapped = with_semantic_cache(CountingChat(), engine, hit_usage="zero")
        assert semantic_cache_of(wrapped).cache is engine


def test_classes_and_caches_go_when_nobody_holds_them():
    cache = LangChainSemanticCache(hash_only=True)
    gone = weakref.ref(cache)
    with_semantic_cache(CountingChat(), cache).invoke("q")
    cache.close()
    del cache
    gc.collect()
    assert gone() is None


def test_one_class_is_made_for_one_cache_and_way_of_replay(kept):
    one, two = (with_semantic_cache(CountingChat(), kept) for _ in range(2))
    assert type(one) is type(two)
    assert type(with_semantic_cache(CountingChat(), kept, replay=Replay("none"))) is not type(one)


# -- mistakes ----------------------------------------------------------------------------------------------


def test_what_is_no_model_is_refused_with_the_way_out(kept):
    with pytest.raises(ConfigurationError, match=r"before \.bind_tools.*or use cache_runnable"):
        with_semantic_cache(CountingChat().bind(stop=["x"]), kept)
    with pytest.raises(ConfigurationError, match=r"not a str: make the model first"):
        with_semantic_cache("gpt-5", kept)
    with pytest.raises(ConfigurationError, match=r"not the class CountingChat: make an instance"):
        with_semantic_cache(CountingChat, kept)
    with pytest.raises(ConfigurationError, match="a ready cache has its settings: drop hash_only"):
        with_semantic_cache(CountingChat(), kept, hash_only=True)
    with pytest.raises(ConfigurationError, match="cache= takes a ready SemanticCache, not dict"):
        with_semantic_cache(CountingChat(), {})


@pytest.mark.parametrize(
    "made",
    [
        lambda replay: with_semantic_cache(CountingChat(), hash_only=True, replay=replay),
        lambda replay: cache_runnable(CountingChat() | str, hash_only=True, replay=replay),
        lambda replay: StreamReplayHandler(BaseCallbackHandler(), replay=replay),
    ],
)
def test_a_replay_that_is_none_is_refused_before_a_stream_could_fail_of_it(made):
    with pytest.raises(ConfigurationError, match=r"such as ReplayConfig\('words', 3\), not 'words'"):
        made("words")


# -- the cache behind a model ------------------------------------------------------------------------------


def test_the_cache_of_a_model_is_found_inside_a_chain(kept):
    wrapped = with_semantic_cache(CountingChat(), kept)
    for kind, chain in chains(wrapped).items():
        assert semantic_cache_of(chain) is kept, kind
    for kind, chain in chains(CountingChat()).items():
        assert semantic_cache_of(chain) is None, kind


def test_explain_takes_what_a_model_takes(kept):
    asked = [("system", "Be brief."), ("user", "Where is order 48120?")]
    with pytest.raises(ConfigurationError, match="no model has asked this cache yet"):
        kept.explain(asked)
    wrapped = with_semantic_cache(CountingChat(), kept)
    wrapped.invoke(asked)
    for form in (asked, ChatPromptTemplate.from_messages(asked).invoke({}), convert_to_messages(asked)):
        assert kept.explain(form).served.text == "Where is order 48120?"


# -- chains ------------------------------------------------------------------------------------------------


def chains(model):
    answers = RunnableLambda(lambda message: message)
    return {
        "the model": model,
        "a sequence": RunnableLambda(lambda asked: asked) | model | answers,
        "bound arguments": model.bind(stop=["x"]),
        "fall-backs": model.with_fallbacks([CountingChat()]) | answers,
        "retries": answers | model.with_retry(),
        "parallel steps": {"one": model} | RunnableLambda(lambda steps: steps["one"]),
        "alternatives": model.configurable_alternatives(ConfigurableField(id="m"), other=CountingChat()),
        "each of a list": model.map() | RunnableLambda(lambda found: found[0]),
    }


@pytest.mark.parametrize("kind", list(chains(CountingChat())))
def test_the_models_inside_a_chain_are_cached_and_the_chain_is_left_alone(kind, kept):
    chain = chains(CountingChat())[kind]
    made = cache_runnable(chain, kept)
    asked = ["q"] if kind == "each of a list" else "q"
    made.invoke(asked)
    assert hit(made.invoke(asked))
    assert not hit(chain.invoke(asked))
    assert not hit(chain.invoke(asked))


def test_a_chain_without_a_model_is_refused(kept):
    hidden = RunnableLambda(lambda asked: CountingChat().invoke(asked))
    with pytest.raises(ConfigurationError, match="no model to be found in this RunnableSequence"):
        cache_runnable(hidden | hidden, kept)


def test_explain_means_the_wrapped_model_that_asked_last(kept):
    wrapped = with_semantic_cache(CountingChat(), kept)
    wrapped.invoke("Where is order 48120?")
    (seen,) = kept.explain("Where is order 48121?").verdicts
    assert (seen.candidate.entry.text, seen.refusal) == ("Where is order 48120?", "number")
