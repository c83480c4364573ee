"""Answers cut into chunks: the chunks must add up to the answer, whatever it holds."""

from __future__ import annotations

from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGeneration

from semcache_integrations.core.replay import Replay
from semcache_integrations.langchain.chunks import chunks_of, own_copy, sum_of

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=80) | st.lists(
    st.sampled_from(
        ["a b", "\r\n", "```py\nx  = 1\n```", "| a | b |\n", "今日は。", "👩‍👩‍👧", " ", "e\u0301", "1. x\n\n"]
    ),
    max_size=8,
).map("".join)
replays = st.builds(
    Replay, st.sampled_from(["words", "sentences", "paragraphs", "characters", "none"]), st.integers(1, 9)
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
calls = st.builds(
    lambda name, args, number: {"name": name, "args": args, "id": f"call_{number}", "type": "tool_call"},
    st.text(min_size=1, max_size=8),
    st.dictionaries(st.text(max_size=6), values, max_size=3),
    st.integers(0, 10**6),
)
blocks = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, texts),
        st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, texts),
        st.just({"type": "text", "text": "cited", "annotations": [{"type": "citation", "url": "u"}]}),
    ),
    max_size=4,
).map(lambda found: [{**block, "index": at} for at, block in enumerate(found)])


def answer(content, **fields):
    return ChatGeneration(message=AIMessage(content, **fields), generation_info={"finish_reason": "stop"})


def merged(generation, replay):
    return message_chunk_to_message(reduce(add, [each.message for each in chunks_of(generation, replay)]))


@given(texts, replays)
def test_texts_add_up_byte_for_byte(text, replay):
    assert "".join(each.text for each in chunks_of(answer(text), replay)) == text
    assert merged(answer(text), replay).content == text


@given(blocks, replays)
def test_blocks_add_up(content, replay):
    assert merged(answer(content), replay).content == content


@given(texts | blocks, st.lists(calls, max_size=3, unique_by=lambda call: call["id"]), replays)
def test_tool_calls_add_up(content, asked, replay):
    assert merged(answer(content, tool_calls=asked), replay).tool_calls == asked


@given(replays)
def test_what_a_provider_said_comes_once_and_whole(replay):
    said = {"finish_reason": "stop", "model_name": "m", "logprobs": {"content": [1, 2]}}
    extras = {"parsed": {"city": "Paris"}, "audio": {"data": "abc"}}
    one = answer(
        "many words in an answer", response_metadata=said, additional_kwargs=extras, usage_metadata=USAGE
    )
    whole = merged(one, replay)
    assert (whole.response_metadata, whole.additional_kwargs, whole.usage_metadata) == (said, extras, USAGE)


@given(texts, replays)
def test_the_sum_of_the_chunks_is_the_answer_again(text, replay):
    (whole,) = sum_of(list(chunks_of(answer(text, usage_metadata=USAGE), replay)))
    assert (whole.message.content, whole.message.usage_metadata) == (text, USAGE)
    assert whole.generation_info == {"finish_reason": "stop"}
    assert whole.message.response_metadata == {"finish_reason": "stop"}


def test_an_empty_stream_is_no_answer():
    assert sum_of([]) == []


def test_the_last_chunk_says_that_it_is_the_last():
    *others, last = [each.message.chunk_position for each in chunks_of(answer("a b c"), Replay("words", 1))]
    assert (others, last) == ([None] * 3, "last")


def test_a_copy_can_be_edited_without_the_original():
    (chunk,) = list(chunks_of(answer("", response_metadata={"a": 1}), Replay()))
    copy = own_copy(chunk)
    copy.message.response_metadata["b"] = 2
    copy.message.id = "mine"
    assert (chunk.message.response_metadata, chunk.message.id) == ({"a": 1}, None)


def test_only_an_ai_message_is_an_answer():
    with pytest.raises(TypeError, match="not a HumanMessage"):
        list(chunks_of(ChatGeneration(message=HumanMessage("q")), Replay()))
