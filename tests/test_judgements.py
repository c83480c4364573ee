"""What users say about answers outlives the process that heard it, and what they see of it."""

from __future__ import annotations

import asyncio
import io
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from random import Random

import pytest

from semcache_integrations import CacheRequest, Hit, Miss, SemanticCache, StoreError
from semcache_integrations.core.models import Standing
from semcache_integrations.testing import FaultyStore, HashingEmbedder, MemoryStore

ASKED, REWORDED = "how do I reset my password", "how do I reset my password please"
SETTINGS = {"similarity_threshold": 0.75}

JUDGE_AND_DIE = """
import os, signal, sys
from semcache_integrations import SemanticCache
from semcache_integrations.testing import HashingEmbedder

cache = SemanticCache(embedder=HashingEmbedder(), path=sys.argv[1], similarity_threshold=0.75)
wrong, right = cache.put(sys.argv[2], "wrong"), cache.put("what is the weather in Paris", "right")
assert cache.feedback(wrong, correct=False)
print(wrong, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def request(text: str) -> CacheRequest:
    return CacheRequest(text, dialect="text")


@pytest.fixture
def cache(embedder, store, clock):
    with SemanticCache(embedder=embedder, store=store, clock=clock, **SETTINGS) as one:
        yield one


def test_a_judgement_survives_a_process_that_is_killed(tmp_path):
    died = subprocess.run(
        [sys.executable, "-c", JUDGE_AND_DIE, str(tmp_path), ASKED],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    with SemanticCache(embedder=HashingEmbedder(), path=tmp_path, **SETTINGS) as cache:
        assert cache.lookup(request(ASKED)).reason == "quarantined"
        assert cache.lookup(request(REWORDED)).detail == "quarantined"
        assert cache.get("what is the weather in Paris") == "right"
        assert cache.feedback(died.stdout.strip(), correct=True)
        assert cache.get(ASKED) == "wrong"


def test_every_question_that_was_given_the_answer_is_given_it_no_more(cache):
    entry_id = cache.put(ASKED, "wrong")
    for text in (ASKED, REWORDED):
        assert cache.get(text) == "wrong"  # both are in memory now
    assert cache.feedback(entry_id, correct=False)
    for text in (ASKED, REWORDED):
        assert not cache.lookup(request(text))


def test_another_entry_is_not_touched(cache):
    entry_id = cache.put(ASKED, "wrong")
    cache.put("what is the weather in Paris", "right")
    cache.feedback(entry_id, correct=False)
    cache._hash.clear()
    assert cache.get("what is the weather in Paris") == "right"


def test_memory_forgets_although_the_store_cannot_note_it(embedder):
    store = FaultyStore(MemoryStore())
    with SemanticCache(embedder=embedder, store=store, **SETTINGS) as cache:
        entry_id = cache.put(ASKED, "wrong")
        store.fail("find", "touch")
        with pytest.raises(StoreError):
            cache.feedback(entry_id, correct=False)
        with pytest.raises(StoreError):
            asyncio.run(cache.afeedback(entry_id, correct=False))
        assert len(cache._hash) == 0


def test_without_a_store_a_wrong_answer_is_forgotten():
    with SemanticCache(hash_only=True) as cache:
        entry_id = cache.put(ASKED, "wrong")
        assert cache.feedback(entry_id, correct=False)
        assert cache.get(ASKED) is None
        assert not cache.feedback(entry_id, correct=False)


def test_another_caches_entry_cannot_be_judged_without_its_secret(embedder, store):
    with SemanticCache(embedder=embedder, store=store, secret="mine", **SETTINGS) as mine:
        entry_id = mine.put(ASKED, "answer")
        with SemanticCache(embedder=embedder, store=store, secret="theirs", **SETTINGS) as theirs:
            assert not theirs.feedback(entry_id, correct=False)
        mine._hash.clear()
        assert mine.get(ASKED) == "answer"


def test_a_judgement_keeps_the_signature_right(embedder, store):
    with SemanticCache(embedder=embedder, store=store, secret="mine", **SETTINGS) as cache:
        entry_id = cache.put(ASKED, "answer")
        assert cache.feedback(entry_id, correct=False)
        assert cache.lookup(request(ASKED)).reason == "quarantined"  # a broken one would be "not_found"


def test_a_judgement_with_a_similarity_is_an_observation(cache, store):
    entry_id = cache.put(ASKED, "answer")
    cache.feedback(entry_id, correct=True, similarity=0.9)
    assert store.find(entry_id).standing == Standing(seen=((0.9, True),))


def test_a_hook_may_judge(embedder, store):
    """It runs on whichever thread had the event, the writing thread included: nobody may wait for itself."""
    told = threading.Event()

    def hook(event):
        if event.kind == "store":
            cache.feedback(event.entry_id, correct=False)
            told.set()

    with SemanticCache(
        embedder=embedder, store=store, hooks=[hook], background_writes=True, **SETTINGS
    ) as cache:
        cache.put(ASKED, "wrong")
        assert told.wait(10)
        cache.flush()
        assert cache.lookup(request(ASKED)).reason == "quarantined"


def test_a_judgement_and_a_renewal_do_not_undo_each_other(embedder, store, clock):
    """The renewed copy comes from memory, which knows nothing of what was learned since."""
    with SemanticCache(
        embedder=embedder, store=store, clock=clock, ttl_s=100, ttl_sliding=True, **SETTINGS
    ) as cache:
        entry = cache.store(request(ASKED), '{"v": 1, "answer": "a"}')
        clock.advance(60)
        stale = cache._hash.entry(entry.id)
        cache.feedback(entry.id, correct=False)
        cache._learning.renew(replace(stale, expires_at=clock.now + 100))
        found = store.find(entry.id)
        assert found.standing.quarantined
        assert found.expires_at == clock.now + 100


# -- what is shown ------------------------------------------------------------------------------------------


def test_an_explanation_shows_who_is_quarantined_in_a_terminal_and_in_a_notebook(cache):
    from rich.console import Console

    cache.feedback(cache.put(ASKED, "wrong"), correct=False)
    for text in (ASKED, REWORDED):
        shown = cache.explain(request(text))
        assert shown.served is None
        console = Console(width=200, record=True, file=io.StringIO())
        console.print(shown)
        for form in (console.export_text(), shown._repr_html_()):
            assert "quarantined" in form
            assert "score" in form
            assert "group" in form


def test_an_explanation_names_the_group(cache):
    entry_id = cache.put(ASKED, "answer")
    question, similarity, score, verdict, group, entry = next(cache.explain(request(REWORDED)).rows())
    assert (question, verdict, entry) == (ASKED, "accepted", entry_id)
    assert 0.75 < float(similarity) < 1.0
    assert score == ""  # a threshold estimates nothing
    assert group
    assert entry_id.startswith(group)


def test_explaining_draws_no_lots(embedder, store):
    """What is shown as served may still be asked anew to check it; to explain it changes nothing."""
    with SemanticCache(
        embedder=embedder, store=store, comparer=str.__eq__, recheck_share=1.0, rng=Random(0), **SETTINGS
    ) as cache:
        cache.put(ASKED, "answer")
        assert cache.explain(request(REWORDED)).served is not None
        assert isinstance(cache.lookup(request(REWORDED)), Miss)
        assert cache.lookup(request(REWORDED)).reason == "explored"
        assert isinstance(cache.lookup(request(ASKED)), Hit)  # the same question needs no check


def test_the_counts_have_their_rows(embedder, store):
    with SemanticCache(
        embedder=embedder, store=store, comparer=str.__eq__, recheck_share=1.0, **SETTINGS
    ) as cache:
        entry_id = cache.put(ASKED, "answer")
        cache.flush()
        cache.put(REWORDED, "answer")
        cache.flush()
        cache.feedback(entry_id, correct=False)
        named = {row[0]: row[1] for row in cache.stats().rows()}
    expected = {"settled": "2", "joined": "1", "opened": "1", "checked_right": "1", "quarantined": "1"}
    assert expected.items() <= named.items()
    assert (named["brake_labels"], named["brake_wrong"], named["brake_step"]) == ("1", "0", "0")


# -- comparers that misbehave ---------------------------------------------------------------------------------


def test_a_comparer_that_hangs_costs_its_time_limit_and_no_write(embedder, store):
    released = threading.Event()

    def comparer(fresh: str, cached: str) -> bool:
        released.wait(30)
        return True

    settings = {"recheck_share": 1.0, "compare_timeout_s": 0.05, **SETTINGS}
    with SemanticCache(embedder=embedder, store=store, comparer=comparer, **settings) as cache:
        cache.put(ASKED, "a")
        cache.flush()
        cache.put(REWORDED, "b")
        assert cache.flush()
        assert cache.stats().counts["unsettled"] == 1
        assert [cache.get(text) for text in (ASKED, REWORDED)] == ["a", "b"]
        released.set()


def test_a_full_queue_drops_the_settling_and_no_write(embedder):
    entered, released = threading.Event(), threading.Event()

    def comparer(fresh: str, cached: str) -> bool:
        entered.set()
        return released.wait(30)

    store = MemoryStore()
    with SemanticCache(
        embedder=embedder,
        store=store,
        comparer=comparer,
        recheck_share=1.0,
        max_pending_writes=1,
        vetoes=False,
        **SETTINGS,
    ) as cache:
        cache.put(ASKED, "a")
        cache.flush()
        cache.put(REWORDED, "b")
        assert entered.wait(10)
        for number in range(20):
            assert cache.put(f"{ASKED} {number}", "c")
        assert store.count() == 22
        assert cache.stats().counts["unsettled"] == 10
        released.set()


def test_a_comparers_own_model_is_not_answered_from_the_cache_that_it_serves(embedder, store):
    """Else each comparison would be stored, and have to be compared."""

    def comparer(fresh: str, cached: str) -> bool:
        assert cache.put("is it the same", "YES") is None
        return cache.get(ASKED) is None

    with SemanticCache(
        embedder=embedder, store=store, comparer=comparer, recheck_share=1.0, **SETTINGS
    ) as cache:
        cache.put(ASKED, "a")
        cache.flush()
        cache.put(REWORDED, "b")
        cache.flush()
        assert cache.stats().counts["joined"] == 1
        assert store.count() == 2


def test_a_comparer_that_is_wrong_now_and_then_spoils_no_more_than_its_own_entries(embedder, store):
    """5 % noise: the groups of all others are those that an honest comparer finds."""
    noise = Random(7)

    def comparer(fresh: str, cached: str) -> bool:
        return (fresh == cached) != (noise.random() < 0.05)

    settings = {"recheck_share": 1.0, "vetoes": False, **SETTINGS}
    with SemanticCache(embedder=embedder, store=store, comparer=comparer, **settings) as cache:
        topics = [f"w{topic}a w{topic}b w{topic}c w{topic}d w{topic}e" for topic in range(10)]
        ids = {
            topic: [cache.put(f"{words} {extra}", str(topic)) for extra in ("", "x", "y", "z")]
            for topic, words in enumerate(topics)
        }
        cache.flush()
        counts = cache.stats().counts
        groups = {
            topic: {store.find(i).standing.group or i for i in found[1:]} for topic, found in ids.items()
        }
    assert counts["joined"] >= 25  # of 30
    assert sum(len(found) for found in groups.values()) <= 16
