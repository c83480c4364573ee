"""What a test may rely on: counts, planned faults, latency, and a server that comes and goes without a trace."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import anthropic
import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.testing import FakeUpstream, Latency
from semcache_integrations.testing.upstream import Call
from semcache_integrations.testing.upstream.samples import sample

ASKED = [{"role": "user", "content": "hello"}]


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture
def client(upstream: FakeUpstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=upstream.url, api_key="none-needed", max_retries=0) as one:
        yield one


def ask(client: openai.OpenAI, **settings):
    return client.chat.completions.create(**{"model": "m", "messages": ASKED, **settings})


# ---- answers


def test_another_question_model_parameter_or_system_prompt_gets_another_answer(client):
    """So a cache that serves one for the other is found out."""
    variants = [
        {},
        {"messages": [{"role": "user", "content": "hello?"}]},
        {"messages": [{"role": "system", "content": "Be rude."}, *ASKED]},
        {"model": "n"},
        {"temperature": 0.5},
    ]
    texts = [ask(client, **variant).choices[0].message.content for variant in variants]
    assert len(set(texts)) == len(variants)
    again = [ask(client, **variant, user="someone").choices[0].message.content for variant in variants]
    assert again == texts


def test_the_answer_may_be_a_function_of_the_question():
    with FakeUpstream(str.upper) as upstream, openai.OpenAI(base_url=upstream.url, api_key="x") as client:
        parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
        assert ask(client).choices[0].message.content == "HELLO"
        asked = [{"role": "user", "content": parts}, {"role": "assistant", "content": "no"}]
        assert ask(client, messages=asked).choices[0].message.content == "HELLO"


def test_an_answer_that_raises_is_told_to_the_client_and_not_retried():
    with (
        FakeUpstream({"known": "yes"}.__getitem__) as upstream,
        openai.OpenAI(base_url=upstream.url, api_key="x") as client,
    ):
        with pytest.raises(openai.BadRequestError, match=r"KeyError\('hello'\)"):
            ask(client)
        assert upstream.count == 1


def test_an_answer_beyond_the_token_limit_is_cut_and_says_so(client):
    choice = ask(client, max_tokens=2).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Answer to: ", "length")


# ---- counting


def test_calls_are_recorded_with_body_and_headers_until_reset(client, upstream):
    ask(client, temperature=0)
    call = upstream.calls[0]
    assert isinstance(call, Call)
    assert (call.path, call.body["temperature"]) == ("/v1/chat/completions", 0)
    assert call.headers["authorization"] == "Bearer none-needed"
    upstream.reset()
    assert (upstream.calls, upstream.count) == ([], 0)


def test_every_one_of_concurrent_calls_is_counted(upstream):
    def work() -> None:
        with httpx.Client(base_url=upstream.url) as http:
            for _ in range(5):
                http.post("/chat/completions", json={"model": "m", "messages": ASKED}).raise_for_status()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert upstream.count == 40


def test_several_upstreams_count_apart(client, upstream):
    with FakeUpstream() as other, openai.OpenAI(base_url=other.url, api_key="x") as twin:
        ask(client)
        ask(client)
        ask(twin)
        assert (upstream.count, other.count) == (2, 1)
        assert upstream.url != other.url


def test_a_body_that_is_no_json_object_is_refused_and_counted(upstream):
    for body in (b"{", b"[]", b""):
        assert httpx.post(f"{upstream.url}/chat/completions", content=body).status_code == 400
    assert upstream.count == 3


def test_the_routes_work_without_v1_too(upstream):
    body = {"model": "m", "messages": ASKED}
    assert httpx.post(f"{upstream.origin}/chat/completions", json=body).status_code == 200
    assert httpx.post(f"{upstream.url}/nothing", json=body).status_code == 404


# ---- faults


def test_a_status_befalls_as_many_calls_as_planned(client, upstream):
    upstream.fail(status=503, times=2)
    for _ in range(2):
        with pytest.raises(openai.InternalServerError, match="planned fault"):
            ask(client)
    assert ask(client).choices[0].finish_reason == "stop"


def test_an_sdk_that_retries_gets_over_planned_faults(upstream):
    upstream.fail(status=429)
    upstream.fail(status=500)
    with openai.OpenAI(base_url=upstream.url, api_key="x", max_retries=2) as client:
        assert ask(client).choices[0].finish_reason == "stop"
    assert upstream.count == 3


def test_an_anthropic_error_has_anthropics_shape(upstream):
    upstream.fail(status=529)
    with (
        anthropic.Anthropic(base_url=upstream.origin, api_key="x", max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError, match="overloaded_error"),
    ):
        client.messages.create(model="m", max_tokens=9, messages=ASKED)


def test_a_hanging_call_ends_with_the_clients_patience_and_the_next_one_is_served(client, upstream):
    upstream.fail(hang=True)
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.1))
    assert ask(client).choices[0].finish_reason == "stop"


def test_a_hanging_call_does_not_keep_the_upstream_open(upstream):
    upstream.fail(hang=True)
    outcome = []

    def wait() -> None:
        try:
            outcome.append(httpx.post(f"{upstream.url}/chat/completions", json={}, timeout=30).status_code)
        except httpx.HTTPError as error:
            outcome.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not upstream.count:
        time.sleep(0.005)
    upstream.close()
    waiting.join()
    assert len(outcome) == 1


def test_a_cut_stream_begins_and_then_breaks(client, upstream):
    upstream.fail(cut=True)
    received = []
    with pytest.raises(openai.APIConnectionError):
        received.extend(ask(client, stream=True))
    assert received
    assert received[-1].choices[0].finish_reason is None


def test_a_cut_body_is_no_answer(upstream):
    upstream.fail(cut=True)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{upstream.url}/chat/completions", json={"messages": ASKED})


def test_a_garbled_answer_does_not_parse(client, upstream):
    upstream.fail(garbled=True, times=2)
    with pytest.raises(json.JSONDecodeError):
        httpx.post(f"{upstream.url}/chat/completions", json={"messages": ASKED}).json()
    received = []
    with pytest.raises(json.JSONDecodeError):
        received.extend(ask(client, stream=True))
    assert received


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_planned_finish_reason_is_given(client, upstream, reason, stream):
    upstream.fail(finish_reason=reason)
    answer = ask(client, stream=stream)
    last = list(answer)[-1] if stream else answer
    assert last.choices[0].finish_reason == reason


def test_a_planned_finish_reason_has_each_formats_own_name(client, upstream):
    upstream.fail(finish_reason="length", times=3)
    response = client.responses.create(model="m", input="hello")
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert client.completions.create(model="m", prompt="hello").choices[0].finish_reason == "length"
    with anthropic.Anthropic(base_url=upstream.origin, api_key="x") as claude:
        assert claude.messages.create(model="m", max_tokens=99, messages=ASKED).stop_reason == "max_tokens"


def test_a_refusal_stands_in_each_formats_own_field(client, upstream):
    upstream.fail(refusal=True, times=4)
    message = ask(client).choices[0].message
    assert message.content is None
    chunks = list(ask(client, stream=True))
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks) == message.refusal != ""
    response = client.responses.create(model="m", input="hello")
    assert response.output[0].content[0].refusal == message.refusal
    with anthropic.Anthropic(base_url=upstream.origin, api_key="x") as claude:
        refused = claude.messages.create(model="m", max_tokens=9, messages=ASKED)
    assert (refused.stop_reason, refused.content) == ("refusal", [])


def test_reset_forgets_planned_faults(client, upstream):
    upstream.fail(status=500, times=9)
    upstream.reset()
    assert ask(client).choices[0].finish_reason == "stop"


# ---- latency


def test_a_latency_is_repeatable_and_has_its_median():
    one, two, other = Latency(0.8, seed=1), Latency(0.8, seed=1), Latency(0.8, seed=2)
    drawn = [one() for _ in range(999)]
    assert drawn == [two() for _ in range(999)] != [other() for _ in range(999)]
    assert statistics.median(drawn) == pytest.approx(0.8, rel=0.05)
    assert min(drawn) > 0


@pytest.mark.parametrize("settings", [{"median_s": 0}, {"median_s": float("nan")}, {"sigma": -1}])
def test_an_impossible_latency_is_refused(settings):
    with pytest.raises(ConfigurationError):
        Latency(**settings)


def test_the_latency_is_waited_for_once_a_call_and_the_token_time_once_an_event():
    asked = []

    def latency() -> float:
        asked.append(1)
        return 0.05

    with (
        FakeUpstream(latency=latency, token_s=0.02) as upstream,
        openai.OpenAI(base_url=upstream.url, api_key="x") as client,
    ):
        started = time.perf_counter()
        chunks = list(ask(client, stream=True))
        assert time.perf_counter() - started >= 0.05 + 0.02 * len(chunks)  # [DONE] is one more event
        assert len(asked) == 1


def test_a_slow_stream_does_not_keep_the_upstream_open():
    with FakeUpstream(token_s=60) as upstream, httpx.Client() as http:
        body = {"messages": ASKED, "stream": True}
        with http.stream("POST", f"{upstream.url}/chat/completions", json=body) as response:
            next(response.iter_raw())
            upstream.close()


# ---- life


def test_a_closed_upstream_refuses_connections_and_leaves_no_thread():
    with FakeUpstream() as upstream:
        url = f"{upstream.url}/models"
        assert httpx.get(url).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    assert "fake-upstream" not in {thread.name for thread in threading.enumerate()}
    upstream.close()


def test_an_upstream_starts_once_and_has_no_address_before():
    upstream = FakeUpstream()
    upstream.close()
    with pytest.raises(ConfigurationError, match="no address yet"):
        _ = upstream.url
    with upstream, pytest.raises(ConfigurationError, match="starts once"):
        upstream.start()


@pytest.mark.parametrize("hidden", [["starlette"], ["uvicorn"], ["starlette", "uvicorn"]], ids="+".join)
def test_without_a_web_server_the_package_imports_and_the_error_names_the_extra(hidden):
    program = f"""
import sys
sys.modules.update(dict.fromkeys({hidden!r}))
import semcache_integrations.testing as testing
try:
    testing.FakeUpstream
except ImportError as error:
    sys.exit(0 if "semcache-integrations[server]" in str(error) else str(error))
sys.exit("no error")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- samples


@given(text=st.text())
def test_a_sample_fits_the_schema_it_was_made_from(text):
    schema = {
        "$defs": {"Size": {"enum": ["small", "large"]}, "Tree": {"anyOf": [{"$ref": "#/$defs/Tree"}]}},
        "properties": {
            "name": {"type": ["string", "null"]},
            "size": {"$ref": "#/$defs/Size"},
            "kind": {"const": "cat"},
            "count": {"type": "integer", "minimum": 3},
            "ok": {"type": "boolean"},
            "none": {"type": "null"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "tree": {"$ref": "#/$defs/Tree"},
        },
    }
    expected = {"name": text, "size": "small", "kind": "cat", "count": 3, "ok": True, "none": None}
    assert sample(schema, text) == {**expected, "tags": [text], "tree": None}
