"""The middleware under attack: applications that do unusual things, tenants by host, and clients that leave."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import threading

import httpx
import pytest
from doubles.http_questions import QUESTION, REWORDED, all_at_once, status
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from semcache_integrations.http.middleware import SemanticCacheMiddleware
from semcache_integrations.testing.serving import Serving


@pytest.fixture
def serving(cache):
    """Serve applications behind the middleware; return clients of them."""
    with contextlib.ExitStack() as stack:

        def serve(endpoint, around=lambda app: app, **settings):
            app = endpoint if isinstance(endpoint, Starlette) else _app(endpoint)
            one = Serving(around(SemanticCacheMiddleware(app, cache=cache, **settings)), name="application")
            one.start()
            stack.callback(one.close)
            return stack.enter_context(httpx.Client(base_url=one.origin, timeout=30))

        yield serve


def _app(endpoint, **more):
    return Starlette(routes=[Route("/{path:path}", endpoint, methods=["POST"])], **more)


@pytest.fixture
def counting():
    count = [0]

    async def endpoint(request):
        count[0] += 1
        return JSONResponse({"number": count[0]})

    return endpoint


def ask(client, path="/ask", question=QUESTION, **headers):
    return client.post(path, json={"query": question}, headers=headers)


# -- two requests that an application tells apart ------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/lang/C", "/lang/C%23"),
        ("/lang/C%23", "/lang/C%23%23"),
        ("/ask?user=1", "/ask%3Fuser=1"),
        ("/a/b", "/a%2Fb"),
        ("/ask", "//ask"),
        ("/ask", "/ask/"),
        ("/caf%C3%A9", "/cafe%CC%81"),
        ("/ask?a=%ff", "/ask?a=%fe"),
    ],
)
def test_another_path_is_another_question(serving, counting, one, other):
    client = serving(counting)
    assert [status(ask(client, path)) for path in (one, other, one)] == ["miss", "miss", "hit"]


@pytest.mark.parametrize(
    "header",
    [
        "host",
        "x-forwarded-host",
        "accept",
        "accept-language",
        "x-amzn-oidc-identity",
        "cf-access-authenticated-user-email",
        "x-forwarded-user",
    ],
)
def test_another_host_form_or_user_is_another_question(serving, counting, header):
    client = serving(counting)
    told = [status(ask(client, **{header: value})) for value in ("a.example", "a.example", "b.example")]
    assert told == ["miss", "hit", "miss"]


@pytest.mark.parametrize("settings", [{"share": True}, {"tenant_of": lambda call: "all"}, {}])
def test_a_parameter_that_is_called_as_a_credential_is_keyed_for_everybody(serving, counting, settings):
    client = serving(counting, **settings)
    told = [status(ask(client, f"/ask?key={word}")) for word in ("colour", "size", "colour")]
    assert told == ["miss", "miss", "hit"]


def test_sub_applications_that_are_mounted_never_meet(cache, counting):
    inner = SemanticCacheMiddleware(_app(counting), cache=cache)
    with _served(Starlette(routes=[Mount("/a", inner), Mount("/b", inner)])) as client:
        told = [status(ask(client, path)) for path in ("/a/ask", "/b/ask", "/a/ask", "/b/ask")]
        assert told == ["miss", "miss", "hit", "hit"]


@contextlib.contextmanager
def _served(app):
    one = Serving(app, name="application")
    one.start()
    with httpx.Client(base_url=one.origin, timeout=30) as client:
        yield client
    one.close()


def test_what_a_users_own_function_takes_out_of_the_body_is_still_keyed(serving, counting):
    def taking(body):
        body.pop("language", None)
        return body.pop("query")

    client = serving(counting, extract_query=taking)
    told = [
        status(client.post("/ask", json={"query": question, "language": language}))
        for question, language in ((QUESTION, "de"), (QUESTION, "fr"), (REWORDED, "de"))
    ]
    assert told == ["miss", "miss", "hit"]


@pytest.mark.parametrize("code", [201, 202, 206])
def test_another_status_than_200_is_repeated_by_nobody(serving, code):
    async def endpoint(request):
        return JSONResponse({"job": 1}, code)

    client = serving(endpoint)
    assert [(ask(client).status_code, status(ask(client))) for _ in range(2)] == [(code, "miss")] * 2


# -- what the application does and must still do -------------------------------------------------------


def test_what_a_background_task_raises_reaches_the_server_and_not_the_client(serving):
    raised = threading.Event()

    def fails():
        raised.set()
        raise RuntimeError("the application's own")

    async def endpoint(request):
        return JSONResponse({"answer": 1}, background=BackgroundTask(fails))

    client = serving(endpoint)
    last = {"connection": "close"}  # the server hangs up on an application that fails
    assert ask(client, **last).json() == {"answer": 1}
    assert raised.wait(10)
    assert status(ask(client, **last)) == "hit"


@pytest.mark.parametrize("kind", ["json", "stream"])
def test_a_background_task_keeps_nobody_waiting(serving, kind):
    release, done = threading.Event(), threading.Event()

    async def later():
        await asyncio.to_thread(release.wait, 20)
        done.set()

    async def pieces():
        yield "a whole "
        yield "answer"

    async def endpoint(request):
        task = BackgroundTask(later)
        if kind == "json":
            return JSONResponse({"answer": 1}, background=task)
        return StreamingResponse(pieces(), media_type="text/plain", background=task)

    client = serving(endpoint)
    try:
        with client.stream("POST", "/ask", json={"query": QUESTION}, timeout=5) as answer:
            answer.read()
        assert not done.is_set()
        again = client.post("/ask", json={"query": QUESTION}, timeout=5)
        assert status(again) == "hit"
    finally:
        release.set()
    assert done.wait(10)


def test_a_background_task_runs_to_its_end_though_the_client_has_gone(serving):
    started, release, done = threading.Event(), threading.Event(), threading.Event()

    async def later():
        started.set()
        await asyncio.to_thread(release.wait, 20)
        done.set()

    async def endpoint(request):
        return JSONResponse({"answer": 1}, background=BackgroundTask(later))

    client = serving(endpoint)
    ask(client, connection="close")
    client.close()
    assert started.wait(10)
    release.set()
    assert done.wait(10)


def test_an_application_may_answer_before_an_upload_has_come(serving):
    async def endpoint(request):
        return PlainTextResponse("no, thanks", 401)

    client = serving(endpoint)
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=10) as connection:
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n"
            b"content-length: 1000\r\n\r\nx"
        )
        assert connection.recv(65_536).startswith(b"HTTP/1.1 401")


def test_an_application_that_never_reads_the_body_is_cached_as_any_other(serving, counting):
    client = serving(counting)
    assert [status(ask(client)) for _ in range(2)] == ["miss", "hit"]


def test_an_application_that_reads_the_body_after_it_began_to_answer_gets_all_of_it(cache):
    seen = []

    async def app(scope, receive, send):
        head = {"status": 200, "headers": [(b"content-type", b"application/json")]}
        await send({"type": "http.response.start", **head})
        await send({"type": "http.response.body", "body": b"[", "more_body": True})
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        seen.append(body)
        await send({"type": "http.response.body", "body": b"%d]" % len(body)})

    def body():
        yield b'{"query": "'
        yield b"x" * 100_000
        yield b'"}'

    said = {"content-type": "application/json"}
    with _served(SemanticCacheMiddleware(app, cache=cache)) as client:
        told = [client.post("/ask", content=body(), headers=said) for _ in range(2)]
    assert [(status(answer), answer.json()) for answer in told] == [("miss", [100_013]), ("hit", [100_013])]
    assert seen == [b"".join(body())]


def test_an_application_that_fails_after_it_began_is_cut_short_and_not_kept(serving):
    async def endpoint(request):
        async def pieces():
            yield b"the beginning"
            raise RuntimeError("the application's own")

        return StreamingResponse(pieces(), media_type="text/plain")

    client = serving(endpoint)
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            ask(client)


@pytest.mark.parametrize("headers", [[], [(b"content-type", b"")], [(b"content-type", b"application/json")]])
def test_an_answer_in_many_messages_and_without_a_type_is_whole(cache, headers):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in (b"", b'{"a"', b"", b": 1}"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    with _served(SemanticCacheMiddleware(app, cache=cache)) as client:
        told = [ask(client) for _ in range(2)]
        assert [answer.content for answer in told] == [b'{"a": 1}'] * 2
        assert status(told[1]) == ("hit" if headers and headers[0][1] else "miss")


async def test_no_file_is_sent_past_the_cache(cache):
    """As servers of the extension `http.response.pathsend` would: the middleware never sees such a body."""
    sent, seen = [], []

    async def app(scope, receive, send):
        seen.append(scope["extensions"])
        await JSONResponse({"a": 1})(scope, receive, send)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "extensions": {"http.response.pathsend": {}, "tls": {}},
    }
    messages = iter([{"type": "http.request", "body": b'{"query": "x"}'}])

    async def receive():
        message = next(messages, None)
        return message or await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await SemanticCacheMiddleware(app, cache=cache)(scope, receive, send)
    assert (seen, b"".join(message.get("body", b"") for message in sent)) == ([{"tls": {}}], b'{"a":1}')


@pytest.mark.parametrize(
    ("varies", "told"),
    [
        ("User-Agent", "miss"),
        ("Accept, Origin", "miss"),
        ("*", "miss"),
        ("Accept, Accept-Encoding", "hit"),
        ("Accept-Language", "hit"),
        ("Cookie", "hit"),
    ],
)
def test_an_answer_that_varies_by_what_is_not_keyed_is_not_kept(serving, varies, told):
    async def endpoint(request):
        return JSONResponse({"a": 1}, headers={"vary": varies})

    client = serving(endpoint)
    assert [status(ask(client)) for _ in range(2)] == ["miss", told]


def test_headers_that_cannot_be_obeyed_are_no_500(serving, counting):
    client = serving(counting)
    refused = ask(client, **{"cache-control": "only-if-cached"})
    assert refused.status_code == 504
    ask(client)
    assert status(ask(client, **{"cache-control": "only-if-cached"})) == "hit"
    for header in ("x-semcache-ttl", "x-semcache-threshold", "x-semcache-replay"):
        assert ask(client, **{header: "\\x00 nonsense"}).status_code == 200


# -- compression and origins ---------------------------------------------------------------------------


def test_compression_inside_and_outside_reaches_only_who_understands_it(serving, cache, counting):
    async def endpoint(request):
        return PlainTextResponse("a long answer " * 200)

    for settings in ({"around": GZipMiddleware}, {}):
        inside = endpoint if settings else _app(endpoint)
        if not settings:
            inside.add_middleware(GZipMiddleware)
        client = serving(inside, **settings)
        cache.clear()
        for accepts in ("gzip", "identity", "gzip"):
            answer = ask(client, **{"accept-encoding": accepts})
            assert answer.text == "a long answer " * 200
            assert answer.headers.get("content-encoding", "identity") in (accepts, "identity")


def test_an_answer_of_several_gzip_members_passes_and_is_not_kept_by_half(serving):
    async def endpoint(request):
        body = gzip.compress(b"the first half, ") + gzip.compress(b"and the second")
        return Response(body, media_type="text/plain", headers={"content-encoding": "gzip"})

    client = serving(endpoint)
    said = {"json": {"query": QUESTION}, "headers": {"accept-encoding": "gzip"}}
    for _ in range(2):
        with client.stream("POST", "/ask", **said) as answer:  # httpx itself reads the first member only
            body = b"".join(answer.iter_raw())
        assert (status(answer), gzip.decompress(body)) == ("miss", b"the first half, and the second")


def test_origins_are_told_outside_of_the_cache(serving, counting):
    client = serving(
        counting, around=lambda app: CORSMiddleware(app, allow_origins=["https://a", "https://b"])
    )
    for origin in ("https://a", "https://b"):
        answer = ask(client, origin=origin)
        assert answer.headers["access-control-allow-origin"] == origin
    assert status(answer) == "hit"


def test_a_hit_has_the_applications_own_headers_and_none_of_one_answer_alone(serving):
    always = {"content-language": "fr", "x-version": "7", "access-control-allow-origin": "*"}
    once = {
        "x-request-id": "1",
        "etag": "e",
        "x-ratelimit-remaining": "3",
        "age": "7",
        "x-cache-status": "own",
    }

    async def endpoint(request):
        return JSONResponse({"answer": 1}, headers={**always, **once})

    client = serving(endpoint)
    assert status(ask(client)) == "miss"
    hit = ask(client)
    assert status(hit) == "hit"
    assert {name: hit.headers.get(name) for name in always} == always
    assert set(once) & set(hit.headers) == {"x-cache-status"}


def test_origins_are_told_inside_of_the_cache(serving, counting):
    app = _app(counting)
    app.add_middleware(CORSMiddleware, allow_origins=["https://a", "https://b"])
    client = serving(app)
    for origin in ("https://a", "https://b"):
        assert ask(client, origin=origin).headers["access-control-allow-origin"] == origin


# -- many at once --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{"set-cookie": "session={}"}, {"cache-control": "private"}, {"cache-control": "no-store"}]
)
def test_two_strangers_at_once_never_share_what_was_meant_for_one(serving, cache, headers):
    count, arrived = [0], threading.Event()

    async def endpoint(request):
        count[0] += 1
        mine = count[0]
        await asyncio.to_thread(arrived.wait, 20)
        return JSONResponse(
            {"yours": mine}, headers={name: said.format(mine) for name, said in headers.items()}
        )

    client = serving(endpoint)
    told = all_at_once(cache, lambda _: ask(client), range(3), arrived)
    assert {answer.json()["yours"] for answer in told} == {1, 2, 3}
    if "set-cookie" in headers:
        assert {answer.headers["set-cookie"] for answer in told} == {f"session={n}" for n in (1, 2, 3)}


def test_fifty_at_once_are_one_and_each_gets_all(serving, cache):
    count, arrived = [0], threading.Event()

    async def endpoint(request):
        count[0] += 1

        async def pieces():
            for number in range(20):
                yield f"{number} "
                if number == 10:
                    await asyncio.to_thread(arrived.wait, 20)

        return StreamingResponse(pieces(), media_type="text/plain")

    serving_one = serving(endpoint)
    client = httpx.Client(base_url=serving_one.base_url, timeout=30, limits=httpx.Limits(max_connections=60))
    told = all_at_once(cache, lambda _: ask(client).text, range(50), arrived)
    client.close()
    assert set(told) == {"".join(f"{number} " for number in range(20))}
    assert (len(told), count) == (50, [1])
