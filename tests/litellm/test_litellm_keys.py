"""The key function: what differs must not meet, what is the same must."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import Keyring
from semcache_integrations.core.models import DEFAULT_CONTROLS
from semcache_integrations.litellm.requests import (
    chat_request,
    embedding_request,
    responses_request,
    text_request,
)
from semcache_integrations.litellm.ticket import Ticket
from semcache_integrations.litellm.wishes import controls

NAMES = st.sampled_from(
    ["temperature", "top_p", "max_tokens", "seed", "vendor_knob", "api_base", "api_key", "user", "stop"]
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-9, 9)
    | st.text(max_size=5)
    | st.lists(st.integers(0, 9), max_size=3)
)
PARAMS = st.dictionaries(NAMES, VALUES, max_size=5)
TURNS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text(max_size=8)}
    ),
    min_size=1,
    max_size=4,
)


def key(arguments, build=chat_request):
    """What the engine makes of a request: all of it, as one id."""
    request = build({"model": "m", **arguments})
    ring = Keyring()
    return ring.entry_id(ring.namespace(ring.scope(request, request.tenant)), request.text)


def canonical(value):
    """Numbers by value, None and absent alike, booleans apart: the rule, written a second time."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, (int, float)):
        return ("number", float(value))
    return tuple(map(canonical, value)) if isinstance(value, list) else value


def asked(params, turns):
    return {name: canonical(value) for name, value in params.items() if value is not None}, turns


@given(PARAMS, TURNS)
def test_the_order_of_arguments_and_of_a_turns_fields_is_irrelevant(params, turns):
    backwards = [dict(reversed(turn.items())) for turn in turns]
    assert key({**params, "messages": turns}) == key(
        {"messages": backwards, **dict(reversed(params.items()))}
    )


@given(PARAMS, TURNS)
def test_none_is_the_same_as_absent_and_an_integer_as_its_float(params, turns):
    same = {
        name: float(value) if type(value) is int else value
        for name, value in params.items()
        if value is not None
    }
    assert key({**params, "messages": turns}) == key({**same, "messages": turns, "stop_token": None})


@given(PARAMS, TURNS, PARAMS, TURNS)
def test_two_requests_share_a_key_only_if_they_are_equal(params, turns, others, other_turns):
    same = asked(params, turns) == asked(others, other_turns)
    assert (key({**params, "messages": turns}) == key({**others, "messages": other_turns})) == same


@given(PARAMS, NAMES, TURNS)
def test_any_other_value_of_any_parameter_is_another_request(params, name, turns):
    assert key({**params, name: "one", "messages": turns}) != key({**params, name: "two", "messages": turns})


@pytest.mark.parametrize(
    "delivery",
    [
        {"stream": True},
        {"stream": False},
        {"stream_options": {"include_usage": True}},
        {"timeout": 3.0},
        {"num_retries": 2},
        {"metadata": {"trace_id": "t"}},
        {"litellm_call_id": "7"},
        {"litellm_logging_obj": object()},
        {"client": object()},
        {"input_cost_per_token": 0.1},
        {"n": 1},
        {"extra_body": {}},
        {"extra_headers": {}},
        {"acompletion": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_how_an_answer_is_delivered_is_not_keyed(delivery):
    messages = [{"role": "user", "content": "q"}]
    assert key({"messages": messages, **delivery}) == key({"messages": messages})


@pytest.mark.parametrize(
    "change",
    [
        {"n": 2},
        {"extra_body": {"a": 1}},
        {"extra_headers": {"x-variant": "b"}},
        {"headers": {"x-variant": "b"}},
        {"api_base": "http://other"},
        {"base_url": "http://other"},
        {"custom_llm_provider": "azure"},
        {"api_version": "2"},
        {"tool_choice": "none"},
        {"nobody_knows_this_one": 1},
        {"fallbacks": ["m2"]},
        {"mock_response": "x"},
        {"cache": {"namespace": "b"}},
        {"cache_key": "mine"},
        {"metadata": {"user_api_key_hash": "b"}},
        {"metadata": {"user_api_key_team_id": "b"}},
        {"metadata": {"user_api_key_org_id": "b"}},
        {"litellm_metadata": {"user_api_key": "b"}},
        {"metadata": {"redis_namespace": "b"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_may_change_an_answer_is_keyed(change):
    messages = [{"role": "user", "content": "q"}]
    assert key({"messages": messages, **change}) != key({"messages": messages})


@pytest.mark.parametrize(
    "name", ["api_key", "aws_secret_access_key", "azure_ad_token", "vertex_credentials", "azure_password"]
)
def test_another_credential_never_meets_these_entries_and_none_can_be_read(name):
    messages = [{"role": "user", "content": "q"}]
    one, other = ({"model": "m", "messages": messages, name: f"sk-very-secret-{which}"} for which in "ab")
    assert key(one) != key(other) != key({"messages": messages})
    assert "very-secret" not in repr(chat_request(one))
    assert chat_request(one) != chat_request(one, secret=b"pepper")


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "Cookie", "X-Auth-Token"])
def test_a_credential_in_a_header_is_one(name):
    messages = [{"role": "user", "content": "q"}]
    one, other = (
        {"model": "m", "messages": messages, "extra_headers": {name: f"very-secret-{which}"}}
        for which in "ab"
    )
    assert key(one) != key(other)
    assert key(one) == key({**one, "extra_headers": {name.lower(): "very-secret-a"}})
    assert "very-secret" not in repr(chat_request(one))


def test_the_question_is_the_last_text_and_what_precedes_it_must_match():
    def parts(*texts):
        return [{"role": "user", "content": [{"type": "text", "text": text} for text in texts]}]

    one, other = (
        chat_request({"model": "m", "messages": parts(document, "Who pays?")})
        for document in ("A owes B.", "B owes A.")
    )
    assert one.text == other.text == "Who pays?"
    assert one.context != other.context
    assert chat_request({"model": "m", "messages": parts("q")}) == chat_request(
        {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    )


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize(
    ("change", "semantic"),
    [
        ({}, True),
        ({"temperature": 1}, True),
        ({"tools": []}, True),
        ({"tools": [{"type": "function"}]}, False),
        ({"functions": [{"name": "f"}]}, False),
        ({"mcp_servers": [{"url": "http://tools"}]}, False),
        ({"cache": {"semantic": False}}, False),
        ({"messages": [{"role": "user", "content": [IMAGE, {"type": "text", "text": "q"}]}]}, False),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}, IMAGE]}]}, False),
        ({"messages": [{"role": "user", "content": [{"type": "document", "text": "q"}]}]}, False),
        ({"messages": [{"role": "tool", "tool_call_id": "c", "content": "42"}]}, False),
        ({"messages": [{"role": "assistant", "content": "q"}]}, False),
        ({"messages": [{"role": "user", "content": None}]}, False),
    ],
)
def test_only_a_users_plain_text_has_a_semantic_tier(change, semantic):
    request = chat_request({"model": "m", "messages": [{"role": "user", "content": "q"}], **change})
    assert request.controls.semantic is semantic


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "user", "content": "q", "name": "anna"},
        {"role": "user", "content": [{"type": "text", "text": "q", "citations": {"enabled": True}}]},
    ],
    ids=["beside it", "on the text"],
)
def test_what_comes_with_the_question_is_keyed(turn):
    assert key({"messages": [turn]}) != key({"messages": [{"role": "user", "content": "q"}]})


@pytest.mark.parametrize(
    ("asked", "semantic"),
    [
        ({"prompt": "q"}, True),
        ({"prompt": "q", "suffix": ""}, True),
        ({"prompt": "q", "suffix": "end"}, False),
        ({"prompt": "q\nr"}, False),
        ({"prompt": " \n"}, False),
        ({"prompt": ["q"]}, False),
    ],
    ids=str,
)
def test_only_a_prompt_of_one_line_that_is_to_be_continued_has_a_semantic_tier(asked, semantic):
    assert text_request({"model": "m", **asked}).controls.semantic is semantic


def test_a_call_without_wishes_has_the_engines_default_controls():
    assert controls({"model": "m"}, semantic=True) is DEFAULT_CONTROLS


def test_controls_are_read_from_the_cache_argument_and_are_not_keyed():
    asks = {"ttl": "60", "s-maxage": 5, "s-max-age": 3, "similarity_threshold": 0.97, "tags": ["a", "b"]}
    read = controls({"cache": asks}, semantic=True)
    assert (read.ttl_s, read.max_age_s, read.similarity_threshold, read.tags) == (60.0, 3.0, 0.97, ("a", "b"))
    messages = [{"role": "user", "content": "q"}]
    assert key({"messages": messages, "cache": asks}) == key({"messages": messages})


@pytest.mark.parametrize(
    "wish",
    [
        {"ttl": "soon"},
        {"ttl": -1},
        {"ttl": True},
        {"s-maxage": float("nan")},
        {"tags": "faq"},
        {"similarity_threshold": []},
    ],
)
def test_a_wish_without_meaning_is_refused(wish):
    with pytest.raises(UnkeyableError):
        controls({"cache": wish}, semantic=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"messages": []},
        {"messages": "q"},
        {"messages": [{"role": "user", "content": object()}]},
        {"messages": [{"role": "user", "content": "q"}], "model": ""},
        {"messages": [{"role": "user", "content": "q"}], "model": ["m"]},
        {"messages": [{"role": "user", "content": "q"}], "knob": object()},
        {"messages": [{"role": "user", "content": "q"}], "metadata": "not a mapping"},
        {"messages": [{"role": "user", "content": "q"}], "azure_ad_token": lambda: "token"},
        {"messages": [{"role": "user", "content": "q"}], "text_completion": True},
        {"messages": [{"role": "user", "content": "q"}], "_websearch_interception_converted_stream": True},
        {"messages": [{"role": "user", "content": "\ud800"}, {"role": "user", "content": "q"}]},
    ],
)
def test_what_has_no_canonical_form_has_no_key(arguments):
    with pytest.raises(UnkeyableError):
        chat_request({"model": "m", **arguments})


@pytest.mark.parametrize("prompt", [None, "", [], 7, {"text": "q"}], ids=str)
def test_a_text_completion_without_a_prompt_has_no_key(prompt):
    with pytest.raises(UnkeyableError):
        text_request({"model": "m", "prompt": prompt})


@pytest.mark.parametrize("elsewhere", [{"conversation": "conv_1"}, {"background": True}], ids=str)
def test_a_response_that_depends_on_what_the_provider_keeps_or_comes_later_has_no_key(elsewhere):
    assert responses_request({"model": "m", "input": "q", "background": False})
    with pytest.raises(UnkeyableError):
        responses_request({"model": "m", "input": "q", **elsewhere})


def test_a_request_that_is_nested_too_deeply_has_no_key():
    deep = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(UnkeyableError):
        chat_request({"model": "m", "messages": [{"role": "user", "content": "q"}], "knob": deep})


def test_a_request_is_a_snapshot():
    messages = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": [{"type": "text", "text": "q"}]},
    ]
    arguments = {"model": "m", "messages": messages, "extra_body": {"a": [1]}}
    request = chat_request(arguments)
    messages[0]["content"] = "other"
    messages.append({"role": "user", "content": "next"})
    arguments["extra_body"]["a"].append(2)
    assert request == chat_request(
        {
            "model": "m",
            "messages": [{"role": "user", "content": "first"}, messages[1]],
            "extra_body": {"a": [1]},
        }
    )


def test_attachments_are_not_kept_alive_by_the_key():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    request = chat_request({"model": "m", "messages": [{"role": "user", "content": [image]}]})
    assert len(repr(request)) < 2_000


def test_the_key_that_litellm_was_given_by_this_package_narrows_nothing():
    messages = [{"role": "user", "content": "q"}]
    assert key({"messages": messages, "cache_key": Ticket.of(None, {}, str)}) == key({"messages": messages})


def test_long_requests_that_differ_at_their_end_alone_are_two():
    """They are kept as digests."""

    def about(document):
        return key({"messages": [{"role": "system", "content": document}, {"role": "user", "content": "q"}]})

    assert about("word " * 10_000 + "a") != about("word " * 10_000 + "b")


def test_embeddings_have_keys_of_their_own_and_know_a_positional_model():
    one = {"input": "q", "dimensions": 8}
    assert key(one, embedding_request) != key({**one, "input": "r"}, embedding_request)
    assert key(one, embedding_request) != key({**one, "dimensions": 9}, embedding_request)
    positional = embedding_request({"args": "m", "input": "q"})
    assert positional == embedding_request({"model": "m", "input": "q"})
    assert positional != embedding_request({"args": "other", "input": "q"})
    assert (
        positional.dialect
        != chat_request({"model": "m", "messages": [{"role": "user", "content": "q"}]}).dialect
    )


def test_one_input_and_a_list_of_one_are_two_requests():
    assert key({"input": "q"}, embedding_request) != key({"input": ["q"]}, embedding_request)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("metadata", "litellm_metadata"), ("litellm_metadata", "metadata")]
)
def test_a_client_that_claims_to_be_another_caller_is_neither(ours, theirs):
    """The proxy writes who called into one of the two; the other one may be the client's own."""
    call = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    anna, bert = {"user_api_key_hash": "anna"}, {"user_api_key_hash": "bert"}
    forged = chat_request({**call, ours: bert, theirs: anna})
    honest = [chat_request({**call, place: who}) for place in (ours, theirs) for who in (anna, bert)]
    assert forged.context not in [one.context for one in honest]
    assert honest[0].context == honest[2].context != honest[1].context


def test_a_caller_that_is_named_twice_is_one():
    call = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    anna = {"user_api_key_hash": "anna"}
    assert chat_request({**call, "metadata": anna, "litellm_metadata": anna}) == chat_request(
        {**call, "metadata": anna}
    )
