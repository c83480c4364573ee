"""Calls that look alike and are not: whatever a provider could answer differently must not be a hit, and the rest must."""

from __future__ import annotations

import gzip
import json

import httpx2
import pytest
from doubles.http_questions import QUESTION, REWORDED, WHOLE, chat, status
from doubles.http_wire import WireUpstream

from semcache_integrations.httpx2 import SemanticCacheTransport

SAID = {"content-type": "application/json"}


@pytest.fixture
def client(cache):
    with httpx2.Client(transport=SemanticCacheTransport(cache)) as one:
        yield one


@pytest.fixture
def tell(client, provider):
    """Post bodies to the provider; return what the cache did with each."""

    def post(*bodies, path="/v1/chat/completions", **headers):
        told = []
        for body in bodies:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            answer = client.post(provider.origin + path, content=content, headers={**SAID, **headers})
            told.append(status(answer))
        return told

    return post


@pytest.fixture
def ask(client):
    """Post bodies to an API of which only the prompt is known; return what the cache did with each."""
    with WireUpstream(b'{"answer": "Paris"}') as wire:

        def post(*bodies, path="/ask", prompt="$.q", **headers):
            said = {**SAID, "x-llm-prompt": prompt, **headers}
            posted = (
                client.post(wire.origin + path, content=json.dumps(body), headers=said) for body in bodies
            )
            return [status(answer) for answer in posted]

        yield post


# -- numbers, names and spellings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": True}),
        ({"logprobs": False}, {"logprobs": 0}),
        ({"seed": 1}, {"seed": True}),
        ({"seed": 1}, {"seed": "1"}),
        ({"seed": 0}, {"seed": False}),
        ({"seed": 2**53}, {"seed": 2**53 + 1}),
        ({"seed": 10**30}, {"seed": 10**30 + 1}),
        ({"temperature": 0.1}, {"temperature": 0.10000001}),
        ({"stop": ["a", "b"]}, {"stop": ["b", "a"]}),
        ({"stop": "a"}, {"stop": ["a"]}),
        ({"logit_bias": {"1": 5}}, {"logit_bias": {"2": 5}}),
        ({"top_p": 1}, {}),
        ({"unknown_parameter": {"deep": [{"x": 1}]}}, {"unknown_parameter": {"deep": [{"x": 2}]}}),
        ({"user": "a"}, {"user": "\u0410"}),  # a Cyrillic letter
        ({"modalities": ["text"]}, {"modalities": ["text", "audio"]}),
        ({"response_format": {"type": "json_object"}}, {}),
        ({"web_search_options": {}}, {}),
        ({"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
    ],
)
def test_another_value_of_a_parameter_is_another_question(tell, one, other):
    assert tell(chat(**one), chat(**other)) == ["miss", "miss"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "m", "messages": [{"role": "user", "content": "a", "content": "b"}]}',
        b'{"model": "m", "seed": NaN, "messages": [{"role": "user", "content": "a"}]}',
        b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "x\\u0000": 1, "\\u0000x": 1}',
    ],
)
def test_what_two_parsers_may_read_in_two_ways_reaches_the_provider_each_time(client, body):
    with WireUpstream(json.dumps(WHOLE).encode()) as wire:
        for _ in range(2):
            client.post(f"{wire.origin}/v1/chat/completions", content=body, headers=SAID)
        assert [seen[3] for seen in wire.seen] == [body] * 2


def test_numbers_beyond_a_double_are_not_the_same_number(tell):
    bodies = [json.dumps(chat()).encode()[:-1] + b', "seed": %b}' % seed for seed in (b"1e400", b"1e401")]
    assert tell(*bodies) != ["miss", "hit"]


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (lambda text: text.encode("utf-16"), "application/json"),
        (lambda text: text.encode("utf-32"), "application/json"),
        (lambda text: text.encode("utf-8-sig"), "application/json"),
        (lambda text: text.encode(), "application/json; charset=latin-1"),
    ],
)
def test_a_body_in_another_encoding_is_nobodys_hit(tell, encoded, kind):
    text = json.dumps(chat())
    assert tell(text.encode(), encoded(text), **{"content-type": kind})[1] != "hit"


@pytest.mark.parametrize("stream", [1, "true", "yes", [True]])
def test_a_stream_that_is_asked_for_in_an_unclear_way_is_left_to_the_provider(client, stream):
    with WireUpstream(json.dumps(WHOLE).encode()) as wire:
        url = f"{wire.origin}/v1/chat/completions"
        client.post(url, json=chat())
        for _ in range(2):
            assert status(client.post(url, json=chat(stream=stream))) != "hit"


# -- conversations -------------------------------------------------------------------------------------

USER, SYSTEM = {"role": "user", "content": QUESTION}, {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([SYSTEM, USER], [{**SYSTEM, "content": "Be brief!"}, USER]),
        ([SYSTEM, USER], [{**SYSTEM, "role": "developer"}, USER]),
        ([SYSTEM, USER], [USER, SYSTEM]),
        ([USER], [USER, USER]),
        ([USER], [{**USER, "name": "bob"}]),
        (
            [USER, {"role": "assistant", "content": "A"}, USER],
            [USER, {"role": "assistant", "content": "B"}, USER],
        ),
        ([USER, {"role": "tool", "content": QUESTION}], [USER, {"role": "tool", "content": REWORDED}]),
        ([{"role": "assistant", "content": QUESTION}], [{"role": "assistant", "content": REWORDED}]),
        ([{"role": "system", "content": QUESTION}], [{"role": "system", "content": REWORDED}]),
    ],
)
def test_another_conversation_is_another_question(tell, one, other):
    assert tell(chat(messages=one), chat(messages=other)) == ["miss", "miss"]


def parts(*given):
    return chat(messages=[{"role": "user", "content": list(given)}])


TEXT = {"type": "text", "text": QUESTION}


@pytest.mark.parametrize(
    "part",
    [
        lambda data: {"type": "image_url", "image_url": {"url": f"https://x/{data}.png"}},
        lambda data: {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        lambda data: {"type": "file", "file": {"file_id": f"file-{data}"}},
        lambda data: {"type": "text", "text": f"document {data}"},
    ],
)
def test_what_came_with_the_question_must_be_the_same(tell, part):
    assert tell(parts(part("a"), TEXT), parts(part("b"), TEXT), parts(part("a"), TEXT)) == [
        "miss",
        "miss",
        "hit",
    ]


@pytest.mark.parametrize("name", ["before", "marks"])
def test_a_field_of_a_message_never_passes_for_what_came_with_its_text(tell, name):
    document = {"type": "text", "text": "The document."}
    marked = {**TEXT, "cache_control": {"type": "ephemeral"}}
    honest = parts(document, TEXT) if name == "before" else parts(marked)
    held = [document] if name == "before" else {"cache_control": {"type": "ephemeral"}}
    forged = chat(messages=[{"role": "user", "content": QUESTION, name: held}])
    assert tell(forged, honest) == ["miss", "miss"]


def test_a_response_that_the_provider_did_not_keep_is_not_served_to_who_goes_on_from_it(tell):
    asked = {"model": "gpt-4o-mini", "input": QUESTION}
    path = "/v1/responses"
    assert tell({**asked, "store": False}, asked, path=path) == ["miss", "miss"]
    assert tell({**asked, "store": True}, {**asked, "store": False}, path=path) == ["hit", "hit"]


@pytest.mark.parametrize(
    "more",
    [
        {"previous_response_id": "resp_1"},
        {"instructions": "Be brief."},
        {"reasoning": {"effort": "low"}},
        {"text": {"format": {"type": "json_object"}}},
        {"prompt": {"id": "pmpt_1"}},
        {"include": ["message.output_text.logprobs"]},
        {"truncation": "auto"},
        {"max_output_tokens": 9},
    ],
)
def test_what_goes_with_a_response_is_keyed(tell, more):
    asked = {"model": "gpt-4o-mini", "input": QUESTION}
    assert tell(asked, {**asked, **more}, {**asked, **more}, path="/v1/responses") == ["miss", "miss", "hit"]


@pytest.mark.parametrize("more", [{"conversation": "conv_1"}, {"background": True}])
def test_what_the_provider_goes_on_with_is_never_kept(tell, more):
    asked = {"model": "gpt-4o-mini", "input": QUESTION, **more}
    assert tell(asked, asked, path="/v1/responses") == [None, None]


@pytest.mark.parametrize(
    ("more", "headers"),
    [
        ({"system": "Be brief."}, {}),
        ({"system": [{"type": "text", "text": "Be brief."}]}, {}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {}),
        ({"max_tokens": 100}, {}),
        ({"stop_sequences": ["x"]}, {}),
        ({}, {"anthropic-beta": "context-1m-2025-08-07"}),
        ({}, {"anthropic-version": "2023-01-01"}),
    ],
)
def test_what_goes_with_a_message_is_keyed(tell, more, headers):
    asked = {"model": "claude-fake", "max_tokens": 99, "messages": [USER]}
    assert tell(asked, path="/v1/messages") == ["miss"]
    assert tell({**asked, **more}, {**asked, **more}, path="/v1/messages", **headers) == ["miss", "hit"]


# -- prompt paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("$.messages[0].content", 0),
        ("$.messages[?@.role == 'system'].content", 0),
        ("$.messages[1].content", 1),
        ("$.messages[2].content", 2),
        ("$..nothing", 0),
        ("$.seed", 0),
    ],
)
def test_a_prompt_path_rewords_no_system_prompt_no_earlier_turn_and_no_tools_result(tell, path, place):
    def asked(text):
        turns = [SYSTEM, USER, {"role": "tool", "content": "x", "tool_call_id": "1"}]
        turns[place] = {**turns[place], "content": text}
        return chat(messages=turns, seed=7)

    told = tell(asked(QUESTION), asked(REWORDED), asked(QUESTION), **{"x-llm-prompt": path})
    assert told == ["miss", "miss", "hit"]


def test_a_prompt_path_rewords_no_instructions_of_a_response(tell):
    bodies = [{"model": "gpt-4o-mini", "input": "Go!", "instructions": text} for text in (QUESTION, REWORDED)]
    assert tell(*bodies, path="/v1/responses", **{"x-llm-prompt": "$.instructions"}) == ["miss", "miss"]
    bodies = [{"model": "gpt-4o-mini", "input": text} for text in (QUESTION, REWORDED)]
    assert tell(*bodies, path="/v1/responses", **{"x-llm-prompt": "$.input"}) == ["miss", "hit"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model": 5}, {"model": 6}),
        ({"model": {"name": "a"}}, {"model": {"name": "b"}}),
        ({"model": ["a"]}, {"model": ["b"]}),
        ({"model": "a"}, {"model": "b"}),
        ({"stream": True}, {}),
        ({"metadata": {"corpus": "a"}}, {"metadata": {"corpus": "b"}}),
        ({"store": "north"}, {"store": "south"}),
        ({"n": 1}, {}),
        ({"k": 1}, {"k": True}),
        ({"history": [QUESTION]}, {"history": []}),
    ],
)
def test_of_an_unknown_api_everything_beside_the_prompt_is_keyed(ask, one, other):
    bodies = [{"q": QUESTION, **one}, {"q": QUESTION, **other}, {"q": REWORDED, **one}]
    assert ask(*bodies) == ["miss", "miss", "hit"]


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_of_an_unknown_api_the_form_that_is_asked_for_is_keyed(ask, accept):
    body = {"q": QUESTION}
    assert ask(body, accept="application/xml") == ["miss"]
    assert ask(body, body, accept=accept) == ["miss", "hit"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("?a=1", "?a=2"), ("?a=%ff", "?a=%fe"), ("?a=1&a=2", "?a=2&a=1"), ("?a", ""), ("/a%2Fb", "/a/b")],
)
def test_another_url_is_another_question(ask, one, other):
    body = {"q": QUESTION}
    assert ask(body, path=f"/ask{one}") + ask(body, path=f"/ask{other}") == ["miss", "miss"]


# -- who asks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "authorization",
        "cookie",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-amzn-oidc-identity",
        "x-amzn-oidc-data",
        "x-amzn-mtls-clientcert-subject",
        "cf-access-jwt-assertion",
        "cf-access-authenticated-user-email",
        "cf-access-client-id",
        "x-forwarded-user",
        "x-forwarded-client-cert",
        "x-auth-request-email",
        "x-ms-client-principal-id",
        "x-goog-authenticated-user-email",
        "x-user-id",
        "openai-project",
    ],
)
def test_whoever_a_header_names_never_meets_anothers_entry(tell, header):
    told = [tell(chat(), **{header: who})[0] for who in ("alice", "alice", "bob")]
    assert told == ["miss", "hit", "miss"]


@pytest.mark.parametrize(
    "header", ["cf-ray", "cf-connecting-ip", "x-amzn-trace-id", "x-request-id", "traceparent", "user-agent"]
)
def test_whatever_names_only_one_request_or_its_way_costs_no_hit(tell, header):
    assert [tell(chat(), **{header: value})[0] for value in ("1", "2")] == ["miss", "hit"]


def test_who_is_nobodys_in_particular_is_not_the_tenant_of_all_who_are_not(cache, provider):
    transport = SemanticCacheTransport(cache, tenant_of=lambda call: {"1": "a"}.get(call.header("x-key")))
    url = f"{provider.url}/chat/completions"
    with httpx2.Client(transport=transport) as client:
        for key, told in (("1", "miss"), ("1", "hit"), ("2", None), ("3", None)):
            answer = client.post(url, json=chat(), headers={"authorization": key, "x-key": key})
            assert status(answer) == told


# -- answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [201, 202, 203, 206])
def test_an_answer_whose_status_a_hit_could_not_repeat_is_not_kept(client, code):
    with WireUpstream(b'{"job": 1}', status=code) as wire:
        for _ in range(2):
            answer = client.post(f"{wire.origin}/ask", json={"q": "x"}, headers={"x-llm-prompt": "$.q"})
            assert (answer.status_code, status(answer)) == (code, "miss")


def test_a_zip_bomb_passes_and_is_not_kept(client):
    bomb = gzip.compress(json.dumps({"a": "0" * 40_000_000}).encode())
    with WireUpstream(bomb, headers={"content-encoding": "gzip"}) as wire:
        for _ in range(2):
            with client.stream(
                "POST", f"{wire.origin}/ask", json={"q": "x"}, headers={"x-llm-prompt": "$.q"}
            ) as response:
                assert b"".join(response.iter_raw()) == bomb
        assert wire.count == 2


@pytest.mark.parametrize("kind", ["deflate", "br", "zstd", "gzip, gzip", "unheard-of"])
def test_an_answer_whose_encoding_is_a_lie_or_unknown_passes_and_is_not_kept(client, kind):
    body = json.dumps(WHOLE).encode()
    with WireUpstream(body, headers={"content-encoding": kind}) as wire:
        for _ in range(2):
            with client.stream("POST", f"{wire.origin}/v1/chat/completions", json=chat()) as response:
                assert b"".join(response.iter_raw()) == body
        assert wire.count == 2
