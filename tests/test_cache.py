"""The cache as its users hold it: what must hit hits, and its nearest neighbour that must not does not."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from semcache_integrations import (
    CacheRequest,
    ConfigurationError,
    Controls,
    Hit,
    Miss,
    SemanticCache,
    StoreError,
    UnkeyableError,
)
from semcache_integrations.testing import FakeClock, HashingEmbedder, MemoryStore

ASKED = CacheRequest("how do I reset my password", model="gpt", params={"temperature": 0})
REWORDED = CacheRequest("how do I reset my password please", model="gpt", params={"temperature": 0.0})
OTHER = CacheRequest("what is the weather in Paris", model="gpt", params={"temperature": 0})


class Both:
    """Runs an operation of a cache through its sync or its async half."""

    def __init__(self, *, use_async: bool) -> None:
        self._async = use_async

    def __call__(self, cache: SemanticCache, name: str, *args: object, **kwargs: object) -> object:
        if not self._async:
            return getattr(cache, name)(*args, **kwargs)

        async def run() -> object:
            return await getattr(cache, "a" + name)(*args, **kwargs)

        return asyncio.run(run())


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def do(request: pytest.FixtureRequest) -> Both:
    return Both(use_async=request.param)


def test_a_repeat_hits_in_memory(cache, do):
    do(cache, "store", ASKED, "answer")
    found = do(cache, "lookup", ASKED)
    assert (found.payload, found.tier, found.similarity) == ("answer", "hash", 1.0)


def test_a_repeat_after_a_restart_hits_in_the_store(cache, store, embedder, do):
    do(cache, "store", ASKED, "answer")
    with SemanticCache(embedder=embedder, store=store) as restarted:
        assert do(restarted, "lookup", ASKED).tier == "exact"
        assert do(restarted, "lookup", ASKED).tier == "hash"


def test_a_rewording_hits_by_similarity_and_is_promoted(cache, do):
    do(cache, "store", ASKED, "answer")
    first, second = do(cache, "lookup", REWORDED), do(cache, "lookup", REWORDED)
    assert (first.tier, second.tier) == ("semantic", "hash")
    assert first.similarity == second.similarity < 1.0


def test_another_question_misses_and_says_why(cache, do):
    do(cache, "store", ASKED, "answer")
    found = do(cache, "lookup", OTHER)
    assert isinstance(found, Miss)
    assert found.reason == "rejected"
    assert found.similarity < 0.75
    assert do(cache, "lookup", CacheRequest("x", model="unseen")) == Miss("not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"params": {"temperature": 1}},
        {"params": {"temperature": 0, "unknown": True}},
        {"context": "another system prompt"},
        {"tenant": "someone else"},
        {"dialect": "chat"},
    ],
    ids=str,
)
def test_what_must_match_exactly_separates_both_tiers(cache, do, change):
    do(cache, "store", ASKED, "answer")
    for text in (ASKED.text, REWORDED.text):
        fields = {"model": "gpt", "params": {"temperature": 0}, **change}
        assert not do(cache, "lookup", CacheRequest(text, **fields))


def test_a_tenant_from_the_surroundings_separates_both_tiers(cache, do):
    with cache.scope(tenant="alice"):
        do(cache, "store", ASKED, "alice's")
        assert do(cache, "lookup", REWORDED).payload == "alice's"
    assert not do(cache, "lookup", ASKED)
    assert not do(cache, "lookup", REWORDED)
    with cache.scope(tenant="bob"):
        assert not do(cache, "lookup", ASKED)
        assert not do(cache, "lookup", REWORDED)


def test_a_tenant_of_the_request_and_one_of_the_surroundings_both_count(cache):
    one = CacheRequest("q", tenant="a")
    with cache.scope(tenant="b"):
        cache.store(one, "a and b")
    assert not cache.lookup(one)
    assert not cache.lookup(CacheRequest("q", tenant="a/b"))
    with cache.scope(tenant="b"):
        assert cache.lookup(one)
        assert not cache.lookup(CacheRequest("q", tenant="c"))


def test_the_configured_tenant_is_that_of_requests_without_one(embedder, store):
    with SemanticCache(embedder=embedder, store=store, tenant="acme") as cache:
        cache.store(ASKED, "answer")
    with SemanticCache(embedder=embedder, store=store) as other:
        assert not other.lookup(ASKED)
        assert other.lookup(CacheRequest(ASKED.text, "gpt", {"temperature": 0}, tenant="acme"))


def test_bypass_neither_reads_nor_writes(cache, do):
    with cache.bypass():
        assert do(cache, "store", ASKED, "unseen") is None
    assert not do(cache, "lookup", ASKED)
    do(cache, "store", ASKED, "answer")
    with cache.bypass():
        assert do(cache, "lookup", ASKED) == Miss("bypassed")


def test_refresh_does_not_read_and_overwrites(cache, do):
    do(cache, "store", ASKED, "old")
    with cache.refresh():
        assert do(cache, "lookup", ASKED) == Miss("bypassed")
        do(cache, "store", ASKED, "new")
    assert do(cache, "lookup", ASKED).payload == "new"


def test_a_ttl_ends_an_entry_in_every_tier(embedder, store, clock, do):
    with SemanticCache(
        embedder=embedder, store=store, clock=clock, similarity_threshold=0.75, ttl_s=10
    ) as cache:
        do(cache, "store", ASKED, "answer")
        do(cache, "lookup", REWORDED)
        clock.advance(9.9)
        assert do(cache, "lookup", ASKED)
        assert do(cache, "lookup", REWORDED)
        clock.advance(0.1)
        assert not do(cache, "lookup", ASKED)
        assert not do(cache, "lookup", REWORDED)


def test_a_call_may_give_its_entry_another_ttl(cache, clock, do):
    short = CacheRequest("q", controls=Controls(ttl_s=5))
    do(cache, "store", short, "answer")
    clock.advance(5)
    assert not do(cache, "lookup", short)
    assert do(cache, "store", CacheRequest("q", controls=Controls(ttl_s=0)), "never") is None


def test_an_access_renews_a_sliding_ttl_up_to_its_cap_in_memory_and_in_the_store(embedder, store, clock):
    settings = {
        "ttl_s": 10,
        "ttl_sliding": True,
        "ttl_cap_s": 25,
        "embedder": embedder,
        "store": store,
        "clock": clock,
    }
    with SemanticCache(**settings) as cache:
        cache.store(ASKED, "answer")
        for _ in range(3):
            clock.advance(8)
            assert cache.lookup(ASKED)
        cache.flush()
        with SemanticCache(**settings) as restarted:
            assert restarted.lookup(ASKED).tier == "exact"
        clock.advance(1)
        assert not cache.lookup(ASKED)


def test_an_unused_sliding_entry_expires(embedder, store, clock):
    with SemanticCache(embedder=embedder, store=store, clock=clock, ttl_s=10, ttl_sliding=True) as cache:
        cache.store(ASKED, "answer")
        clock.advance(10)
        assert not cache.lookup(ASKED)


def test_a_stricter_call_is_not_served_what_a_laxer_one_promoted(cache, do):
    do(cache, "store", ASKED, "answer")
    assert do(cache, "lookup", REWORDED)
    for controls in (Controls(similarity_threshold=0.999), Controls(semantic=False)):
        strict = CacheRequest(REWORDED.text, "gpt", {"temperature": 0}, controls=controls)
        assert not do(cache, "lookup", strict)
    assert do(
        cache,
        "lookup",
        CacheRequest(ASKED.text, "gpt", {"temperature": 0}, controls=Controls(semantic=False)),
    )


def test_a_call_may_ask_for_a_younger_entry_than_memory_holds(cache, clock, do):
    do(cache, "store", ASKED, "answer")
    clock.advance(60)
    young = CacheRequest(ASKED.text, "gpt", {"temperature": 0}, controls=Controls(max_age_s=59))
    assert not do(cache, "lookup", young)
    assert do(cache, "lookup", ASKED)


def test_an_unkeyable_request_is_a_miss_and_is_not_stored(cache, do):
    odd = CacheRequest("q", params={"callback": object()})
    assert do(cache, "lookup", odd).reason == "unkeyable"
    assert do(cache, "store", odd, "answer") is None
    assert do(cache, "store", CacheRequest("q"), "\ud800") is None
    assert do(cache, "lookup", CacheRequest("\ud800")).reason == "unkeyable"


@pytest.mark.parametrize("text", ["", "  \n ", "!?"])
def test_a_text_without_words_has_no_semantic_tier(cache, do, text):
    do(cache, "store", CacheRequest(text), "answer")
    assert do(cache, "lookup", CacheRequest(text)).tier == "hash"
    assert do(cache, "lookup", CacheRequest(text + "...")).reason == "unembeddable"


INVALIDATIONS = [
    {"tag": "doc-7"},
    {"model": "gpt"},
    {"tenant": "alice"},
    {"older_than_s": 50},
    {"tag": "doc-7", "model": "gpt"},
]


@pytest.mark.parametrize("condition", INVALIDATIONS, ids=str)
def test_invalidating_deletes_what_meets_the_condition_everywhere_and_spares_the_rest(
    cache, store, embedder, clock, do, condition
):
    doomed = CacheRequest(ASKED.text, "gpt", tenant="alice", controls=Controls(tags=("doc-7",)))
    spared = CacheRequest(ASKED.text, "claude", tenant="bob", controls=Controls(tags=("doc-8",)))
    reworded = CacheRequest(REWORDED.text, "gpt", tenant="alice")
    do(cache, "store", doomed, "old")
    clock.advance(100)
    do(cache, "store", spared, "kept")
    assert do(cache, "lookup", reworded)
    assert do(cache, "invalidate", **condition) == 1
    with SemanticCache(embedder=embedder, store=store, clock=clock) as restarted:
        for each in (cache, restarted):
            assert not do(each, "lookup", doomed)
            assert not do(each, "lookup", reworded)
            assert do(each, "lookup", spared)


def test_invalidating_by_id_and_by_namespace(cache, do):
    entry = do(cache, "store", ASKED, "answer")
    do(cache, "store", OTHER, "other")
    assert do(cache, "invalidate", entry.id) == 1
    assert not do(cache, "lookup", ASKED)
    assert do(cache, "lookup", OTHER)
    assert do(cache, "invalidate", namespace=entry.namespace.id) == 1
    assert not do(cache, "lookup", OTHER)
    assert do(cache, "invalidate", entry.id) == 0


def test_invalidating_without_a_condition_is_a_mistake(cache, do):
    with pytest.raises(ConfigurationError, match="clear"):
        do(cache, "invalidate")


def test_clearing_deletes_everything(cache, store, do):
    do(cache, "store", ASKED, "answer")
    do(cache, "clear")
    assert not do(cache, "lookup", ASKED)
    assert store.count() == 0


def test_a_lookup_under_way_does_not_bring_back_what_was_invalidated(embedder, clock):
    class Slow(MemoryStore):
        def search(self, *args):
            found = super().search(*args)
            cache.invalidate(model="gpt")  # happens while the candidate is on its way
            return found

    with SemanticCache(embedder=embedder, store=Slow(), clock=clock, similarity_threshold=0.75) as cache:
        cache.store(ASKED, "answer")
        cache.lookup(REWORDED)
        assert cache.stats().entries == 0


def test_a_secret_separates_caches_and_signs_entries(embedder, store):
    def open_with(secret: str | None) -> SemanticCache:
        return SemanticCache(embedder=embedder, store=store, secret=secret)

    with open_with("one") as mine, open_with("two") as theirs, open_with(None) as plain:
        mine.store(ASKED, "answer")
        assert not theirs.lookup(ASKED)
        assert not plain.lookup(ASKED)
    with open_with("one") as reopened:
        assert reopened.lookup(ASKED)


def test_hash_only_needs_no_model_and_serves_repeats(do):
    with SemanticCache(hash_only=True) as cache:
        do(cache, "store", ASKED, "answer")
        assert do(cache, "lookup", ASKED).tier == "hash"
        assert do(cache, "lookup", REWORDED) == Miss("not_found")
        assert do(cache, "invalidate", model="gpt") == 1
        assert do(cache, "lookup", ASKED) == Miss("not_found")


def test_hash_only_with_a_store_is_a_mistake(store):
    with pytest.raises(ConfigurationError, match="hash_only"):
        SemanticCache(hash_only=True, store=store)


def test_something_that_is_not_a_store_is_a_mistake(embedder):
    with pytest.raises(ConfigurationError, match="Store"):
        SemanticCache(embedder=embedder, store=object())


def test_cache_aside(cache, do):
    assert do(cache, "get", "capital of France?") is None
    assert do(cache, "put", "capital of France?", "Paris", tags=("geo",))
    assert do(cache, "get", "the capital of France?") == "Paris"
    assert do(cache, "get", "capital of France?", model="gpt") is None
    assert do(cache, "invalidate", tag="geo") == 1
    assert do(cache, "get", "capital of France?") is None


def test_cache_aside_takes_strings_only(cache):
    with pytest.raises(TypeError, match="prompt must be a str, not bytes"):
        cache.get(b"q")
    with pytest.raises(TypeError, match="answer must be a str, not dict"):
        cache.put("q", {})
    with pytest.raises(TypeError, match="unexpected keyword"):
        cache.get("q", temperature=1)
    with pytest.raises(UnkeyableError):
        cache.put("q", "\ud800")


def test_cache_aside_reads_no_payload_of_another_version(cache):
    cache.store(CacheRequest("q"), '{"v":2,"answer":"from the future"}')
    assert cache.get("q") is None


def test_compute_runs_once_and_its_answer_is_kept(cache):
    calls = []

    def compute() -> str:
        calls.append(1)
        return "Paris"

    assert [cache.get_or_compute("capital of France?", compute) for _ in range(3)] == ["Paris"] * 3
    assert cache.get_or_compute("the capital of France?", compute) == "Paris"
    assert len(calls) == 1


async def test_async_compute_runs_once_for_concurrent_tasks(cache):
    calls = []

    async def compute() -> str:
        calls.append(1)
        await asyncio.sleep(0.05)
        return "Paris"

    answers = await asyncio.gather(*(cache.aget_or_compute("capital of France?", compute) for _ in range(20)))
    assert answers == ["Paris"] * 20
    assert len(calls) == 1


def test_what_compute_raises_reaches_its_caller_and_nothing_is_kept(cache):
    def fail() -> str:
        raise ConnectionError("provider down")

    with pytest.raises(ConnectionError):
        cache.get_or_compute("q", fail)
    assert cache.get("q") is None


async def test_compute_runs_for_each_call_where_calls_must_not_be_confused(cache):
    odd = {"params": {"callback": object()}}
    assert cache.get_or_compute("q", lambda: "one", **odd) == "one"

    async def two() -> str:
        return "two"

    assert await cache.aget_or_compute("q", two, **odd) == "two"
    with cache.bypass():
        assert cache.get_or_compute("q", lambda: "fresh") == "fresh"


def test_stats_count_every_lookup_once(cache):
    cache.store(ASKED, "answer")
    for request in (ASKED, ASKED, REWORDED, OTHER, CacheRequest("q", params={"x": object()})):
        cache.lookup(request)
    stats = cache.stats()
    assert {name: tier.hits for name, tier in stats.tiers.items()} == {
        "hash": 2,
        "exact": 0,
        "semantic": 1,
        "miss": 2,
    }
    assert dict(stats.misses) == {"rejected": 1, "unkeyable": 1}
    assert (stats.hits, stats.lookups, stats.hit_rate, stats.counts["stored"]) == (3, 5, 0.6, 1)
    assert stats.tiers["hash"].p50_us > 0
    cache.reset_stats()
    assert cache.stats().lookups == 0
    assert cache.stats().hit_rate == 0.0


def test_stats_and_explanations_are_tables_in_terminals_and_notebooks(cache):
    from rich.console import Console

    cache.store(CacheRequest("is <b>this</b> [bold]safe[/bold] text"), "answer")
    cache.lookup(CacheRequest("is <b>this</b> [bold]safe[/bold] text"))
    console = Console(record=True, width=150)
    explained = cache.explain(CacheRequest("is this safe text"))
    console.print(cache.stats(), explained)
    shown = console.export_text()
    assert "100.0%" in shown
    assert "[bold]safe[/bold]" in shown
    assert "<b>this" not in explained._repr_html_()
    assert "&lt;b&gt;this" in explained._repr_html_()
    assert "<td>hash</td><td>1</td>" in cache.stats()._repr_html_()
    assert str(explained).splitlines()[1].split()[:3] == ["question", "similarity", "score"]
    assert "is <b>this</b> [bold]safe[/bold] text" in str(explained)
    assert [line.split()[:2] for line in str(cache.stats()).splitlines()[1:3]] == [
        ["tier", "look-ups"],
        ["hash", "1"],
    ]


def test_explaining_shows_candidates_and_changes_nothing(cache, do):
    do(cache, "store", ASKED, "answer")
    do(cache, "store", OTHER, "other")
    shown = do(cache, "explain", REWORDED)
    assert [verdict.refusal for verdict in shown.verdicts] == ["", "below similarity_threshold"]
    assert shown.served.payload == "answer"
    assert do(cache, "explain", ASKED).exact.payload == "answer"
    assert (
        do(cache, "explain", CacheRequest("unrelated words", model="gpt", params={"temperature": 0})).served
        is None
    )
    assert cache.stats().lookups == 0


def test_hooks_hear_of_everything_and_cannot_break_anything(embedder, store, caplog):
    heard = []

    def hook(event):
        heard.append(event)
        raise RuntimeError("hooks must not matter")

    with SemanticCache(embedder=embedder, store=store, hooks=[hook]) as cache:
        cache.lookup(ASKED)
        entry = cache.store(ASKED, "answer")
        assert cache.lookup(ASKED)
    assert [(event.kind, event.tier or event.reason) for event in heard] == [
        ("miss", "not_found"),
        ("store", ""),
        ("hit", "hash"),
    ]
    assert heard[-1].entry_id == entry.id
    assert heard[0].seconds > 0
    assert "password" not in caplog.text + repr(heard)


def test_memory_asks_a_shared_store_again_after_a_while(embedder, store, clock):
    settings = {"embedder": embedder, "store": store, "clock": clock}
    with SemanticCache(local_ttl_s=60, **settings) as cache, SemanticCache(**settings) as elsewhere:
        cache.store(ASKED, "answer")
        elsewhere.clear()
        assert cache.lookup(ASKED)
        clock.advance(60)
        assert not cache.lookup(ASKED)


def test_closing_twice_is_fine_and_a_closed_cache_misses(embedder, store):
    cache = SemanticCache(embedder=embedder, store=store)
    cache.store(ASKED, "answer")
    cache.close()
    cache.close()
    assert not cache.lookup(CacheRequest("something else"))


async def test_the_async_context_closes_too(embedder, store):
    async with SemanticCache(embedder=embedder, store=store) as cache:
        await cache.astore(ASKED, "answer")
        assert await cache.alookup(ASKED)


def test_a_forgotten_cache_is_closed_by_the_garbage_collector(embedder):
    cache = SemanticCache(embedder=embedder)
    gone, finalizer = weakref.ref(cache), cache._finalizer
    cache.store(ASKED, "answer")
    del cache
    gc.collect()
    assert gone() is None
    assert not finalizer.alive


def test_a_cache_closes_what_it_opened_and_nothing_else(embedder, store):
    with SemanticCache(embedder=embedder, store=store) as cache:
        cache.store(ASKED, "answer")
    assert store.count() == 1
    with SemanticCache(embedder=embedder) as cache:
        opened = cache._backends.store
    with pytest.raises(StoreError):
        opened.count()


def test_a_verifier_has_the_last_word(embedder, store, do):
    from semcache_integrations import Verifier

    class Suspicious(Verifier):
        def verify(self, request, candidate):
            return candidate.entry.payload != "wrong"

    with SemanticCache(
        embedder=embedder, store=store, verifier=Suspicious(), similarity_threshold=0.75
    ) as cache:
        do(cache, "store", ASKED, "wrong")
        assert do(cache, "lookup", REWORDED).detail == "verifier"
        do(cache, "store", ASKED, "right")
        assert isinstance(do(cache, "lookup", REWORDED), Hit)


def test_the_clock_of_a_fake_moves_only_when_told():
    clock = FakeClock(5.0)
    clock.advance(2.5)
    assert clock() == 7.5


def test_the_vectors_of_another_embedder_are_never_met(store):
    with SemanticCache(embedder=HashingEmbedder(64), store=store) as one:
        one.store(ASKED, "answer")
    with SemanticCache(embedder=HashingEmbedder(128), store=store) as other:
        assert not other.lookup(ASKED)
