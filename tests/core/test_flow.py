"""Flows, stepped by hand: what is asked of the world, in which order, and what is made of its answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semcache_integrations.core import flow
from semcache_integrations.core.errors import BackendError, EmbeddingError, StoreError
from semcache_integrations.core.flow import Embed, FetchExact, FindNearest, Verify, Write
from semcache_integrations.core.guards import VETOES
from semcache_integrations.core.keys import Keyring
from semcache_integrations.core.models import (
    CacheEntry,
    CacheRequest,
    Candidate,
    Controls,
    Hit,
    Miss,
    Namespace,
)
from semcache_integrations.core.policy import Policy

SPACE = Namespace("ns")
NOW = 100.0
VECTOR = (1.0, 0.0)


def rules(
    *, verifies: bool = False, semantic: bool = True, secret: bytes = b"", **policy: object
) -> flow.Rules:
    return flow.Rules(Policy(**{"similarity_threshold": 0.9, **policy}), Keyring(secret), semantic, verifies)


def ask(text: str = "capital of France?", **controls: object) -> flow.Ask:
    return flow.Ask(CacheRequest(text, controls=Controls(**controls)), text, SPACE, "id-" + text)


def entry(text: str = "the capital of France?", **fields: object) -> CacheEntry:
    return CacheEntry(
        **{
            "id": "id-" + text,
            "namespace": SPACE,
            "text": text,
            "payload": "Paris",
            "created_at": 50.0,
            **fields,
        }
    )


def walk(steps, *answers):
    """Run a flow with these answers (an exception is thrown in); return its ops and its result."""
    ops = []
    try:
        op = next(steps)
        for answer in answers:
            ops.append(op)
            op = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
        ops.append(op)
    except StopIteration as stop:
        return ops, stop.value
    raise AssertionError(f"the flow wants more: {ops[-1]}")


YES, NO = True, False


def lookup(*answers, asked: flow.Ask | None = None, given: flow.Rules | None = None):
    return walk(flow.lookup(asked or ask(), given or rules(), NOW), *answers)


def test_an_exact_hit_asks_for_nothing_but_the_entry():
    ops, found = lookup(entry())
    assert ops == [FetchExact(SPACE, "id-capital of France?")]
    assert found == Hit(entry(), 1.0, "exact")


def test_a_semantic_hit_embeds_once_and_searches_once():
    ops, found = lookup(None, VECTOR, [Candidate(entry(), 0.95)])
    assert [type(op) for op in ops] == [FetchExact, Embed, FindNearest]
    assert ops[2] == FindNearest(SPACE, VECTOR, 10)
    assert found == Hit(entry(), 0.95, "semantic")


def test_nothing_near_is_a_miss():
    assert lookup(None, VECTOR, [])[1] == Miss("not_found")


def test_a_candidate_below_the_threshold_is_rejected_with_its_similarity():
    assert lookup(None, VECTOR, [Candidate(entry(), 0.89)])[1] == Miss(
        "rejected", 0.89, "below similarity_threshold"
    )


def test_a_cosine_one_rounding_below_the_threshold_passes():
    assert lookup(None, VECTOR, [Candidate(entry(), 0.8999999)])[1]


def test_the_second_bar_rejects_what_passed_the_first():
    found = lookup(None, VECTOR, [Candidate(entry(), 0.92)], given=rules(rejection_threshold=0.95))[1]
    assert found == Miss("rejected", 0.92, "below rejection_threshold")
    assert lookup(None, VECTOR, [Candidate(entry(), 0.96)], given=rules(rejection_threshold=0.95))[1]


def test_a_call_may_tighten_the_threshold_and_not_loosen_it():
    near, far = [Candidate(entry(), 0.92)], [Candidate(entry(), 0.5)]
    assert not lookup(None, VECTOR, near, asked=ask(similarity_threshold=0.95))[1]
    assert lookup(None, VECTOR, near, asked=ask(similarity_threshold=0.1))[1]
    assert not lookup(None, VECTOR, far, asked=ask(similarity_threshold=0.1))[1]


@pytest.mark.parametrize(("drawn", "served"), [(0.09, False), (0.1, True)])
def test_a_share_of_the_hits_is_asked_anew(drawn, served):
    checking = replace(rules(), recheck_share=0.1, draw=lambda: drawn)
    found = lookup(None, VECTOR, [Candidate(entry(), 0.95)], given=checking)[1]
    assert found == (Hit(entry(), 0.95, "semantic") if served else Miss("explored", 0.95))


def test_nobody_is_asked_anew_without_a_draw():
    checking = replace(rules(), recheck_share=0.9)
    assert lookup(None, VECTOR, [Candidate(entry(), 0.95)], given=checking)[1]


def test_an_expired_candidate_gives_way_to_the_next_one():
    stale, fresh = entry("France's capital?", expires_at=NOW), entry()
    found = lookup(None, VECTOR, [Candidate(stale, 0.99), Candidate(fresh, 0.95)])[1]
    assert found == Hit(fresh, 0.95, "semantic")


def test_a_vetoed_candidate_gives_way_to_the_next_one():
    wrong, right = entry("capital of Germany?"), entry()
    found = lookup(None, VECTOR, [Candidate(wrong, 0.99), Candidate(right, 0.95)])[1]
    assert found == Hit(right, 0.95, "semantic")
    assert lookup(None, VECTOR, [Candidate(wrong, 0.99)])[1].detail in VETOES


def test_without_vetoes_similarity_alone_decides():
    wrong = entry("capital of Germany?")
    assert lookup(None, VECTOR, [Candidate(wrong, 0.99)], given=rules(vetoes=()))[1] == Hit(
        wrong, 0.99, "semantic"
    )


def test_an_expired_exact_entry_is_not_served_but_a_neighbour_may_be():
    assert lookup(entry(expires_at=NOW), VECTOR, [])[1] == Miss("not_found")
    assert lookup(entry(expires_at=NOW), VECTOR, [Candidate(entry(), 0.95)])[1]


def test_a_call_may_ask_for_a_younger_entry():
    assert lookup(entry(created_at=50.0), asked=ask(max_age_s=50.0))[1]
    assert not lookup(entry(created_at=50.0), asked=ask(max_age_s=49.0, semantic=False))[1]
    assert not lookup(None, VECTOR, [Candidate(entry(created_at=50.0), 0.99)], asked=ask(max_age_s=49.0))[1]
    old = entry(created_at=50.0)
    found = lookup(old, VECTOR, [Candidate(old, 1.0)], asked=ask(max_age_s=49.0))[1]
    assert (found.reason, found.similarity) == ("expired", 1.0)


@pytest.mark.parametrize("given", [rules(semantic=False), rules()], ids=["cache", "call"])
def test_without_a_semantic_tier_nothing_is_embedded(given):
    asked = ask(semantic=False) if given.semantic else ask()
    assert [type(op) for op in lookup(None, asked=asked, given=given)[0]] == [FetchExact]


def test_an_expired_entry_without_a_semantic_tier_is_called_expired():
    assert lookup(entry(expires_at=NOW), asked=ask(semantic=False))[1] == Miss("expired")


def test_where_the_encoder_is_blind_nothing_is_searched():
    ops, found = lookup(None, None)
    assert [type(op) for op in ops] == [FetchExact, Embed]
    assert found == Miss("unembeddable")


def test_trouble_is_a_miss_that_says_whose_it_was():
    assert lookup(StoreError("down"))[1] == Miss("store_error", detail="down")
    assert lookup(None, EmbeddingError("dead"))[1] == Miss("embedder_error", detail="dead")
    assert lookup(None, VECTOR, StoreError("down"))[1] == Miss("store_error", detail="down")


def test_the_verifier_has_the_last_word_on_each_candidate():
    first, second = Candidate(entry("the capital of France"), 0.99), Candidate(entry(), 0.95)
    ops, found = lookup(None, VECTOR, [first, second], NO, YES, given=rules(verifies=True))
    assert ops[-2:] == [Verify(ask().request, first), Verify(ask().request, second)]
    assert found == Hit(second.entry, 0.95, "semantic")


def test_the_verifier_is_not_asked_about_what_is_refused_anyway():
    ops, _ = lookup(None, VECTOR, [Candidate(entry(), 0.5)], given=rules(verifies=True))
    assert [type(op) for op in ops] == [FetchExact, Embed, FindNearest]


def test_a_failing_verifier_refuses():
    found = lookup(
        None, VECTOR, [Candidate(entry(), 0.99)], BackendError("dead"), given=rules(verifies=True)
    )[1]
    assert found == Miss("rejected", 0.99, "verifier failed")
    refused = lookup(None, VECTOR, [Candidate(entry(), 0.99)], NO, given=rules(verifies=True))[1]
    assert refused.detail == "verifier"


def test_a_tampered_or_foreign_entry_is_never_served():
    secret = b"secret"
    sealed = Keyring(secret).seal(entry())
    forged = replace(sealed, payload="Berlin")
    given = rules(secret=secret)
    assert lookup(sealed, given=given)[1]
    assert lookup(forged, VECTOR, [Candidate(forged, 0.99)], given=given)[1] == Miss("not_found")
    foreign = entry(namespace=Namespace("someone else's"))
    assert lookup(foreign, VECTOR, [Candidate(foreign, 1.0)])[1] == Miss("not_found")


def test_storing_embeds_and_writes():
    ops, written = walk(flow.store(ask(), entry(), rules()), VECTOR, None)
    assert ops == [Embed("capital of France?"), Write(entry(), VECTOR)]
    assert written == entry()


@pytest.mark.parametrize("asked", [ask(semantic=False), ask()])
def test_storing_for_the_exact_tier_alone_embeds_nothing(asked):
    given = rules(semantic=asked.request.controls.semantic is False)
    ops, _ = walk(flow.store(asked, entry(), given), None)
    assert ops == [Write(entry(), None)]


@pytest.mark.parametrize("answer", [None, EmbeddingError("dead")], ids=["blind", "dead"])
def test_without_a_vector_the_entry_is_stored_all_the_same(answer):
    ops, _ = walk(flow.store(ask(), entry(), rules()), answer, None)
    assert ops[-1] == Write(entry(), None)


def test_a_store_that_fails_to_write_says_so():
    with pytest.raises(StoreError):
        walk(flow.store(ask(), entry(), rules()), VECTOR, StoreError("full"))


def test_explaining_shows_the_verdict_on_every_candidate():
    good, low = Candidate(entry(), 0.95), Candidate(entry("something else"), 0.3)
    _, (exact, verdicts) = walk(flow.explain(ask(), rules(), NOW), None, VECTOR, [good, low])
    assert exact is None
    assert [verdict.refusal for verdict in verdicts] == ["", "below similarity_threshold"]
    _, (exact, verdicts) = walk(flow.explain(ask(), rules(), NOW), entry(), None)
    assert (exact, list(verdicts)) == (entry(), [])


def test_explaining_shows_no_entry_of_another_namespace():
    foreign = entry(namespace=Namespace("someone else's"))
    _, (exact, verdicts) = walk(flow.explain(ask(), rules(), NOW), foreign, VECTOR, [Candidate(foreign, 1.0)])
    assert exact is None
    assert verdicts == []


def test_a_foreign_entry_is_not_called_expired():
    foreign = entry(namespace=Namespace("someone else's"))
    assert lookup(foreign, asked=ask(semantic=False))[1] == Miss("not_found")
