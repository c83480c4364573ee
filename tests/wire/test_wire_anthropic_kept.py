"""Anthropic's Messages: which are kept, how they are compared, and the ids of a copy."""

from __future__ import annotations

import copy

import pytest
from doubles.wire_bodies import (
    MESSAGE,
    messages,
    said,
)
from hypothesis import given

from semcache_integrations.wire.anthropic import is_complete, renamed, says


def message_of(*content, **fields):
    return {**MESSAGE, "content": list(content), **fields}


def text(said="Paris."):
    return {"type": "text", "text": said}


# ---- which messages are kept, and how they are compared


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence"])
def test_an_answer_that_ended_by_itself_or_at_a_stop_sequence_is_complete(reason):
    assert is_complete(message_of(text(), stop_reason=reason))


@pytest.mark.parametrize(
    "reason",
    ["max_tokens", "model_context_window_exceeded", "refusal", "pause_turn", "new", None, [], "tool_use"],
)
def test_an_answer_that_ended_otherwise_or_calls_nothing_it_stopped_for_is_not(reason):
    assert not is_complete(message_of(text(), stop_reason=reason))


@pytest.mark.parametrize(
    "content",
    [
        [],
        [text("")],
        [text(" \n")],
        [{"type": "thinking", "thinking": "Hm.", "signature": "s"}],
        [{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}],
        [text(), "loose"],
        "Paris.",
        None,
    ],
)
def test_an_answer_that_says_and_calls_nothing_is_not_complete(content):
    assert not is_complete({**MESSAGE, "content": content, "stop_reason": "end_turn"})


@pytest.mark.parametrize(
    "fields", [{"usage": None}, {"usage": {}}, {"container": {"id": "c"}}, {"type": "error"}, {"type": None}]
)
def test_an_answer_that_no_stream_could_tell_or_that_is_one_callers_is_not_complete(fields):
    assert not is_complete(message_of(text(), **{"stop_reason": "end_turn", **fields}))


def test_an_answer_is_compared_by_its_texts_and_its_calls():
    assert is_complete(MESSAGE)
    assert says(MESSAGE) == "\n".join(
        [MESSAGE["content"][4]["text"], 'weather({"city":"Paris","days":[1,2.5],"x":null})', "now({})"]
    )


def test_arguments_that_cannot_be_compared_are_a_value_error():
    with pytest.raises(ValueError, match="cannot be compared"):
        says(message_of({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 10**30}}))


# ---- ids


def test_a_copys_calls_have_new_ids_and_what_refers_to_them_follows():
    made = message_of(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "code_execution", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"id": "toolu_1"},
         "caller": {"type": "code_execution_20250825", "tool_id": "srvtoolu_1"}},
        text(),
        "loose",
    )  # fmt: skip
    before = copy.deepcopy(made)
    ran, result, call, *rest = renamed(made)["content"]
    assert ran["id"].startswith("srvtoolu_")
    assert ran["id"] == result["tool_use_id"] == call["caller"]["tool_id"] != "srvtoolu_1"
    assert call["id"].startswith("toolu_")
    assert len(call["id"]) == len("toolu_") + 24
    assert call["input"] == {"id": "toolu_1"}  # what the model wrote is no reference
    assert (rest, made) == ([text(), "loose"], before)


@given(message=messages())
def test_two_copies_share_no_id_and_differ_in_nothing_else(message):
    first, second = renamed(message), renamed(message)
    uses = [
        (a, b) for a, b in zip(first["content"], second["content"], strict=True) if a["type"] == "tool_use"
    ]
    assert all(a["id"] != b["id"] for a, b in uses)
    assert is_complete(first) == is_complete(message)
    assert [block["type"] for block in first["content"]] == [block["type"] for block in message["content"]]
    assert first["id"] == message["id"]


@given(words=said)
def test_a_message_without_calls_is_copied_as_it_is(words):
    assert renamed(message_of(text(words))) == message_of(text(words))
