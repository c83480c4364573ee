"""OpenAI's Chat Completions: which are kept, how they are compared, and the ids of a copy."""

from __future__ import annotations

import copy

import pytest
from doubles.wire_bodies import (
    COMPLETION,
    LOGPROBS,
    TOOL_CALL,
    chat_message_of,
    completion_of,
    completions,
)
from hypothesis import given

from semcache_integrations.core.replay import Replay
from semcache_integrations.wire.openai_chat import events, is_complete, renamed, says

WORDS = Replay("words", 1)
SAYS = chat_message_of("Paris.")
LEGACY_CALL = {"name": "f", "arguments": "{}"}
CUSTOM_CALL = {"id": "call_2", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}}
SPOKEN = {"id": "audio_1", "data": "UklGRg==", "transcript": "Hi."}


def one(message=SAYS, **choice):
    made = completion_of(message)
    made["choices"][0] |= choice
    return made


# ---- which completions are kept, and how they are compared


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (SAYS, "stop"),
        (chat_message_of([{"type": "thinking", "thinking": []}, {"type": "text", "text": "Paris."}]), "stop"),
        (chat_message_of(None, tool_calls=[TOOL_CALL]), "tool_calls"),
        (chat_message_of(None, tool_calls=[TOOL_CALL]), "stop"),
        (chat_message_of(None, tool_calls=[CUSTOM_CALL]), "tool_calls"),
        (chat_message_of(None, function_call=LEGACY_CALL), "function_call"),
        (chat_message_of("Paris.", refusal="", tool_calls=[], function_call=None), "stop"),
        (chat_message_of("Paris.", audio=SPOKEN), "stop"),
        (chat_message_of("Paris.", audio={**SPOKEN, "expires_at": None}), "stop"),
        ({"role": "assistant", "content": "Paris."}, "stop"),
    ],
)
def test_an_answer_that_ended_by_itself_and_says_or_calls_something_is_complete(message, reason):
    assert is_complete(completion_of(message, reason=reason))
    assert is_complete(completion_of(message, message, reason=reason))
    assert not is_complete(completion_of(message, chat_message_of(""), reason=reason))


@pytest.mark.parametrize(
    "message",
    [
        chat_message_of(""),
        chat_message_of(" \n"),
        chat_message_of(None),
        chat_message_of([{"type": "thinking", "thinking": "Hm."}]),
        chat_message_of("", reasoning_content="Hm."),
        chat_message_of("Paris.", refusal="No."),
        chat_message_of(None, refusal="No."),
        chat_message_of("Paris.", audio={**SPOKEN, "expires_at": 5}),
        chat_message_of(None, audio=SPOKEN),
        chat_message_of("Paris.", tool_calls=[{"id": "call_1", "type": "new"}]),
        chat_message_of("Paris.", tool_calls=[{**TOOL_CALL, "function": {"name": "f", "arguments": {}}}]),
        chat_message_of("Paris.", tool_calls=[{**TOOL_CALL, "function": {"name": "", "arguments": ""}}]),
        chat_message_of("Paris.", tool_calls=["loose"]),
        chat_message_of("Paris.", tool_calls=TOOL_CALL),
        chat_message_of("Paris.", function_call="f"),
        "Paris.",
        None,
    ],
)
def test_an_answer_that_says_nothing_refuses_or_is_one_callers_is_not_complete(message):
    assert not is_complete(completion_of(message))
    assert not is_complete(completion_of(SAYS, message))


@pytest.mark.parametrize(
    "choice",
    [
        *({"finish_reason": reason} for reason in ("length", "content_filter", "error", "", None, [], 1)),
        {"finish_reason": "tool_calls"},
        {"finish_reason": "function_call"},
        {"index": 1},
        {"index": True},
        {"index": None},
        {"logprobs": []},
        {"logprobs": {"content": "x"}},
    ],
)
def test_an_answer_that_was_cut_promises_calls_or_that_no_stream_could_tell_is_not_complete(choice):
    assert is_complete(one(logprobs=LOGPROBS))
    assert not is_complete(one(**choice))


@pytest.mark.parametrize(
    "fields",
    [
        {"object": "chat.completion.chunk"},
        {"object": None},
        {"choices": []},
        {"choices": None},
        {"choices": {"index": 0}},
        {"choices": ["loose"]},
        {"usage": None},
        {"usage": 7},
        {"error": {"code": 502}},
    ],
)
def test_what_is_no_completion_or_tells_an_error_is_not_complete(fields):
    assert is_complete(completion_of(SAYS, error=None, usage={}))
    assert not is_complete({**completion_of(SAYS), **fields})


def test_a_completion_without_usage_is_complete():
    made = completion_of(SAYS)
    del made["usage"]
    assert is_complete(made)


def test_an_answer_is_compared_by_its_texts_and_its_calls():
    spoken = COMPLETION["choices"][0]["message"]["content"]
    assert is_complete(COMPLETION)
    assert says(COMPLETION) == f'{spoken}\nweather({{"city":"Paris","days":[1,2.5]}})\nnow()'
    parts = [{"type": "text", "text": "a"}, {"type": "new"}, {"type": "text", "text": "b"}]
    calls = {"tool_calls": [CUSTOM_CALL, "loose"], "function_call": LEGACY_CALL}
    assert says(completion_of(chat_message_of(parts), chat_message_of(None, **calls))) == (
        "a\nb\nshell(ls -l)\nf({})"
    )


def test_content_that_is_nested_too_deeply_says_nothing():
    deep: list = []
    for _ in range(100_000):
        deep = [{"text": deep}]
    assert says(completion_of(chat_message_of(deep))) == ""
    assert not is_complete(completion_of(chat_message_of(deep)))


@pytest.mark.parametrize("body", [None, [], {}, {"choices": "x"}])
def test_what_is_no_completion_is_a_value_error(body):
    with pytest.raises(ValueError, match="no completion"):
        says(body)


# ---- ids


def test_a_copys_calls_have_new_ids_in_the_providers_own_shape():
    mistrals = {**TOOL_CALL, "id": "Ab3dE6gH9"}
    calls = [TOOL_CALL, CUSTOM_CALL, mistrals, {"function": LEGACY_CALL}, "loose"]
    made = {**completion_of(chat_message_of("call_1", tool_calls=calls), SAYS)}
    made["choices"].append("loose")
    before = copy.deepcopy(made)
    first, second, loose = renamed(made)["choices"]
    called, custom, short, *rest = first["message"]["tool_calls"]
    assert made == before
    assert called == {**TOOL_CALL, "id": called["id"]}
    assert custom == {**CUSTOM_CALL, "id": custom["id"]}
    assert all(new["id"].startswith("call_") and len(new["id"]) == 29 for new in (called, custom))
    assert len({called["id"], custom["id"], "call_1", "call_2"}) == 4
    assert short["id"] != "Ab3dE6gH9"
    assert len(short["id"]) == 9
    assert short["id"].isalnum()
    assert (rest, second, loose) == (calls[3:], made["choices"][1], "loose")
    assert first["message"]["content"] == "call_1"
    assert renamed(made)["id"] == made["id"]


@given(completion=completions())
def test_a_copy_says_what_its_original_says_and_tells_it_in_as_many_chunks(completion):
    copied = renamed(completion)
    assert says(copied) == says(completion)
    assert is_complete(copied) == is_complete(completion)
    assert len(list(events(copied, WORDS))) == len(list(events(completion, WORDS)))


def test_two_copies_share_no_id():
    first, second = (renamed(COMPLETION)["choices"][0]["message"]["tool_calls"] for _ in range(2))
    assert not {call["id"] for call in first} & {call["id"] for call in second}
