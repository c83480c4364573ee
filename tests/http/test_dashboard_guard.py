"""Who sees the dashboard: this machine or whoever has the token, and no web page that either of them visits."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from doubles.dashboard import (
    HERE,
    HOME,
    TOKEN,
    ask,
    caller,
    data,
    delete,
)
from doubles.http_questions import QUESTION

from semcache_integrations.http.dashboard import Guard
from semcache_integrations.http.dashboard.guard import COOKIE, SESSION_S
from semcache_integrations.http.proxy import ProxySettings, create_proxy_app
from semcache_integrations.testing import FakeClock


@asynccontextmanager
async def logged_in(app, origin=HERE):
    async with caller(app, origin=origin) as client:
        response = await client.post("/admin/login", data={"token": TOKEN}, headers={"origin": origin})
        assert response.status_code == 303
        yield client


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


@pytest.mark.parametrize(
    ("token", "peer", "said", "code"),
    [
        ("", "127.0.0.1", "", 404),  # it may be seen, and nobody counts
        ("", "10.0.0.7", "", 403),
        (TOKEN, "127.0.0.1", "", 403),
        (TOKEN, "127.0.0.1", "Bearer wrong", 403),
        (TOKEN, "10.0.0.7", f"Bearer {TOKEN}", 404),
    ],
)
async def test_the_metrics_are_for_whom_the_dashboard_is_for(cache, token, peer, said, code):
    app = create_proxy_app(cache, ProxySettings(admin_token=token))
    async with caller(app, peer=peer) as client:
        answer = await client.get("/metrics", headers={"authorization": said.encode()} if said else {})
        assert answer.status_code == code
