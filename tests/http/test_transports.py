"""The transports below the real SDKs and below plain clients: what is served, what is kept, and what passes untouched."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import anthropic
import httpx
import httpx2
import openai
import pytest
from doubles.http_questions import OTHER, QUESTION, REWORDED, WHOLE, all_at_once, chat, events, status
from doubles.http_wire import WireUpstream

from semcache_integrations import SemanticCache, scope
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay
from semcache_integrations.httpx2 import AsyncSemanticCacheTransport, SemanticCacheTransport
from semcache_integrations.testing import HashingEmbedder, MemoryStore

# -- the SDKs ------------------------------------------------------------------------------------------


@pytest.fixture
def cached(cache):
    """The arguments that let an SDK's calls go through the cache."""
    network = httpx2.Client(transport=SemanticCacheTransport(cache))
    return {"api_key": "sk-1", "max_retries": 0, "http_client": network}


@pytest.fixture
def openai_sdk(cached, provider):
    with openai.OpenAI(base_url=provider.url, **cached) as sdk:
        yield sdk


@pytest.fixture
def anthropic_sdk(cached, provider):
    with anthropic.Anthropic(base_url=provider.origin, **cached) as sdk:
        yield sdk


def says_chat(sdk, question, **more):
    return sdk.chat.completions.create(**chat(question, **more)).choices[0].message.content


def streams_chat(sdk, question, **more):
    chunks = sdk.chat.completions.create(**chat(question, stream=True, **more))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def says_response(sdk, question, **more):
    return sdk.responses.create(model="gpt-4o-mini", input=question, **more).output_text


def streams_response(sdk, question, **more):
    events = sdk.responses.create(model="gpt-4o-mini", input=question, stream=True, **more)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def says_message(sdk, question, **more):
    asked = [{"role": "user", "content": question}]
    answer = sdk.messages.create(model="claude-fake", max_tokens=99, messages=asked, **more)
    return answer.content[0].text


def streams_message(sdk, question, **more):
    asked = [{"role": "user", "content": question}]
    with sdk.messages.stream(model="claude-fake", max_tokens=99, messages=asked, **more) as stream:
        return "".join(stream.text_stream)


USAGE = {"stream_options": {"include_usage": True}}
WAYS = [
    pytest.param("openai_sdk", says_chat, lambda *a, **k: streams_chat(*a, **USAGE, **k), id="chat"),
    pytest.param("openai_sdk", says_response, streams_response, id="responses"),
    pytest.param("anthropic_sdk", says_message, streams_message, id="messages"),
]


@pytest.mark.parametrize(("name", "plain", "streamed"), WAYS)
@pytest.mark.parametrize("order", ["plain first", "stream first"])
def test_one_entry_serves_an_sdks_plain_calls_and_its_streams(
    request, provider, name, plain, streamed, order
):
    sdk = request.getfixturevalue(name)
    first, second = (plain, streamed) if order == "plain first" else (streamed, plain)
    answer = first(sdk, QUESTION)
    assert QUESTION in answer
    assert [second(sdk, QUESTION), first(sdk, QUESTION), second(sdk, REWORDED)] == [answer] * 3
    assert provider.count == 1


@pytest.mark.parametrize(("name", "plain", "streamed"), WAYS)
def test_another_question_model_setting_or_system_prompt_goes_upstream(
    request, provider, name, plain, streamed
):
    sdk = request.getfixturevalue(name)
    plain(sdk, QUESTION)
    plain(sdk, OTHER)
    plain(sdk, QUESTION, extra_body={"temperature": 0.5})
    plain(sdk, REWORDED, extra_body={"instructions": "be brief"})
    streamed(sdk, QUESTION, extra_headers={"x-vendor-route": "b"})
    assert provider.count == 5


def test_a_stream_without_token_counts_serves_streams_and_not_a_plain_call_that_expects_them(
    openai_sdk, provider
):
    answer = streams_chat(openai_sdk, QUESTION)
    assert streams_chat(openai_sdk, QUESTION) == answer
    assert provider.count == 1
    whole = openai_sdk.chat.completions.create(**chat())
    assert (whole.usage.total_tokens > 0, provider.count) == (True, 2)
    assert streams_chat(openai_sdk, QUESTION, **USAGE) == whole.choices[0].message.content
    assert provider.count == 2  # the plain answer has taken the entry


async def test_the_async_sdks_hit_too(cache, provider):
    http = httpx2.AsyncClient(transport=AsyncSemanticCacheTransport(cache))
    async with openai.AsyncOpenAI(base_url=provider.url, api_key="sk-1", http_client=http) as sdk:
        first = await sdk.chat.completions.create(**chat())
        stream = await sdk.chat.completions.create(**chat(REWORDED, stream=True, **USAGE))
        chunks = [chunk async for chunk in stream]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == first.choices[0].message.content
    assert chunks[-1].usage == first.usage
    assert provider.count == 1


def test_a_tool_call_is_replayed_with_an_id_of_its_own_and_is_never_reworded(openai_sdk, provider):
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    asked = chat("What is the weather in Paris?", tools=[tool])
    first, again = (openai_sdk.chat.completions.create(**asked) for _ in range(2))
    calls = [answer.choices[0].message.tool_calls[0] for answer in (first, again)]
    assert calls[0].function == calls[1].function
    assert calls[0].id != calls[1].id
    openai_sdk.chat.completions.create(**chat("What's the weather in Paris?", tools=[tool]))
    assert provider.count == 2


# -- plain clients -------------------------------------------------------------------------------------


def test_a_plain_client_is_told_what_the_cache_did(client, provider):
    url = f"{provider.url}/chat/completions"
    answers = [client.post(url, json=chat(asked)) for asked in (QUESTION, QUESTION, REWORDED)]
    assert [status(answer) for answer in answers] == ["miss", "hit", "hit"]
    assert answers[0].headers["x-cache-reason"] == "not_found"
    assert [answer.headers["x-cache-tier"] for answer in answers[1:]] == ["hash", "semantic"]
    assert float(answers[1].headers["x-cache-similarity"]) == 1
    assert 0.75 <= float(answers[2].headers["x-cache-similarity"]) < 1
    assert {answer.headers["x-cache-entry"] for answer in answers[1:]} != {""}
    assert {answer.json()["choices"][0]["message"]["content"] for answer in answers} == {
        answers[0].json()["choices"][0]["message"]["content"]
    }
    assert provider.count == 1


async def test_a_plain_async_client_too(aclient, provider):
    url = f"{provider.url}/chat/completions"
    answers = [await aclient.post(url, json=chat()) for _ in range(2)]
    assert [status(answer) for answer in answers] == ["miss", "hit"]
    assert answers[0].json() == answers[1].json()


def test_a_hit_is_json_or_events_as_asked(client, provider):
    url = f"{provider.url}/chat/completions"
    client.post(url, json=chat())
    plain = client.post(url, json=chat())
    streamed = client.post(url, json=chat(stream=True))
    assert plain.headers["content-type"] == "application/json"
    assert int(plain.headers["content-length"]) == len(plain.content)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert provider.count == 1


def test_key_order_zero_and_defaults_are_one_question_and_other_values_are_not(client, provider):
    url = f"{provider.url}/chat/completions"
    body = chat(temperature=0)
    client.post(url, json=body)
    for same in (
        dict(reversed(body.items())),
        {**body, "temperature": 0.0},
        {**body, "n": 1, "stream": False},
        {**body, "metadata": {"run": "7"}},
    ):
        assert status(client.post(url, json=same)) == "hit"
    for other in (
        {**body, "n": 2},
        {**body, "seed": 1},
        {**body, "temperature": False},
        {**body, "user": "a"},
    ):
        assert status(client.post(url, json=other)) == "miss"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer sk-2"},
        {"x-api-key": "sk-2"},
        {"cookie": "session=2"},
        {"openai-organization": "org-2"},
        {"x-semcache-namespace": "two"},
        {"x-nobody-knows": "2"},
    ],
)
def test_another_callers_or_another_versions_entries_are_never_served(client, provider, headers):
    url = f"{provider.url}/chat/completions"
    usual = {"authorization": "Bearer sk-1"}
    assert status(client.post(url, json=chat(), headers=usual)) == "miss"
    assert status(client.post(url, json=chat(), headers={**usual, **headers})) == "miss"
    assert status(client.post(url, json=chat(), headers={**usual, "x-stainless-retry-count": "1"})) == "hit"
    assert status(client.post(url, json=chat(), headers={**usual, "user-agent": "another"})) == "hit"


def test_a_key_in_the_query_is_a_credential_and_anything_else_in_it_is_keyed(client, provider):
    url = f"{provider.url}/chat/completions"
    for query in ("?key=1", "?key=2", "?api-version=1", "?api-version=2", "?max_tokens=2"):
        assert status(client.post(url + query, json=chat())) == "miss"
    assert status(client.post(url + "?api-version=2", json=chat())) == "hit"


def test_shared_entries_are_everybodys_but_not_their_errors(cache, provider):
    url = f"{provider.url}/chat/completions"
    with httpx2.Client(transport=SemanticCacheTransport(cache, share=True)) as client:
        client.post(url, json=chat(), headers={"authorization": "Bearer 1"})
        assert status(client.post(url, json=chat(), headers={"authorization": "Bearer 2"})) == "hit"
        assert (
            status(client.post(url, json=chat(), headers={"authorization": "Bearer 2", "x-other": "1"}))
            == "miss"
        )


def test_whoever_says_whose_a_call_is_replaces_the_credential(cache, provider):
    url = f"{provider.url}/chat/completions"
    transport = SemanticCacheTransport(cache, tenant_of=lambda call: call.header("x-team"))
    with httpx2.Client(transport=transport) as client:
        for team, key, told in (("a", "1", "miss"), ("a", "2", "hit"), ("b", "1", "miss")):
            headers = {"x-team": team, "authorization": key}
            assert status(client.post(url, json=chat(), headers=headers)) == told


@pytest.mark.parametrize(
    ("wish", "first", "second", "count"),
    [
        ({"cache-control": "no-cache"}, "miss", "miss", 2),
        ({"cache-control": "no-store"}, "miss", "miss", 2),
        ({"cache-control": "max-age=60"}, "miss", "hit", 1),
        ({"cache-control": "max-age=0"}, "miss", "hit", 1),  # the clock stands still
        ({"x-semcache-ttl": "60"}, "miss", "hit", 1),
        ({"x-semcache-ttl": "0"}, "miss", "miss", 2),
        ({"x-semcache-threshold": "1"}, "miss", "hit", 1),
        ({"x-semcache-semantic": "false"}, "miss", "hit", 1),
    ],
)
def test_wishes_that_a_repeat_meets(client, provider, wish, first, second, count):
    url = f"{provider.url}/chat/completions"
    told = [status(client.post(url, json=chat(), headers=wish)) for _ in range(2)]
    assert (told, provider.count) == ([first, second], count)


@pytest.mark.parametrize("wish", [{"x-semcache-threshold": "0.999"}, {"x-semcache-semantic": "false"}])
def test_wishes_that_a_rewording_meets(client, provider, wish):
    url = f"{provider.url}/chat/completions"
    client.post(url, json=chat())
    assert status(client.post(url, json=chat(REWORDED), headers=wish)) == "miss"
    assert status(client.post(url, json=chat(REWORDED))) == "hit"


def test_only_if_cached_never_goes_upstream(client, provider):
    url, wish = f"{provider.url}/chat/completions", {"cache-control": "only-if-cached"}
    refused = client.post(url, json=chat(), headers=wish)
    assert (refused.status_code, refused.json()["error"]["type"], provider.count) == (504, "server_error", 0)
    assert status(refused) == "error"
    client.post(url, json=chat())
    assert status(client.post(url, json=chat(), headers=wish)) == "hit"


def test_a_wish_that_means_nothing_keeps_the_call_out_of_the_cache_and_is_told_to_the_log(
    client, provider, caplog
):
    url = f"{provider.url}/chat/completions"
    for _ in range(2):
        answer = client.post(url, json=chat(), headers={"x-semcache-ttl": "soon"})
        assert (answer.status_code, status(answer)) == (200, None)
    assert provider.count == 2
    assert caplog.text.count("x-semcache-ttl is a number of seconds") == 1


def test_replays_are_cut_as_the_transport_or_the_call_says(cache, provider):
    url = f"{provider.url}/chat/completions"
    with httpx2.Client(transport=SemanticCacheTransport(cache, replay=Replay("words", 1))) as client:
        client.post(url, json=chat())
        by_words = client.post(url, json=chat(stream=True)).text
        whole = client.post(url, json=chat(stream=True), headers={"x-semcache-replay": "none"}).text
    assert by_words.count('"content"') > whole.count('"content"')


@pytest.mark.parametrize("name", ["x-llm-prompt", "X-LLM-Proxy-Prompt"])
def test_another_api_is_cached_where_a_header_says_what_is_asked(client, name):
    with WireUpstream(b'{"answer": 1}') as wire:
        for asked, told in ((QUESTION, "miss"), (REWORDED, "hit"), (OTHER, "miss")):
            answer = client.post(f"{wire.origin}/ask", json={"q": asked, "k": 1}, headers={name: "$.q"})
            assert status(answer) == told
        assert not [seen for seen in wire.seen[0][2] if seen.lower().startswith("x-llm")]


# -- what passes through -------------------------------------------------------------------------------

BODY = b'{ "a": 1,\t"a": 2 }'


@pytest.mark.parametrize(
    ("method", "path", "content", "kind"),
    [
        ("GET", "/v1/models", b"", ""),
        ("POST", "/v1/embeddings", b'{"input": "x"}', "application/json"),
        ("POST", "/v1/messages/count_tokens", b"{}", "application/json"),
        ("POST", "/v1/chat/completions", b"{", "application/json"),
        ("POST", "/v1/chat/completions", BODY, "application/json"),
        ("POST", "/v1/chat/completions", b"[1]", "application/json"),
        ("POST", "/v1/chat/completions", json.dumps(chat()).encode(), "text/plain"),
        ("POST", "/v1/chat/completions", b'{"model": "m", "messages": []}', "application/json"),
        ("POST", "/v1/responses", b'{"input": "x", "background": true}', "application/json"),
        ("PUT", "/anything", b"\x00\xff", "application/octet-stream"),
    ],
)
def test_what_is_not_cacheable_passes_byte_for_byte(client, method, path, content, kind):
    answer = b'{"any":  "thing"}'
    with WireUpstream(answer, headers={"x-own": "1"}) as wire:
        for _ in range(2):
            response = client.request(
                method,
                wire.origin + path,
                content=content,
                headers={"content-type": kind, "x-llm-prompt": ""},
            )
            assert (response.content, response.headers["x-own"], status(response)) == (answer, "1", None)
        assert [(seen[0], seen[1], seen[3]) for seen in wire.seen] == [(method, path, content)] * 2


@pytest.mark.parametrize("code", [301, 400, 401, 404, 429, 500, 503])
def test_errors_and_redirects_pass_and_are_not_kept(client, code):
    with WireUpstream(
        b'{"error": {}}', status=code, headers={"location": "/v1/x", "retry-after": "7"}
    ) as wire:
        for _ in range(2):
            response = client.post(f"{wire.origin}/v1/chat/completions", json=chat(), follow_redirects=False)
            assert (response.status_code, response.headers["retry-after"]) == (code, "7")
        assert wire.count == 2


def test_a_compressed_answer_passes_compressed_and_is_kept(client):
    packed = gzip.compress(json.dumps(WHOLE).encode())
    with WireUpstream(packed[:9], packed[9:], headers={"content-encoding": "gzip"}) as wire:
        answers = [client.post(f"{wire.origin}/v1/chat/completions", json=chat()) for _ in range(2)]
        assert [status(answer) for answer in answers] == ["miss", "hit"]
        assert [answer.json() for answer in answers] == [WHOLE] * 2
        assert wire.seen[0][2]["accept-encoding"] == "gzip"
        assert wire.count == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-encoding": "br"}, json.dumps(WHOLE).encode()),
        ({"cache-control": "private, no-store"}, json.dumps(WHOLE).encode()),
        ({"content-type": "text/html"}, json.dumps(WHOLE).encode()),
        ({}, json.dumps({**WHOLE, "choices": []}).encode()),
        ({}, json.dumps(WHOLE).encode()[:-1]),
        ({"content-type": "text/event-stream"}, json.dumps(WHOLE).encode()),
    ],
)
def test_an_answer_that_cannot_be_read_or_must_not_be_kept_is_not(client, headers, body):
    with WireUpstream(body, headers=headers) as wire:
        for _ in range(2):
            with client.stream("POST", f"{wire.origin}/v1/chat/completions", json=chat()) as response:
                assert b"".join(response.iter_raw()) == body
        assert wire.count == 2


@pytest.mark.parametrize(
    "fault", [{"cut": True}, {"garbled": True}, {"finish_reason": "length"}, {"refusal": True}]
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_not_whole_is_not_kept(client, library, provider, fault, stream):
    url = f"{provider.url}/chat/completions"
    provider.fail(**fault)
    try:
        client.post(url, json=chat(stream=stream))
    except library.RemoteProtocolError:
        assert "cut" in fault
    assert status(client.post(url, json=chat(stream=stream))) == "miss"
    assert status(client.post(url, json=chat(stream=stream))) == "hit"


# -- streams -------------------------------------------------------------------------------------------


def test_a_stream_is_read_live_and_kept_though_the_reader_leaves_after_its_last_event(client):
    told = threading.Event()
    first, *rest = events({"role": "assistant", "content": "Par"}, {"content": "is [DONE]"})
    never = threading.Event()
    pieces = (first, told, *rest, b"data: [DONE]\n\n", never)
    with WireUpstream(*pieces, headers={"content-type": "text/event-stream"}) as wire:
        url = f"{wire.origin}/v1/chat/completions"
        with client.stream("POST", url, json=chat(stream=True)) as response:
            pieces = response.iter_bytes()
            assert next(pieces) == first  # before the rest is sent
            told.set()
            body = first
            while b"data: [DONE]" not in body:
                body += next(pieces)
        never.set()
        again = client.post(url, json=chat(stream=True))
        assert (status(again), wire.count) == ("hit", 1)
        assert "is [DONE]" in again.text


def test_a_stream_that_its_reader_leaves_early_is_not_kept(client, provider):
    url = f"{provider.url}/chat/completions"
    with client.stream("POST", url, json=chat(stream=True)) as response:
        next(response.iter_bytes())
    assert status(client.post(url, json=chat(stream=True))) == "miss"


# -- one call for many ---------------------------------------------------------------------------------


def test_equal_calls_of_threads_share_one_call_upstream(client, cache):
    arrived = threading.Event()
    with WireUpstream(arrived, json.dumps(WHOLE).encode()) as wire:
        url = f"{wire.origin}/v1/chat/completions"
        told = all_at_once(cache, lambda _: client.post(url, json=chat(), timeout=30), range(8), arrived)
        assert [answer.json() for answer in told] == [WHOLE] * 8
        assert sorted(map(status, told)) == ["hit"] * 7 + ["miss"]
        assert wire.count == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (({}, {}), ({"stream": True}, {})),
        (({"stream": True}, {}), ({"stream": True, **USAGE}, {})),
        (({}, {}), ({}, {"cache-control": "no-store"})),
        (({}, {}), ({}, {"x-semcache-ttl": "60"})),
    ],
)
def test_calls_that_want_another_answer_or_treat_it_otherwise_share_none(client, cache, one, other):
    arrived = threading.Event()
    with WireUpstream(arrived, json.dumps(WHOLE).encode()) as wire:
        url = f"{wire.origin}/v1/chat/completions"

        def ask(wanted):
            more, headers = wanted
            return client.post(url, json=chat(**more), headers=headers, timeout=30)

        with ThreadPoolExecutor(2) as threads:
            told = [threads.submit(ask, wanted) for wanted in (one, other)]
            while cache.stats().lookups < 2:
                pass
            arrived.set()
            assert [status(answer.result()) for answer in told] == ["miss", "miss"]
        assert wire.count == 2


def test_who_wants_it_fresh_waits_for_nobody_else_who_does(client):
    arrived = threading.Event()
    with WireUpstream(arrived, json.dumps(WHOLE).encode()) as wire, ThreadPoolExecutor(2) as threads:
        url, wish = f"{wire.origin}/v1/chat/completions", {"cache-control": "no-cache"}
        told = [threads.submit(client.post, url, json=chat(), headers=wish, timeout=30) for _ in range(2)]
        while wire.count < 2 and not all(answer.done() for answer in told):
            pass
        arrived.set()
        assert [status(answer.result()) for answer in told] == ["miss", "miss"]
        assert wire.count == 2


def test_a_call_that_an_equal_one_has_overtaken_gets_its_answer_as_a_hit(provider):
    class Overtaken(MemoryStore):
        meanwhile = None

        def search(self, namespace, vector, limit):
            found, meanwhile = super().search(namespace, vector, limit), self.meanwhile
            self.meanwhile = None
            if meanwhile is not None:
                meanwhile()
            return found

    store = Overtaken()
    with (
        SemanticCache(embedder=HashingEmbedder(), store=store) as cache,
        httpx2.Client(transport=SemanticCacheTransport(cache), base_url=provider.url) as client,
    ):
        overtaking = []
        store.meanwhile = lambda: overtaking.append(client.post("/chat/completions", json=chat()))
        answer = client.post("/chat/completions", json=chat())
    assert [status(overtaking[0]), status(answer)] == ["miss", "hit"]
    assert answer.headers["x-cache-tier"] == "hash"
    assert answer.json() == overtaking[0].json()
    assert provider.count == 1


@pytest.mark.parametrize("wish", [{}, {"cache-control": "no-cache"}])
def test_an_answer_that_is_read_outside_of_its_scope_belongs_to_it(client, provider, wish):
    url = f"{provider.url}/chat/completions"
    with scope(tenant="a"):
        request = client.build_request("POST", url, json=chat(), headers=wish)
        response = client.send(request, stream=True)
    response.read()
    with scope(tenant="b"):
        assert status(client.post(url, json=chat())) == "miss"
    with scope(tenant="a"):
        assert status(client.post(url, json=chat())) == "hit"
    assert provider.count == 2


@pytest.mark.parametrize("wish", [{}, {"cache-control": "no-cache"}])
async def test_an_answer_that_is_read_outside_of_its_scope_belongs_to_it_in_tasks_too(
    aclient, provider, wish
):
    url = f"{provider.url}/chat/completions"
    with scope(tenant="a"):
        request = aclient.build_request("POST", url, json=chat(), headers=wish)
        response = await aclient.send(request, stream=True)
    await response.aread()
    with scope(tenant="b"):
        assert status(await aclient.post(url, json=chat())) == "miss"
    with scope(tenant="a"):
        assert status(await aclient.post(url, json=chat())) == "hit"
    assert provider.count == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choices", ["7", "[7]", '[{"message": 7}]', '[{"message": {"tool_calls": [7]}}]'])
def test_an_entry_that_is_no_answer_is_a_miss_and_breaks_no_call(provider, stream, choices):
    class Lies(MemoryStore):
        def put(self, entry, vector):
            payload = f'{{"v": 1, "body": {{"choices": {choices}, "usage": 7}}}}'
            super().put(replace(entry, payload=payload), vector)

    store = Lies()
    for _ in range(2):
        with (
            SemanticCache(embedder=HashingEmbedder(), store=store) as cache,
            httpx2.Client(transport=SemanticCacheTransport(cache), base_url=provider.url) as client,
        ):
            answer = client.post("/chat/completions", json=chat(stream=stream))
            assert (answer.status_code, status(answer)) == (200, "miss")
    assert answer.headers["x-cache-reason"] == "unusable"


def test_an_embedder_that_fails_is_asked_once_for_a_call_and_a_repeat_hits_all_the_same(provider):
    class Fails(HashingEmbedder):
        asked = 0

        def embed(self, text):
            self.asked += 1
            raise OSError("gone")

    embedder = Fails()
    with (
        SemanticCache(embedder=embedder, similarity_threshold=0.75) as cache,
        httpx2.Client(transport=SemanticCacheTransport(cache), base_url=provider.url) as client,
    ):
        told = [client.post("/chat/completions", json=chat()) for _ in range(2)]
    assert [status(answer) for answer in told] == ["miss", "hit"]
    assert told[0].headers["x-cache-reason"] == "embedder_error"
    assert embedder.asked == 1


def test_a_setting_that_cannot_work_is_the_users_error_at_once(cache):
    for arguments in (
        {"cache": cache, "path": "x"},
        {"cache": "x"},
        {"replay": "words"},
        {"ttl": 3},
        {"tenant_of": "x-user"},
        {"transport": httpx2.AsyncHTTPTransport()},
        {"transport": httpx2.Client()},
        {"transport": httpx.HTTPTransport()},
    ):
        with pytest.raises(ConfigurationError):
            SemanticCacheTransport(**arguments)


def test_a_client_of_the_other_library_is_told_which_transport_is_its_own(cache, provider):
    from semcache_integrations import httpx as older

    with (
        httpx2.Client(transport=older.SemanticCacheTransport(cache)) as mistaken,
        pytest.raises(ConfigurationError, match=r"from semcache_integrations\.httpx2"),
    ):
        mistaken.post(f"{provider.url}/chat/completions", json=chat())


def test_a_transport_of_ones_own_goes_inside(cache, provider):
    class Counting(httpx2.HTTPTransport):
        count = 0

        def handle_request(self, request):
            self.count += 1
            return super().handle_request(request)

    counting = Counting()
    with httpx2.Client(transport=SemanticCacheTransport(cache, transport=counting)) as client:
        for _ in range(2):
            client.post(f"{provider.url}/chat/completions", json=chat())
    assert counting.count == 1


async def test_a_client_of_the_other_colour_is_told_which_transport_is_its_own(cache, provider):
    url = f"{provider.url}/chat/completions"
    for_async, for_sync = "takes an AsyncSemanticCacheTransport", "takes a SemanticCacheTransport"
    with pytest.raises(ConfigurationError, match=for_async):
        await httpx2.AsyncClient(transport=SemanticCacheTransport(cache)).post(url, json=chat())
    with pytest.raises(ConfigurationError, match=for_async):
        await httpx2.AsyncClient(transport=SemanticCacheTransport(cache)).__aenter__()
    with pytest.raises(ConfigurationError, match=for_sync):
        httpx2.Client(transport=AsyncSemanticCacheTransport(cache)).post(url, json=chat())
    with pytest.raises(ConfigurationError, match=for_sync):
        httpx2.Client(transport=AsyncSemanticCacheTransport(cache)).__enter__()


def test_an_sdk_does_not_ask_again_what_only_the_cache_may_answer(cache, provider):
    from openai import APIStatusError, OpenAI

    asked = []
    network = httpx2.Client(transport=SemanticCacheTransport(cache), event_hooks={"request": [asked.append]})
    with (
        OpenAI(base_url=provider.url, api_key="sk", http_client=network, max_retries=2) as client,
        pytest.raises(APIStatusError, match="only-if-cached"),
    ):
        client.responses.create(
            model="m", input="never asked", extra_headers={"cache-control": "only-if-cached"}
        )
    assert (len(asked), provider.count) == (1, 0)


def test_closing_the_client_leaves_a_cache_open_that_was_given(cache):
    with httpx2.Client(transport=SemanticCacheTransport(cache)):
        pass
    cache.put("still", "open")
    assert cache.get("still") == "open"
