"""OneLLM's four functions switch both frameworks on and off."""

from __future__ import annotations

import inspect

import litellm
import pytest
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models import FakeListChatModel

import semcache_integrations
from semcache_integrations import ConfigurationError, cache_stats, clear_cache, disable_cache, init_cache


@pytest.fixture(autouse=True)
def _off():
    yield
    disable_cache()
    set_llm_cache(None)
    litellm.cache = None


def test_names_and_defaults_are_onellms():
    parameters = inspect.signature(init_cache).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "max_entries": 1000,
        "p": 0.95,
        "hash_only": False,
        "stream_chunk_strategy": "words",
        "stream_chunk_length": 8,
        "ttl": 86400,
        "similarity_threshold": None,
    }


def test_it_switches_langchain_and_litellm_on_and_off():
    init_cache(hash_only=True)
    model = FakeListChatModel(responses=["first", "second"])
    assert [model.invoke("question").content for _ in range(2)] == ["first", "first"]
    first, second = (
        litellm.completion("gpt-4o-mini", [{"role": "user", "content": "q"}], mock_response="a")
        for _ in range(2)
    )
    assert not first._hidden_params.get("cache_hit")
    assert second._hidden_params["cache_hit"]
    assert cache_stats() == {"hits": 2, "misses": 2, "entries": 2}
    disable_cache()
    assert get_llm_cache() is None
    assert litellm.cache is None
    assert model.invoke("question").content == "second"


def test_clearing_deletes_and_counts_from_zero():
    init_cache(hash_only=True)
    model = FakeListChatModel(responses=["first", "second"])
    model.invoke("question")
    clear_cache()
    assert cache_stats() == {"hits": 0, "misses": 0, "entries": 0}
    assert model.invoke("question").content == "second"


def test_without_a_cache_the_functions_do_nothing():
    disable_cache()
    clear_cache()
    assert cache_stats() == {"hits": 0, "misses": 0, "entries": 0}


def test_disabling_spares_a_cache_that_the_user_set_since():
    init_cache(hash_only=True)
    theirs = semcache_integrations.SemanticCache(hash_only=True)
    from semcache_integrations.langchain import LangChainSemanticCache

    own = LangChainSemanticCache(theirs)
    set_llm_cache(own)
    litellm.cache = litellm.Cache()
    kept = litellm.cache
    disable_cache()
    assert get_llm_cache() is own
    assert litellm.cache is kept


@pytest.mark.model
def test_p_is_the_threshold_and_the_new_name_overrides_it(minilm):
    assert init_cache(p=0.91).config.similarity_threshold == 0.91
    assert init_cache(p=0.91, similarity_threshold=0.93).config.similarity_threshold == 0.93


def test_mistakes_are_named_and_leave_the_old_cache_on():
    running = init_cache(hash_only=True)
    for mistake in ({"p": 2}, {"stream_chunk_length": 0}, {"stream_chunk_strategy": "letters"}, {"ttl": 0}):
        with pytest.raises(ConfigurationError):
            init_cache(hash_only=True, **mistake)
    assert get_llm_cache().cache is running
