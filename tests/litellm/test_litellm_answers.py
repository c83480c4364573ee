"""Which answers are kept, and that what comes back is whole and belongs to its caller."""

from __future__ import annotations

import json

import pytest
from litellm.types.utils import ModelResponse

from semcache_integrations.core.replay import Replay
from semcache_integrations.litellm import messages, text
from semcache_integrations.litellm.chat import pack, unpack
from semcache_integrations.litellm.stream import Wanted, chunks

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"q": 1}'}}
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 22,
    "total_tokens": 33,
    "prompt_tokens_details": {"cached_tokens": 4},
}


def answer(*messages, finish="stop", usage=USAGE, **choice):
    messages = messages or ({"content": "Paris."},)
    choices = [
        {"index": at, "finish_reason": finish, "message": {"role": "assistant", **message}, **choice}
        for at, message in enumerate(messages)
    ]
    return ModelResponse(
        id="chatcmpl-1", created=7, model="m", system_fingerprint="fp", choices=choices, usage=usage
    )


LOGPROBS = {"content": [{"token": "P", "logprob": -0.1, "bytes": [80], "top_logprobs": []}], "refusal": None}
WHOLE = {  # made in the tests: LiteLLM warns while it builds its models
    "text": answer,
    "two choices": lambda: answer({"content": "Paris."}, {"content": "Lyon."}),
    "reasoning": lambda: answer({"content": "Paris.", "reasoning_content": "Hm."}),
    "thinking": lambda: answer(
        {"content": "Paris.", "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]}
    ),
    "logprobs": lambda: answer(logprobs=LOGPROBS),
    "provider fields": lambda: answer(
        {"content": "Paris.", "provider_specific_fields": {"citations": ["a"]}}
    ),
    "no usage": lambda: answer(usage=None),
    "function call": lambda: answer(
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}}, finish="function_call"
    ),
}


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("form", ["object", "json"])
def test_an_answer_comes_back_whole(make, form):
    kept = make()
    given = kept if form == "object" else kept.model_dump_json(exclude_unset=True)
    assert unpack(pack(given)).fresh().model_dump() == kept.model_dump()


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_two_hits_share_no_mutable_object(make):
    kept = make()
    stored = unpack(pack(kept))
    one, other = stored.fresh(), stored.fresh()
    assert not _mutables(one) & _mutables(other)
    assert not _mutables(one) & _mutables(stored.response)


def _mutables(value, seen=None):
    """The ids of everything in an answer that can be changed."""
    seen = set() if seen is None else seen
    fields = {}
    if hasattr(value, "model_dump"):
        fields = {**value.__dict__, **(value.__pydantic_extra__ or {}), **(value.__pydantic_private__ or {})}
    elif isinstance(value, dict):
        fields = value
    elif isinstance(value, list):
        fields = dict(enumerate(value))
    else:
        return seen
    seen.add(id(value))
    for part in fields.values():
        _mutables(part, seen)
    return seen


@pytest.mark.parametrize(
    ("name", "field"), [("thinking", "thinking_blocks"), ("provider fields", "provider_specific_fields")]
)
def test_what_stands_beside_the_text_is_replayed_whole(name, field):
    body = unpack(pack(WHOLE[name]())).body
    deltas = [chunk.choices[0].delta for chunk in chunks(body, Replay("words", 1), usage=False)]
    replayed = [getattr(delta, field) for delta in deltas if getattr(delta, field, None)]
    assert replayed == [body["choices"][0]["message"][field]]


def test_tool_calls_come_back_with_ids_of_their_own():
    kept = answer({"content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}, finish="tool_calls")
    calls = [call for _ in range(2) for call in unpack(pack(kept)).fresh().choices[0].message.tool_calls]
    assert len({call.id for call in calls} | {"call_1", "call_2"}) == 6
    assert {call.function.arguments for call in calls} == {'{"q": 1}'}


def test_replayed_tool_calls_have_ids_of_their_own():
    body = unpack(pack(answer({"content": None, "tool_calls": [CALL]}, finish="tool_calls"))).body
    replays = [chunks(body, Replay("words", 1), usage=False) for _ in range(2)]
    calls = [
        call for replay in replays for chunk in replay for call in chunk.choices[0].delta.tool_calls or ()
    ]
    ids = [call.id for call in calls if call.id]
    assert len({*ids, "call_1"}) == len(ids) + 1 == 3


def test_the_calls_of_a_message_come_back_with_ids_of_their_own():
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"q": 1}}
    usage = {"input_tokens": 1, "output_tokens": 1}
    payload = messages.pack({"type": "message", "content": [call], "stop_reason": "tool_use", "usage": usage})
    wanted = Wanted("m", stream=False, replay=Replay(), usage=False, logging_obj=None, arguments={})
    calls = [messages.present(payload, wanted)["content"][0] for _ in range(2)]
    assert len({one["id"] for one in calls} | {"toolu_1"}) == 3
    assert [one["input"] for one in calls] == [{"q": 1}] * 2


@pytest.mark.parametrize(
    "partial",
    [
        lambda: answer(finish="length"),
        lambda: answer(finish="content_filter"),
        lambda: answer({"content": ""}),
        lambda: answer({"content": "  \n"}),
        lambda: answer({"content": None}),
        lambda: answer({"content": None, "refusal": "I will not."}),
        lambda: answer({"content": "Well.", "refusal": "I will not."}),
        lambda: answer({"content": "Paris."}, {"content": ""}),
        lambda: ModelResponse(choices=[]),
        '{"object": "text_completion", "choices": [{"text": "x", "finish_reason": "stop"}]}',
        "not json",
        "[]",
        {"type": "message"},
        None,
    ],
)
def test_an_incomplete_or_foreign_answer_is_not_kept(partial):
    assert pack(partial() if callable(partial) else partial) is None


def test_a_streamed_answer_with_several_choices_is_not_kept():
    several = answer({"content": "Paris."}, {"content": "Lyon."})
    assert pack(several) is not None
    assert pack(several, model="gpt-4o", streamed=[]) is None


SAID = {"index": 0, "text": "Paris.", "finish_reason": "stop"}


@pytest.mark.parametrize(
    "partial",
    [
        *({"choices": [{**SAID, **change}]} for change in ({"finish_reason": "length"}, {"text": " \n"})),
        {"choices": [{**SAID, "text": None}]},
        {"choices": [SAID, {**SAID, "finish_reason": "length"}]},
        {"choices": []},
        {"choices": [SAID], "object": "list"},
        {
            "choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}],
            "object": "chat.completion",
        },
    ],
    ids=str,
)
def test_an_incomplete_or_foreign_text_is_not_kept(partial):
    assert text.pack({"object": "text_completion", "choices": [SAID]}) is not None
    assert text.pack({"object": "text_completion", **partial}) is None


def test_a_streamed_text_of_several_prompts_is_not_kept():
    one, several = answer(), answer({"content": "Paris."}, {"content": "Lyon."})
    assert text.pack(one, model="gpt-4o", streamed=[]) is not None
    assert text.pack(several, model="gpt-4o", streamed=[]) is None


def test_a_stream_without_token_counts_gets_them():
    stored = unpack(
        pack(
            answer(usage={"total_tokens": 0}),
            model="gpt-4o",
            streamed=[{"role": "user", "content": "Where?"}],
        )
    )
    usage = stored.fresh().usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_that_called_a_tool_and_did_not_say_so_at_its_end_was_cut_short():
    message = {"content": None, "tool_calls": [CALL]}
    assert pack(answer(message, finish="tool_calls"), model="gpt-4o", streamed=[]) is not None
    assert pack(answer(message, finish="stop"), model="gpt-4o", streamed=[]) is None


@pytest.mark.parametrize(
    "payload",
    ["", "null", "[]", "{}", '{"v": 1}', '{"v": 2, "response": {"choices": []}}', '{"v": 1, "response": {"choices": []}}',
     '{"v": 1, "response": {"choices": [7]}}', '{"v": 1, "response": []}', "\x80\x04N."],
)  # fmt: skip
def test_an_unreadable_payload_is_no_answer(payload):
    assert unpack(payload) is None


def test_a_payload_is_json_of_this_version_alone():
    payload = pack(answer())
    assert json.loads(payload)["v"] == 1
    assert unpack(payload) is not None
    assert unpack(json.dumps({**json.loads(payload), "v": 2})) is None


def test_what_has_the_parts_of_a_chat_completion_and_another_name_is_not_kept():
    assert pack({**answer().model_dump(), "object": "list"}) is None
