"""The dashboard below its page: what it shows, finds and deletes, and what leaves it."""

from __future__ import annotations

import re

import pytest
from doubles.dashboard import (
    HOME,
    ask,
    caller,
    data,
    delete,
    happening,
    proxy_with_dashboard,
)
from doubles.http_questions import OTHER, QUESTION, REWORDED, chat

from semcache_integrations import SemanticCache
from semcache_integrations.http.dashboard import Recent
from semcache_integrations.http.dashboard.contents import Contents, memory
from semcache_integrations.http.dashboard.guard import COOKIE
from semcache_integrations.testing import FaultyStore, MemoryStore

EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


# -- what it shows -------------------------------------------------------------------------------------


async def test_real_traffic_is_counted_by_status_and_tier(here, provider):
    for question in (QUESTION, QUESTION, REWORDED, OTHER):
        await ask(here, question)
    await here.get("/v1/models", headers={"x-upstream-base-url": provider.origin})
    seen = await data(here)
    assert seen["statuses"] == {"hit": 2, "miss": 2, "bypass": 1, "stale": 0, "error": 0, "other": 0}
    assert seen["tiers"] == {"hash": 1, "exact": 0, "semantic": 1, "flight": 0}
    assert (seen["requests"], seen["hit_rate"]) == (5, 0.5)
    assert seen["saved"]["prompt_tokens"] > 0 < seen["saved"]["answer_tokens"]
    assert seen["latency"]["hit"]["p50_ms"] > 0 < seen["latency"]["miss"]["p95_ms"]
    assert seen["latency"]["stale"] == {"p50_ms": None, "p95_ms": None}
    assert sum(seen["series"]["counts"]["hash"]) == 1
    assert sum(seen["series"]["counts"]["miss"]) == 2


async def test_recent_requests_say_what_happened_the_latest_first(here):
    for question in (QUESTION, REWORDED):
        await ask(here, question)
    reworded, first = (await data(here))["recent"]
    assert (first["status"], first["reason"], first["similarity"]) == ("miss", "not_found", None)
    assert (reworded["question"], reworded["model"], reworded["tier"]) == (
        REWORDED,
        "gpt-4o-mini",
        "semantic",
    )
    assert 0.75 < reworded["similarity"] < 1
    assert (reworded["complete"], reworded["http_status"]) == (True, 200)


async def test_the_cache_and_the_process_are_shown_too(here):
    for question in (QUESTION, QUESTION, OTHER):
        await ask(here, question)
    seen = await data(here)
    assert (seen["cache"]["stored"], seen["cache"]["in_memory"], seen["cache"]["evicted"]) == (2, 2, 0)
    assert seen["cache"]["in_memory_bytes"] > 0
    assert seen["cache"]["tiers"]["hash"]["hits"] == 1
    assert seen["uptime_s"] >= 0


async def test_top_entries_come_first_by_hits_under_the_question_nearest_to_their_own(here):
    for question in (QUESTION, OTHER, OTHER, REWORDED, QUESTION, QUESTION):
        await ask(here, question)
    top = (await data(here))["top"]
    assert [(one["question"], one["hits"]) for one in top] == [(QUESTION, 3), (OTHER, 1)]
    assert top[0]["tokens"] > 0


async def test_a_store_that_cannot_count_hides_only_its_number(embedder, provider):
    store = FaultyStore(MemoryStore())
    store.fail("count")
    with SemanticCache(embedder=embedder, store=store) as cache:
        async with caller(proxy_with_dashboard(cache, provider)[0]) as client:
            await ask(client)
            seen = await data(client)
    assert (seen["cache"]["stored"], seen["requests"]) == (None, 1)


async def test_entries_are_counted_anew_every_second_and_less_often_where_that_takes_long(cache):
    times = iter([0, 0, 0.9, 1, 1.1, 20.9, 21.5, 21.5])  # the second count takes 0.1 s, which is worth 20
    contents = Contents(cache, timer=lambda: next(times))
    counts = []
    for number in range(5):
        counts.append((await contents.snapshot())["stored"])
        cache.put(f"question {number}", "answer")
    assert counts == [0, 0, 2, 2, 4]


def test_the_entries_of_a_cache_without_a_store_are_none():
    with SemanticCache(hash_only=True) as cache:
        cache.put("q", "a")
        assert cache.count() == 0


# -- searching -----------------------------------------------------------------------------------------


async def test_search_finds_requests_and_entries_by_question_model_tenant_and_id(here):
    entry = None
    for question in (QUESTION, QUESTION, OTHER):
        entry = (await ask(here, question)).get("x-cache-entry") or entry
    for text in ("CAPITAL", entry[:13]):
        found = (await here.get("/admin/search", params={"q": text})).json()
        assert {one["question"] for one in found["requests"] + found["entries"]} == {QUESTION}
        assert [one["entry_id"] for one in found["entries"]] == [entry]
    found = (await here.get("/admin/search", params={"q": "gpt-4o"})).json()
    assert len(found["requests"]) == 3
    assert (await here.get("/admin/search", params={"q": "nowhere"})).json() == {
        "requests": [],
        "entries": [],
    }


async def test_search_narrows_by_status(here):
    for question in (QUESTION, QUESTION, OTHER):
        await ask(here, question)
    found = (await here.get("/admin/search", params={"status": "miss"})).json()
    assert [one["question"] for one in found["requests"]] == [OTHER, QUESTION]
    wrong = await here.get("/admin/search", params={"status": "hot"})
    assert (wrong.status_code, "status is one of hit" in wrong.text) == (400, True)
    assert (await here.get("/admin/search", params={"q": "x" * 501})).status_code == 400


def test_search_finds_tenants_and_at_most_fifty_of_each():
    recent = Recent()
    for number in range(120):
        recent(happening(tenant=f"team-{number % 2}", entry_id=f"entry-{number}"))
    found = recent.search("TEAM-1")
    assert [len(found["requests"]), len(found["entries"])] == [50, 50]
    assert {one["tenant"] for one in found["requests"] + found["entries"]} == {"team-1"}
    assert found["entries"][0]["entry_id"] == "entry-119"


# -- deleting ------------------------------------------------------------------------------------------


async def test_deleting_an_entry_makes_the_next_call_a_miss(here, provider):
    for question in (QUESTION, QUESTION, OTHER, OTHER):
        await ask(here, question)
    entry = (await data(here))["top"][1]
    assert entry["question"] == QUESTION
    assert (await delete(here, {"entry_id": entry["entry_id"]})).json() == {"deleted": 1}
    seen = await data(here)
    assert [one["question"] for one in seen["top"]] == [OTHER]
    assert seen["cache"]["stored"] == 1
    assert (await ask(here, QUESTION))["x-cache-status"] == "miss"
    assert (await ask(here, OTHER))["x-cache-status"] == "hit"
    assert provider.count == 3


async def test_deleting_by_model_and_by_tenant(here):
    ways = {"model": {}, "tenant": {"authorization": "Bearer sk-1"}}
    for name, headers in ways.items():
        said = {"json": chat(model=f"by {name}"), "headers": headers}
        for _ in range(2):
            await here.post("/v1/chat/completions", **said)
        seen = (await data(here))["top"]
        assert [one["model"] for one in seen] == [f"by {name}"]
        assert (await delete(here, {name: seen[0][name]})).json() == {"deleted": 1}
        again = await here.post("/v1/chat/completions", **said)
        assert again.headers["x-cache-status"] == "miss"
        assert (await data(here))["top"] == []


async def test_deleting_by_tag(here, cache):
    cache.put(QUESTION, "Paris", tags=("docs",))
    cache.put(OTHER, "with flour")
    assert (await delete(here, {"tag": "docs"})).json() == {"deleted": 1}
    assert (cache.get(QUESTION), cache.get(OTHER)) == (None, "with flour")


async def test_deleting_what_is_not_there_deletes_nothing(here):
    assert (await delete(here, {"entry_id": "nowhere"})).json() == {"deleted": 0}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"entry_id": ""}',
        b'{"entry_id": null}',
        b'{"entry_id": ["a"]}',
        b'{"namespace": "a"}',
        b'{"entry_id": "a", "model": "b"}',
        b"\xff",
    ],
)
async def test_a_deletion_that_does_not_say_what_is_refused(here, body):
    await ask(here)
    response = await here.post("/admin/delete", content=body, headers=HOME)
    assert response.status_code in {400, 413}
    assert (await ask(here))["x-cache-status"] == "hit"


async def test_a_store_that_cannot_delete_is_told(embedder, provider):
    store = FaultyStore(MemoryStore())
    with SemanticCache(embedder=embedder, store=store) as cache:
        async with caller(proxy_with_dashboard(cache, provider)[0]) as client:
            await ask(client)
            store.fail("delete")
            response = await delete(client, {"model": "gpt-4o-mini"})
    assert response.status_code == 503
    assert "memory has forgotten it" in response.json()["error"]["message"]


# -- what leaves it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/admin", "/admin/data", "/admin/search", "/admin/nowhere"])
async def test_no_other_site_may_read_frame_or_store_it(here, path):
    headers = (await here.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


async def test_the_pages_ask_nobody_else(here, guarded):
    async with caller(guarded) as client:
        pages = [(await here.get("/admin")).text, (await client.get("/admin/login")).text]
    for page in pages:
        assert set(re.findall(r"https?://[^\s'\"]+", page)) <= {"http://www.w3.org/2000/svg"}
        assert not re.search(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b", page)
        assert not re.search(r"\son\w+=|\sstyle=|/\* (?:style|script) \*/", page)


async def test_what_callers_wrote_is_json_and_never_in_the_page(here):
    for _ in range(2):
        await ask(here, EVIL, model=EVIL)
    assert EVIL not in (await here.get("/admin")).text
    response = await here.get("/admin/data")
    assert response.headers["content-type"] == "application/json"
    assert response.json()["top"][0]["model"] == EVIL


@pytest.mark.parametrize(
    "path", ["/admin", "/admin/data", "/admin/login", "/admin/v1/chat/completions", "/admin/"]
)
async def test_nothing_under_admin_goes_upstream(here, provider, path):
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "POST"):
        response = await here.request(method, path, json=chat(), headers={"cookie": f"{COOKIE}=1.2"})
        assert response.status_code in {403, 404}
    assert provider.count == 0


def test_memory_is_told_in_bytes():
    told = memory()
    assert told["rss_bytes"] is None or told["rss_bytes"] <= told["peak_bytes"]
    assert all(number is None or 10**6 < number < 10**12 for number in told.values())
