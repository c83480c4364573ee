"""What is kept, and that it comes back as if a provider had just said it."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel

from semcache_integrations.langchain.answers import calls_tools, storable
from semcache_integrations.langchain.envelope import NO_USAGE, dump, revive

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
CALL = {"name": "f", "args": {"a": 1, "lc": {"lc": 1}}, "id": "call_original", "type": "tool_call"}


def answer(content: Any = "Paris", **given_: Any) -> ChatGeneration:
    return ChatGeneration(message=AIMessage(content, **given_))


def replayed(generation: Generation, **given_: Any) -> Any:
    (one,) = revive(dump([generation]), {"hit": True}, **given_)
    return one


# -- what is kept -----------------------------------------------------------------------------------


class Custom(AIMessage):
    pass


@pytest.mark.parametrize(
    "generation",
    [
        answer(),
        answer(response_metadata={"finish_reason": "stop"}),
        answer(response_metadata={"stop_reason": "end_turn"}),
        answer(response_metadata={"finish_reason": "STOP"}),
        answer(response_metadata={"status": "completed"}),
        answer("", tool_calls=[CALL], response_metadata={"finish_reason": "tool_calls"}),
        answer([{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}], tool_calls=[CALL]),
        answer([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "a"}]),
        answer(additional_kwargs={"refusal": None}),
        ChatGeneration(message=AIMessageChunk("Paris")),
        Generation(text="a", generation_info={"reason": "test"}),
        Generation(text="a"),
    ],
)
def test_complete_answers_are_kept(generation) -> None:
    assert storable([generation])


@pytest.mark.parametrize(
    "generation",
    [
        answer(""),
        answer(" \n"),
        answer(response_metadata={"finish_reason": "length"}),
        answer(response_metadata={"stop_reason": "max_tokens"}),
        answer(response_metadata={"finish_reason": "content_filter"}),
        answer(response_metadata={"finish_reason": "SAFETY"}),
        answer(response_metadata={"stop_reason": "refusal"}),
        answer(response_metadata={"stop_reason": "pause_turn"}),
        answer(response_metadata={"status": "incomplete"}),
        answer(response_metadata={"stopReason": "guardrail_intervened"}),
        answer(response_metadata={"finish_reason": "something new"}),
        answer(response_metadata={"semcache": {"hit": True}}),
        answer(additional_kwargs={"refusal": "I cannot"}),
        answer([{"type": "refusal", "refusal": "no"}, {"type": "text", "text": "a"}]),
        answer(invalid_tool_calls=[{"name": "f", "args": "{", "id": "1", "error": None}]),
        answer([{"type": "web_search_call", "id": "ws_1"}, {"type": "text", "text": "a"}]),
        answer([{"type": "server_tool_use", "id": "srvtoolu_1"}, {"type": "text", "text": "a"}]),
        ChatGeneration(message=Custom("a")),
        ChatGeneration(message=HumanMessage("a")),
        ChatGeneration(message=AIMessage("a"), generation_info={"finish_reason": "length"}),
        Generation(text=""),
        Generation(text="a", generation_info={"finish_reason": "length"}),
    ],
)
def test_other_answers_are_not_kept(generation) -> None:
    assert not storable([generation])
    assert not storable([answer(), generation])


def test_nothing_is_not_kept() -> None:
    assert not storable([])


def test_which_answers_call_tools() -> None:
    assert calls_tools([answer(), answer(tool_calls=[CALL])])
    assert not calls_tools([answer(), Generation(text="a")])


# -- how it comes back ------------------------------------------------------------------------------


def test_a_plain_generation_comes_back_equal() -> None:
    generation = Generation(text="a", generation_info={"reason": "test"})
    assert replayed(generation) == generation


@pytest.mark.parametrize(
    "message",
    [
        AIMessage(
            "Paris 日本 🗼", name="guide", usage_metadata=USAGE, additional_kwargs={"lc": 1, "a": [1, None]}
        ),
        AIMessage([{"type": "text", "text": "a", "annotations": [{"type": "citation", "url": "u"}]}, "b"]),
        AIMessage([{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "image", "url": "u"}]),
        AIMessage("a", usage_metadata={**USAGE, "input_token_details": {"cache_read": 1}}),
        AIMessage("a", response_metadata={"id": "chatcmpl-1", "logprobs": {"content": [{"logprob": -0.5}]}}),
    ],
)
def test_a_message_comes_back_equal_but_for_id_usage_and_mark(message) -> None:
    one = replayed(ChatGeneration(message=message, generation_info={"finish_reason": "stop"}))
    expected = message.model_copy(
        update={
            "id": one.message.id,
            "usage_metadata": message.usage_metadata or dict(NO_USAGE),
            "response_metadata": {**message.response_metadata, "semcache": {"hit": True}},
        }
    )
    assert one.message == expected
    assert one.generation_info == {"finish_reason": "stop"}
    assert one.text == message.text
    assert type(one.message) is AIMessage


def test_a_chunk_comes_back_as_a_message() -> None:
    chunk = AIMessageChunk("a", tool_call_chunks=[{"name": "f", "args": "{}", "id": "call_1", "index": 0}])
    message = replayed(ChatGeneration(message=chunk)).message
    assert type(message) is AIMessage
    assert [call["name"] for call in message.tool_calls] == ["f"]


def test_every_replay_has_an_id_of_its_own() -> None:
    payload = dump([answer(id="run-original")])
    ids = [revive(payload, {})[0].message.id for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(
        re.fullmatch(r"lc_run--[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}", i)
        for i in ids
    )
    assert "run-original" not in payload


def test_usage_is_complete_and_can_be_zero() -> None:
    """LangChain writes `total_cost` beside it, and cannot read the message back without all three."""
    bare = replayed(answer()).message
    assert bare.usage_metadata == NO_USAGE
    assert replayed(answer(usage_metadata=USAGE)).message.usage_metadata == USAGE
    assert replayed(answer(usage_metadata=USAGE), usage=NO_USAGE).message.usage_metadata == NO_USAGE
    AIMessage.model_validate(bare.model_dump())


@pytest.mark.parametrize("old", ["call_original", "toolu_01ABCdef", "D681PevKs", "x", "0f9c" * 8])
def test_tool_calls_get_new_ids_wherever_they_stand(old: str) -> None:
    generation = answer(
        [{"type": "tool_use", "id": old, "name": "f", "input": {"id": old}}, {"type": "text", "text": old}],
        tool_calls=[{**CALL, "id": old, "args": {"id": old}}],
        additional_kwargs={"tool_calls": [{"id": old, "function": {"name": "f", "arguments": "{}"}}]},
    )
    payload = dump([generation])
    one, two = (revive(payload, {})[0].message for _ in range(2))
    new = one.tool_calls[0]["id"]
    assert new not in (old, two.tool_calls[0]["id"])
    assert one.content[0]["id"] == one.additional_kwargs["tool_calls"][0]["id"] == new
    assert one.tool_calls[0]["args"] == one.content[0]["input"] == {"id": old}  # data, not an id of ours
    assert one.content[1]["text"] == old
    assert len(new) == len(old) or "_" in old or len(old) < 9
    assert new.partition("_")[0] == old.partition("_")[0] or "_" not in old


def test_handles_to_the_providers_state_are_gone() -> None:
    generation = ChatGeneration(
        message=AIMessage(
            [
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "text", "text": "a", "id": "msg_1"},
                {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
            ],
            id="resp_0",
            tool_calls=[{**CALL, "id": "call_1"}],
            response_metadata={
                "id": "resp_1",
                "previous_response_id": "resp_0",
                "container": {"id": "c"},
                "a": 1,
            },
            additional_kwargs={
                "reasoning": {"id": "rs_1", "type": "reasoning"},
                "__openai_function_call_ids__": {"call_1": "fc_1"},
            },
        ),
        generation_info={"id": "resp_1"},
    )
    payload = dump([generation])
    assert not re.search(r"(resp|rs|msg|fc)_\d", payload)
    message = revive(payload, {})[0].message
    assert [block["type"] for block in message.content] == ["text", "function_call"]
    assert message.response_metadata == {"a": 1, "semcache": {}}


def test_callers_share_nothing() -> None:
    payload = dump([answer([{"type": "text", "text": "a"}], tool_calls=[CALL], usage_metadata=USAGE)])
    mark = {"hit": True}
    before = revive(payload, mark)[0]
    spoilt = revive(payload, mark)[0]
    message = spoilt.message
    message.content[0]["text"] = "spoilt"
    message.tool_calls[0]["args"]["a"] = "spoilt"
    message.invalid_tool_calls.append("spoilt")
    message.additional_kwargs["spoilt"] = message.response_metadata["spoilt"] = True
    message.response_metadata["semcache"]["spoilt"] = True
    message.usage_metadata["input_tokens"] = 99
    message.name = "spoilt"
    message.spoilt = True
    spoilt.text = "spoilt"
    for one in (before, revive(payload, mark)[0]):
        assert "spoilt" not in repr(one.model_dump())
        assert one.message.usage_metadata == USAGE
    assert mark == {"hit": True}


def test_generation_info_is_not_shared() -> None:
    payload = dump([Generation(text="a", generation_info={"x": []})])
    revive(payload, {})[0].generation_info["x"].append(1)
    assert revive(payload, {})[0].generation_info == {"x": []}


class Parsed(BaseModel):
    value: int


def test_what_json_has_no_form_for_is_kept_as_text() -> None:
    """LangChain's own serialisation raises in the look-up instead."""
    message = replayed(
        answer(
            response_metadata={"at": dt.date(2026, 1, 2), "raw": b"x", "set": {1}, 1: 2},
            additional_kwargs={"parsed": Parsed(value=1)},
        )
    ).message
    assert message.additional_kwargs["parsed"] == {"value": 1}
    assert message.response_metadata["at"] == "2026-01-02"
    assert message.response_metadata["1"] == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**70])
def test_a_number_that_json_lacks_is_not_kept(value: float) -> None:
    with pytest.raises(ValueError, match="the answer"):
        dump([answer(response_metadata={"x": value})])


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": None},
        {"g": []},
        {"g": None},
        {"g": [{"k": "other", "t": "a", "i": None}]},
        {"g": [{"k": "chat", "m": {"type": "human", "content": "a"}, "i": None}]},
        {"g": [{"k": "chat", "m": {"type": "ai"}, "i": None}]},
        {"g": [{"k": "chat", "m": {"type": "ai", "content": 5}, "i": None}]},
        {"g": [{"k": "text", "t": 5, "i": None}]},
        {"g": [{"k": "text", "t": "a"}]},
        {"g": [5]},
    ],
    ids=str,
)
def test_what_we_did_not_write_is_no_answer(change) -> None:
    assert revive(orjson.dumps({**orjson.loads(dump([answer()])), **change}).decode(), {}) is None


def test_nothing_of_langchains_is_instantiated_from_a_payload() -> None:
    poison = '{"lc":1,"type":"constructor","id":["langchain_core","messages","HumanMessage"],"kwargs":{"content":"x"}}'
    assert revive(poison, {}) is None
    one = replayed(answer(additional_kwargs={"evil": orjson.loads(poison)}))
    assert one.message.additional_kwargs["evil"] == orjson.loads(poison)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.sampled_from(["", "null", "[]", "{}", "5", '{"v":1}', "[" * 5000]))
def test_no_payload_whatever_makes_it_raise(payload: str) -> None:
    assert revive(payload, {}) is None


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(plain, st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_json_and_text_come_back_as_they_were(value: object, text: str) -> None:
    one = replayed(answer(text, additional_kwargs={"x": value}))
    assert one.message.content == text
    assert one.message.additional_kwargs["x"] == value
