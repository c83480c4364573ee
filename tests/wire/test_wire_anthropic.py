"""Anthropic's Messages: events make the message they came from, and nothing that is not whole."""

from __future__ import annotations

import copy
from itertools import chain

import pytest
from anthropic.types import RawMessageStreamEvent
from doubles.wire_bodies import (
    CITATION,
    MESSAGE,
    MESSAGE_KEYS,
    anything,
    known_blocks,
    messages,
    objects,
    one_of_keys,
    replays,
    sdk_models,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from semcache_integrations.core.replay import Replay
from semcache_integrations.wire.anthropic import assembled, events

WORDS = Replay("words", 1)
SDK = sdk_models(RawMessageStreamEvent)
TYPES = (
    "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
    "message_stop", "ping", "error",
)  # fmt: skip
DELTAS = (
    "text_delta",
    "input_json_delta",
    "thinking_delta",
    "citations_delta",
    "signature_delta",
    "new_delta",
)
wild_deltas = st.builds(
    lambda kind, rest: {**rest, "type": kind}, st.sampled_from(DELTAS), one_of_keys(*MESSAGE_KEYS) | objects
)
wild_events = st.builds(
    lambda kind, rest, delta, index: {**rest, "index": index, "delta": delta, "type": kind},
    st.sampled_from(TYPES),
    one_of_keys(*MESSAGE_KEYS),
    wild_deltas | anything,
    st.integers(-1, 2) | anything,
)
START = {"type": "message_start", "message": {"content": [], "usage": None}}


def message_of(*content, **fields):
    return {**MESSAGE, "content": list(content), **fields}


def text(said="Paris."):
    return {"type": "text", "text": said}


def stream(*inner):
    return [START, *inner, {"type": "message_stop"}]


def block_stream(block, *deltas):
    return stream(
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
    )


# ---- events and what they make


@given(message=messages(), replay=replays)
@example(MESSAGE, WORDS)
@example({"content": []}, WORDS)
def test_the_events_make_the_message_they_came_from_which_stays_as_it_was(message, replay):
    before = copy.deepcopy(message)
    assert assembled(events(message, replay)) == message == before


@given(message=messages(), replay=replays)
def test_a_stream_that_lacks_any_of_its_end_makes_nothing(message, replay):
    whole = list(events(message, replay))
    assert all(assembled(whole[:cut]) is None for cut in range(len(whole)))


@given(message=messages(), replay=replays)
def test_the_pieces_of_each_text_join_to_the_text(message, replay):
    for index, block in enumerate(message["content"]):
        deltas = [e["delta"] for e in events(message, replay) if e.get("index") == index and "delta" in e]
        if block["type"] in {"text", "thinking"}:
            field = block["type"]
            assert "".join(delta.get(field, "") for delta in deltas) == block[field]


@given(message=messages(known_blocks), replay=replays)
@example(MESSAGE, WORDS)
def test_each_event_is_one_that_the_sdk_declares(message, replay):
    for event in events(message, replay):
        SDK[event["type"]].model_validate(event)


def test_the_events_come_in_the_order_of_a_live_stream():
    message = message_of(
        text("It is so."), {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
    )
    told = list(events(message, Replay("words", 2)))
    assert [(event["type"], event.get("index")) for event in told] == [
        ("message_start", None),
        ("content_block_start", 0),
        *[("content_block_delta", 0)] * 2,
        ("content_block_stop", 0),
        ("content_block_start", 1),
        *[("content_block_delta", 1)] * 2,
        ("content_block_stop", 1),
        ("message_delta", None),
        ("message_stop", None),
    ]
    begun = told[0]["message"]
    assert (begun["content"], begun["stop_reason"]) == ([], None)
    assert begun["usage"] == {**MESSAGE["usage"], "output_tokens": 1, "server_tool_use": None}
    assert told[1]["content_block"] == {"type": "text", "text": ""}
    assert [told[at]["delta"]["partial_json"] for at in (6, 7)] == ["", '{"a": 1}']
    assert told[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None, "stop_details": None},
        "usage": MESSAGE["usage"],
    }


def test_a_block_of_an_unknown_kind_or_shape_starts_whole():
    odd = [
        {"type": "new", "x": 1},
        {"type": "text", "text": None},
        {"type": "tool_use", "input": "x"},
        {"type": []},
    ]
    told = list(events(message_of(*odd), WORDS))
    assert [event["content_block"] for event in told if event["type"] == "content_block_start"] == odd
    assert not any(event["type"] == "content_block_delta" for event in told)


def test_arguments_keep_integers_of_more_than_64_bits():
    message = message_of({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 10**30}})
    assert assembled(events(message, WORDS)) == message


# ---- live streams that are not ours


def test_pings_are_ignored_wherever_they_stand():
    ping = {"type": "ping"}
    told = chain.from_iterable((ping, event, ping) for event in events(MESSAGE, WORDS))
    assert assembled(told) == MESSAGE


def test_counts_of_the_end_overwrite_those_of_the_start_unless_they_are_null_or_missing():
    start = {
        "type": "message_start",
        "message": {"content": [], "usage": {"input_tokens": 5, "output_tokens": 1}},
    }
    told = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9, "input_tokens": None}}
    assert assembled([start, told, {"type": "message_stop"}])["usage"] == {
        "input_tokens": 5,
        "output_tokens": 9,
    }


def test_what_the_end_tells_beside_its_delta_is_the_messages_own():
    told = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "context_management": {"edits": []},
    }
    made = assembled(stream(told))
    assert (made["stop_reason"], made["context_management"]) == ("end_turn", {"edits": []})


def test_citations_and_signatures_come_to_blocks_that_started_without_them():
    cited = block_stream({"type": "text", "text": ""}, {"type": "citations_delta", "citation": CITATION})
    assert assembled(cited)["content"] == [{"type": "text", "text": "", "citations": [CITATION]}]
    signed = block_stream({"type": "thinking", "thinking": ""}, {"type": "signature_delta", "signature": "s"})
    assert assembled(signed)["content"] == [{"type": "thinking", "thinking": "", "signature": "s"}]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param([], id="nothing"),
        pytest.param([{"type": "message_stop"}], id="no start"),
        pytest.param([START], id="no end"),
        pytest.param(["message_start"], id="no event"),
        pytest.param(stream({"type": "error", "error": {}}), id="an error"),
        pytest.param([*stream(), {"type": "error", "error": {}}], id="an error after the end"),
        pytest.param([*stream(), START], id="a second message"),
        pytest.param(stream(START), id="a second start"),
        pytest.param(stream({"type": "new_event"}), id="an unknown event"),
        pytest.param([{"type": "message_start", "message": None}], id="no message"),
        pytest.param(
            [{"type": "message_start", "message": {"content": [text()]}}], id="a start with content"
        ),
        pytest.param(stream({"type": "message_delta", "delta": None}), id="no delta of the message"),
        pytest.param(stream({"type": "content_block_stop", "index": 0}), id="a stop of no block"),
        pytest.param(stream({"type": "content_block_stop", "index": None}), id="a stop without an index"),
        pytest.param(stream({"type": "content_block_start", "index": 1, "content_block": {}}), id="a gap"),
        pytest.param(stream({"type": "content_block_start", "index": 0, "content_block": 1}), id="no block"),
        pytest.param(
            stream({"type": "content_block_start", "index": 0, "content_block": {}}), id="a block left open"
        ),
        pytest.param(
            stream({"type": "content_block_delta", "index": 0, "delta": {}}), id="a delta of no block"
        ),
        pytest.param(
            stream({"type": "content_block_delta", "index": [], "delta": {}}), id="a delta without an index"
        ),
        pytest.param(block_stream(text(), {"type": "new_delta"}), id="an unknown delta"),
        pytest.param(
            block_stream(text(), {"type": "thinking_delta", "thinking": "x"}), id="a delta of another kind"
        ),
        pytest.param(
            block_stream(text(), {"type": "input_json_delta", "partial_json": "x"}), id="input for a text"
        ),
        pytest.param(block_stream(text(), {"type": "signature_delta", "signature": "x"}), id="a text signed"),
        pytest.param(block_stream(text(), {"type": "text_delta", "text": 1}), id="a text that is none"),
        pytest.param(block_stream(text(), {"type": "citations_delta", "citation": 1}), id="no citation"),
        pytest.param(
            block_stream({"type": "thinking", "thinking": ""}, {"type": "signature_delta"}), id="unsigned"
        ),
        pytest.param(
            block_stream({"input": {}}, {"type": "input_json_delta", "partial_json": "{"}), id="half JSON"
        ),
        pytest.param(
            block_stream({"input": {}}, {"type": "input_json_delta", "partial_json": "1"}), id="no object"
        ),
        pytest.param(
            block_stream({"input": {}}, {"type": "input_json_delta", "partial_json": "[" * 100_000}),
            id="too deep",
        ),
    ],
)
def test_what_is_not_known_to_be_whole_makes_nothing(told):
    assert assembled(told) is None


@given(told=st.lists(wild_events | anything, max_size=6), framed=st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_stream_whatever_makes_an_assembly_raise(told, framed):
    made = assembled(stream(*told) if framed else told)
    assert made is None or isinstance(made["content"], list)
