"""Vetoes by name: which are in force is said once for a cache, and may be less for a block."""

from __future__ import annotations

import asyncio

import pytest

from semcache_integrations import ConfigurationError, SemanticCache
from semcache_integrations.config import load_config
from semcache_integrations.core.guards import VETOES, known
from semcache_integrations.core.models import CacheRequest, Miss
from semcache_integrations.testing import MemoryStore

ONE = CacheRequest("what did the shop sell in the year 2023")
OTHER = CacheRequest("what did the shop sell in the year 2024")
NOT = CacheRequest("what did the shop not sell in the year 2023")


@pytest.fixture
def filled(cache):
    cache.store(ONE, "answer")
    return cache


def look_up(cache, request, way):
    return cache.lookup(request) if way == "sync" else asyncio.run(cache.alookup(request))


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_block_leaves_out_the_vetoes_it_names_and_no_others(filled, way):
    assert isinstance(look_up(filled, OTHER, way), Miss)
    with filled.scope(without_vetoes=["number"]):
        assert look_up(filled, OTHER, way).payload == "answer"
        assert look_up(filled, NOT, way).detail == "negation"


@pytest.mark.parametrize("way", ["sync", "async"])
def test_what_passed_in_such_a_block_is_not_served_outside_it(filled, way):
    with filled.scope(without_vetoes=["number"]):
        assert look_up(filled, OTHER, way)
    assert look_up(filled, OTHER, way).detail == "number"


def test_inner_blocks_add_to_outer_ones(filled):
    with filled.scope(without_vetoes=["negation"]), filled.scope(without_vetoes=["number", "word"]):
        assert filled.lookup(OTHER)
    with filled.scope(without_vetoes=["negation"]):
        assert not filled.lookup(OTHER)


def test_explain_says_what_a_look_up_in_the_block_would_do(filled):
    assert [verdict.refusal for verdict in filled.explain(OTHER).verdicts] == ["number"]
    with filled.scope(without_vetoes=["number"]):
        assert [verdict.refusal for verdict in filled.explain(OTHER).verdicts] == [""]


def test_calls_in_such_a_block_are_not_joined_with_calls_outside_it(cache):
    with cache.scope(without_vetoes=["number"]):
        assert cache.identity(ONE) is None
    assert cache.identity(ONE) is not None


@pytest.mark.parametrize(
    ("setting", "passed"), [(True, False), (False, True), (["negation"], True), (("number", "word"), False)]
)
def test_a_cache_has_all_vetoes_or_none_or_those_named(embedder, setting, passed):
    with SemanticCache(
        embedder=embedder, store=MemoryStore(), vetoes=setting, similarity_threshold=0.75
    ) as one:
        one.store(ONE, "answer")
        assert bool(one.lookup(OTHER)) is passed


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("true", True),
        ("off", False),
        ("number, date", frozenset({"number", "date"})),
        ("word", frozenset({"word"})),
    ],
)
def test_the_environment_names_them_with_commas(monkeypatch, text, meaning):
    monkeypatch.setenv("SEMCACHE_VETOES", text)
    assert load_config().vetoes == meaning


def test_a_veto_that_does_not_exist_is_named_with_the_one_that_is_meant():
    with pytest.raises(
        ConfigurationError, match=r"vetoes: no such veto: 'numbers' \(is number meant\?\); there are: act"
    ):
        load_config(vetoes={"numbers"})
    with (
        pytest.raises(ConfigurationError, match="no such veto: 'zzz'; there are: "),
        SemanticCache.scope(without_vetoes=["zzz"]),
    ):
        pass
    with pytest.raises(ConfigurationError, match="no such veto: 3"):
        load_config(vetoes=[3])


def test_one_name_is_a_name_and_no_list_of_letters():
    assert known("number") == {"number"}
    assert known(VETOES) == VETOES.keys()
