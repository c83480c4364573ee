"""The middleware around real applications over real sockets, and what must never happen to them."""

from __future__ import annotations

import asyncio
import json
import threading

import httpx
import pytest
from doubles.http_questions import OTHER, QUESTION, REWORDED, all_at_once, chat, status
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay
from semcache_integrations.http.middleware import SemanticCacheMiddleware
from semcache_integrations.testing.serving import Serving


class Application:
    """A FastAPI application that counts what reaches it."""

    def __init__(self):
        self.count = 0
        self.release = threading.Event()
        self.gone = threading.Event()
        self.app = FastAPI()
        self.app.post("/ask")(self.ask)
        self.app.post("/stream")(self.stream)
        self.app.post("/slow")(self.slow)
        self.app.post("/never-kept/{how}")(self.never_kept)
        self.app.get("/ask")(self.told)
        self.app.post("/echo")(self.echo)

    async def ask(self, body: dict):
        self.count += 1
        return {"answer": f"number {self.count}", "model": body.get("model")}

    async def told(self):
        self.count += 1
        return {"count": self.count}

    async def echo(self, request: Request):
        return Response(await request.body(), media_type="application/octet-stream")

    async def stream(self, body: dict):
        self.count += 1
        words = [f"answer {self.count}: ", "one ", "two ", "three"]

        async def pieces():
            for word in words:
                yield word
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), media_type=body.get("type", "text/plain"))

    async def slow(self, body: dict):
        """Stream one piece, and the rest when it is allowed to."""
        self.count += 1

        async def pieces():
            try:
                yield "first "
                await asyncio.to_thread(self.release.wait, 20)
                yield "second"
            except asyncio.CancelledError:
                self.gone.set()
                raise

        return StreamingResponse(pieces(), media_type="text/plain")

    async def never_kept(self, how: str, body: dict):
        self.count += 1
        answer = {"answer": self.count}
        if how == "cookie":
            response = JSONResponse(answer)
            response.set_cookie("session", "1")
            return response
        if how == "error":
            return JSONResponse({"error": "no"}, 200)
        if how == "status":
            return JSONResponse(answer, 404)
        if how == "binary":
            return Response(b"\xff\xfe", media_type="image/png")
        return PlainTextResponse("x", headers={"cache-control": how})


@pytest.fixture
def serving(cache):
    """Run an application behind the middleware; return a client of it."""
    running = []

    def serve(app, **settings):
        one = Serving(SemanticCacheMiddleware(app, cache=cache, **settings), name="application")
        one.start()
        client = httpx.Client(base_url=one.origin, timeout=30)
        running.append((one, client))
        return client

    yield serve
    for one, client in running:
        client.close()
        one.close()


@pytest.fixture
def application():
    return Application()


@pytest.fixture
def client(serving, application):
    return serving(application.app)


def ask(client, question=QUESTION, path="/ask", headers=None, **more):
    return client.post(path, json={"query": question, **more}, headers=headers)


def test_a_repeat_and_a_rewording_hit_and_another_question_or_another_field_does_not(client, application):
    told = [ask(client), ask(client), ask(client, REWORDED)]
    assert [status(answer) for answer in told] == ["miss", "hit", "hit"]
    assert {answer.json()["answer"] for answer in told} == {"number 1"}
    assert [status(ask(client, OTHER)), status(ask(client, language="de"))] == ["miss", "miss"]
    assert application.count == 3


@pytest.mark.parametrize("kind", ["text/plain", "text/event-stream", "application/x-ndjson"])
def test_a_streaming_response_is_kept_when_it_is_whole_and_the_server_lives_on(client, application, kind):
    first = ask(client, path="/stream", type=kind)
    for _ in range(5):  # the predecessor froze here
        again = ask(client, path="/stream", type=kind)
        assert (again.text, status(again)) == (first.text, "hit")
        assert again.headers["content-type"] == first.headers["content-type"]
    assert client.get("/ask").json() == {"count": 2}


def test_a_stream_passes_live(client, application):
    with client.stream("POST", "/slow", json={"query": QUESTION}) as response:
        pieces = response.iter_text()
        assert next(pieces) == "first "
        application.release.set()
        assert "".join(pieces) == "second"
    assert ask(client, path="/slow").text == "first second"
    assert application.count == 1


def test_a_client_that_leaves_ends_the_stream_and_nothing_is_kept(client, application):
    with client.stream("POST", "/slow", json={"query": QUESTION}) as response:
        next(response.iter_text())
    assert application.gone.wait(10)
    application.release.set()
    assert status(ask(client, path="/slow")) == "miss"


def test_a_client_that_leaves_takes_nothing_from_another_one_who_reads_the_same(client, application):
    with client.stream("POST", "/slow", json={"query": QUESTION}) as first:
        held = first.iter_text()
        assert next(held) == "first "
        with client.stream("POST", "/slow", json={"query": QUESTION}) as second:
            pieces = second.iter_text()
            assert next(pieces) == "first "
            first.close()
            application.release.set()
            assert "".join(pieces) == "second"
    assert application.count == 1


@pytest.mark.parametrize("how", ["cookie", "error", "status", "binary", "no-store", "private, max-age=3"])
def test_what_must_not_be_kept_is_not(client, application, how):
    told = [ask(client, path=f"/never-kept/{how}") for _ in range(2)]
    assert [status(answer) for answer in told] == ["miss", "miss"]
    assert application.count == 2
    assert told[0].status_code == (404 if how == "status" else 200)


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("/echo", b'{"a": 1}', "application/json"),
        ("/echo", b'{"query": 7}', "application/json"),
        ("/echo", b'{"query": "x", "query": "y"}', "application/json"),
        ("/echo", b"{", "application/json"),
        ("/echo", b'{"query": "x"}', "text/plain"),
        ("/echo", b"", "application/json"),
        ("/echo", b"x" * 300_000, "application/json"),
    ],
)
def test_what_is_no_question_reaches_the_application_as_it_came(serving, application, path, content, kind):
    client = serving(application.app, largest=200_000)
    for _ in range(2):
        answer = client.post(path, content=content, headers={"content-type": kind})
        assert (answer.content, status(answer)) == (content, None)


def test_other_methods_and_other_paths_are_left_alone(serving, application):
    client = serving(application.app, path_prefix=["/stream", "/nowhere"])
    assert [status(ask(client)), status(client.get("/ask"))] == [None, None]
    assert status(ask(client, path="/stream")) == "miss"


@pytest.mark.parametrize("header", ["authorization", "cookie", "x-api-key", "x-tenant"])
def test_nobody_gets_what_belongs_to_another_one(client, header):
    for who, told in (("a", "miss"), ("a", "hit"), ("b", "miss")):
        assert status(ask(client, headers={header: who})) == told


def test_whose_a_request_is_can_be_said_and_shared(serving, application):
    by_team = serving(application.app, tenant_of=lambda call: call.header("x-team"))
    for team, key, told in (("a", "1", "miss"), ("a", "2", "hit"), ("b", "1", "miss")):
        headers = {"x-team": team, "authorization": key}
        assert status(ask(by_team, headers=headers)) == told
    shared = serving(application.app, share=True)
    for key, told in (("1", "miss"), ("2", "hit")):
        assert status(ask(shared, headers={"authorization": key})) == told


def test_question_and_model_are_found_by_the_users_own_functions(serving, application, cache):
    client = serving(
        application.app,
        extract_query=lambda body: body["messages"][-1]["content"] if "messages" in body else None,
        extract_model=lambda body: f"our-{body['model']}",
    )
    assert [status(client.post("/ask", json=chat(q))) for q in (QUESTION, REWORDED)] == ["miss", "hit"]
    assert cache.invalidate(model="our-gpt-4o-mini") == 1
    assert status(ask(client)) is None


def test_a_function_that_fails_leaves_the_request_alone(serving, application):
    client = serving(application.app, extract_query=lambda body: body["nothing"])
    assert [ask(client).json()["answer"] for _ in range(2)] == ["number 1", "number 2"]


def test_an_application_that_fails_fails_as_it_does_without(serving):
    def fails(request):
        raise RuntimeError("the application's own")

    app = Starlette(routes=[Route("/ask", fails, methods=["POST"])])
    client = serving(app)
    last = {"connection": "close"}  # the server hangs up on an application that fails
    assert [ask(client, headers=last).status_code for _ in range(2)] == [500, 500]


def test_equal_requests_run_the_application_once(client, application, cache):
    told = all_at_once(cache, lambda _: ask(client, path="/slow"), range(6), application.release)
    assert {answer.text for answer in told} == {"first second"}
    assert application.count == 1


def test_texts_are_replayed_in_pieces(serving, application):
    client = serving(application.app, replay=Replay("words", 1))
    ask(client, path="/stream")
    with client.stream("POST", "/stream", json={"query": QUESTION}) as response:
        assert len(list(response.iter_raw())) > 1


def test_lifespan_and_websockets_are_the_applications(cache):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(SemanticCacheMiddleware(app, cache=cache)({"type": "lifespan"}, None, None))
    asyncio.run(SemanticCacheMiddleware(app, cache=cache)({"type": "websocket", "path": "/"}, None, None))
    assert seen == ["lifespan", "websocket"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"extract_query": "query"},
        {"replay": "words"},
        {"path": "x"},
        {"path_prefix": "ask"},
        {"path_prefix": ["/ask", "b"]},
        {"tenant_of": "x-user"},
    ],
)
def test_a_setting_that_cannot_work_is_the_users_error_at_once(cache, wrong):
    with pytest.raises(ConfigurationError):
        SemanticCacheMiddleware(json, cache=cache, **wrong)


def test_one_method_needs_no_list(serving, application):
    client = serving(application.app, methods="post")
    assert [status(client.post("/ask", json={"query": QUESTION})) for _ in range(2)] == ["miss", "hit"]


@pytest.mark.parametrize("given", [{}, {"hash_only": True}])
def test_a_misspelt_argument_of_its_own_is_told_from_a_setting_of_the_cache(cache, given):
    ready = {} if given else {"cache": cache}
    with pytest.raises(ConfigurationError, match="is path_prefix meant"):
        SemanticCacheMiddleware(json, path_prefx="/ask", **ready, **given)
    with pytest.raises(ConfigurationError, match="is similarity_threshold meant"):
        SemanticCacheMiddleware(json, similarity_treshold=0.9, **given)
