"""What becomes of time-sensitive questions in a cache, and of entries that a TTL policy dates anew."""

from __future__ import annotations

import threading

import pytest

from semcache_integrations import ConfigurationError, SemanticCache
from semcache_integrations.aside import question
from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.models import NEVER, CacheRequest, Controls, Hit, Miss
from semcache_integrations.protocols import TTLPolicy
from semcache_integrations.testing import MemoryStore
from semcache_integrations.ttl import RuleTTL

PRICE = "What is the price of gold?"
FACT = "What is the capital of France?"


@pytest.fixture
def make(embedder, store, clock):
    """Make caches on one store and one clock."""
    made = []

    def one(**settings):
        about = {"embedder": embedder, "store": store} if not settings.get("hash_only") else {}
        made.append(SemanticCache(clock=clock, similarity_threshold=0.75, **about, **settings))
        return made[-1]

    yield one
    for cache in made:
        cache.close()


class Says(TTLPolicy):
    """Says what it is told to, and remembers what it was asked."""

    def __init__(self, *ttls):
        self.asked = []
        self._ttls = ttls

    def ttl_s(self, request, answer):
        self.asked.append((request, answer, threading.current_thread().name))
        said = self._ttls[min(len(self.asked), len(self._ttls)) - 1]
        if isinstance(said, Exception):
            raise said
        return said


# -- short_ttl ------------------------------------------------------------------------------------


def test_by_default_a_time_sensitive_answer_is_served_for_five_minutes(make, clock):
    cache = make()
    cache.put(PRICE, "high")
    cache.put(FACT, "Paris")
    clock.advance(299)
    assert cache.get(PRICE) == "high"
    clock.advance(2)
    assert cache.get(PRICE) is None
    assert cache.get(FACT) == "Paris"


def test_the_short_ttl_holds_in_the_store_too(make, clock):
    make(time_sensitive_ttl_s=60).put(PRICE, "high")
    clock.advance(59)
    assert make().get(PRICE) == "high"
    clock.advance(2)
    assert make().get(PRICE) is None
    assert make(time_sensitive="ignore").get(PRICE) is None


def test_a_shorter_ttl_stays_shorter(make, clock):
    cache = make(ttl_s=10)
    cache.put(PRICE, "high")
    clock.advance(11)
    assert cache.get(PRICE) is None


def test_who_names_a_ttl_is_believed(make, clock):
    cache = make()
    cache.put(PRICE, "high", ttl_s=3_600)
    clock.advance(3_000)
    assert cache.get(PRICE) == "high"
    assert make().get(PRICE) == "high"


def test_an_access_does_not_renew_a_short_ttl(make, clock):
    cache = make(ttl_s=10_000, ttl_sliding=True)
    cache.put(PRICE, "high")
    cache.put(FACT, "Paris")
    for _ in range(20):
        clock.advance(100)
        served = cache.get(PRICE), cache.get(FACT)
    assert served == (None, "Paris")


def test_an_old_answer_stored_under_other_settings_is_outlived(make, clock):
    make(time_sensitive="ignore").put(PRICE, "high")
    clock.advance(301)
    found = make().lookup(CacheRequest(PRICE))
    assert isinstance(found, Miss)
    assert make(time_sensitive="ignore").get(PRICE) == "high"
    cache = make()
    assert cache.get(PRICE) is None
    assert cache.stats().misses == {"time_sensitive": 1}
    assert cache.get(PRICE, max_age_s=1_000) == "high"


def test_an_answer_stored_under_other_words_is_outlived_in_memory_too(make, clock):
    """The words of the stored question say nothing, those of the asked one do."""
    cache = make()
    cache.put("the capital city of France please", "Paris")
    asked = "the current weather capital city of France please"
    clock.advance(200)
    assert cache.get(asked) == "Paris"
    assert cache.get(asked) == "Paris"
    clock.advance(101)
    assert cache.get(asked) is None
    assert cache.get("the capital city of France please") == "Paris"


def test_a_sliding_entry_under_other_words_does_not_slide_beyond_the_limit(make, clock):
    cache = make(ttl_s=220, ttl_sliding=True)
    cache.put("the capital city of France please", "Paris")
    asked = "the current weather capital city of France please"
    clock.advance(105)
    assert cache.get(asked) == "Paris"
    clock.advance(110)
    assert cache.get(asked) == "Paris"
    clock.advance(90)
    assert cache.get(asked) is None


# -- bypass ---------------------------------------------------------------------------------------


def test_a_bypassed_question_is_neither_looked_up_nor_stored(make, store):
    make(time_sensitive="ignore").put(PRICE, "high")
    cache = make(time_sensitive="bypass")
    found = cache.lookup(CacheRequest(PRICE))
    assert isinstance(found, Miss)
    assert found.reason == "time_sensitive"
    assert cache.put("What is the price of silver?", "low") is None
    assert store.count() == 1
    assert cache.put(FACT, "Paris")
    assert cache.get(FACT) == "Paris"


async def test_the_async_half_bypasses_too(make):
    cache = make(time_sensitive="bypass")
    assert await cache.aput(PRICE, "high") is None
    assert (await cache.alookup(CacheRequest(PRICE))).reason == "time_sensitive"


def test_only_who_says_what_is_fresh_enough_gets_a_time_sensitive_answer(make, clock):
    cache = make(time_sensitive="bypass")
    assert cache.put(PRICE, "high", ttl_s=60)
    assert cache.get(PRICE) is None
    assert cache.get(PRICE, max_age_s=30) == "high"
    assert cache.get(PRICE) is None
    clock.advance(31)
    assert cache.get(PRICE, max_age_s=30) is None
    assert cache.get(PRICE, max_age_s=50) == "high"
    clock.advance(30)
    assert cache.get(PRICE, max_age_s=500) is None


def test_computing_a_bypassed_answer_computes_each_time(make):
    cache, answers = make(time_sensitive="bypass"), iter("ab")
    assert [cache.get_or_compute(PRICE, lambda: next(answers)) for _ in range(2)] == ["a", "b"]


def test_ignore_knows_no_time_sensitive_question(make, clock):
    cache = make(time_sensitive="ignore")
    cache.put(PRICE, "high")
    clock.advance(10**6)
    assert cache.get(PRICE) == "high"


def test_an_embedding_of_the_same_words_does_not_age(make, clock):
    cache = make(time_sensitive="bypass")
    request = CacheRequest(PRICE, dialect="litellm.embedding", controls=Controls(semantic=False))
    assert cache.store(request, "[0.1]") is not None
    assert isinstance(cache.lookup(request), Hit)


# -- policies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("background", [False, True])
def test_a_policy_dates_the_entry_in_memory_and_in_the_store(make, clock, background):
    cache = make(ttl_policy=Says(50), background_writes=background)
    cache.put(FACT, "Paris")
    cache.flush()
    assert cache.stats().counts["ttl_amended"] == 1
    clock.advance(49)
    assert cache.get(FACT) == make().get(FACT) == "Paris"
    clock.advance(2)
    assert cache.get(FACT) is make().get(FACT) is None


async def test_what_is_stored_asynchronously_is_dated_too(make, clock):
    cache = make(ttl_policy=Says(50))
    await cache.aput(FACT, "Paris")
    cache.flush()
    clock.advance(51)
    assert await cache.aget(FACT) is None


def test_a_policy_may_prolong_what_the_default_shortens(make, clock):
    cache = make(ttl_policy=Says(5_000), ttl_s=60)
    cache.put(FACT, "Paris")
    cache.flush()
    clock.advance(4_999)
    assert cache.get(FACT) == make().get(FACT) == "Paris"
    clock.advance(2)
    assert cache.get(FACT) is make().get(FACT) is None


def test_without_a_store_memory_is_dated_alone(make, clock):
    cache = make(hash_only=True, ttl_policy=Says(5_000), ttl_s=60)
    cache.put(FACT, "Paris")
    cache.flush()
    clock.advance(4_999)
    assert cache.get(FACT) == "Paris"
    clock.advance(2)
    assert cache.get(FACT) is None


def test_an_ttl_of_zero_drops_the_entry(make):
    cache = make(ttl_policy=Says(0))
    cache.put(FACT, "Paris")
    cache.flush()
    assert cache.get(FACT) is make().get(FACT) is None


@pytest.mark.parametrize("said", [None, float("nan"), -1, "60", True, [], RuntimeError("no"), SystemError()])
def test_a_policy_that_says_nothing_leaves_the_entry_as_it_is(make, clock, said):
    cache = make(ttl_policy=Says(said), ttl_s=100)
    cache.put(FACT, "Paris")
    cache.flush()
    clock.advance(99)
    assert cache.get(FACT) == "Paris"
    clock.advance(2)
    assert cache.get(FACT) is None
    assert cache.stats().counts.get("ttl_failed", 0) == isinstance(said, Exception)


def test_an_endless_ttl_is_none_and_the_cap_is_a_cap(make, store, clock):
    cache = make(ttl_policy=Says(float("inf"), 10_000), ttl_s=100, ttl_cap_s=500)
    cache.put(FACT, "Paris")
    cache.put("Who wrote Hamlet?", "Shakespeare")
    cache.flush()
    entries = [found.entry for found in (cache.lookup(question(q)) for q in (FACT, "Who wrote Hamlet?"))]
    assert {entry.expires_at - clock() for entry in entries} == {NEVER, 500}


def test_who_names_a_ttl_is_not_overruled_by_a_policy(make):
    policy = Says(50)
    cache = make(ttl_policy=policy)
    cache.put(FACT, "Paris", ttl_s=10)
    cache.flush()
    assert policy.asked == []


def test_a_policy_cannot_prolong_a_time_sensitive_answer(make, clock):
    cache = make(ttl_policy=Says(10**6))
    cache.put(PRICE, "high")
    cache.flush()
    clock.advance(301)
    assert cache.get(PRICE) is None


def test_a_policy_is_asked_off_the_callers_thread_and_told_whose_question_it_is(make):
    policy = Says(50)
    cache = make(ttl_policy=policy)
    with cache.scope(tenant="acme"):
        cache.put(FACT, "Paris")
    cache.flush()
    [(request, answer, thread)] = policy.asked
    assert (request.text, request.tenant) == (FACT, "acme")
    assert answer == "Paris"
    assert thread != threading.current_thread().name


def test_a_policy_that_hangs_holds_up_no_write(make):
    release = threading.Event()

    class Hangs(TTLPolicy):
        def ttl_s(self, request, answer):
            release.wait(30)
            return 5.0

    cache = make(ttl_policy=Hangs(), background_writes=True)
    for number in range(10):
        cache.put(f"question {number}", "answer")
    assert cache._backends.writes.drain(10)
    assert make().get("question 9") == "answer"
    release.set()
    assert cache.flush()
    assert cache.stats().counts["ttl_amended"] == 10


def test_questions_that_do_not_fit_the_queue_are_dropped_and_counted(make):
    release = threading.Event()

    class Hangs(TTLPolicy):
        def ttl_s(self, request, answer):
            release.wait(30)
            return 5.0

    cache = make(ttl_policy=Hangs(), max_pending_writes=1)
    for number in range(20):
        cache.put(f"question {number}", "answer")
    release.set()
    cache.flush()
    counts = cache.stats().counts
    assert counts["ttl_dropped"] > 0
    assert counts["ttl_dropped"] + counts["ttl_amended"] == 20


def test_a_policy_whose_own_model_is_cached_here_is_not_asked_about_itself(make, store):
    """Its prompts are nearly equal: their answers must never stand for each other, nor be asked about."""

    class Cached(TTLPolicy):
        def ttl_s(self, request, answer):
            said = caches[0].get_or_compute(f"How long is this true: {request.text}", lambda: "50")
            return float(said)

    caches = [make(ttl_policy=Cached())]
    caches[0].put(FACT, "Paris")
    caches[0].flush()
    assert store.count() == 1
    assert caches[0].stats().counts["ttl_amended"] == 1


def test_an_answer_that_was_replaced_meanwhile_keeps_its_own_ttl(make, clock):
    release = threading.Event()

    class Slow(TTLPolicy):
        def ttl_s(self, request, answer):
            release.wait(30)
            return 50.0 if "old" in answer else None

    cache = make(ttl_policy=Slow())
    cache.put(FACT, "old")
    clock.advance(1)
    cache.put(FACT, "new")
    release.set()
    cache.flush()
    clock.advance(10_000)
    assert cache.get(FACT) == make().get(FACT) == "new"


def test_an_answer_that_was_deleted_meanwhile_stays_deleted(make, store):
    release = threading.Event()

    class Slow(TTLPolicy):
        def ttl_s(self, request, answer):
            release.wait(30)
            return 50.0

    cache = make(ttl_policy=Slow())
    cache.put(FACT, "Paris")
    cache.invalidate(cache.lookup(question(FACT)).entry.id)
    release.set()
    cache.flush()
    assert cache.get(FACT) is None
    assert store.count() == 0


def test_a_dated_entry_is_signed_anew(make, clock):
    cache = make(secret="s", ttl_policy=Says(5_000), ttl_s=60)
    cache.put(FACT, "Paris")
    cache.flush()
    clock.advance(4_000)
    assert make(secret="s").get(FACT) == "Paris"
    assert make(secret="other").get(FACT) is None


def test_a_store_that_cannot_touch_leaves_memory_dated(embedder, clock):
    class Untouchable(MemoryStore):
        def touch(self, entry):
            raise StoreError("no")

    with SemanticCache(embedder=embedder, store=Untouchable(), clock=clock, ttl_policy=Says(50)) as cache:
        cache.put(FACT, "Paris")
        cache.flush()
        assert cache.stats().counts["ttl_failed"] == 1
        assert next(iter(cache._hash._slots.values())).deadline == clock() + 50


def test_a_hit_that_was_promoted_meanwhile_is_dated_too(make, clock):
    release = threading.Event()

    class Slow(TTLPolicy):
        def ttl_s(self, request, answer):
            release.wait(30)
            return 50.0

    cache, reworded = make(ttl_policy=Slow()), "Please tell me what is the capital of France?"
    cache.put(FACT, "Paris")
    assert cache.lookup(question(reworded)).tier == "semantic"
    assert cache.lookup(question(reworded)).tier == "hash"
    release.set()
    cache.flush()
    clock.advance(49)
    assert cache.lookup(question(reworded)).tier == "hash"
    clock.advance(2)
    assert cache.get(reworded) is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"ttl_policy": "hourly"}, "must be a TTLPolicy"),
        ({"ttl_policy": RuleTTL}, "must be a TTLPolicy"),
        ({"ttl_policy": RuleTTL(), "ttl_s": 60, "ttl_sliding": True}, "use one of the two"),
        ({"time_sensitive": "never"}, "'bypass', 'short_ttl' or 'ignore'"),
        ({"time_sensitive_ttl_s": 0}, "time_sensitive_ttl_s"),
    ],
)
def test_a_mistake_is_a_configuration_error(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        SemanticCache(**settings)


@pytest.mark.parametrize(
    ("mode", "said"), [("short_ttl", "served for 300 s at most"), ("bypass", "passed by"), ("ignore", "")]
)
def test_an_explanation_says_what_becomes_of_a_time_sensitive_question(make, mode, said):
    cache = make(time_sensitive=mode)
    notes = " ".join(cache.explain(CacheRequest(PRICE)).notes)
    assert said in notes
    assert ("time-sensitive (perishable)" in notes) == bool(said)
    assert "time-sensitive" not in " ".join(cache.explain(CacheRequest(FACT)).notes)
