"""Rules of the engine that an attacker broke once: each test states the rule and failed before its fix."""

from __future__ import annotations

import asyncio
import enum
import math
import signal
import sys
import threading
from collections.abc import Callable

import numpy as np
import pydantic
import pytest

from semcache_integrations import CacheRequest, Controls, SemanticCache
from semcache_integrations.backends.edge import EdgeStore
from semcache_integrations.breaker import Breaker
from semcache_integrations.config import load_config
from semcache_integrations.core.errors import ConfigurationError, StoreError, UnkeyableError
from semcache_integrations.core.keys import canonical_json
from semcache_integrations.core.models import Selector
from semcache_integrations.lanes import Lane
from semcache_integrations.side import Budget, Call, Side
from semcache_integrations.testing import HashingEmbedder, MemoryStore

ASKED = "what is the capital city of France"
REWORDED = "the capital city of France is what"


def test_a_promoted_answer_never_outlives_its_overwritten_entry(cache):
    """The rewording was answered by the old entry, in memory; the new answer replaces it there too."""
    cache.put(ASKED, "old")
    assert cache.get(REWORDED) == "old"
    cache.put(ASKED, "new")
    assert cache.get(REWORDED) == "new"


class Interrupting(MemoryStore):
    """Lets something happen between the store's answer and its arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile = lambda: None

    def search(self, *asked):
        found = super().search(*asked)
        self.meanwhile()
        return found

    def get(self, *asked):
        found = super().get(*asked)
        self.meanwhile()
        return found


@pytest.mark.parametrize("text", [ASKED, REWORDED])
def test_a_look_up_under_way_does_not_bring_back_what_is_overwritten_meanwhile(text):
    store = Interrupting()
    with SemanticCache(embedder=HashingEmbedder(), store=store, similarity_threshold=0.75) as cache:
        cache.put(ASKED, "old")
        cache._hash.clear()  # as after a restart

        def overwrite() -> None:
            store.meanwhile = lambda: None
            cache.put(ASKED, "new")

        store.meanwhile = overwrite
        cache.get(text)
        assert cache.get(text) == "new"


def test_a_renewal_does_not_bring_back_what_is_invalidated_meanwhile(embedder, store, clock):
    with SemanticCache(embedder=embedder, store=store, clock=clock, ttl_s=100, ttl_sliding=True) as cache:
        cache.put(ASKED, "answer")
        clock.advance(60)
        later = cache._writer.later

        def meanwhile(*work):  # the moment between reading the slot and keeping it renewed
            cache.invalidate(cache._hash.get(next(iter(cache._hash._slots)), clock.now).hit.entry.id)
            return later(*work)

        cache._writer.later = meanwhile
        cache.get(ASKED)
        assert len(cache._hash) == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_an_interrupted_look_up_leaves_no_lock_behind(cache):
    """Ctrl-C in a notebook must not make the next look-up hang."""

    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    cache.put(ASKED, "answer")
    request = CacheRequest(ASKED, dialect="text")
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for round_ in range(1_500):
            try:
                signal.setitimer(signal.ITIMER_REAL, 2e-4 + round_ % 97 * 3e-6)
                while True:
                    cache.lookup(request)
            except Interrupted:
                assert not cache._hash._lock.locked()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def within(seconds: float, ask):
    """Return `ask()`; a hang is a failure, not a hung test run."""
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert answers, "it hangs"
    return answers[0]


def test_a_computation_may_ask_the_cache_its_own_question(cache):
    """A wrapper around a wrapped client: the inner call computes, it does not wait for the outer one."""

    def outer() -> str:
        return cache.get_or_compute(ASKED, lambda: "answer")

    assert within(5, lambda: cache.get_or_compute(ASKED, outer)) == "answer"


def test_an_async_computation_may_ask_the_cache_its_own_question(cache):
    async def answer() -> str:
        return "answer"

    async def outer() -> str:
        return (await asyncio.gather(cache.aget_or_compute(ASKED, answer)))[0]

    assert within(5, lambda: asyncio.run(cache.aget_or_compute(ASKED, outer))) == "answer"


def test_a_sync_call_on_a_loop_does_not_wait_for_a_task_of_that_loop(cache):
    """Waiting would stop the loop that the leader needs: notebooks and sync callbacks do this."""

    async def main() -> list[str]:
        started, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> str:
            started.set()
            await go_on.wait()
            return "from the task"

        task = asyncio.create_task(cache.aget_or_compute(ASKED, slow))
        await started.wait()
        here = cache.get_or_compute(ASKED, lambda: "from the callback")
        go_on.set()
        return [here, await task]

    assert within(5, lambda: asyncio.run(main())) == ["from the callback", "from the task"]


@pytest.mark.parametrize("death", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_an_embedder_that_dies_on_its_thread_is_a_miss(store, death):
    """Rust panics derive from BaseException: pyo3's would otherwise end the user's LLM call."""

    class Dying(HashingEmbedder):
        def embed(self, text: str) -> list[float] | None:
            raise death

    with SemanticCache(embedder=Dying(), store=store) as cache:
        assert cache.lookup(CacheRequest(ASKED)).reason == "embedder_error"
        assert asyncio.run(cache.alookup(CacheRequest(ASKED))).reason == "embedder_error"


@pytest.mark.parametrize("payload", ["plain text", "[1]", "null", '{"v":1}', '{"v":1,"answer":2}', "\x00"])
def test_a_payload_that_put_did_not_write_is_a_miss(cache, payload):
    cache.store(CacheRequest(ASKED), payload)
    assert cache.get(ASKED) is None
    assert cache.get_or_compute(ASKED, lambda: "computed") == "computed"


def test_an_answer_that_cannot_be_stored_still_reaches_its_caller(cache):
    """A stream cut inside an emoji leaves half a surrogate pair in a paid answer."""
    assert cache.get_or_compute(ASKED, lambda: "half \ud83d") == "half \ud83d"
    assert cache.get(ASKED) is None


def test_params_that_fail_while_they_are_keyed_are_a_miss(cache):
    class Callback(pydantic.BaseModel):
        call: Callable[[int], int]  # has no JSON schema: pydantic raises a RuntimeError

    class Broken:
        def model_dump(self) -> None:
            raise RuntimeError

    for params in ({"response_format": Callback}, {"seed": Broken()}):
        assert cache.lookup(CacheRequest(ASKED, params=params)).reason == "unkeyable"
        assert cache.store(CacheRequest(ASKED, params=params), "x") is None


def test_a_context_without_a_truth_value_is_a_miss(cache):
    assert cache.lookup(CacheRequest(ASKED, context=np.zeros(3))).reason == "unkeyable"


def test_contexts_that_differ_share_nothing_however_false_they_are(cache):
    """Version 0 of a document is not "no document"."""
    cache.put(ASKED, "no context")
    cache.put(ASKED, "zero", context=0)
    cache.put(ASKED, "false", context=False)
    assert [cache.get(ASKED, context=said) for said in (None, 0, 0.0, False)] == [
        "no context",
        "zero",
        "zero",
        "false",
    ]
    assert cache.get(ASKED, context=[]) == cache.get(ASKED, context="") == "no context"


@pytest.mark.parametrize("condition", ["entry_id", "namespace", "tag", "model", "tenant"])
def test_an_empty_condition_deletes_nothing(cache, condition):
    """`invalidate(tenant=user.tenant)` with an empty tenant must not empty the cache of all the others."""
    cache.put(ASKED, "answer", tenant="somebody else")
    with pytest.raises(ConfigurationError, match="empty condition"):
        cache.invalidate(**{condition: ""})
    assert cache.get(ASKED, tenant="somebody else") == "answer"


@pytest.mark.parametrize("ttl_s", [60, 60.0, 0.5, None])
def test_a_signed_entry_is_genuine_after_the_store_whatever_type_its_ttl_has(embedder, ttl_s):
    """With a secret, `ttl_s=60` was signed as 60 and read back as 60.0: lost at the next start."""
    with SemanticCache(embedder=embedder, secret="s3cret") as cache:
        cache.put(ASKED, "answer", ttl_s=ttl_s)
        cache._hash.clear()  # as after a restart
        assert cache.get(ASKED) == "answer"


def test_a_ttl_that_is_not_a_number_stores_nothing(cache, clock):
    """NaN compares false with everything: such an entry would never expire in memory."""
    assert cache.put(ASKED, "answer", ttl_s=math.nan) is None
    clock.advance(1e9)
    assert cache.get(ASKED) is None


@pytest.mark.parametrize("ttl_s", [math.inf, 10**400, 1e300])
def test_an_endless_ttl_is_none(embedder, ttl_s):
    with SemanticCache(embedder=embedder, ttl_s=5) as cache:
        assert cache.put(ASKED, "answer", ttl_s=ttl_s)
        cache._hash.clear()
        assert cache.lookup(CacheRequest(ASKED)).entry.expires_at == math.inf


def test_a_tag_that_is_not_unicode_stores_nothing(embedder, store):
    with SemanticCache(embedder=embedder, store=store, secret="s3cret") as cache:
        assert cache.put(ASKED, "answer", tags=("\ud800",)) is None


def test_times_come_back_from_the_embedded_store_to_the_last_bit(embedder):
    """Edge read one time in four back off by one bit: the signature then lost the entry."""
    moments = iter(1_795_716_633.8857877 + number * 0.001234567891 for number in range(10_000))
    with SemanticCache(embedder=embedder, secret="s3cret", ttl_s=1e6, clock=lambda: next(moments)) as cache:
        for number in range(60):
            cache.put(f"question {number}", "answer", ttl_s=1e6 + number / 7)
        cache._hash.clear()  # as after a restart
        assert [number for number in range(60) if cache.get(f"question {number}") is None] == []


def test_a_renewal_does_not_put_off_asking_the_store_again(embedder, store, clock):
    """Memory may answer for 60 s; another process deleted the entry, and this one keeps using it."""
    with SemanticCache(
        embedder=embedder, store=store, clock=clock, ttl_s=100, ttl_sliding=True, local_ttl_s=60
    ) as cache:
        cache.put(ASKED, "answer")
        store.delete(Selector())
        clock.advance(55)
        assert cache.get(ASKED) == "answer"
        clock.advance(10)
        assert cache.get(ASKED) is None


def test_a_hook_may_delete_and_flush_from_the_writing_thread(embedder, store):
    """Waiting for its own queue would stop all writes for half a minute, once per stored answer."""

    def hook(event) -> None:
        if event.kind == "store" and event.entry_id != first:
            done.append((cache.invalidate(first), cache.flush()))

    done, first = [], None
    with SemanticCache(embedder=embedder, store=store, hooks=[hook], background_writes=True) as cache:
        first = cache.put(ASKED, "answer")
        assert within(5, cache.flush)
        cache.put("something else entirely", "answer")
        assert within(5, cache.flush)
    assert done == [(1, True)]


def test_an_embedder_may_return_arrays(store):
    class Arrays(HashingEmbedder):
        def embed(self, text: str):
            vector = super().embed(text)
            return None if vector is None else np.array(vector, dtype=np.float32)

    with SemanticCache(embedder=Arrays(), store=store, similarity_threshold=0.75) as cache:
        cache.put(ASKED, "answer")
        assert cache.get(REWORDED) == "answer"
        assert cache.get("how tall is mont blanc") is None


def test_a_vector_that_is_none_says_what_it_is(store):
    class Generating(HashingEmbedder):
        def embed(self, text: str):
            return (value for value in super().embed(text) or ())

    with SemanticCache(embedder=Generating(), store=store) as cache:
        found = cache.lookup(CacheRequest(ASKED))
        assert (found.reason, found.detail) == (
            "embedder_error",
            "the embedder returned a generator instead of a vector",
        )


def test_a_store_that_yields_its_candidates_is_told_so(embedder):
    """The check used the iterator up: every look-up found nothing, in silence."""

    class Yielding(MemoryStore):
        def search(self, *asked):
            yield from super().search(*asked)

    with SemanticCache(embedder=embedder, store=Yielding()) as cache:
        found = cache.lookup(CacheRequest(ASKED))
        assert (found.reason, "generator" in found.detail) == ("store_error", True)


def test_a_write_that_was_given_up_does_not_run_later():
    """A dead store's queue must not overwrite newer answers once it is back."""
    lane, gate, ran = Lane("test"), threading.Event(), []
    side = Side("store", StoreError, Breaker(), lane, 1.0)
    busy = lane.submit(gate.wait, 5)
    with pytest.raises(StoreError, match="no answer"):
        side.perform(Call(side, ran.append, None, lambda _answer: None, ("late",)), Budget(side, 0.01))
    gate.set()
    busy.result(5)
    assert lane.drain(5)
    assert ran == []


@pytest.mark.parametrize(
    ("arguments", "settings", "says"),
    [
        (("cache-directory",), {}, "path="),
        (({"path": "cache-directory"},), {}, "path="),
        ((), {"verifier": lambda _request, _candidate: True}, "verifier= must be a Verifier"),
        ((), {"hooks": print}, "hooks= is a list"),
        ((), {"store": MemoryStore}, "store= must be a Store"),
        ((), {"path": ""}, "path is empty"),
    ],
)
def test_a_wrong_argument_is_explained(arguments, settings, says):
    with pytest.raises(ConfigurationError, match=says):
        SemanticCache(*arguments, embedder=HashingEmbedder(), **settings)


def test_closing_a_cache_after_its_store_is_closed_breaks_nothing(embedder):
    """The store was given, so its owner may close it first; `with` must not raise over the user's block."""
    store = EdgeStore(None, embedder=embedder.name, dimension=embedder.dimension)
    with SemanticCache(embedder=embedder, store=store) as cache:
        cache.put(ASKED, "answer")
        store.close()
    assert len(cache._hash) == 0


@pytest.mark.parametrize(
    "about",
    [{"tags": "release"}, {"tags": [1]}, {"tenant": 0}, {"ttl_s": "60"}, {"similarity_threshold": "1"}],
)
def test_cache_aside_refuses_what_it_would_misunderstand(cache, about):
    """A tag would become letters, tenant 0 nobody; a number in quotes failed only once there was a candidate."""
    with pytest.raises(TypeError, match="must be"):
        cache.put(ASKED, "answer", **about)


def test_a_scope_does_not_split_a_tag_into_letters(cache):
    with pytest.raises(TypeError, match="tags must be a list"), cache.scope(tags="release"):
        pass


def test_mapping_keys_are_keyed_by_their_value():
    """`str()` of a member of a string enum names its class: equal names with other values shared a key."""
    one, other = (enum.Enum("Name", {"A": value}, type=str) for value in ("top_p", "top_k"))
    assert canonical_json({one.A: 1}) == canonical_json({"top_p": 1}) != canonical_json({other.A: 1})


def test_a_mapping_with_two_names_for_one_json_key_has_no_canonical_form():
    with pytest.raises(UnkeyableError):
        canonical_json({"logit_bias": {1: -100, "1": 100}})


@pytest.mark.parametrize("text", [ASKED, REWORDED])
@pytest.mark.parametrize("controls", [Controls(), Controls(semantic=False), Controls(max_age_s=1)])
@pytest.mark.parametrize("later_s", [0, 2, 10])
def test_explain_and_lookup_agree(cache, clock, text, controls, later_s):
    cache.put(ASKED, "answer", ttl_s=5)
    cache._hash.clear()
    clock.advance(later_s)
    request = CacheRequest(text, controls=controls)
    assert bool(cache.explain(request).served) == bool(cache.lookup(request))


def test_the_bound_in_bytes_holds_for_every_script(embedder, store):
    """An answer with one emoji takes four bytes a character: the tier held almost four times its bound."""
    with SemanticCache(embedder=embedder, store=store, max_bytes=1_000_000) as cache:
        for number in range(60):
            cache.put(f"question {number}", "\U0001f600" * 10_000)
        kept = [slot.hit.entry.payload for slot in cache._hash._slots.values()]
        assert len(kept) > 10
        assert sum(map(sys.getsizeof, kept)) <= 1_000_000


def test_reset_stats_forgets_the_evictions_too(embedder, store):
    with SemanticCache(embedder=embedder, store=store, max_entries=1) as cache:
        cache.put("one thing", "answer")
        cache.put("another thing", "answer")
        assert cache.stats().counts["evicted"] == 1
        cache.reset_stats()
        assert cache.stats().counts == {}


def test_an_async_embedder_that_swallows_its_cancellation_does_not_hang_the_caller(store):
    class Stubborn(HashingEmbedder):
        async def aembed(self, text: str) -> list[float] | None:
            while not enough.is_set():
                try:
                    await enough.wait()
                except asyncio.CancelledError:
                    continue
            raise ValueError

    async def main() -> object:
        nonlocal enough
        enough = asyncio.Event()
        asked = asyncio.create_task(cache.alookup(CacheRequest(ASKED)))
        done, _ = await asyncio.wait((asked,), timeout=5)
        enough.set()
        await asyncio.wait((asked,))
        await asyncio.sleep(0)
        return bool(done), asked.result().reason

    enough = asyncio.Event()
    with SemanticCache(embedder=Stubborn(), store=store, embed_timeout_s=0.05) as cache:
        assert within(20, lambda: asyncio.run(main())) == (True, "embedder_error")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SEMCACHE_TTL", "SEMCACHE_TTL_S"),
        ("SEMCACHE_TENNANT", "SEMCACHE_TENANT"),
        ("SEMCACHE_MODEL_DIR", None),
        ("SEMCACHE_TEST_QDRANT_URL", None),
        ("SEMCACHE_PORT", None),
    ],
)
def test_a_misspelt_variable_is_warned_of(monkeypatch, caplog, name, meant):
    """A tenant or a secret that silently is not set would be shared by all."""
    monkeypatch.setenv(name, "1")
    load_config()
    assert [record.getMessage() for record in caplog.records] == (
        [f"{name} sets nothing: is {meant} meant?"] if meant else []
    )
