"""What the dashboard remembers: bounded, whatever callers send, and counted right."""

from __future__ import annotations

import json
import threading

from doubles.dashboard import (
    data,
    happening,
    miss,
)
from doubles.http_questions import chat

from semcache_integrations.http.dashboard import Recent
from semcache_integrations.http.dashboard.leaders import Leader, Leaders
from semcache_integrations.http.dashboard.series import Series
from semcache_integrations.testing import FakeClock

# -- caps ----------------------------------------------------------------------------------------------


def test_whatever_callers_send_little_is_kept():
    recent = Recent()
    for number in range(3_000):
        recent(
            happening(
                question=f"{number} " + "long " * 10_000,
                model="m" * 10_000,
                tenant="t" * 10_000,
                path="/" * 10_000,
                entry_id=f"entry-{number}",
            )
        )
    seen = recent.snapshot()
    assert seen["requests"] == 3_000
    assert (len(seen["recent"]), len(seen["top"])) == (100, 20)
    assert (len(recent._requests), len(recent._leaders._kept)) == (500, 1_000)
    assert len(seen["recent"][0]["question"]) == 500
    assert len(json.dumps(seen)) < 400_000


def test_an_entry_that_answers_often_is_not_crowded_out():
    leaders = Leaders(most=3)
    for number in range(50):
        for entry_id in ("popular", f"once-{number}"):
            leaders.note(Leader(entry_id, "q", 1.0, "m", "", hits=1, tokens=2, last_at=number))
    best = leaders.top(1)[0]
    assert (best["entry_id"], best["hits"], best["tokens"], best["last_at"]) == ("popular", 50, 100, 49)


def test_the_series_is_a_ring_of_an_hour():
    series = Series(steps=6)
    for now in (3, 9, 10, 65):
        series.note(now, "hash", "hit", now / 1_000)
    assert series.snapshot(65)["at"] == [10, 60]
    assert series.snapshot(65)["counts"]["hash"] == [1, 1]
    assert series.snapshot(10_000)["at"] == []


def test_percentiles_are_those_of_the_minute_that_ends_with_the_step():
    series = Series()
    for now, seconds in ((1, 5.0), (55, 0.1), (65, 0.3), (61, 0.2)):
        series.note(now, "miss", "miss", seconds)
    series.note(62, "hash", "hit", 0.001)
    seen = series.snapshot(66)
    assert seen["at"] == [0, 50, 60]
    assert seen["latency"]["miss"] == {"p50_ms": [5000, 5000, 200], "p95_ms": [5000, 5000, 300]}
    assert seen["latency"]["hit"]["p50_ms"] == [None, None, 1.0]


def test_a_clock_that_was_set_back_goes_on_in_its_step():
    clock = FakeClock()
    recent = Recent(clock=clock)
    recent(happening())
    clock.advance(-1_000)
    recent(happening())
    clock.advance(1_000)
    assert recent.snapshot()["series"]["counts"]["hash"] == [2]


def test_what_waited_for_an_equal_call_is_no_slow_hit():
    recent = Recent()
    recent(happening(total_s=0.001))
    recent(happening(tier="flight", entry_id="", total_s=2.0))
    seen = recent.snapshot()
    assert (seen["statuses"]["hit"], seen["tiers"]["flight"], seen["hit_rate"]) == (2, 1, 1.0)
    assert (seen["latency"]["hit"]["p95_ms"], seen["latency"]["flight"]["p50_ms"]) == (1.0, 2000.0)
    assert seen["series"]["latency"]["hit"]["p95_ms"] == [1.0]
    assert len(seen["top"]) == 1


def test_cache_headers_of_an_upstreams_own_make_no_names_of_ours():
    recent = Recent()
    recent(miss(status="HIT from edge-7", tier="cdn", similarity=float("nan")))
    recent(happening(status="hit", tier="cdn", similarity=float("inf"), entry_id=""))
    recent(happening(status="stale", tier="exact"))
    seen = recent.snapshot()
    assert (seen["statuses"]["other"], seen["statuses"]["stale"], seen["tiers"]["exact"]) == (1, 1, 1)
    assert seen["series"]["counts"]["other"] == [2]
    assert seen["recent"][1]["similarity"] is None
    assert json.loads(json.dumps(seen, allow_nan=False)) == seen


async def test_halves_of_surrogate_pairs_are_shown_all_the_same(here):
    body = json.dumps(chat("half of an emoji: \ud83d")).encode()
    await here.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert (await data(here))["recent"][0]["question"] == "half of an emoji: ?"
    one = Recent()
    one(happening(question="half: \ud83d"))
    assert one.snapshot()["recent"][0]["question"] == "half: ?"


def test_threads_lose_no_count():
    recent = Recent()

    def work():
        for number in range(200):
            recent(happening(entry_id=f"entry-{number % 7}"))
            recent.search("entry")
            recent.snapshot()["recent"][0]["number"]

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = recent.snapshot()
    assert seen["requests"] == sum(one["hits"] for one in seen["top"]) == 800
    assert len({one["number"] for one in seen["recent"]}) == 100
