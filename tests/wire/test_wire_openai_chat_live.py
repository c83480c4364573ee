"""OpenAI's Chat Completions: what the streams of providers make, and nothing that is not whole."""

from __future__ import annotations

import json

import httpx
import pytest
from doubles.wire_bodies import (
    COMPLETION_KEYS,
    anything,
    one_of_keys,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semcache_integrations.testing.upstream import FakeUpstream
from semcache_integrations.wire.openai_chat import assembled, is_complete
from semcache_integrations.wire.sse import decoded

CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m"}
LEGACY_CALL = {"name": "f", "arguments": '{"a": 1}'}


def chunk(delta=None, reason=None, index=0, **fields):
    choice = {"index": index, "delta": {} if delta is None else delta, "finish_reason": reason}
    return {**CHUNK, "choices": [{**choice, **fields}]}


def only_message(told):
    (choice,) = assembled(told)["choices"]
    return choice["message"]


def call(index=0, **fields):
    return {"tool_calls": [{"index": index, **fields}]}


def begun(index=0, name="f"):
    return call(index, id=f"call_{index}", type="function", function={"name": name, "arguments": ""})


def written(piece, index=0):
    return call(index, function={"arguments": piece})


@pytest.fixture(scope="module")
def upstream():
    with FakeUpstream() as running:
        yield running


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"n": 3},
        {"logprobs": True},
        {"tools": [WEATHER], "tool_choice": "required", "n": 2},
        {"max_tokens": 2},
        {"refused": True},
    ],
    ids=str,
)
def test_the_stream_of_a_provider_makes_what_it_answers_without(upstream, asked):
    fields = {"model": "m", "messages": [{"role": "user", "content": "Capital of France?"}], **asked}
    if fields.pop("refused", False):
        upstream.fail(refusal=True, times=2)
    address = f"{upstream.url}/chat/completions"
    whole = httpx.post(address, json=fields).json()
    streaming = {"stream": True, "stream_options": {"include_usage": True}}
    made = assembled(decoded(httpx.post(address, json={**fields, **streaming}).content))
    ids = {entry["id"] for choice in made["choices"] for entry in choice["message"].get("tool_calls", ())}
    text = json.dumps(made).replace(made["id"], whole["id"])
    for old in ids:  # the provider numbers its answers
        text = text.replace(old, old.replace(*(f"call_{body['id'][9:]}_" for body in (made, whole))))
    assert json.loads(text) == whole


def test_azures_first_chunk_tells_of_the_prompt_and_its_filters_grow():
    first = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [1]}
    safe = {"hate": {"filtered": False}}
    made = assembled(
        [
            first,
            chunk({"role": "assistant", "content": ""}, content_filter_results={}),
            chunk({"content": "Paris."}, content_filter_results=safe),
            chunk({}, "stop", content_filter_results={"violence": {"filtered": False}}),
        ]
    )
    assert made["prompt_filter_results"] == [1]
    assert (made["id"], made["created"], made["model"]) == ("chatcmpl-1", 5, "m")
    assert made["choices"][0]["content_filter_results"] == {**safe, "violence": {"filtered": False}}


def test_usage_may_come_beside_the_finish_reason_and_the_last_one_counts_all():
    """As DeepSeek, Mistral and Groq tell it; Groq tells it in a field of its own besides."""
    told = [
        {**chunk({"content": "Paris."}), "usage": None, "x_groq": {"id": "req_1"}},
        {**chunk({}), "usage": {"total_tokens": 1}},
        {**chunk({}, "stop"), "usage": {"total_tokens": 2}, "x_groq": {"id": "req_1", "usage": {"n": 2}}},
        {**chunk({}), "choices": [], "usage": None},
    ]
    made = assembled(told)
    assert (made["usage"], made["x_groq"]) == ({"total_tokens": 2}, {"id": "req_1", "usage": {"n": 2}})
    assert "usage" not in assembled([chunk({"content": "Paris."}), chunk({}, "stop")])


def test_an_empty_delta_after_the_end_adds_nothing():
    """OpenRouter counts the tokens beside one."""
    told = [chunk({"role": "assistant", "content": "Paris."}), chunk({}, "stop")]
    after = {**chunk({"role": "assistant", "content": ""}), "usage": {"total_tokens": 2}}
    made = assembled([*told, after])
    assert made["usage"] == {"total_tokens": 2}
    assert made["choices"] == assembled(told)["choices"]


def test_the_time_and_the_padding_of_each_chunk_are_no_parts_of_the_answer():
    told = [chunk({"content": "a"}), {**chunk({"content": "b"}), "created": 6}, chunk({}, "stop")]
    made = assembled({**chunk, "obfuscation": str(at)} for at, chunk in enumerate(told))
    assert made == {**CHUNK, "object": "chat.completion", "choices": made["choices"]}


def test_the_pieces_of_calls_belong_to_their_index():
    told = [
        begun(1, "g"), begun(0), written("{", 1), written("[", 0), written("}", 1),
        {"tool_calls": [{"index": 0, "function": {"arguments": "]"}, "id": "", "type": "function"}]},
    ]  # fmt: skip
    message = only_message([*map(chunk, told), chunk({}, "tool_calls")])
    assert [(made["id"], made["function"]) for made in message["tool_calls"]] == [
        ("call_0", {"name": "f", "arguments": "[]"}),
        ("call_1", {"name": "g", "arguments": "{}"}),
    ]
    assert message["content"] is None


def test_a_text_that_was_said_beside_calls_stays_even_an_empty_one():
    for said in ("", "Let me see."):
        message = only_message([chunk({"content": said}), chunk(begun()), chunk({}, "tool_calls")])
        assert message["content"] == said
    assert only_message([chunk({"refusal": "No."}), chunk({"content": ""}, "stop")])["content"] is None
    assert "content" not in only_message([chunk({"reasoning": "Hm."}), chunk({}, "stop")])


def test_what_is_told_again_is_the_same_or_null():
    told = [
        chunk({"role": "assistant", "content": None, "x": None}),
        chunk({"role": "assistant", "content": "Par", "x": [1]}),
        chunk({"content": "is.", "x": [1]}),
        chunk({"content": None, "x": None}, "stop"),
    ]
    assert only_message(told) == {"role": "assistant", "content": "Paris.", "x": [1]}


def test_log_probabilities_join():
    told = [chunk({"content": piece}, logprobs={"content": [piece], "refusal": None}) for piece in "ab"]
    made = assembled([chunk({}, logprobs=None), *told, chunk({}, "stop", logprobs=None)])
    assert made["choices"][0]["logprobs"] == {"content": ["a", "b"], "refusal": None}


SAID = chunk({"role": "assistant", "content": "Paris."})
END = chunk({}, "stop")


def deep():
    made: list = []
    for _ in range(100_000):
        made = [made]
    return made


def test_what_the_streams_that_make_nothing_are_broken_from_makes_something():
    assert only_message([SAID, END])["content"] == "Paris."
    assert only_message([chunk(begun()), chunk(written("{}")), END])["tool_calls"]
    assert only_message([chunk({"function_call": LEGACY_CALL}), END])["function_call"] == LEGACY_CALL
    assert len(assembled([SAID, chunk(index=1), chunk({}, "stop", 1), END])["choices"]) == 2


@pytest.mark.parametrize(
    "told",
    [
        pytest.param([], id="nothing"),
        pytest.param([{**CHUNK, "choices": []}], id="no choice"),
        pytest.param([SAID], id="no end"),
        pytest.param([SAID, chunk({}, "")], id="an empty finish reason"),
        pytest.param([SAID, chunk({}, 1)], id="a finish reason that is none"),
        pytest.param([SAID, chunk({}, {"why": "stop"})], id="a finish reason that is an object"),
        pytest.param([SAID, END, chunk({}, "length")], id="two finish reasons"),
        pytest.param([SAID, chunk(index=1), END], id="a choice without an end"),
        pytest.param([chunk({"content": "a"}, "stop", 1)], id="a choice left out"),
        pytest.param([SAID, END, None], id="no event"),
        pytest.param([SAID, END, "chunk"], id="a text"),
        pytest.param([SAID, END, {}], id="an empty event"),
        pytest.param([SAID, {"error": {"message": "x"}}, END], id="an error"),
        pytest.param([SAID, END, {**CHUNK, "choices": [], "error": {"code": 502}}], id="an error at last"),
        pytest.param([SAID, {**END, "id": "chatcmpl-2"}], id="another completion"),
        pytest.param([SAID, {**END, "model": "n"}], id="another model"),
        pytest.param([SAID, {**END, "object": "chat.completion"}], id="no chunk"),
        pytest.param([SAID, {**END, "object": ""}], id="an unnamed chunk with a choice"),
        pytest.param([SAID, END, {**CHUNK, "object": "new", "choices": []}], id="a new object"),
        pytest.param([SAID, END, {**CHUNK, "choices": None}], id="choices that are none"),
        pytest.param([SAID, END, {**CHUNK, "choices": [None]}], id="a choice that is none"),
        pytest.param([SAID, END, {**CHUNK, "choices": [], "usage": 7}], id="a usage that is none"),
        pytest.param([SAID, {**CHUNK, "choices": [{"index": 0, "finish_reason": "stop"}]}], id="no delta"),
        pytest.param([SAID, chunk([], "stop")], id="a delta that is none"),
        pytest.param([SAID, END, chunk(index=-1)], id="an index below 0"),
        pytest.param([SAID, END, chunk(index=True, reason="stop")], id="an index that is none"),
        pytest.param([SAID, END, chunk(index=[])], id="an index that is a list"),
        pytest.param([SAID, END, chunk({"content": "!"})], id="a text after the end"),
        pytest.param([SAID, END, chunk({"x": 0})], id="a field after the end"),
        pytest.param([SAID, END, chunk({"role": "tool"})], id="a role after the end"),
        pytest.param([SAID, chunk({"role": "user"}), END], id="two roles"),
        pytest.param([SAID, chunk({"content": ["x"]}), END], id="a text in two shapes"),
        pytest.param([SAID, chunk({"content": 1}), END], id="a text that is none"),
        pytest.param([chunk({"x": "a"}), chunk({"x": "b"}), END], id="an unknown text told in two ways"),
        pytest.param([chunk({"x": [1]}), chunk({"x": [2]}), END], id="an unknown list told in two ways"),
        pytest.param([chunk({"x": {"a": 1}}), chunk({"x": {"b": 2}}), END], id="an object told in two ways"),
        pytest.param([chunk({"x": 0}), chunk({"x": 1}), END], id="two numbers"),
        pytest.param([chunk(x={"a": 1}), chunk(x={"a": 2}), END], id="a filter that changes its mind"),
        pytest.param([SAID, chunk(message={"content": "Paris."}), END], id="a message beside the delta"),
        pytest.param([chunk({"x": deep()}), chunk({"x": deep()}), END], id="too deep to compare"),
        pytest.param([SAID, chunk(logprobs=[]), END], id="log probabilities that are none"),
        pytest.param([SAID, chunk(logprobs={"content": 1}), END], id="log probabilities of no list"),
        pytest.param([chunk(begun(1)), END], id="a call left out"),
        pytest.param([chunk(written("{}")), END], id="a call without a name"),
        pytest.param([chunk(begun(name="")), END], id="a call with an empty name"),
        pytest.param([chunk(call(function={"name": "f"})), END], id="a call without arguments"),
        pytest.param([chunk(call(function={"name": "f", "arguments": {}})), END], id="arguments of no text"),
        pytest.param([chunk(call(id="call_1", type="new", new={})), END], id="an unknown call"),
        pytest.param([chunk(call(function="f")), END], id="a function that is none"),
        pytest.param([chunk({"tool_calls": [{"function": LEGACY_CALL}]}), END], id="a call without an index"),
        pytest.param([chunk({"tool_calls": [1]}), END], id="a call that is none"),
        pytest.param([chunk({"tool_calls": {"index": 0}}), END], id="calls that are no list"),
        pytest.param([chunk(begun()), chunk(call(id="call_9")), END], id="two ids of one call"),
        pytest.param([chunk(begun()), chunk(begun(0, "g")), END], id="two names of one call"),
        pytest.param(
            [chunk(call(function=LEGACY_CALL, custom={"name": "f", "input": ""})), END], id="two kinds"
        ),
        pytest.param([chunk({"function_call": "f"}), END], id="a legacy call that is none"),
        pytest.param([chunk({"function_call": {"arguments": "{}"}}), END], id="a legacy call without a name"),
    ],
)
def test_what_is_not_known_to_be_whole_makes_nothing(told):
    assert assembled(told) is None


wild = one_of_keys(*COMPLETION_KEYS) | anything
wild_calls = st.lists(
    st.builds(lambda rest, index: {**rest, "index": index}, one_of_keys("id", "function", "custom", "arguments"),
              st.integers(0, 2) | anything), max_size=2,
)  # fmt: skip
wild_deltas = st.builds(
    lambda rest, calls: {**rest, "tool_calls": calls}, one_of_keys(*COMPLETION_KEYS), wild_calls | anything
)
wild_chunks = st.builds(
    lambda delta, reason, index, rest: {**chunk(delta, reason, index, **rest), **rest},
    wild_deltas | wild,
    st.sampled_from([None, "stop", "tool_calls"]) | anything,
    st.integers(0, 2) | anything,
    st.dictionaries(st.sampled_from(["logprobs", "usage", "id", "object", "created", "x"]), wild, max_size=2),
)


@given(told=st.lists(wild_chunks | wild, max_size=5), framed=st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_stream_whatever_makes_an_assembly_raise(told, framed):
    made = assembled([SAID, *told, END] if framed else told)
    assert made is None or (made["object"] == "chat.completion" and isinstance(made["choices"], list))
    is_complete(made)
