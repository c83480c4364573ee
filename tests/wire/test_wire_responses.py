"""OpenAI's Responses: events tell the response they came from, and nothing that is not whole."""

from __future__ import annotations

import copy
from collections import defaultdict

import pytest
from doubles.wire_bodies import (
    ANNOTATION,
    CALL,
    REASONING,
    RESPONSE,
    RESPONSE_KEYS,
    SEARCH,
    anything,
    known_items,
    message_of,
    one_of_keys,
    replays,
    response_of,
    responses,
    sdk_models,
    text,
)
from hypothesis import example, given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent

from semcache_integrations.core.replay import Replay
from semcache_integrations.wire.responses import assembled, events

WORDS = Replay("words", 1)
SDK = sdk_models(ResponseStreamEvent)
DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "text",
    "response.reasoning_summary_text.delta": "text",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}


def place(event):
    return event["output_index"], event.get("content_index"), event.get("summary_index")


# ---- events and what they make


@given(response=responses(status=st.sampled_from(["completed", "incomplete"])), replay=replays)
@example(RESPONSE, WORDS)
def test_the_events_make_the_response_they_came_from_which_stays_as_it_was(response, replay):
    before = copy.deepcopy(response)
    assert assembled(events(response, replay)) == response == before


@given(response=responses(), replay=replays)
def test_a_stream_that_lacks_its_end_makes_nothing(response, replay):
    whole = list(events(response, replay))
    assert all(assembled(whole[:cut]) is None for cut in range(len(whole)))


@given(response=responses(), replay=replays)
@example(RESPONSE, WORDS)
def test_events_are_numbered_from_0_and_the_pieces_of_each_text_join_to_what_its_done_says(response, replay):
    told = list(events(response, replay))
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    pieces, done = defaultdict(str), {}
    for event in told:
        name = event["type"].removesuffix(".done") + ".delta"
        if event["type"] in DELTAS:
            pieces[event["type"], place(event)] += event["delta"]
        elif name in DELTAS:
            done[name, place(event)] = event[DELTAS[name]]
    assert {where: written for where, written in done.items() if written} == pieces


@given(response=responses(), replay=replays)
def test_the_done_items_are_the_output_and_their_events_name_them(response, replay):
    told = list(events(response, replay))
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert done == response["output"]
    for event in told:
        if "item_id" in event:
            item = response["output"][event["output_index"]]
            assert event["item_id"] == item.get("id", item.get("call_id"))


@given(response=responses(known_items | st.just(SEARCH)), replay=replays)
@example(RESPONSE, WORDS)
def test_each_event_is_one_that_the_sdk_declares(response, replay):
    for event in events(response, replay):
        SDK[event["type"]].model_validate(event)


def test_the_events_come_in_the_order_of_a_live_stream():
    reasoning = {**REASONING, "summary": [{"type": "summary_text", "text": "Hm."}], "status": "completed"}
    part = {**text("It is."), "annotations": [ANNOTATION], "logprobs": [{"token": "It", "logprob": -0.1}]}
    told = list(events(response_of(reasoning, message_of(part), {**CALL, "status": "completed"}), WORDS))
    assert [event["type"].removeprefix("response.") for event in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    begun = told[0]["response"]
    assert (begun["status"], begun["output"], begun["usage"], begun["id"]) == (
        "in_progress",
        [],
        None,
        "resp_1",
    )
    assert told[2]["item"] == {**reasoning, "summary": [], "status": "in_progress"}
    assert told[8]["item"] == message_of(status="in_progress")
    assert told[9]["part"] == {**text(""), "logprobs": []}
    assert told[13]["logprobs"] == part["logprobs"]
    assert told[16]["item"] == {**CALL, "arguments": "", "status": "in_progress"}
    assert told[18]["name"] == "f"


def test_an_item_or_a_part_of_an_unknown_kind_is_added_whole():
    part = {"type": "new_part", "text": "x"}
    odd = [{"type": "new"}, {"type": []}, SEARCH, message_of(part)]
    told = list(events(response_of(*odd), WORDS))
    added = [event["item"] for event in told if event["type"] == "response.output_item.added"]
    assert added == [*odd[:3], message_of(status="in_progress")]
    assert [event["part"] for event in told if "part" in event] == [part, part]


# ---- live streams that are not ours

COMPLETED = {"type": "response.completed", "response": RESPONSE}


def test_unknown_events_are_ignored_for_the_last_one_tells_all():
    assert assembled([{"type": "response.new"}, COMPLETED, {"type": "keepalive"}]) == RESPONSE


@pytest.mark.parametrize(
    "told",
    [
        [],
        [{"type": "response.created", "response": RESPONSE}],
        [{"type": "response.failed", "response": RESPONSE}],
        [{"type": "response.incomplete", "response": RESPONSE}],
        [{"type": "error", "message": "x"}, COMPLETED],
        [COMPLETED, {"type": "response.failed", "response": RESPONSE}],
        [COMPLETED, COMPLETED],
        [{"type": "response.completed", "response": None}],
        [{"error": {}}, COMPLETED],
        [None, COMPLETED],
    ],
)
def test_what_is_not_known_to_be_whole_makes_nothing(told):
    assert assembled(told) is None


@given(st.lists(one_of_keys(*RESPONSE_KEYS) | anything | st.just(COMPLETED)))
def test_no_stream_whatever_makes_an_assembly_raise(told):
    assert assembled(told) in (None, RESPONSE)
