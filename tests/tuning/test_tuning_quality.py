"""Policies beside each other: what must hold between them, and that the store does what the replay said."""

from __future__ import annotations

import io
import json
from itertools import pairwise

import pytest
from rich.console import Console

from semcache_integrations.core.models import CacheRequest
from semcache_integrations.testing import HashingEmbedder
from semcache_integrations.tuning import load_stream, measure_quality
from semcache_integrations.tuning.evidence import replay_stream
from semcache_integrations.tuning.league import Played, Quality, Row
from semcache_integrations.tuning.llm import LabelledLLM, NoisyComparer, Remembering
from semcache_integrations.tuning.policies import OURS, RIVALS, Contender, static

LIMIT = 400


@pytest.fixture(scope="module")
def measured(minilm):
    return measure_quality("mixed", limit=LIMIT)


@pytest.mark.model
def test_a_higher_bare_threshold_hits_less_often_and_less_wrongly(measured):
    rows = [measured.row(each.name) for each in RIVALS]
    for lower, higher in pairwise(rows):
        assert higher.hit_rate.count < lower.hit_rate.count
        assert higher.wrong_per_request.count < lower.wrong_per_request.count
        assert higher.wrong_per_hit.value < lower.wrong_per_hit.value


@pytest.mark.model
def test_vetoes_answer_about_as_much_as_the_same_threshold_without_and_less_of_it_wrongly(measured):
    bare, vetoed = measured.row("RedisVL 0.90"), measured.row("static 0.90 + vetoes")
    assert vetoed.wrong_per_hit.value < 0.5 * bare.wrong_per_hit.value
    assert vetoed.hit_rate.value > 0.85 * bare.hit_rate.value
    assert measured.row("GPTCache 0.60").wrong_per_hit.low > vetoed.wrong_per_hit.high


@pytest.mark.model
def test_the_best_static_threshold_keeps_the_target_on_the_requests_that_chose_it(measured):
    best = next(row for row in measured.rows if row.contender.name.startswith("best static"))
    assert best.wrong_per_hit.trials > 0
    assert best.wrong_per_hit.value <= measured.target
    looser = static("looser", round(best.contender.settings["similarity_threshold"] - 0.01, 2))
    assert measure_quality("mixed", limit=LIMIT, contenders=[looser]).row("looser").wrong_per_hit.value > 0.02


@pytest.mark.model
def test_the_policies_that_learn_hit_less_wrongly_than_any_rival_of_as_many_hits(measured):
    balanced = measured.row("balanced, target 2%")
    assert balanced.hit_rate.count > 0
    for rival in RIVALS:
        row = measured.row(rival.name)
        assert row.hit_rate.count < balanced.hit_rate.count or (
            row.wrong_per_hit.value > balanced.wrong_per_hit.value
        )
    assert measured.row("strict, target 1%").wrong_per_request.count <= balanced.wrong_per_request.count


@pytest.mark.model
def test_a_larger_delta_explores_less_and_hits_more_on_the_same_draws(minilm):
    deltas = [each for each in (*RIVALS, *OURS) if each.delta in (0.01, 0.05)]
    strict, loose = measure_quality("slot", limit=LIMIT, contenders=deltas).rows[-2:]
    assert strict.hit_rate.count < loose.hit_rate.count
    assert strict.mean("explored") > loose.mean("explored")


def test_every_static_policy_does_on_the_store_what_the_replay_counted():
    """The curves of `semcache tune` are a replay; this is the cache itself."""
    thresholds = (0.5, 0.7, 0.9)
    both = [
        Contender(
            f"{threshold} {vetoes}", {"policy": "static", "similarity_threshold": threshold, "vetoes": vetoes}
        )
        for threshold in thresholds
        for vetoes in (False, True)
    ]
    found = measure_quality("slot", limit=300, embedder=HashingEmbedder(), contenders=both)
    seen = replay_stream(
        load_stream("slot", limit=300).rows, HashingEmbedder().embed, thresholds, lambda *_: None
    )
    for at, threshold in enumerate(thresholds):
        for vetoes, counts in ((False, seen.plain), (True, seen.vetoed)):
            (run,) = found.row(f"{threshold} {vetoes}").runs
            assert (run.hits, run.wrong) == (counts[at].hits, counts[at].wrong)
            assert run.entries == 300 - run.hits


def test_orders_differ_and_are_counted_together():
    only = [static("one", 0.7)]
    found = measure_quality("slot", limit=200, orders=3, embedder=HashingEmbedder(), contenders=only)
    row = found.row("one")
    assert len({(run.hits, run.wrong) for run in row.runs}) > 1
    assert row.hit_rate.trials == 600
    assert row.hit_rate.count == sum(run.hits for run in row.runs)
    assert "in 3 orders" in found._repr_html_()
    again = measure_quality("slot", limit=200, orders=3, embedder=HashingEmbedder(), contenders=only)
    assert again == found
    with pytest.raises(KeyError):
        found.row("nobody")


def test_a_terminal_of_80_columns_shows_every_column():
    long = Played(8_500, 4_999, 2_499, 8_499, 1_000)
    row = Row(Contender("balanced, target 2%", {"policy": "balanced"}, target=0.02), (long,) * 5)
    console = Console(width=80, file=io.StringIO())
    console.print(Quality("mixed", 0.02, 0.05, "e", (row,)))
    text = console.file.getvalue()
    assert "0 of 5" in text
    assert str(row.wrong_per_hit) in text
    assert "1,000" in text
    assert "…" not in text


def test_a_promise_is_counted_by_order_per_hit_or_per_request():
    runs = (Played(100, 50, 1, 50, 3), Played(100, 50, 2, 50, 5))
    per_hit = Row(Contender("x", {"policy": "balanced"}, target=0.02), runs)
    per_request = Row(Contender("y", {"policy": "verified"}, delta=0.02), runs)
    assert (per_hit.kept, per_request.kept, Row(static("z", 0.9), runs).kept) == (1, 2, None)
    found = Quality("slot", 0.02, 0.05, "e", (per_hit, per_request))
    assert [row["kept"] for row in found.table().to_records()] == ["1 of 2", "2 of 2"]
    assert json.loads(found.to_json())["policies"][0]["extra_calls"] == 4


def test_an_answer_tells_its_class_in_varied_wording():
    llm = LabelledLLM()
    answers = {llm.answer(f"question {number}", "card|lost") for number in range(50)}
    assert len(answers) > 5
    assert {llm.label_of(answer) for answer in answers} == {"card|lost"}
    assert llm.answer("question 1", "card|lost") in answers


def test_the_comparer_errs_in_about_the_share_that_it_should_and_always_in_the_same_cases():
    llm = LabelledLLM()
    pairs = [(f"q {n}", llm.answer(f"q {n}", "a"), llm.answer(f"p {n}", "ab"[n % 2])) for n in range(2_000)]

    def said(noise: float, seed: int = 0) -> list[bool]:
        comparer = NoisyComparer(llm, noise=noise, seed=seed)
        return [comparer.same(CacheRequest(text), fresh, cached) for text, fresh, cached in pairs]

    right = [n % 2 == 0 for n in range(2_000)]
    assert said(0.0) == right
    wrong = sum(a != b for a, b in zip(said(0.05), right, strict=True))
    assert 60 < wrong < 140
    assert said(0.05) == said(0.05) != said(0.05, seed=1)


def test_a_text_is_embedded_once_for_all_policies():
    asked = []

    class Counting(HashingEmbedder):
        def embed(self, text: str) -> list[float] | None:
            asked.append(text)
            return super().embed(text)

    measure_quality("slot", limit=30, embedder=Counting())
    assert len(asked) == len(set(asked)) == 30
    remembering = Remembering(Counting())
    assert remembering.recall("a") is None
    assert remembering.embed("a") == remembering.recall("a")
