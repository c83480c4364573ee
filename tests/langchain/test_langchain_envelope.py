"""Answers as payloads: complete ones only, no live handles in them, and a copy of its own for every hit."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timezone
from uuid import UUID

import orjson
import pytest
from doubles.langchain_calls import USAGE, chat_answer
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from pydantic import BaseModel

from semcache_integrations.langchain.envelope import pack, unpack

MARK = {"hit": True, "tier": "hash"}


def revived(generations, **options):
    payload = pack(generations)
    assert payload is not None
    return unpack(payload).fresh(MARK, **options)


def message_of(generations, **options):
    return revived(generations, **options)[0].message


# -- what is kept ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    ["stop", "STOP", "FinishReason.STOP", "end_turn", "stop_sequence", "tool_calls", "COMPLETE", None],
)
def test_a_complete_answer_is_kept(reason):
    for name in ("finish_reason", "stop_reason", "stopReason", "done_reason"):
        assert pack(chat_answer(response_metadata={name: reason}))
        assert pack([Generation(text="a", generation_info={name: reason})])


@pytest.mark.parametrize(
    "reason",
    [
        *("length", "max_tokens", "MAX_TOKENS", "content_filter", "SAFETY", "refusal", "pause_turn", "error"),
        *("model_context_window_exceeded", "guardrail_intervened", "unheard_of", 2),
    ],
)
def test_an_answer_that_is_not_known_to_be_complete_is_not_kept(reason):
    for name in ("finish_reason", "stop_reason", "stopReason", "done_reason"):
        assert pack(chat_answer(response_metadata={name: reason})) is None
        assert pack([Generation(text="a", generation_info={name: reason})]) is None
    answer = chat_answer(response_metadata={})
    answer[0].generation_info = {"finish_reason": reason}
    assert pack(answer) is None


class OwnMessage(AIMessage):
    pass


class OwnGeneration(Generation):
    pass


NOT_KEPT = {
    "nothing": [],
    "empty text": [Generation(text="")],
    "empty message": chat_answer(""),
    "blank message": chat_answer(" \n"),
    "thoughts only": chat_answer([{"type": "thinking", "thinking": "hm"}]),
    "refusal": chat_answer(additional_kwargs={"refusal": "I cannot"}),
    "refusal block": chat_answer(["a", {"type": "refusal", "refusal": "I cannot"}]),
    "broken tool call": chat_answer(
        invalid_tool_calls=[{"name": "f", "args": "{", "id": "1", "error": None, "type": "invalid_tool_call"}]
    ),
    "a hit": chat_answer(response_metadata={"semcache": {"hit": True}}),
    "a human": [ChatGeneration(message=HumanMessage("a"))],
    "own message": [ChatGeneration(message=OwnMessage("a"))],
    "own generation": [OwnGeneration(text="a")],
    "incomplete response": chat_answer(response_metadata={"status": "incomplete"}),
    "a search on the provider's side": chat_answer(
        [{"type": "web_search_call", "id": "ws_1"}, {"type": "text", "text": "a"}]
    ),
    "a generated image": chat_answer(["a", {"type": "image_generation_call", "id": "ig_1"}]),
    "one of two": [*chat_answer(), *chat_answer("")],
    "invalid Unicode": chat_answer("a\ud800"),
    "a number beyond 64 bits": chat_answer(tool_calls=[{"name": "f", "args": {"n": 2**70}, "id": "call_1"}]),
    "not a number": chat_answer(response_metadata={"logprob": float("nan")}),
    "bytes": chat_answer(additional_kwargs={"raw": b"\xff"}),
}


@pytest.mark.parametrize("case", NOT_KEPT)
def test_an_answer_that_could_not_be_given_again_is_not_kept(case):
    assert pack(NOT_KEPT[case]) is None


# -- what comes back ------------------------------------------------------------------------------

USED = {**USAGE, "input_token_details": {"cache_read": 1}}

FAITHFUL = {
    "text": AIMessage("Paris"),
    "name": AIMessage("Paris", name="bob"),
    "blocks": AIMessage(["a", {"type": "text", "text": "b", "citations": [{"url": "u"}]}]),
    "thinking": AIMessage(
        [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "a"}]
    ),
    "usage": AIMessage("a", usage_metadata=USED),
    "metadata": AIMessage(
        "a", response_metadata={"logprobs": {"content": [{"token": "a", "logprob": -0.5}]}}
    ),
    "extras": AIMessage("a", additional_kwargs={"reasoning_content": "hm", "lc": 1, "type": "secret"}),
    "escape soup": AIMessage('"\\ \x00 Где 日本 \U0001f600'),
}


@pytest.mark.parametrize("case", FAITHFUL)
def test_a_message_comes_back_as_it_was(case):
    message = FAITHFUL[case]
    found = message_of([ChatGeneration(message=message)])
    found.response_metadata.pop("semcache")
    found.id = None
    if message.usage_metadata is None:
        found.usage_metadata = None
    assert found == message
    assert type(found) is AIMessage


def test_a_plain_generation_comes_back_equal_and_unmarked():
    """LangChain's own suite asks for it, and a text has no place for a mark."""
    answer = [Generation(text="a", generation_info={"reason": "test"}), Generation(text="b")]
    assert revived(answer) == answer
    assert revived([GenerationChunk(text="a")]) == [Generation(text="a")]


def test_a_streamed_answer_comes_back_whole():
    """LangChain stores chunks of a call that was streamed on behalf of a handler."""
    chunk = AIMessageChunk("Pa") + AIMessageChunk("ris", response_metadata={"finish_reason": "stop"})
    found = revived([ChatGenerationChunk(message=chunk)])
    assert type(found) is list
    assert type(found[0]) is ChatGeneration
    assert found[0].text == found[0].message.text == "Paris"


def test_every_hit_has_an_id_of_its_own():
    """A repeated id makes LangGraph drop the second answer of a thread."""
    answer = unpack(pack([*chat_answer("a", id="lc_run--old"), *chat_answer("b")]))
    ids = [generation.message.id for _ in range(3) for generation in answer.fresh(MARK)]
    assert len(set(ids)) == 6
    assert all(one.startswith("lc_run--") and UUID(one.removeprefix("lc_run--")).version == 4 for one in ids)


@pytest.mark.parametrize("usage", [None, USED])
def test_token_counts_are_those_of_the_answer(usage):
    found = message_of([ChatGeneration(message=AIMessage("a", usage_metadata=usage))])
    assert found.usage_metadata == usage


def test_a_hit_may_count_for_nothing():
    assert message_of(chat_answer(), usage="zero").usage_metadata == dict.fromkeys(USAGE, 0)


def test_what_a_caller_edits_stays_his():
    answer = unpack(
        pack(
            chat_answer(
                [{"type": "text", "text": "a", "citations": [{"url": "u"}]}],
                additional_kwargs={"deep": {"list": [1]}},
                tool_calls=[{"name": "f", "args": {"deep": [1]}, "id": "call_1"}],
                usage_metadata=USED,
            )
        )
    )
    before = answer.fresh(MARK)[0]
    before.generation_info = {"mine": 1}
    message = before.message
    expected = copy.deepcopy(message)
    message.content[0]["citations"].append("mine")
    message.additional_kwargs["deep"]["list"].append("mine")
    message.response_metadata["semcache"]["tier"] = message.response_metadata["mine"] = "mine"
    message.tool_calls[0]["args"]["deep"].append("mine")
    message.tool_calls.append("mine")
    message.invalid_tool_calls.append("mine")
    message.usage_metadata["input_token_details"]["cache_read"] = message.usage_metadata["total_cost"] = 9
    message.name = "mine"
    after = answer.fresh(MARK)[0]
    assert after.generation_info is None
    for found in (after.message, expected):
        found.id, found.tool_calls[0]["id"] = "", ""
    assert after.message == expected


@pytest.mark.parametrize(
    "old", ["call_GUnCZTkZN", "toolu_01A09q90qw90lq917835lq9", "a1b2c3d4e", "1", "call_1"]
)
def test_tool_calls_have_new_ids_in_the_providers_own_form(old):
    """Anthropic and OpenAI refuse a conversation with two calls of one id; Mistral wants nine letters."""
    answer = chat_answer(
        [{"type": "tool_use", "id": old, "name": "f", "input": {"id": old}}],
        tool_calls=[{"name": "f", "args": {"id": old, "1": old}, "id": old}],
        additional_kwargs={
            "tool_calls": [{"id": old, "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            "__gemini_function_call_thought_signatures__": {old: "signature"},
        },
    )
    found, another = message_of(answer), message_of(answer)
    new = found.tool_calls[0]["id"]
    assert new not in (old, another.tool_calls[0]["id"])
    assert len(new) == max(len(old), len(old.rpartition("_")[0]) + 1 + 9 if "_" in old else 9)
    assert new.rpartition("_")[0] == old.rpartition("_")[0]
    assert found.content[0]["id"] == found.additional_kwargs["tool_calls"][0]["id"] == new
    assert found.additional_kwargs["__gemini_function_call_thought_signatures__"] == {new: "signature"}
    assert found.tool_calls[0]["args"] == {"id": old, "1": old}, (
        "the model's own words are not ours to change"
    )
    assert found.content[0]["input"] == {"id": old}


def test_a_tool_call_without_an_id_stays_without():
    assert (
        message_of(chat_answer(tool_calls=[{"name": "f", "args": {}, "id": None}])).tool_calls[0]["id"]
        is None
    )


def test_nothing_points_at_the_providers_record_of_the_call():
    """`resp_…` would chain the next call to another user's conversation."""
    payload = pack(
        chat_answer(
            [
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "text", "text": "a", "id": "msg_1"},
                {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
            ],
            id="resp_1",
            tool_calls=[{"name": "f", "args": {}, "id": "call_1"}],
            response_metadata={"id": "resp_1", "status": "completed", "headers": {"set-cookie": "s"}},
            additional_kwargs={
                "reasoning": {"id": "rs_1", "summary": []},
                "__openai_function_call_ids__": {"call_1": "fc_1"},
            },
        )
    )
    for handle in ("resp_", "rs_1", "msg_1", "fc_1", "set-cookie"):
        assert handle not in payload
    assert [block["type"] for block in unpack(payload).fresh(MARK)[0].message.content] == [
        "text",
        "function_call",
    ]


class Parsed(BaseModel):
    x: int


def test_a_parsed_object_comes_back_as_its_fields():
    found = message_of(chat_answer(additional_kwargs={"parsed": Parsed(x=1)}))
    assert found.additional_kwargs["parsed"] == {"x": 1}


def test_odd_values_come_back_as_text():
    when = datetime(2026, 1, 1, tzinfo=timezone.utc)
    found = message_of(chat_answer(response_metadata={"when": when, "set": {1}, "thing": object}))
    assert found.response_metadata["when"].startswith("2026-01-01")
    assert found.response_metadata["set"] == [1]
    json.dumps(found.response_metadata)


# -- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": None},
        {"g": []},
        {"g": None},
        {"g": [{"k": "pickle", "m": {}, "i": None}]},
        {"g": [{"k": "chat", "m": {"type": "human", "content": "a"}, "i": None}]},
        {"g": [{"k": "chat", "m": {"type": "ai"}, "i": None}]},
        {"g": [{"k": "chat", "m": {"type": "ai", "content": 1, "usage_metadata": None}, "i": None}]},
        {"g": [{"k": "text", "t": 1, "i": None}]},
        {"g": [{"k": "text"}]},
    ],
    ids=str,
)
def test_a_payload_of_another_version_is_a_miss(change):
    assert unpack(json.dumps({**orjson.loads(pack(chat_answer())), **change})) is None


def test_a_payload_that_names_a_class_makes_nothing():
    """`langchain_core.load.loads` would build it: CVE-2025-68664."""
    assert unpack(dumps(chat_answer()[0])) is None
    poisoned = json.loads(pack(chat_answer()))
    evil = {"lc": 1, "type": "secret", "id": ["PATH"]}
    poisoned["g"][0]["m"]["additional_kwargs"] = {"x": evil}
    assert unpack(json.dumps(poisoned)).fresh(MARK)[0].message.additional_kwargs == {"x": evil}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.text() | JSON.map(json.dumps) | JSON.map(lambda value: json.dumps({"v": 1, "g": [value]})))
def test_no_payload_raises(payload):
    assert unpack(payload) is None


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), JSON, max_size=3),
)
def test_any_answer_comes_back(text, extras):
    extras.pop("refusal", None)
    found = message_of(chat_answer(text, additional_kwargs=extras))
    assert (found.content, found.additional_kwargs) == (text, extras)
