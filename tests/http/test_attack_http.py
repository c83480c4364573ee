"""The proxy under attack, over real sockets: requests that no SDK sends, upstreams that lie, and tenants that should not meet."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading

import httpx
import pytest
from doubles.http_questions import QUESTION, WHOLE, all_at_once, chat, events, status
from doubles.http_wire import WireUpstream

from semcache_integrations import SemanticCache
from semcache_integrations.http.proxy import ProxySettings, create_proxy_app
from semcache_integrations.testing import FakeClock, FaultyStore, HashingEmbedder, MemoryStore
from semcache_integrations.testing.serving import Serving

CHAT = "/v1/chat/completions"
PUT, GET = "/semcache/v1/put", "/semcache/v1/get"


@pytest.fixture(scope="module")
def faulty():
    return FaultyStore(MemoryStore())


@pytest.fixture(scope="module")
def kept(faulty):
    with SemanticCache(embedder=HashingEmbedder(), store=faulty, similarity_threshold=0.75) as cache:
        yield cache


@pytest.fixture(scope="module")
def proxy(kept):
    with _serving(kept) as serving:
        yield serving


@contextlib.contextmanager
def _serving(cache, hosts=("127.0.0.1",), **settings):
    app = create_proxy_app(cache, ProxySettings(hosts=hosts, **settings))
    serving = Serving(app, name="proxy", lifespan="on")
    serving.start()
    yield serving
    serving.close()


@pytest.fixture
def client(proxy, kept, faulty):
    faulty.heal()
    kept.clear()
    with httpx.Client(base_url=proxy.origin, timeout=30) as one:
        yield one


def to(wire, path=CHAT, **headers):
    return {"x-llm-proxy-upstream": wire.origin + path, **headers}


def spoken(proxy, *lines, body=b""):
    """Say just these bytes to the proxy; return what it says until it hangs up."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as connection:
        connection.sendall(b"\r\n".join([*lines, b"connection: close", b"", b""]) + body)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def raw_to(wire, path="/v1/x"):
    return f"x-llm-proxy-upstream: {wire.origin}{path}".encode()


@pytest.fixture
def wire():
    with WireUpstream(json.dumps(WHOLE).encode()) as one:
        yield one


# -- requests that no SDK sends ------------------------------------------------------------------------


@pytest.mark.parametrize("host", [b"[", b"a]b/?#", b"[::1", b"x?key=1", b"\xff\xfe", b""])
def test_a_host_header_that_is_none_does_no_harm(proxy, client, wire, host):
    told = spoken(proxy, b"GET /v1/models HTTP/1.1", b"host: " + host, raw_to(wire))
    assert told.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
    body = b'{"key":"a","data":"b"}'
    told = spoken(
        proxy, b"PUT %b HTTP/1.1" % PUT.encode(), b"host: " + host, b"content-length: 22", body=body
    )
    assert told.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


@pytest.mark.parametrize(
    "lines",
    [
        [b"content-length: 1", b"content-length: 2"],
        [b"content-length: -1"],
        [b"content-length: 1, 2"],
        [b"content-length: " + b"9" * 5000],
        [b"transfer-encoding: chunked, chunked"],
        [b"transfer-encoding: gzip"],
        [b"transfer-encoding: xchunked"],
        [b"content-length : 1"],
    ],
)
def test_a_request_whose_length_is_unclear_is_refused_and_asks_nobody(proxy, client, wire, lines):
    told = spoken(proxy, b"POST /v1/x HTTP/1.1", b"host: a", raw_to(wire), *lines, body=b"ab")
    assert told.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413", b"HTTP/1.1 501"))
    assert wire.count == 0


def test_a_length_beside_chunks_does_not_smuggle_a_second_request(proxy, client, wire):
    body = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
    spoken(
        proxy,
        b"POST /v1/x HTTP/1.1",
        b"host: a",
        raw_to(wire),
        b"content-length: 44",
        b"transfer-encoding: chunked",
        body=body,
    )
    assert [(seen[0], seen[1], seen[3]) for seen in wire.seen] in ([], [("POST", "/v1/x", b"")])


def test_a_folded_header_reaches_nobody_as_two(proxy, client, wire):
    spoken(proxy, b"GET /v1/x HTTP/1.1", b"host: a", raw_to(wire), b"x-a: b", b" x-evil: 1")
    assert all("x-evil" not in seen[2] for seen in wire.seen)


def test_a_client_of_http_1_0_gets_its_answer(proxy, client, wire):
    told = spoken(proxy, b"GET /v1/x HTTP/1.0", raw_to(wire))
    assert told.startswith(b"HTTP/1.1 200")
    assert told.endswith(json.dumps(WHOLE).encode())
    assert b"transfer-encoding" not in told.lower()


def test_a_websocket_upgrade_is_a_plain_request_to_the_upstream(proxy, client, wire):
    upgrade = [b"upgrade: websocket", b"sec-websocket-key: x", b"sec-websocket-version: 13"]
    told = spoken(proxy, b"GET /v1/realtime HTTP/1.1", b"host: a", raw_to(wire), *upgrade)
    assert told.startswith(b"HTTP/1.1 200")
    assert "upgrade" not in wire.seen[0][2]


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://evil.example/v1/models HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"TRACE /v1/models HTTP/1.1",
        b"CONNECT evil.example:443 HTTP/1.1",
        b"GET /v1/fi%0Ales HTTP/1.1",
    ],
)
def test_an_odd_request_target_or_method_is_answered_and_never_with_a_500(proxy, client, wire, line):
    told = spoken(proxy, line, b"host: a", raw_to(wire))
    assert told[9:12] in (b"200", b"400", b"404", b"405")
    assert all(seen[1] == "/v1/x" for seen in wire.seen)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/v1/models",
        "/v1/../../etc",
        "/v1/%2e%2e/%2e%2e/x",
        "/v1/a%2Fb",
        "/\\evil.example",
        "/v1/@evil",
    ],
)
def test_a_trick_in_the_path_leads_to_no_other_host(proxy, client, wire, path):
    host = f"x-llm-proxy-host: {wire.origin}".encode()
    told = spoken(proxy, f"GET {path} HTTP/1.1".encode(), b"host: a", host)
    assert told[9:12] in (b"200", b"400", b"404")
    if "%2F" in path:
        assert wire.seen[0][1] == path


@pytest.mark.parametrize(
    "upstream",
    [
        "http://127.0.0.1@evil.example/",
        "http://evil.example#@127.0.0.1/",
        "http://evil.example\\@127.0.0.1/",
        "http://127.0.0.1.evil.example/",
        "http://2130706433/",
        "http://0/",
        "http://[::ffff:127.0.0.1]/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1%00.evil.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
def test_an_upstream_that_reads_in_two_ways_is_refused(client, upstream):
    answer = client.post(CHAT, json=chat(), headers={"x-llm-proxy-upstream": upstream})
    assert answer.status_code in (400, 403)
    assert answer.json()["error"]["message"]


def test_an_upstream_that_is_named_twice_is_refused(proxy, client, wire):
    told = spoken(
        proxy, b"GET /v1/x HTTP/1.1", b"host: a", raw_to(wire), b"x-llm-proxy-upstream: http://127.0.0.1:1/"
    )
    assert told.startswith(b"HTTP/1.1 400")
    assert wire.count == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "codes"),
    [
        ("PUT", PUT, {"key": "\ud800", "data": "b"}, {400, 503}),
        ("PUT", PUT, {"key": "a", "data": "\ud800"}, {400, 503}),
        ("POST", GET, {"key": "\ud800"}, {400, 404}),
        ("PUT", PUT, {"key": "", "data": ""}, {200, 400, 503}),
        ("PUT", PUT, {"key": ["a"], "data": "b"}, {400}),
        ("PUT", PUT, {"key": "a\u0000", "data": "\u0000"}, {200, 400, 503}),
        ("PUT", PUT, {"key": "a" * 100_000, "data": "b"}, {200, 503}),
    ],
)
def test_cache_aside_answers_whatever_text_it_gets(client, method, path, body, codes):
    assert client.request(method, path, content=json.dumps(body)).status_code in codes


@pytest.mark.parametrize("ttl", ["1e308", "nan", "inf", "-1", "1e-320", "0x10", "1_0", "٣"])
def test_a_time_to_live_is_a_number_or_refused(proxy, client, ttl):
    headers = {"x-semcache-ttl": ttl.encode()}
    answer = client.put(PUT, json={"key": "a", "data": "b"}, headers=headers)
    assert answer.status_code in (200, 400, 503)


@pytest.mark.parametrize(
    "path",
    [
        "$['\\u20ac'](",
        "$.\u20ac[",
        "$[?match(@.a,'\\u20ac')==1]",
        "$[?\u20ac()]",
        "$" * 2000,
        "$[99999999999999999999]",
    ],
)
def test_what_is_wrong_with_a_prompt_path_is_said_in_any_alphabet(client, wire, path):
    answer = client.post(CHAT, json=chat(), headers=to(wire, **{"x-llm-prompt": path.encode()}))
    assert (answer.status_code, wire.count) == (400, 0)
    assert "x-llm-prompt" in answer.json()["error"]["message"]


# -- upstreams that lie --------------------------------------------------------------------------------


def test_an_upstream_cannot_speak_for_the_cache(client):
    spoof = {"x-cache-status": "hit", "X-Cache-Entry": "1", "x-cache-tier": "hash", "x-cache-age": "9"}
    with WireUpstream(json.dumps(WHOLE).encode(), headers=spoof) as wire:
        for path, told in ((CHAT, "miss"), ("/v1/embeddings", "bypass")):
            answer = client.post(path, json=chat(), headers=to(wire, path))
            assert status(answer) == told
            assert not {"x-cache-entry", "x-cache-tier", "x-cache-age"} & set(answer.headers)


def test_a_client_cannot_speak_for_the_cache(client, wire):
    spoof = {"x-cache-status": "hit", "x-cache-entry": "1"}
    assert status(client.post(CHAT, json=chat(), headers=to(wire, **spoof))) == "miss"


@pytest.mark.parametrize("code", [204, 304])
def test_an_answer_without_a_body_passes_as_it_is(client, code):
    with _answering(b'HTTP/1.1 %d X\r\netag: "1"\r\n\r\n' % code) as wire:
        answer = client.get("/v1/x", headers=to(wire, "/v1/x"))
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (code, b"", '"1"')


def test_the_head_of_an_answer_keeps_its_length(client):
    with _answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n") as wire:
        answer = client.head("/v1/x", headers=to(wire, "/v1/x"))
        assert (answer.status_code, answer.headers["content-length"]) == (200, "1234")


def test_news_before_the_answer_is_not_the_answer(client):
    with _answering(
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    ) as wire:
        answer = client.get("/v1/x", headers=to(wire, "/v1/x"))
        assert (answer.status_code, answer.text) == (200, "ok")


def test_an_upstream_that_tells_a_length_beside_its_chunks_is_read_by_its_chunks(client):
    with _answering(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    ) as wire:
        answer = client.get("/v1/x", headers=to(wire, "/v1/x"))
        assert (answer.status_code, answer.text) == (200, "abcde")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"rubbish",
        b"HTTP/1.1 200 OK\r\nx : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000,
    ],
)
def test_an_upstream_that_speaks_no_http_is_a_502(client, said):
    with _answering(said) as wire:
        answer = client.post(CHAT, json=chat(), headers=to(wire))
        assert (answer.status_code, answer.json()["error"]["type"]) == (502, "server_error")


@contextlib.contextmanager
def _answering(said):
    """Answer every connection with the same bytes, and hang up."""

    class One:
        origin = ""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        One.origin = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65_536)
                        connection.sendall(said)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield One
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


# -- compression ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepts", "sent"),
    [
        ("gzip, br, zstd", "gzip"),
        ("br", "identity"),
        ("", "identity"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.0, identity", "identity"),
        ("*;q=0, identity;q=1", "identity"),
        ("gzip;q=0.5", "gzip"),
    ],
)
def test_only_what_the_caller_understands_is_asked_for(client, wire, accepts, sent):
    client.post(CHAT, json=chat(), headers=to(wire, **{"accept-encoding": accepts}))
    assert wire.seen[0][2]["accept-encoding"] == sent


def test_who_reads_no_gzip_gets_none_though_an_equal_call_reads_it(client, kept):
    """Two equal calls at once, of which one understands gzip."""
    arrived = threading.Event()
    body = gzip.compress(json.dumps(WHOLE).encode())
    with WireUpstream(arrived, body, headers={"content-encoding": "gzip"}) as wire:

        def ask(accepts):
            return client.post(CHAT, json=chat(), headers=to(wire, **{"accept-encoding": accepts}))

        all_at_once(kept, ask, ("gzip", "identity"), arrived)
        assert sorted(seen[2]["accept-encoding"] for seen in wire.seen) == ["gzip", "identity"]


def test_a_compressed_request_passes_as_it_is(client, wire):
    body = gzip.compress(json.dumps(chat()).encode())
    for _ in range(2):
        said = to(wire, **{"content-encoding": "gzip", "content-type": "application/json"})
        assert status(client.post(CHAT, content=body, headers=said)) == "bypass"
    assert [seen[3] for seen in wire.seen] == [body] * 2


# -- tenants -------------------------------------------------------------------------------------------


def test_equal_calls_of_two_keys_at_once_never_share_a_refusal(client, kept):
    arrived = threading.Event()
    with WireUpstream(arrived, b'{"error": {"message": "bad key 1"}}', status=401) as wire:

        def ask(key):
            return client.post(CHAT, json=chat(), headers=to(wire, authorization=f"Bearer {key}"))

        told = all_at_once(kept, ask, ("1", "2", "3"), arrived)
        assert wire.count == 3
        assert {answer.status_code for answer in told} == {401}


def test_equal_calls_of_two_keys_share_no_refusal_where_they_share_their_entries(wire):
    """As above, where both are one tenant: what is everybody's is an answer, and nobody's refusal."""
    arrived = threading.Event()
    wire.pieces, wire.status = (arrived, b'{"error": {"message": "bad key 1"}}'), 401
    with (
        SemanticCache(embedder=HashingEmbedder()) as cache,
        _serving(cache, share=True) as serving,
        httpx.Client(base_url=serving.origin, timeout=30) as client,
    ):

        def ask(key):
            return client.post(CHAT, json=chat(), headers=to(wire, authorization=f"Bearer {key}"))

        all_at_once(cache, ask, ("1", "2", "3"), arrived)
    assert sorted(seen[2]["authorization"] for seen in wire.seen) == [f"Bearer {key}" for key in "123"]


def test_one_tenants_rate_limit_does_not_shut_out_another_one(kept):
    with (
        WireUpstream(b'{"error": "slow down"}', status=429, headers={"retry-after": "200"}) as wire,
        _serving(kept) as serving,
        httpx.Client(base_url=serving.origin, timeout=30) as client,
    ):
        for _ in range(6):
            client.post(CHAT, json=chat(), headers=to(wire, authorization="Bearer exhausted"))
        wire.status = 200
        answer = client.post(CHAT, json=chat(), headers=to(wire, authorization="Bearer other"))
        assert answer.status_code == 200


def test_a_hit_says_nothing_of_the_first_callers_account(client):
    own = {"set-cookie": "s=1", "x-request-id": "r", "openai-organization": "o", "x-ratelimit-remaining": "1"}
    with WireUpstream(json.dumps(WHOLE).encode(), headers=own) as wire:
        client.post(CHAT, json=chat(), headers=to(wire))
        client.cookies.clear()
        again = client.post(CHAT, json=chat(), headers=to(wire))
        assert status(again) == "hit"
        assert not set(own) & set(again.headers)


@pytest.mark.parametrize(("cookie", "told"), [("__cf_bm=1; Path=/", "hit"), ("session=1; Path=/", "miss")])
def test_a_cookie_that_a_load_balancer_gives_its_clients_makes_no_tenant(client, cookie, told):
    with WireUpstream(json.dumps(WHOLE).encode(), headers={"set-cookie": cookie}) as wire:
        client.post(CHAT, json=chat(), headers=to(wire, authorization="Bearer 1"))
        assert dict(client.cookies)
        again = client.post(CHAT, json=chat(), headers=to(wire, authorization="Bearer 1"))
        assert status(again) == told


def test_a_name_of_a_namespace_is_no_way_into_anothers(client, wire):
    said = to(wire, authorization="Bearer 1")
    client.post(CHAT, json=chat(), headers={**said, "x-semcache-namespace": "a"})
    for name in ("", "b", "A", "a,a", "key-1"):
        answer = client.post(CHAT, json=chat(), headers={**said, "x-semcache-namespace": name})
        assert status(answer) == "miss"
    other = to(wire, authorization="Bearer 2", **{"x-semcache-namespace": "a"})
    assert status(client.post(CHAT, json=chat(), headers=other)) == "miss"


def test_a_client_that_leaves_a_stream_leaves_nothing_behind(client):
    hold = threading.Event()
    first, *rest = events({"role": "assistant", "content": "Par"}, {"content": "is"})
    pieces = (first, hold, *rest, b"data: [DONE]\n\n")
    with WireUpstream(*pieces, headers={"content-type": "text/event-stream"}) as wire:
        with client.stream("POST", CHAT, json=chat(stream=True), headers=to(wire)) as response:
            assert next(response.iter_raw()) == first
        hold.set()
        again = client.post(CHAT, json=chat(stream=True), headers=to(wire))
        assert again.content == b"".join(piece for piece in pieces if piece is not hold)


def test_what_may_no_longer_be_asked_is_no_longer_served(wire):
    with SemanticCache(embedder=HashingEmbedder()) as cache:
        for hosts, code, told in ((("127.0.0.1",), 200, "miss"), (("localhost",), 403, "error")):
            with (
                _serving(cache, hosts) as serving,
                httpx.Client(base_url=serving.origin, timeout=30) as client,
            ):
                answer = client.post(CHAT, json=chat(), headers=to(wire))
                assert (answer.status_code, status(answer)) == (code, told)


def test_nobody_keeps_an_answer_for_longer_than_the_operator(wire):
    clock = FakeClock()
    with (
        SemanticCache(embedder=HashingEmbedder(), clock=clock, ttl_s=60) as cache,
        _serving(cache) as serving,
        httpx.Client(base_url=serving.origin, timeout=30) as client,
    ):
        for passed, told in ((0, "miss"), (59, "hit"), (2, "miss")):
            clock.advance(passed)
            answer = client.post(CHAT, json=chat(), headers=to(wire, **{"x-semcache-ttl": "9999"}))
            assert status(answer) == told


def test_a_secret_keys_the_names_of_the_tenants(wire):
    tenants = set()
    for secret in ("one", "two"):
        store = MemoryStore()
        with (
            SemanticCache(embedder=HashingEmbedder(), store=store, secret=secret) as cache,
            _serving(cache) as serving,
            httpx.Client(base_url=serving.origin, timeout=30) as client,
        ):
            said = to(wire, authorization="Bearer 1")
            told = [client.post(CHAT, json=chat(), headers=said) for _ in range(2)]
            tenants.add(store.find(told[1].headers["x-cache-entry"]).namespace.tenant)
    assert len(tenants) == 2


# -- a cache that is ill -------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["fail", "garble"])
def test_a_store_that_fails_or_lies_fails_no_request(client, faulty, wire, fault):
    client.post(CHAT, json=chat(), headers=to(wire))
    getattr(faulty, fault)()
    for question in (QUESTION, "Another one?"):
        answer = client.post(CHAT, json=chat(question), headers=to(wire))
        assert (answer.status_code, answer.json()["choices"]) == (200, WHOLE["choices"])


def test_a_store_that_fails_under_cache_aside_is_no_500(client, faulty):
    faulty.fail()
    assert client.put(PUT, json={"key": "z", "data": "b"}).status_code in (200, 503)
    assert client.post(GET, json={"key": "never put"}).status_code == 404


def test_an_embedder_that_fails_fails_no_request(wire):
    class Failing(HashingEmbedder):
        def embed(self, text):
            raise MemoryError("no room")

    with (
        SemanticCache(embedder=Failing()) as cache,
        _serving(cache) as serving,
        httpx.Client(base_url=serving.origin, timeout=30) as client,
    ):
        for _ in range(2):
            assert client.post(CHAT, json=chat(), headers=to(wire)).status_code == 200


def test_a_closed_cache_fails_no_request(wire):
    cache = SemanticCache(embedder=HashingEmbedder())
    with _serving(cache) as serving, httpx.Client(base_url=serving.origin, timeout=30) as client:
        cache.close()
        for _ in range(2):
            assert client.post(CHAT, json=chat(), headers=to(wire)).status_code == 200
        assert client.post(GET, json={"key": "a"}).status_code in (404, 503)
        assert client.put(PUT, json={"key": "a", "data": "b"}).status_code in (200, 503)


def test_what_was_kept_outlives_the_proxy(wire, tmp_path):
    for told in ("miss", "hit"):
        with (
            SemanticCache(embedder=HashingEmbedder(), path=tmp_path) as cache,
            _serving(cache) as serving,
            httpx.Client(base_url=serving.origin, timeout=30) as client,
        ):
            assert status(client.post(CHAT, json=chat(), headers=to(wire))) == told


def test_a_large_upload_that_is_no_question_passes(client, wire):
    body = b"x" * (33 * 2**20)
    answer = client.post("/v1/files", content=body, headers=to(wire, "/v1/files"))
    assert (answer.status_code, len(wire.seen[0][3])) == (200, len(body))
