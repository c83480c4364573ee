"""OpenAI's Responses: events tell the response they came from, and nothing that is not whole."""

from __future__ import annotations

import contextlib
import copy
from collections import defaultdict

import pytest
from doubles.wire_bodies import (
    ANNOTATION,
    RESPONSE,
    SEARCH,
    anything,
    known_items,
    one_of_keys,
    replays,
    responses,
    said,
    sdk_models,
)
from hypothesis import example, given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent

from semcache_integrations.core.replay import Replay
from semcache_integrations.wire.responses import assembled, events, is_complete, renamed, says

WORDS = Replay("words", 1)
SDK = sdk_models(ResponseStreamEvent)
KEYS = (
    "type", "output", "status", "error", "incomplete_details", "content", "text", "id", "call_id", "name",
    "arguments", "input", "response", "refusal", "summary",
)  # fmt: skip
DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "text",
    "response.reasoning_summary_text.delta": "text",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}


def message_of(*parts, **fields):
    head = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    return {**head, "content": list(parts), **fields}


def text(said="Paris."):
    return {"type": "output_text", "text": said, "annotations": []}


def response_of(*items, **fields):
    return {**RESPONSE, "output": list(items), **fields}


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


@given(st.lists(one_of_keys(*KEYS) | anything | st.just(COMPLETED)))
def test_no_stream_whatever_makes_an_assembly_raise(told):
    assert assembled(told) in (None, RESPONSE)


# ---- which responses are kept, and how they are compared


@pytest.mark.parametrize(
    "output",
    [
        [message_of(text())],
        [REASONING, message_of(text(" "), text())],
        [SEARCH, message_of(text(), status=None)],
        [CALL],
        [{"type": "custom_tool_call", "call_id": "call_1", "name": "f", "input": ""}],
    ],
)
def test_a_completed_response_that_says_or_calls_something_is_complete(output):
    assert is_complete(response_of(*output))


@pytest.mark.parametrize(
    "output",
    [
        [],
        None,
        [REASONING],
        [SEARCH],
        [message_of()],
        [message_of(text(" \n"))],
        [message_of(text(), {"type": "refusal", "refusal": "No."})],
        [message_of(text(), status="incomplete")],
        [message_of(text(), status=[])],
        [message_of(text()), {**CALL, "status": "in_progress"}],
        [message_of(text()), {"type": "mcp_approval_request", "id": "mcpr_1"}],
        [message_of(text()), {"type": "code_interpreter_call", "container_id": "cntr_1"}],
        [message_of(text()), "loose"],
        [{"type": [], "content": [text()]}],
    ],
)
def test_a_response_that_says_nothing_refuses_or_is_one_callers_is_not_complete(output):
    assert not is_complete({**RESPONSE, "output": output})


@pytest.mark.parametrize(
    "fields",
    [
        *(
            {"status": status}
            for status in ("incomplete", "failed", "in_progress", "queued", "cancelled", None)
        ),
        {"error": {"code": "server_error"}},
        {"incomplete_details": {"reason": "max_output_tokens"}},
        {"conversation": {"id": "conv_1"}},
    ],
)
def test_a_response_that_did_not_end_well_or_belongs_to_a_conversation_is_not_complete(fields):
    assert not is_complete(response_of(message_of(text()), **fields))


@given(st.one_of(anything, one_of_keys(*KEYS), responses()))
def test_no_json_whatever_makes_a_question_raise(body):
    assert is_complete(body) in {True, False}
    if isinstance(body, dict) and isinstance(body.get("output"), list):
        with contextlib.suppress(ValueError):  # arguments that orjson cannot write
            assert isinstance(says(body), str)
    else:
        with pytest.raises(ValueError, match="no response"):
            says(body)


def test_an_answer_is_compared_by_its_texts_and_its_calls():
    assert is_complete(RESPONSE)
    spoken = RESPONSE["output"][2]["content"][0]["text"]
    assert says(RESPONSE) == f'{spoken}\nweather({{"city":"Paris"}})\nshell(ls -l)'
    assert says(response_of(message_of(text("a"), text("b")))) == "a\nb"


@pytest.mark.parametrize("body", [None, [], {}, {"output": "x"}])
def test_what_is_no_response_is_a_value_error(body):
    with pytest.raises(ValueError, match="no response"):
        says(body)


# ---- ids


def test_a_copys_items_and_calls_have_new_ids_and_what_refers_to_them_follows():
    called = {**CALL, "caller": {"type": "program", "caller_id": "call_0"}}
    made = response_of(
        {"type": "program", "id": "prog_0", "call_id": "call_0"},
        {**REASONING, "encrypted_content": "ZGF0YQ=="},
        called,
        {"type": "function_call_output", "call_id": "call_1", "output": "call_1"},
        message_of(text("call_1")),
        {"type": "new", "id": "odd"},
        "loose",
    )
    before = copy.deepcopy(made)
    program, thought, call, result, spoken, odd, loose = renamed(made)["output"]
    assert made == before
    assert thought["id"].startswith("rs_")
    assert thought["id"] != "rs_1"
    assert spoken["id"].startswith("msg_")
    assert spoken["content"] == [text("call_1")]
    assert call["id"].startswith("fc_")
    assert call["call_id"] == result["call_id"] != "call_1"
    assert len(call["call_id"]) == len("call_") + 24
    assert call["caller"]["caller_id"] == program["call_id"] != "call_0"
    assert (odd, loose, result["output"]) == ({"type": "new", "id": "odd"}, "loose", "call_1")
    assert renamed(made)["id"] == made["id"]


def test_items_beside_reasoning_that_only_the_provider_holds_keep_their_ids_but_calls_do_not():
    thought, call = renamed(response_of(REASONING, CALL))["output"]
    assert (thought["id"], call["id"]) == ("rs_1", "fc_1")
    assert call["call_id"] != "call_1"


@given(response=responses())
def test_a_copy_says_what_its_original_says_and_tells_it_in_as_many_events(response):
    copied = renamed(response)
    assert says(copied) == says(response)
    assert is_complete(copied) == is_complete(response)
    assert len(list(events(copied, WORDS))) == len(list(events(response, WORDS)))


@given(words=said)
def test_two_copies_share_no_id(words):
    first, second = (renamed(response_of(message_of(text(words)), CALL))["output"] for _ in range(2))
    assert not {item["id"] for item in first} & {item["id"] for item in second}
    assert first[1]["call_id"] != second[1]["call_id"]
