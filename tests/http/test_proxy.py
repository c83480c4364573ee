"""The proxy over real sockets: the real SDKs, the frameworks and the published client pointed at it, and what it refuses."""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection

import anthropic
import httpx
import openai
import pytest
from doubles.http_questions import OTHER, QUESTION, REWORDED, WHOLE, all_at_once, chat, events, status
from doubles.http_wire import WireUpstream

from semcache_integrations import SemanticCache
from semcache_integrations.http.providers import ANTHROPIC, DEFAULT, OPENAI
from semcache_integrations.http.proxy import ProxySettings, create_proxy_app
from semcache_integrations.testing import HashingEmbedder
from semcache_integrations.testing.serving import Serving


@pytest.fixture(scope="module")
def kept():
    with SemanticCache(embedder=HashingEmbedder(), similarity_threshold=0.75) as cache:
        yield cache


@pytest.fixture(scope="module")
def proxy(running_provider, kept):
    settings = ProxySettings(
        hosts=("127.0.0.1", "localhost"),
        providers=DEFAULT.with_provider(_at(OPENAI, running_provider.origin)).with_provider(
            _at(ANTHROPIC, running_provider.origin)
        ),
    )
    serving = Serving(create_proxy_app(kept, settings), name="proxy", lifespan="on")
    serving.start()
    yield serving
    serving.close()


def _at(provider, base):
    return type(provider)(provider.name, base, provider.routes)


@pytest.fixture
def client(proxy, kept, provider):
    """A plain client of the proxy, whose cache is empty and whose provider has been asked nothing."""
    kept.clear()
    with httpx.Client(base_url=proxy.origin, timeout=30) as one:
        yield one


CHAT = "/v1/chat/completions"


# -- whoever is pointed at it --------------------------------------------------------------------------


def test_the_openai_sdk_hits_with_chat_and_responses_plain_and_streamed(client, proxy, provider):
    with openai.OpenAI(base_url=f"{proxy.origin}/v1", api_key="sk-1", max_retries=0) as sdk:
        first = sdk.chat.completions.create(**chat()).choices[0].message.content
        chunks = list(sdk.chat.completions.create(**chat(REWORDED, stream=True)))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == first
        response = sdk.responses.create(model="gpt-4o-mini", input=QUESTION)
        typed = list(sdk.responses.create(model="gpt-4o-mini", input=REWORDED, stream=True))
        assert typed[-1].response.output_text == response.output_text
        assert sdk.models.list().data  # any other path is passed through
    assert provider.count == 2


def test_the_anthropic_sdk_hits_plain_and_streamed(client, proxy, provider):
    with anthropic.Anthropic(base_url=proxy.origin, api_key="sk-1", max_retries=0) as sdk:
        asked = {"model": "claude-fake", "max_tokens": 99}
        first = sdk.messages.create(**asked, messages=[{"role": "user", "content": QUESTION}])
        with sdk.messages.stream(**asked, messages=[{"role": "user", "content": REWORDED}]) as stream:
            assert stream.get_final_message().content[0].text == first.content[0].text
    assert provider.count == 1


def test_langchain_and_litellm_hit_each_others_entries(client, proxy, provider):
    import litellm
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o-mini", base_url=f"{proxy.origin}/v1", api_key="sk-1", max_retries=0)
    first = model.invoke(QUESTION).content
    assert model.invoke(REWORDED).content == first
    assert "".join(chunk.content for chunk in model.stream(QUESTION)) == first
    answer = litellm.completion(
        model="openai/gpt-4o-mini",
        api_base=f"{proxy.origin}/v1",
        api_key="sk-1",
        messages=[{"role": "user", "content": QUESTION}],
    )
    assert answer.choices[0].message.content == first
    assert provider.count == 1


def test_the_published_client_puts_and_gets(client, proxy):
    from semcache import Semcache

    with Semcache(base_url=proxy.origin) as published:
        assert published.get("What is the price?") is None
        published.put("What is the price?", "«€5» — ok")
        assert published.get("What is the price?") == "«€5» — ok"
        assert published.get("What's the price?") == "«€5» — ok"
        assert published.get(OTHER) is None


# -- what the cache did --------------------------------------------------------------------------------


def test_headers_tell_miss_hit_and_bypass(client):
    told = [client.post(CHAT, json=chat(question)) for question in (QUESTION, QUESTION, REWORDED)]
    assert [status(answer) for answer in told] == ["miss", "hit", "hit"]
    assert told[2].headers["x-cache-tier"] == "semantic"
    assert int(told[1].headers["x-cache-age"]) >= 0
    assert status(client.get("/v1/models")) == "bypass"


def test_other_routes_of_the_seed_share_the_entry(client, proxy, provider):
    client.post(CHAT, json=chat())
    assert status(client.post("/chat/completions", json=chat())) == "hit"
    where = {"x-llm-proxy-upstream": f"{provider.origin}/v1/chat/completions"}
    assert status(client.post("/semcache/v1/chat/completions", json=chat(), headers=where)) == "hit"
    assert provider.count == 1


def test_a_prompt_path_says_what_may_be_reworded(client, provider):
    def body(question):
        return {"model": "m", "ask": {"q": question}, "k": 3}

    with WireUpstream(b'{"answer": "Paris"}') as wire:
        said = {"x-llm-prompt": "$.ask.q", "x-llm-proxy-upstream": f"{wire.origin}/v1/ask"}
        told = [
            client.post("/semcache/v1/ask", json=body(asked), headers=said) for asked in (QUESTION, REWORDED)
        ]
        assert [status(answer) for answer in told] == ["miss", "hit"]
        assert told[1].json() == {"answer": "Paris"}
        other = client.post("/semcache/v1/ask", json={**body(QUESTION), "k": 4}, headers=said)
        assert (status(other), wire.count) == ("miss", 2)
        assert wire.seen[0][3] == json.dumps(body(QUESTION), separators=(",", ":")).encode()
        assert not [name for name in wire.seen[0][2] if name.lower().startswith(("x-llm", "x-semcache"))]


def test_another_key_never_meets_an_entry(client, provider):
    for key, told in (("1", "miss"), ("1", "hit"), ("2", "miss"), ("", "miss")):
        answer = client.post(CHAT, json=chat(), headers={"authorization": f"Bearer {key}"} if key else {})
        assert status(answer) == told


def test_cache_aside_is_scoped_by_the_credential_and_apart_from_calls(client, provider):
    mine, other = {"authorization": "Bearer 1"}, {"authorization": "Bearer 2"}
    client.put("/semcache/v1/put", json={"key": QUESTION, "data": "mine"}, headers=mine)
    assert client.post("/semcache/v1/get", json={"key": QUESTION}, headers=mine).text == "mine"
    assert client.post("/semcache/v1/get", json={"key": QUESTION}, headers=other).status_code == 404
    assert status(client.post(CHAT, json=chat(), headers=mine)) == "miss"


# -- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "content", "headers", "code", "word"),
    [
        (CHAT, b"{", {}, 400, "JSON"),
        (CHAT, b"[]", {}, 400, "object"),
        (CHAT, b'{"a":' * 100_000, {}, 400, "nested"),
        (CHAT, b"[" * 100_000, {}, 400, "nested"),
        (CHAT, b'"\xff"', {}, 400, "UTF-8"),
        (CHAT, json.dumps(chat()).encode(), {"x-llm-prompt": "$.["}, 400, "x-llm-prompt"),
        (CHAT, json.dumps(chat()).encode(), {"x-semcache-ttl": "soon"}, 400, "x-semcache-ttl"),
        (CHAT, b"{}", {"x-llm-proxy-upstream": "http://169.254.169.254/v1"}, 403, "allowed"),
        (CHAT, b"{}", {"x-llm-proxy-upstream": "http://10.0.0.1/v1"}, 403, "allowed"),
        (CHAT, b"{}", {"x-llm-proxy-upstream": "http://u:p@127.0.0.1/v1"}, 400, "credentials"),
        (CHAT, b"{}", {"x-llm-proxy-host": "ftp://127.0.0.1"}, 400, "http"),
        ("/semcache/v1/chat/completions", b"{}", {}, 400, "x-llm-proxy-upstream"),
        ("/semcache/v1/put", b"{", {}, 405, "PUT"),
    ],
)
def test_what_is_wrong_is_said_in_the_providers_shape_and_asks_nobody(
    client, provider, path, content, headers, code, word
):
    said = {"content-type": "application/json", **headers}
    answer = client.post(path, content=content, headers=said)
    assert (answer.status_code, provider.count) == (code, 0)
    said = answer.json()["error"]["message"]
    assert word in said
    assert status(answer) == "error"
    if not path.startswith("/semcache/v1/put"):
        latest = client.get("/admin/data").json()["recent"][0]
        assert (latest["status"], latest["http_status"]) == ("error", code)
        assert latest["reason"][:60] == said[:60]


def test_anthropics_errors_have_its_own_shape(client):
    answer = client.post("/v1/messages", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "error")


def test_a_body_that_is_too_large_is_refused_by_its_head_and_by_its_bytes(proxy, client, provider):
    def endless():
        for _ in range(40):
            yield b"x" * 2**20

    kind = {"content-type": "application/json"}
    assert client.post(CHAT, content=endless(), headers=kind).status_code == 413
    told = HTTPConnection("127.0.0.1", proxy.port)
    told.putrequest("POST", CHAT)
    told.putheader("content-type", "application/json")
    told.putheader("content-length", "99999999")
    told.endheaders()
    assert told.getresponse().status == 413
    told.close()
    assert provider.count == 0


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW"])
def test_a_method_that_cannot_be_passed_on_is_refused_in_the_providers_shape(client, method):
    answer = client.request(method, CHAT)
    assert (answer.status_code, answer.json()["error"]["type"]) == (405, "invalid_request_error")


def test_an_upstream_that_is_not_there_is_a_502(client):
    where = {"x-llm-proxy-upstream": "http://127.0.0.1:9/v1/chat/completions"}
    answer = client.post(CHAT, json=chat(), headers=where)
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "server_error")


@pytest.mark.parametrize("code", [301, 400, 401, 429, 500])
def test_the_upstreams_own_errors_pass_and_are_not_kept(client, code):
    with WireUpstream(
        b'{"error": "own"}', status=code, headers={"location": "/x", "retry-after": "7"}
    ) as wire:
        where = {"x-llm-proxy-upstream": f"{wire.origin}/v1/chat/completions"}
        for _ in range(2):
            answer = client.post(CHAT, json=chat(), headers=where, follow_redirects=False)
            assert (answer.status_code, answer.json(), status(answer)) == (code, {"error": "own"}, "miss")
        assert wire.count == 2


def test_headers_for_one_hop_go_no_further_in_either_direction(client):
    hop = {"connection": "keep-alive, x-mine", "x-mine": "1", "te": "trailers", "x-llm-prompt": "$.a"}
    with WireUpstream(b"{}", headers={"connection": "x-theirs", "x-theirs": "1", "x-kept": "1"}) as wire:
        where = {"x-llm-proxy-upstream": f"{wire.origin}/v1/embeddings"}
        answer = client.post("/v1/embeddings", json={"a": "b"}, headers={**hop, **where})
        seen = {name.lower() for name in wire.seen[0][2]}
    assert seen.isdisjoint({"x-mine", "te", "x-llm-prompt", "x-llm-proxy-upstream"})
    assert "x-theirs" not in answer.headers
    assert answer.headers["x-kept"] == "1"


# -- streams -------------------------------------------------------------------------------------------


def test_a_stream_is_live_through_the_proxy_and_kept_when_it_is_whole(client):
    told = threading.Event()
    first, *rest = events({"role": "assistant", "content": "Par"}, {"content": "is"})
    with WireUpstream(
        first, told, *rest, b"data: [DONE]\n\n", headers={"content-type": "text/event-stream"}
    ) as wire:
        where = {"x-llm-proxy-upstream": f"{wire.origin}/v1/chat/completions"}
        with client.stream("POST", CHAT, json=chat(stream=True), headers=where) as response:
            pieces = response.iter_bytes()
            assert next(pieces) == first  # before the rest is sent
            told.set()
            list(pieces)
        again = client.post(CHAT, json=chat(stream=True), headers=where)
        assert (status(again), wire.count) == ("hit", 1)


def test_equal_calls_are_one_call_upstream(client, kept):
    arrived = threading.Event()
    with WireUpstream(arrived, json.dumps(WHOLE).encode()) as wire:
        where = {"x-llm-proxy-upstream": f"{wire.origin}/v1/chat/completions"}
        told = all_at_once(kept, lambda _: client.post(CHAT, json=chat(), headers=where), range(8), arrived)
        assert [answer.json() for answer in told] == [WHOLE] * 8
        assert wire.count == 1


def test_it_says_that_it_lives_and_is_ready(client):
    assert client.get("/").status_code == client.get("/healthz").status_code == 200
    assert client.get("/readyz").json() == {"ready": True}
