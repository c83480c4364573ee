"""OpenAI's Responses: which are kept, how they are compared, and the ids of a copy."""

from __future__ import annotations

import copy

import pytest
from doubles.wire_bodies import (
    CALL,
    REASONING,
    RESPONSE,
    SEARCH,
    message_of,
    response_of,
    responses,
    said,
    text,
)
from hypothesis import given

from semcache_integrations.core.replay import Replay
from semcache_integrations.wire.responses import events, is_complete, renamed, says

WORDS = Replay("words", 1)
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
