"""Answer groups, judgements and the brake, through the public API: what is learned, by whom, and what it changes."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from random import Random

import pytest
from doubles.fake_qdrant import FakeQdrant

from semcache_integrations import CacheRequest, ConfigurationError, Hit, SemanticCache
from semcache_integrations.core import answers, settling
from semcache_integrations.core.acceptance import Nearest, Scored, Verified, group_of
from semcache_integrations.core.brake import Brake
from semcache_integrations.core.calibration import calibration_for
from semcache_integrations.core.errors import BackendError
from semcache_integrations.core.keys import Keyring
from semcache_integrations.core.models import CacheEntry, Namespace, Standing
from semcache_integrations.core.recalibration import Shift
from semcache_integrations.core.wilson import interval
from semcache_integrations.protocols import AnswerComparer, Embedder, Verifier
from semcache_integrations.testing import MemoryStore

MINILM = "sentence-transformers/all-MiniLM-L6-v2@int8.1-53aa5117"
CALIBRATION = calibration_for(MINILM)


class Circle(Embedder):
    """Puts every question at an angle, in degrees, that stands at its end: "reset my password 10"."""

    in_process = True
    name = MINILM  # so that the score is calibrated
    dimension = 2

    def embed(self, text: str):
        if "/" not in text:
            return None
        angle = math.radians(float(text.split("/")[1]))
        return (math.cos(angle), math.sin(angle))


def at(angle: float, text: str = "how do I reset my password") -> str:
    """A question at an angle; the words before the slash are what the vetoes read."""
    return f"{text} /{angle}/"


REWORDED = "my login secret is lost, what now"


def group(cache: SemanticCache, question: str) -> str:
    cache.flush()
    return group_of(cache.explain(CacheRequest(question)).exact)


@pytest.fixture
def cache():
    with SemanticCache(embedder=Circle(), store=MemoryStore(2), vetoes=False, comparer=str.__eq__) as cache:
        yield cache


def test_entries_with_the_same_answer_are_one_group_and_others_are_not(cache):
    for angle, answer in ((0, "a"), (5, "a"), (9, "b"), (14, "a")):
        cache.put(at(angle), answer)
    cache.flush()
    assert group(cache, at(0)) == group(cache, at(5)) == group(cache, at(14)) != group(cache, at(9))
    assert cache.stats().counts["joined"] == 2
    assert cache.stats().counts["opened"] == 2


def test_a_group_outlives_its_founder(cache):
    founder = cache.put(at(0), "a")
    cache.put(at(5), "a")
    cache.flush()
    assert cache.invalidate(founder) == 1
    cache.put(at(9), "a")
    cache.flush()
    assert group(cache, at(9)) == group(cache, at(5))


def test_groups_survive_a_restart(tmp_path):
    settings = {"embedder": Circle(), "path": tmp_path, "vetoes": False, "comparer": str.__eq__}
    with SemanticCache(**settings) as cache:
        cache.put(at(0), "a")
        cache.put(at(5), "a")
        before = group(cache, at(5))
    with SemanticCache(**settings) as cache:
        assert group(cache, at(5)) == before == group(cache, at(0))


def test_two_caches_on_one_store_find_one_group():
    store = MemoryStore(2)
    one, other = (
        SemanticCache(embedder=Circle(), store=store, vetoes=False, comparer=str.__eq__) for _ in range(2)
    )
    with one, other:
        one.put(at(0), "a")
        one.flush()
        other.put(at(5), "a")
        assert group(other, at(5)) == group(one, at(0))


def test_two_processes_caches_on_one_server_find_one_group_and_obey_each_others_judgements():
    """Two stores, two memories: all that they share is what the server keeps."""
    with FakeQdrant() as server:
        about = {"embedder": Circle(), "url": server.url, "vetoes": False, "comparer": str.__eq__}
        with SemanticCache(**about) as one, SemanticCache(**about) as other:
            founder = one.put(at(0), "a")
            one.flush()
            other.put(at(5), "a")
            other.put(at(9), "b")
            assert group(other, at(5)) == group(one, at(0)) == group(one, at(5))
            assert group(one, at(9)) != group(one, at(5))
            assert one.feedback(founder, correct=False)
            one.flush()
            assert other.get(at(0)) is None


def test_an_entry_with_a_forged_standing_is_not_served():
    store = MemoryStore(2)
    with SemanticCache(
        embedder=Circle(), store=store, vetoes=False, comparer=str.__eq__, secret="s"
    ) as cache:
        entry_id = cache.put(at(0), "a")
        cache.put(at(5), "b")
        cache.flush()
        entry, vector = store._points[entry_id]
        forged = type(entry.standing)(group="another")
        store._points[entry_id] = (type(entry)(**{**_fields(entry), "standing": forged}), vector)
        cache._hash.clear()
        assert cache.get(at(0)) != "a"


def _fields(entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in entry.__dataclass_fields__}


def test_an_answer_nearby_that_differs_makes_a_hit_a_miss(cache):
    """The same question, at the same distance: between equal answers it is served, between different ones not."""
    for angle in (0, 8, 16, 24):
        cache.put(at(angle), "a")
    cache.flush()
    agreed = cache.lookup(CacheRequest(at(4), dialect="text"))
    cache.clear()
    for angle, answer in ((0, "a"), (8, "b"), (16, "c"), (24, "d")):
        cache.put(at(angle), answer)
    cache.flush()
    disputed = cache.lookup(CacheRequest(at(4), dialect="text"))
    assert isinstance(agreed, Hit)
    assert agreed.score > 0.9
    assert (disputed.reason, disputed.detail) == ("rejected", "below score")


class Slow(AnswerComparer):
    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = threading.Event()

    def same(self, request, fresh, cached):
        self.asked.set()
        return self.go.wait(20) and fresh == cached


def test_nobody_waits_for_the_comparer():
    comparer = Slow()
    with SemanticCache(embedder=Circle(), store=MemoryStore(2), vetoes=False, comparer=comparer) as cache:
        for angle in (0, 5, 10):
            cache.put(at(angle), "a")
        assert comparer.asked.wait(20)
        assert [cache.get(at(angle)) for angle in (0, 5, 10)] == ["a", "a", "a"]
        comparer.go.set()
        assert cache.flush()
        assert group(cache, at(10)) == group(cache, at(0))


@pytest.mark.parametrize("said", ["yes", None, 1, ValueError("down")], ids=["yes", "None", "1", "raises"])
def test_a_comparer_that_fails_or_lies_teaches_nothing_and_breaks_nothing(said):
    def comparer(fresh: str, cached: str) -> bool:
        if isinstance(said, Exception):
            raise said
        return said

    with SemanticCache(embedder=Circle(), store=MemoryStore(2), vetoes=False, comparer=comparer) as cache:
        cache.put(at(0), "a")
        cache.flush()  # else it would meet the other one when its turn comes
        cache.put(at(5), "a")
        assert group(cache, at(5)) != group(cache, at(0))
        assert cache.stats().counts["unsettled"] == 1
        assert cache.get(at(5)) == "a"


def test_what_cannot_be_embedded_has_no_neighbours_and_is_still_stored(cache):
    cache.put("no angle", "a")
    cache.flush()
    assert "settled" not in cache.stats().counts
    assert cache.get("no angle") == "a"


def test_an_entry_that_the_store_does_not_show_yet_is_changed_all_the_same():
    """A server may answer a read from a replica that lags behind the write."""
    entry = CacheEntry("id", Namespace("ns"), "q", "p", created_at=0.0)
    learned = settling.Amendment(
        entry, lambda known: replace(known, standing=Standing("group")), just_written=True
    )
    steps = settling.amend(learned, Keyring())
    next(steps)
    touched = steps.send(None)
    assert touched.entry.standing.group == "group"
    forgotten = settling.amend(replace(learned, just_written=False), Keyring())
    next(forgotten)
    with pytest.raises(StopIteration) as ended:
        forgotten.send(None)
    assert ended.value.value is False


def test_a_verifier_that_refused_is_not_asked_again_when_the_answer_is_settled():
    """It may be an LLM: one call for one look-up is what the user pays for."""

    class No(Verifier):
        asked = 0

        def verify(self, request, candidate):
            self.asked += 1
            return False

    verifier = No()
    with SemanticCache(
        embedder=Circle(), store=MemoryStore(2), vetoes=False, comparer=str.__eq__, verifier=verifier
    ) as cache:
        cache.put(at(0), "a")
        assert cache.get(at(1)) is None
        cache.put(at(1), "a")
        assert group(cache, at(1)) == group(cache, at(0))
    # explaining at(1) has asked about its neighbour at(0), and the other way round
    assert verifier.asked == 1 + 2


def test_what_cannot_compare_is_refused_at_once():
    for nonsense in (3, "exact", AnswerComparer, str):
        with pytest.raises(ConfigurationError, match="comparer"):
            SemanticCache(embedder=Circle(), store=MemoryStore(2), comparer=nonsense)


# -- judgements -----------------------------------------------------------------------------------------


def test_an_answer_that_was_called_wrong_is_served_to_nobody_until_it_is_called_right(cache):
    entry_id = cache.put(at(0), "a")
    assert cache.get(at(1)) == "a"
    assert cache.feedback(entry_id, correct=False)
    assert cache.get(at(0)) is None
    assert cache.get(at(1)) is None
    assert cache.lookup(CacheRequest(at(0), dialect="text")).reason == "quarantined"
    assert cache.explain(CacheRequest(at(1), dialect="text")).verdicts[0].refusal == "quarantined"
    assert cache.feedback(entry_id, correct=True)
    assert cache.get(at(0)) == "a"


def test_a_fresh_answer_ends_the_quarantine(cache):
    cache.feedback(cache.put(at(0), "wrong"), correct=False)
    cache.put(at(0), "right")
    cache._hash.clear()
    assert cache.get(at(0)) == "right"


def test_a_judgement_survives_a_restart(tmp_path):
    with SemanticCache(embedder=Circle(), path=tmp_path) as cache:
        cache.feedback(cache.put(at(0), "a"), correct=False)
    with SemanticCache(embedder=Circle(), path=tmp_path) as cache:
        assert cache.get(at(0)) is None


def test_a_judgement_weighs_on_the_group(cache):
    """What was served before is refused once a neighbour of its group was called wrong, though it was not itself."""
    entries = [cache.put(at(angle), "a") for angle in (0, 8, 16, 24)]
    cache.flush()
    asked = CacheRequest(at(12.5), dialect="text")
    before = cache.explain(asked).verdicts[0]
    cache.feedback(entries[1], correct=False)
    after = next(verdict for verdict in cache.explain(asked).verdicts if verdict.score is not None)
    assert before.score > after.score


def demanded(cache: SemanticCache) -> float:
    (note,) = cache.explain(CacheRequest(at(0))).notes
    return float(note.removeprefix("score at least ").split()[0].rstrip(","))


@pytest.mark.parametrize(("answer", "loosens"), [("a", True), ("another", False)], ids=["right", "wrong"])
def test_a_miss_whose_nearest_answer_was_right_loosens_what_is_demanded_and_others_tighten_it(
    cache, answer, loosens
):
    """Pairs of questions that are too far apart to be served, and near enough to be compared."""
    usual = demanded(cache)
    for angle in (0, 90, 180, 270):
        cache.put(at(angle), "a")
        cache.flush()
        assert cache.get(at(angle + 40, REWORDED)) is None
        cache.put(at(angle + 40, REWORDED), answer)
        cache.flush()
    assert (demanded(cache) < usual) == loosens
    assert demanded(cache) != usual


def test_nobodys_entry_cannot_be_judged(cache):
    assert not cache.feedback("00000000-0000-8000-8000-000000000000", correct=False)


async def test_a_judgement_can_be_awaited(cache):
    entry_id = await cache.aput(at(0), "a")
    assert await cache.afeedback(entry_id, correct=False)
    assert await cache.aget(at(0)) is None


# -- the verified policy -----------------------------------------------------------------------------------


def verified(**settings) -> SemanticCache:
    return SemanticCache(
        embedder=Circle(),
        store=MemoryStore(2),
        vetoes=False,
        comparer=str.__eq__,
        policy="verified",
        rng=Random(1),
        **settings,
    )


def test_the_verified_policy_explores_first_and_serves_what_has_proved_right():
    with verified(delta=0.05) as cache:
        served = 0
        for step in range(60):
            question = at(step / 10)
            if cache.get(question) is None:
                cache.put(question, "a")
                cache.flush()
            else:
                served += 1
        seen = cache.explain(CacheRequest(at(0.0), dialect="text")).exact.standing.seen
        assert served > 20
        assert cache.stats().misses["explored"] >= 4
        assert all(same for _, same in seen)


def test_the_verified_policy_never_serves_what_has_proved_wrong():
    with verified(delta=0.02) as cache:
        for step in range(40):
            assert cache.get(at(step / 4)) is None
            cache.put(at(step / 4), f"answer {step}")
            cache.flush()


# -- the brake -----------------------------------------------------------------------------------------------


def checking(**settings) -> SemanticCache:
    """A cache that asks every hit anew."""
    return SemanticCache(
        embedder=Circle(),
        store=MemoryStore(2),
        vetoes=False,
        comparer=str.__eq__,
        similarity_threshold=0.5,
        **{"recheck_share": 1.0, **settings},
    )


def test_the_brake_tightens_when_the_hits_are_wrong_beyond_doubt_and_says_so():
    events = []
    with checking(hooks=[events.append]) as cache:
        for step in range(30):
            assert cache.get(at(step * 2)) is None  # every hit is asked anew
            cache.put(at(step * 2), f"answer {step}")
            cache.flush()
        braked = [event.reason for event in events if event.kind == "brake"]
        assert braked[0].startswith("tightened to step 1")
        assert cache.explain(CacheRequest(at(0))).threshold > 0.5
        assert cache.stats().counts["brake_step"] >= 1


def test_the_brake_forgets_what_the_looser_policy_has_promoted_into_memory():
    class Draws(Random):
        value = 1.0  # no hit is checked

        def random(self):
            return self.value

    draws = Draws()
    with checking(rng=draws, recheck_share=0.5) as cache:
        cache.put(at(0), "a")
        assert [cache.get(at(50)), cache.lookup(CacheRequest(at(50), dialect="text")).tier] == ["a", "hash"]
        draws.value = 0.0  # every hit is
        for step in range(30):
            cache.get(at(120 + step * 2))
            cache.put(at(120 + step * 2), f"answer {step}")
            cache.flush()
        draws.value = 1.0
        assert cache.stats().counts["brake_step"] >= 1
        assert cache.get(at(50)) is None
        assert cache.get(at(0)) == "a"


def test_the_brake_leaves_a_policy_alone_whose_hits_are_right():
    with checking() as cache:
        for step in range(30):
            cache.get(at(step * 2))
            cache.put(at(step * 2), "a")
            cache.flush()
        assert cache.explain(CacheRequest(at(0))).threshold == 0.5
        assert cache.stats().counts["brake_labels"] == 29


def test_the_brake_loosens_again_once_hardly_any_hit_is_wrong():
    brake = Brake(0.02)
    changes = [brake.take(right=False) for _ in range(20)]
    changes += [brake.take(right=True) for _ in range(400)]
    assert [change for change in changes if change] == ["tightened", "loosened"]
    assert brake.step == 0


def test_the_brake_has_an_end():
    brake = Brake(0.02)
    assert [brake.take(right=False) for _ in range(500)].count("tightened") == 4


@pytest.mark.parametrize(("wrong", "labels", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 50, 0.0435, 0.2136)])
def test_wilsons_interval_has_its_known_values(wrong, labels, low, high):
    assert interval(wrong, labels) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    "rule", [Nearest(), Scored(CALIBRATION, 0.02), Verified(0.02)], ids=["nearest", "scored", "verified"]
)
def test_every_rule_can_be_tightened_and_its_zeroth_step_is_itself(rule):
    assert rule.tightened(0.8, 0) == (rule, pytest.approx(0.8))
    tighter, threshold = rule.tightened(0.8, 1)
    assert (tighter, threshold) != (rule, 0.8)
    assert threshold >= 0.8


def test_an_explanation_says_what_its_policy_demands():
    assert Nearest().demand() == ""
    assert Scored(CALIBRATION, 0.02).demand().endswith("for at most 2.0% wrong hits")
    assert "before the first answers were compared" in Scored(CALIBRATION, 0.02, Shift(-0.25)).demand()
    assert "2.0% wrong answers per request" in Verified(0.02).demand()


# -- answers ---------------------------------------------------------------------------------------------------


def test_an_answer_is_read_by_its_own_dialect_and_whatever_nobody_reads_is_itself():
    assert answers.text_of("text", '{"v":1,"answer":"Paris"}') == "Paris"
    assert answers.text_of("text", "no json") == "no json"
    assert answers.text_of("klingon", "nuqneH") == "nuqneH"


def test_tool_calls_are_compared_by_what_they_ask_for():
    assert answers.called("f", '{"b": 1, "a": 2}') == answers.called("f", {"a": 2, "b": 1})
    assert answers.called("f", "{broken") == "f({broken)"
    assert answers.spoken(["one", {"text": "two"}, {"type": "image"}, 3, None]) == "one\ntwo"
    assert answers.spoken(None) == ""


def test_a_store_that_is_down_learns_nothing_and_says_so():
    class Down(MemoryStore):
        def search(self, *args):
            raise BackendError("down")

    with SemanticCache(embedder=Circle(), store=Down(2), comparer=str.__eq__) as cache:
        cache.put(at(0), "a")
        cache.flush()
        assert cache.stats().counts["unsettled"] == 1
