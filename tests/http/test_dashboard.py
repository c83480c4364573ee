"""The dashboard below its page: what it counts, whom it lets in, what it deletes, and what callers cannot do to it."""

from __future__ import annotations

import json
import re
import threading
from contextlib import asynccontextmanager

import pytest
from doubles.dashboard import ask, caller, happening, miss, proxy_with_dashboard
from doubles.http_questions import OTHER, QUESTION, REWORDED, chat

from semcache_integrations import SemanticCache
from semcache_integrations.http.dashboard import Guard, Recent
from semcache_integrations.http.dashboard.contents import Contents, memory
from semcache_integrations.http.dashboard.guard import COOKIE, SESSION_S
from semcache_integrations.http.dashboard.leaders import Leader, Leaders
from semcache_integrations.http.dashboard.series import Series
from semcache_integrations.testing import FakeClock, FaultyStore, MemoryStore

HERE = "http://127.0.0.1:8080"
TOKEN = "a token that nobody guesses: ü"
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
HOME = {"origin": HERE}


@pytest.fixture
def app(cache, upstream):
    return proxy_with_dashboard(cache, upstream)[0]


@pytest.fixture
async def here(app):
    """Whoever sits at this machine."""
    async with caller(app) as client:
        yield client


@pytest.fixture
def guarded(cache, upstream):
    """The same with a token."""
    return proxy_with_dashboard(cache, upstream, token=TOKEN)[0]


@asynccontextmanager
async def logged_in(app, origin=HERE):
    async with caller(app, origin=origin) as client:
        response = await client.post("/admin/login", data={"token": TOKEN}, headers={"origin": origin})
        assert response.status_code == 303
        yield client


async def data(client, **more):
    return (await client.get("/admin/data", **more)).json()


# -- what it shows -------------------------------------------------------------------------------------


async def test_real_traffic_is_counted_by_status_and_tier(here, upstream):
    for question in (QUESTION, QUESTION, REWORDED, OTHER):
        await ask(here, question)
    await here.get("/v1/models", headers={"x-upstream-base-url": upstream.origin})
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
    assert seen["memory"] == memory() or seen["memory"]["peak_bytes"] > 10**6


async def test_top_entries_come_first_by_hits_under_the_question_nearest_to_their_own(here):
    for question in (QUESTION, OTHER, OTHER, REWORDED, QUESTION, QUESTION):
        await ask(here, question)
    top = (await data(here))["top"]
    assert [(one["question"], one["hits"]) for one in top] == [(QUESTION, 3), (OTHER, 1)]
    assert top[0]["tokens"] > 0


async def test_a_store_that_cannot_count_hides_only_its_number(embedder, upstream):
    store = FaultyStore(MemoryStore())
    store.fail("count")
    with SemanticCache(embedder=embedder, store=store) as cache:
        async with caller(proxy_with_dashboard(cache, upstream)[0]) as client:
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


# -- deleting ------------------------------------------------------------------------------------------


async def delete(client, body, **headers):
    return await client.post("/admin/delete", json=body, headers={**HOME, **headers})


async def test_deleting_an_entry_makes_the_next_call_a_miss(here, upstream):
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
    assert upstream.count == 3


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


async def test_a_store_that_cannot_delete_is_told(embedder, upstream):
    store = FaultyStore(MemoryStore())
    with SemanticCache(embedder=embedder, store=store) as cache:
        async with caller(proxy_with_dashboard(cache, upstream)[0]) as client:
            await ask(client)
            store.fail("delete")
            response = await delete(client, {"model": "gpt-4o-mini"})
    assert response.status_code == 503
    assert "memory has forgotten it" in response.json()["error"]["message"]


# -- who is let in, without a token --------------------------------------------------------------------

ALL = [("GET", "/admin"), ("GET", "/admin/data"), ("GET", "/admin/search"), ("POST", "/admin/delete")]


async def refused(client, method, path, **headers):
    body = {"json": {"model": "gpt-4o-mini"}} if method == "POST" else {}
    response = await client.request(method, path, headers=headers, **body)
    assert response.status_code == 403, response.text
    assert "--admin-token" in response.text
    assert QUESTION not in response.text
    return response


@pytest.mark.parametrize(("method", "path"), ALL)
@pytest.mark.parametrize(
    "peer", ["10.0.0.7", "192.168.1.2", "2001:db8::1", "::ffff:10.0.0.7", "testclient", ""]
)
async def test_other_machines_are_refused(app, peer, method, path):
    async with caller(app, peer=peer) as client:
        await ask(client)
        await refused(client, method, path, **HOME)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "http://LOCALHOST",
        "http://[::1]:8080",
        "http://127.1.2.3",
    ],
)
async def test_this_machine_is_let_in(app, peer, origin):
    async with caller(app, peer=peer, origin=origin) as client:
        assert (await client.get("/admin/data")).status_code == 200
        own = {"origin": origin.lower()}
        assert (await client.post("/admin/delete", json={"model": "m"}, headers=own)).status_code == 200


@pytest.mark.parametrize(("method", "path"), ALL)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example#localhost",
        "0.0.0.0",
        "[::]:8080",
        "169.254.169.254",
        "",
    ],
)
async def test_a_name_that_was_rebound_to_this_machine_is_refused(here, host, method, path):
    await refused(here, method, path, host=host, origin=f"http://{host}")


async def test_two_hosts_are_refused(app):
    fields = [(b"host", b"127.0.0.1:8080"), (b"host", b"evil.example")]
    said = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        said.append(message)

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/admin/data"}
    scope |= {"raw_path": b"/admin/data", "query_string": b"", "root_path": "", "headers": fields}
    await app({**scope, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080)}, receive, send)
    assert said[0]["status"] == 403
    said.clear()
    await app({**scope, "headers": fields[:1], "client": None, "server": None}, receive, send)
    assert said[0]["status"] == 403  # a Unix socket says nothing of who is there


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://localhost:8080",
    ],
)
async def test_a_page_of_another_origin_deletes_nothing(here, origin):
    await ask(here)
    await refused(here, "POST", "/admin/delete", **({"origin": origin} if origin else {}))
    assert (await ask(here))["x-cache-status"] == "hit"


@pytest.mark.parametrize(
    "header",
    [
        {"x-forwarded-for": "127.0.0.1"},
        {"x-real-ip": "127.0.0.1"},
        {"forwarded": 'for=127.0.0.1;host="localhost"'},
        {"x-forwarded-host": "localhost"},
    ],
)
async def test_forwarded_headers_open_nothing(app, here, header):
    async with caller(app, peer="10.0.0.7") as remote:
        await refused(remote, "GET", "/admin/data", **header)
    await refused(here, "GET", "/admin/data", **header)  # brought by a proxy: nobody knows from where
    await refused(here, "GET", "/admin/data", host="evil.example", **header)


# -- who is let in, with a token -----------------------------------------------------------------------


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.7"])
async def test_with_a_token_everybody_needs_it(guarded, peer):
    async with caller(guarded, peer=peer, origin="http://cache.example") as client:
        for method, path in ALL[1:]:
            await refused(client, method, path, **HOME)
            await refused(client, method, path, authorization="Bearer wrong", **HOME)
            await refused(client, method, path, authorization="Bearer ", **HOME)
            await refused(
                client, method, path, authorization=f"Basic {COOKIE}", cookie=f"{COOKIE}=1.2", **HOME
            )
        bearer = {"authorization": f"Bearer {TOKEN}".encode()}
        for method, path in ALL:
            body = {"json": {"model": "m"}} if method == "POST" else {}
            assert (await client.request(method, path, headers=bearer, **body)).status_code == 200


async def test_a_page_without_the_token_leads_to_the_login_form(guarded):
    async with caller(guarded, peer="10.0.0.7") as client:
        response = await client.get("/admin")
        assert (response.status_code, response.headers["location"]) == (303, "/admin/login")
        form = await client.get("/admin/login")
        assert (form.status_code, "Admin token" in form.text) == (200, True)


async def test_logging_in_sets_a_cookie_that_is_not_the_token_and_stays_under_admin(guarded):
    async with caller(guarded) as client:
        response = await client.post("/admin/login", data={"token": TOKEN}, headers=HOME)
        cookie = response.headers["set-cookie"]
    assert (response.status_code, response.headers["location"]) == (303, "/admin")
    assert {"HttpOnly", "SameSite=strict", "Path=/admin", f"Max-Age={SESSION_S}"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "nobody" not in cookie
    async with caller(guarded, origin="https://cache.example") as client:
        own = {"origin": "https://cache.example"}
        response = await client.post("/admin/login", data={"token": TOKEN}, headers=own)
    assert "Secure" in response.headers["set-cookie"].split("; ")


async def test_who_is_logged_in_sees_and_deletes_until_logging_out(guarded):
    async with logged_in(guarded) as client:
        assert "semcache" in (await client.get("/admin")).text
        assert (await data(client))["token"] is True
        assert (await delete(client, {"model": "m"})).status_code == 200
        assert (await client.post("/admin/logout", headers=HOME)).json() == {"at": "/admin/login"}
        assert (await client.get("/admin/data")).status_code == 403


async def test_another_port_of_this_host_is_the_same_site_and_still_deletes_nothing(guarded):
    async with logged_in(guarded) as client:
        for origin in ("http://127.0.0.1:3000", "null", "http://evil.example"):
            await refused(client, "POST", "/admin/delete", origin=origin)
        await refused(client, "POST", "/admin/logout")


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "\ud83d"])
async def test_a_wrong_token_logs_nobody_in(guarded, token):
    async with caller(guarded) as client:
        form = {"token": token.encode("utf-8", "surrogatepass")}
        response = await client.post("/admin/login", data=form, headers=HOME)
    assert (response.status_code, "set-cookie" in response.headers) == (403, False)
    assert "not the token" in response.text


async def test_a_login_form_of_another_origin_is_refused(guarded):
    async with caller(guarded) as client:
        response = await client.post("/admin/login", data={"token": TOKEN}, headers={"origin": "null"})
    assert (response.status_code, "set-cookie" in response.headers) == (403, False)


async def test_without_a_token_there_is_nothing_to_log_in_to(here):
    assert (await here.get("/admin/login")).headers["location"] == "/admin"
    assert (await here.post("/admin/login", data={"token": ""}, headers=HOME)).status_code == 403


def test_a_session_ends_and_cannot_be_made_without_the_token():
    clock = FakeClock()
    guard = Guard("secret", clock=clock)
    session = guard.session()
    assert guard._is_session(session)
    until, seal = session.split(".")
    forged = [Guard("other", clock=clock).session(), f"{int(until) + 1}.{seal}", until, "", ".", "x.y", "é.é"]
    assert not any(guard._is_session(one) for one in forged)
    clock.advance(SESSION_S + 1)
    assert not guard._is_session(session)


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
async def test_nothing_under_admin_goes_upstream(here, upstream, path):
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "POST"):
        response = await here.request(method, path, json=chat(), headers={"cookie": f"{COOKIE}=1.2"})
        assert response.status_code in {403, 404}
    assert upstream.count == 0


def test_memory_is_told_in_bytes():
    told = memory()
    assert all(number is None or 10**6 < number < 10**12 for number in told.values())
