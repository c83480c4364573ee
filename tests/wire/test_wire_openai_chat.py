"""OpenAI's Chat Completions: chunks make the completion they came from, and nothing that is not whole."""

from __future__ import annotations

import copy
import json
from itertools import zip_longest

import pytest
from doubles.wire_bodies import (
    COMPLETION,
    COMPLETION_KEYS,
    LOGPROBS,
    TOOL_CALL,
    anything,
    chat_message_of,
    completion_of,
    completions,
    one_of_keys,
    replays,
)
from hypothesis import assume, example, given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from semcache_integrations.core.replay import Replay
from semcache_integrations.wire.openai_chat import assembled, events, is_complete

WORDS = Replay("words", 1)
CUSTOM_CALL = {"id": "call_2", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}}
LEGACY_CALL = {"name": "f", "arguments": '{"a": 1}'}


def call(index=0, **fields):
    return {"tool_calls": [{"index": index, **fields}]}


def written(piece, index=0):
    return call(index, function={"arguments": piece})


# ---- chunks and what they make


@given(completion=completions(), replay=replays)
@example(COMPLETION, WORDS)
@example(completion_of(chat_message_of(None, function_call=LEGACY_CALL), reason="function_call"), WORDS)
@example(completion_of(chat_message_of(""), chat_message_of(None, tool_calls=[CUSTOM_CALL])), WORDS)
def test_the_chunks_make_the_completion_they_came_from_which_stays_as_it_was(completion, replay):
    before = copy.deepcopy(completion)
    made = assembled(events(completion, replay, usage=True))
    assert made == (completion if completion["choices"] else None)
    assert completion == before


@given(completion=completions(), replay=replays)
def test_without_usage_asked_for_none_is_told(completion, replay):
    told = list(events(completion, replay))
    assert not any("usage" in chunk for chunk in told)
    unused = {name: value for name, value in completion.items() if name != "usage"}
    assert assembled(told) == (unused if completion["choices"] else None)


@given(completion=completions(), replay=replays)
def test_a_stream_that_lacks_the_end_of_any_choice_it_began_makes_nothing(completion, replay):
    told = list(events(completion, replay))
    ended = {cut for cut, chunk in enumerate(told, 1) if chunk["choices"][0]["finish_reason"]}
    assert all((assembled(told[:cut]) is not None) == (cut in ended) for cut in range(len(told) + 1))


@given(completion=completions(), replay=replays)
def test_choices_may_be_told_in_any_mixture(completion, replay):
    assume(completion["choices"])
    told = [
        list(events({**completion, "choices": [choice]}, replay))
        for choice in reversed(completion["choices"])
    ]
    mixed = [chunk for chunks in zip_longest(*told) for chunk in chunks if chunk is not None]
    assert assembled(mixed)["choices"] == completion["choices"]


@given(path=st.data(), value=anything | one_of_keys(*COMPLETION_KEYS), replay=replays)
def test_whatever_is_complete_is_what_a_stream_can_tell(path, value, replay):
    """Put anything anywhere in a completion: what is kept still travels whole."""
    both = [chat_message_of(tool_calls=[TOOL_CALL, CUSTOM_CALL]), chat_message_of(function_call=LEGACY_CALL)]
    body = copy.deepcopy(completion_of(*both))
    spot = body
    while True:
        name = path.draw(st.sampled_from(sorted(spot) if isinstance(spot, dict) else range(len(spot))))
        if not isinstance(spot[name], dict | list) or not spot[name] or path.draw(st.booleans()):
            break
        spot = spot[name]
    spot[name] = value
    if is_complete(body):
        assert assembled(events(body, replay, usage=True)) == in_openais_way(body)


def in_openais_way(completion):
    told = copy.deepcopy(completion)
    for choice in told["choices"]:
        choice.pop("delta", None)
        calls = choice["message"].get("tool_calls") or []
        for call in calls:
            call.pop("index", None)
        if calls or choice["message"].get("function_call"):
            choice["message"].setdefault("content", None)
    return told


@pytest.mark.parametrize("value", [{"x": 1}, [1], "x", 0, 0.5, True, None, "", [], {}])
@pytest.mark.parametrize("name", ["prompt_filter_results", "created", "system_fingerprint", "error"])
def test_whatever_else_is_told_at_the_top_is_told_in_every_chunk(name, value):
    body = completion_of(chat_message_of(), **{name: value})
    told = list(events(body, WORDS, usage=True))
    assert all(chunk[name] == value for chunk in told)
    assert is_complete(body) == (name != "error" or not value)
    assert assembled(told) == (body if is_complete(body) else None)


def test_the_chunks_come_in_the_order_of_a_live_stream():
    message = chat_message_of(
        "It is.",
        reasoning_content="Hm.",
        annotations=[],
        tool_calls=[{**TOOL_CALL, "function": {"name": "f", "arguments": "{} {}"}}],
    )
    made = completion_of(message, reason="tool_calls")
    made["choices"][0] |= {"logprobs": LOGPROBS, "stop_reason": None}
    *told, counted = events(made, WORDS, usage=True)
    opened = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}, "index": 0}
    assert [chunk["choices"][0]["delta"] for chunk in told] == [
        {"role": "assistant", "reasoning_content": "", "content": "", "refusal": None},
        {"reasoning_content": "Hm."},
        {"content": "It "},
        {"content": "is."},
        {"annotations": []},
        {"tool_calls": [opened]},
        written("{} "),
        written("{}"),
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in told] == [None] * 8 + ["tool_calls"]
    assert [chunk["choices"][0]["logprobs"] for chunk in told] == [None] * 2 + [LOGPROBS] + [None] * 6
    assert [at for at, chunk in enumerate(told) if "stop_reason" in chunk["choices"][0]] == [8]
    head = {name: value for name, value in COMPLETION.items() if name not in {"choices", "usage"}}
    head["object"] = "chat.completion.chunk"
    assert counted == {**head, "choices": [], "usage": COMPLETION["usage"]}
    for chunk in told:
        assert {**chunk, "choices": []} == {**head, "choices": [], "usage": None}


def test_log_probabilities_without_a_text_come_at_the_end():
    made = completion_of(chat_message_of(None, tool_calls=[TOOL_CALL]), reason="tool_calls")
    made["choices"][0]["logprobs"] = LOGPROBS
    told = list(events(made, WORDS))
    assert [chunk["choices"][0]["logprobs"] for chunk in told] == [None] * (len(told) - 1) + [LOGPROBS]


def test_a_call_of_an_unknown_kind_or_shape_is_told_whole_and_makes_nothing():
    odd = [{"id": "call_1", "type": "new", "new": {"name": "f"}}, {"function": {"name": "f", "arguments": 1}}]
    told = list(events(completion_of(chat_message_of(None, tool_calls=odd)), WORDS))
    deltas = [chunk["choices"][0]["delta"] for chunk in told]
    assert deltas[1:-1] == [call(0, **odd[0]), call(1, **odd[1])]
    assert assembled(told) is None


@given(completion=completions(), replay=replays)
@example(COMPLETION, WORDS)
def test_each_chunk_is_one_that_the_sdk_declares(completion, replay):
    told = list(events(completion, replay, usage=True))
    assume('"custom"' not in json.dumps(told))  # the SDK's chunks know functions only
    for chunk in told:
        ChatCompletionChunk.model_validate(chunk)


def test_other_providers_completions_come_back_in_openais_way():
    made = completion_of(
        {"role": "assistant", "tool_calls": [{**TOOL_CALL, "index": 0}]}, reason="tool_calls"
    )
    made["choices"][0]["delta"] = {"role": "assistant", "content": ""}
    message = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
    again = completion_of(message, reason="tool_calls")
    assert is_complete(made)
    assert assembled(events(made, WORDS, usage=True)) == again == in_openais_way(made)
