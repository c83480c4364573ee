"""Whatever JSON a provider sends, the questions about it are answered."""

from __future__ import annotations

import contextlib

import pytest
from doubles.wire_bodies import (
    COMPLETION_KEYS,
    MESSAGE_KEYS,
    RESPONSE_KEYS,
    anything,
    completions,
    messages,
    one_of_keys,
    responses,
)
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.wire import anthropic, openai_chat
from semcache_integrations.wire import responses as openai


@pytest.mark.parametrize(
    ("wire", "parts", "keys", "whole", "complaint"),
    [
        (anthropic, "content", MESSAGE_KEYS, messages(), "no message"),
        (openai, "output", RESPONSE_KEYS, responses(), "no response"),
        (openai_chat, "choices", COMPLETION_KEYS, completions(), "no completion"),
    ],
    ids=["anthropic", "openai", "openai_chat"],
)
@given(data=st.data())
def test_no_json_whatever_makes_a_question_raise(wire, parts, keys, whole, complaint, data):
    body = data.draw(st.one_of(anything, one_of_keys(*keys), whole))
    assert wire.is_complete(body) in {True, False}
    if isinstance(body, dict) and isinstance(body.get(parts), list):
        with contextlib.suppress(ValueError):  # arguments that orjson cannot write
            assert isinstance(wire.says(body), str)
    else:
        with pytest.raises(ValueError, match=complaint):
            wire.says(body)
