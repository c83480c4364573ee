"""What became of the proxy's requests is what Prometheus reads of it."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace

import pytest
from doubles.observed import QUESTION, TENANT, asked, head_of, hit, parts, samples, told, watch

from semcache_integrations import labels
from semcache_integrations.http.calls import Call, Head
from semcache_integrations.observability import Prices, PrometheusMetrics
from semcache_integrations.observability.bounded import LONGEST

CALL = Call("POST", "https://api.openai.com/v1/chat/completions", (), b"{}", "chat")


def one_happening():
    """Return what watchers are told of one hit."""
    seen = []
    asyncio.run(told(watch(seen.append), head_of(hit()), asked()))
    return seen[0]


def requests(metrics, status, tier="none", dialect="chat", code="2xx") -> float:
    labelled = (f"code={code}", f"dialect={dialect}", f"status={status}", f"tier={tier}")
    return samples(metrics).get(("semcache_requests_total", *labelled), 0.0)


async def test_requests_are_counted_by_what_became_of_them(metrics):
    watching = watch(metrics.happening)
    await told(watching, head_of(hit()), asked())
    await told(watching, head_of(hit(tier="hash", similarity=1.0)), asked())
    await told(watching, Head(200, ()), asked(), said=labels.other("miss", "not_found"))
    await told(watching, Head(429, ()), asked(), said=labels.other("miss", "not_found"))
    await told(watching, Head(200, ()), None, said=labels.other("bypass"))
    await told(watching, Head(200, ()), asked(), said=labels.hit(tier="flight", similarity=1.0))
    watching.refused(CALL, asked(), 504, "the upstream gave no answer in time")
    assert requests(metrics, "hit", "semantic") == requests(metrics, "hit", "hash") == 1
    assert requests(metrics, "hit", "flight") == 1
    assert requests(metrics, "miss") == requests(metrics, "miss", code="4xx") == 1
    assert requests(metrics, "bypass", dialect="none") == 1
    assert requests(metrics, "error", code="5xx") == 1


async def test_times_to_the_head_and_to_the_end_are_told_by_status(metrics):
    await told(watch(metrics.happening), head_of(hit()), asked())
    read = samples(metrics)
    assert read["semcache_request_head_seconds_sum", "status=hit"] == 0.25
    assert read["semcache_request_seconds_sum", "status=hit"] == 0.5
    assert read["semcache_request_seconds_bucket", "le=0.25", "status=hit"] == 0


def test_a_refusal_was_not_timed_and_does_not_make_errors_look_fast(metrics):
    watch(metrics.happening).refused(CALL, None, 403, "this host is not allowed")
    assert requests(metrics, "error", code="4xx") == 1
    assert ("semcache_request_seconds_count", "status=error") not in samples(metrics)


async def test_similarities_of_hits_are_told_finely(metrics):
    watching = watch(metrics.happening)
    for similarity in (0.953, 0.97, 0.9951):
        await told(watching, head_of(hit(similarity=similarity)), asked())
    await told(watching, Head(200, ()), asked(), said=labels.other("miss", "not_found"))
    read = samples(metrics)
    buckets = {
        le: read["semcache_request_similarity_bucket", f"le={le}", "status=hit", "tier=semantic"]
        for le in ("0.95", "0.96", "0.97", "0.98", "0.995", "0.999", "+Inf")
    }
    assert buckets == {"0.95": 0, "0.96": 1, "0.97": 2, "0.98": 2, "0.995": 2, "0.999": 3, "+Inf": 3}
    assert ("semcache_request_similarity_count", "status=miss", "tier=none") not in read


def test_the_nearest_of_a_miss_is_told_where_it_is_known(metrics):
    metrics.happening(replace(one_happening(), status="miss", tier="", similarity=0.83))
    metrics.happening(replace(one_happening(), status="miss", tier="", similarity=math.nan))
    assert samples(metrics)["semcache_request_similarity_sum", "status=miss", "tier=none"] == 0.83


async def test_tokens_and_money_that_hits_saved_are_told_by_model(metrics):
    watching = watch(metrics.happening)
    await told(watching, head_of(hit(usage=(1_000_000, 500_000))), asked())
    await told(watching, head_of(hit(usage=(10, 20))), asked("my-own-model"))
    read = samples(metrics)
    assert read["semcache_saved_tokens_total", "kind=prompt", "model=gpt-4o-mini"] == 1_000_000
    assert read["semcache_saved_tokens_total", "kind=answer", "model=gpt-4o-mini"] == 500_000
    assert read["semcache_saved_usd_total", "model=gpt-4o-mini"] == pytest.approx(0.45)
    assert read["semcache_saved_tokens_total", "kind=answer", "model=my-own-model"] == 20
    assert ("semcache_saved_usd_total", "model=my-own-model") not in read


async def test_a_model_that_costs_nothing_has_saved_nothing_for_sure():
    metrics = PrometheusMetrics(prices=Prices({"local": (0, 0)}))
    await told(watch(metrics.happening), head_of(hit()), asked("local"))
    assert samples(metrics)["semcache_saved_usd_total", "model=local"] == 0


async def test_what_was_not_counted_saved_nothing_and_is_no_label(metrics):
    watching = watch(metrics.happening)
    await told(watching, head_of(hit(usage=(0, 0))), asked())
    await told(watching, Head(200, ()), asked("asked-once"), said=labels.other("miss", "not_found"))
    assert not [key for key in samples(metrics) if "model=" in "".join(key)]


def test_counts_below_zero_take_nothing_away(metrics):
    metrics.happening(replace(one_happening(), prompt_tokens=-5, answer_tokens=7))
    read = samples(metrics)
    assert read["semcache_saved_tokens_total", "kind=prompt", "model=gpt-4o-mini"] == 0
    assert read["semcache_saved_tokens_total", "kind=answer", "model=gpt-4o-mini"] == 7
    assert not metrics.troubles


async def test_answers_that_were_not_read_to_their_end_are_counted(metrics):
    watching = watch(metrics.happening)
    async with aclosing(watching.follow(CALL, asked(), parts(head_of(hit()), b"a", b"b"), {})) as leaves:
        async for part in leaves:
            if isinstance(part, bytes):
                break
    broken = parts(Head(200, ()), b"a", error=ConnectionError("gone"))
    with pytest.raises(ConnectionError):
        async for _ in watching.follow(CALL, asked(), broken, labels.other("miss", "not_found")):
            pass
    await told(watching, head_of(hit()), asked())
    read = samples(metrics)
    assert read["semcache_requests_incomplete_total", "status=hit"] == 1
    assert read["semcache_requests_incomplete_total", "status=miss"] == 1
    assert requests(metrics, "hit", "semantic") == 2


async def test_labels_are_few_whatever_upstreams_and_callers_say(metrics):
    watching = watch(metrics.happening)
    for number in range(30):
        said = ((b"x-cache-status", b"EXPIRED %d" % number), (b"x-cache-tier", b"edge %d" % number))
        await told(watching, Head(700 + 100 * number, said), replace(asked(), dialect=f"d{number}"))
    assert requests(metrics, "other", "other", "other", "other") == 30
    assert len([key for key in samples(metrics) if key[0] == "semcache_requests_total"]) == 1


async def test_models_beyond_the_cap_are_other_ones():
    metrics = PrometheusMetrics(models=2, prices={"m5": (1_000_000, 0)})
    for number in range(6):
        await told(watch(metrics.happening), head_of(hit(usage=(1, 0))), asked(f"m{number}"))
    read = samples(metrics)
    prompts = {
        key[2]: value
        for key, value in read.items()
        if key[:2] == ("semcache_saved_tokens_total", "kind=prompt")
    }
    assert prompts == {"model=m0": 1, "model=m1": 1, "model=other": 4}
    assert read["semcache_saved_usd_total", "model=other"] == 1  # priced by its name, counted as another one


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("", "unknown"),
        ("openai/gpt-4o:beta@2024", "openai/gpt-4o:beta@2024"),
        ('a"b\\c\nd{e}', "a_b_c_d_e_"),
        ("m\u00fc\ud800\u2028", "m___"),
        ("x" * 500, "x" * LONGEST),
    ],
)
async def test_a_models_name_is_written_so_that_any_parser_reads_it(metrics, model, label):
    await told(watch(metrics.happening), head_of(hit()), asked(model))
    assert ("semcache_saved_tokens_total", "kind=prompt", f"model={label}") in samples(metrics)


async def test_nobodys_name_path_or_question_is_exposed(metrics):
    watching = watch(metrics.happening)
    await told(watching, head_of(hit()), asked())
    watching.refused(CALL, asked(), 502, "a message that nobody may read here")
    exposed = metrics.exposition()[0].decode()
    for secret in (
        TENANT,
        QUESTION,
        "answer-hush",
        "in-the-query",
        "/v1/",
        "api.openai",
        "entry-1",
        "may read",
    ):
        assert secret not in exposed


def test_threads_lose_no_request():
    metrics, happening = PrometheusMetrics(models=3), one_happening()
    several = [replace(happening, model=f"m{number % 5}", prompt_tokens=1) for number in range(2_000)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(metrics.happening, several))
    read = samples(metrics)
    prompts = [
        value for key, value in read.items() if key[:2] == ("semcache_saved_tokens_total", "kind=prompt")
    ]
    assert len(prompts) == 4
    assert sum(prompts) == requests(metrics, "hit", "semantic") == 2_000


async def test_a_request_that_cannot_be_counted_breaks_no_answer(metrics):
    seen = []

    def garbled(happening):
        metrics.happening(replace(happening, http_status="what?"))

    await told(watch(garbled, seen.append), head_of(hit()), asked())
    assert metrics.troubles == {"counting a request failed: TypeError": 1}
    assert len(seen) == 1
