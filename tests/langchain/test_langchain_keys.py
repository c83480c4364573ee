"""What shares an entry and what does not, on the very strings that LangChain's models send."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.load import dumps
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    ToolMessage,
)
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI
from pydantic import BaseModel

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import Keyring, canonical_text
from semcache_integrations.langchain.identity import parse_llm_string
from semcache_integrations.langchain.keys import CHAT, TEXT, parse_prompt, request_of


def gpt(**given: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "api_key": "sk-test", **given})


def claude(**given: Any) -> ChatAnthropic:
    return ChatAnthropic(**{"model": "claude-sonnet-4-5", "api_key": "sk-test", "max_tokens": 100, **given})


class Answer(BaseModel):
    value: int


TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
LLM = gpt()._get_llm_string()


def chat(*messages: Any) -> str:
    return dumps(list(messages))


def scope(prompt: str, llm_string: str = LLM) -> str:
    return Keyring().scope(request_of(prompt, llm_string), "")


def same(one: str, other: str) -> bool:
    first, second = request_of(one, LLM), request_of(other, LLM)
    return scope(one) == scope(other) and canonical_text(first.text) == canonical_text(second.text)


# -- the model's half -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "gpt-4o"},
        {"temperature": 0.7},
        {"temperature": 0},
        {"max_tokens": 5},
        {"stop": ["x"]},
        {"base_url": "http://other/v1"},
        {"organization": "org-2"},
        {"seed": 1},
        {"model_kwargs": {"logit_bias": {"1": 2}}},
        {"extra_body": {"top_k": 3}},
        {"default_headers": {"OpenAI-Beta": "new"}},
        {"default_headers": {"X-Max-Tokens": "5"}},
        {"default_query": {"api-version": "2"}},
        {"reasoning_effort": "low"},
        {"use_responses_api": True},
    ],
    ids=str,
)
def test_any_constructor_setting_that_may_change_the_answer_misses(key, changed) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert key(gpt(**changed)) != key(gpt())


@pytest.mark.parametrize(
    "irrelevant",
    [
        {"api_key": "sk-other"},
        {"streaming": True},
        {"stream_usage": False},
        {"timeout": 3},
        {"max_retries": 7},
        {"metadata": {"user": "u"}},
        {"tags": ["t"]},
        {"default_headers": {"Authorization": "Bearer x", "X-Api-Key": "y", "Cookie": "z"}},
        {"default_headers": {"traceparent": "00-1", "X-Request-ID": "2", "baggage": "b"}},
    ],
    ids=str,
)
def test_secrets_transport_delivery_and_tracing_share_an_entry(key, irrelevant) -> None:
    assert key(gpt(**irrelevant)) == key(gpt())


def test_an_http_client_shares_an_entry(key) -> None:
    with httpx2.Client() as client:
        assert key(gpt(http_client=client)) == key(gpt())


def test_no_credential_reaches_the_request() -> None:
    secret = "sk-very-secret"
    model = gpt(api_key=secret, default_headers={"Authorization": f"Bearer {secret}"})
    assert secret in model._get_llm_string()  # the trap: LangChain writes headers in clear text
    assert secret not in repr(request_of(chat(HumanMessage("q")), model._get_llm_string()))


def test_two_api_keys_cannot_be_told_apart() -> None:
    """LangChain's limit, stated in our documentation; a failure here means that we can do better now."""
    assert gpt(api_key="a")._get_llm_string() == gpt(api_key="b")._get_llm_string()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"temperature": 0.7}, {"temperature": 0.2}),
        ({"tools": [TOOL]}, {}),
        ({"tools": [TOOL]}, {"tools": [{**TOOL, "function": {"name": "other"}}]}),
        ({"tool_choice": "auto"}, {"tool_choice": "required"}),
        ({"response_format": {"type": "json_object"}}, {}),
        ({"stop": ["a"]}, {"stop": ["b"]}),
        ({"model": "gpt-4o"}, {}),
        ({"logit_bias": {"1": 5}}, {"logit_bias": {"1": 6}}),
        ({"temperature": None}, {}),
        ({"extra_headers": {"OpenAI-Beta": "1"}}, {}),
    ],
    ids=str,
)
def test_call_time_settings_are_keyed(key, one, other) -> None:
    model = {"temperature": 0.5}
    assert key(gpt(**model), **one) != key(gpt(**model), **other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"logit_bias": {"1": 5, "2": 6}}, {"logit_bias": {"2": 6, "1": 5}}),
        ({"user_label": None}, {}),
        ({"stream": True}, {}),
        ({"timeout": 3}, {}),
        ({"extra_headers": {"Authorization": "Bearer x"}}, {}),
    ],
    ids=str,
)
def test_spellings_of_the_same_call_share_an_entry(key, one, other) -> None:
    assert key(gpt(), **one) == key(gpt(), **other)


def test_a_setting_of_the_call_equals_the_constructors(key) -> None:
    assert key(gpt(temperature=0.5)) == key(gpt(), temperature=0.5)
    assert key(gpt(temperature=0.1), temperature=0.5) == key(gpt(temperature=0.5))
    assert key(gpt(model="gpt-4o")) == key(gpt(), model="gpt-4o")


def test_a_constructors_stop_survives_the_calls_none(key) -> None:
    assert key(gpt(stop=["x"])) != key(gpt())
    assert key(claude(stop=["x"])) != key(claude())


def test_what_a_call_may_merge_instead_of_replace_is_keyed_twice(key) -> None:
    call = {"extra_body": {"b": 1}}
    assert key(gpt(extra_body={"a": 1}), **call) != key(gpt(extra_body={"a": 2}), **call)


def test_other_classes_do_not_share_entries(key) -> None:
    azure = AzureChatOpenAI(
        azure_deployment="gpt-4o-mini", api_version="1", azure_endpoint="https://x.test", api_key="k"
    )
    keys = {key(model) for model in (gpt(), claude(), azure, FakeListChatModel(responses=["a"]))}
    assert len(keys) == 4


def test_claude_is_read_as_well(see, key) -> None:
    identity = parse_llm_string(see(claude(temperature=0.2))[1])
    assert identity.model == "claude-sonnet-4-5"
    assert key(claude(max_tokens=5)) != key(claude(max_tokens=6))
    assert key(claude(max_retries=5)) == key(claude())


def test_models_that_are_not_serializable_are_read(see, key) -> None:
    identity = parse_llm_string(see(FakeListChatModel(responses=["a"]))[1])
    assert identity.params["provider"] == "fake-list-chat-model"
    assert key(FakeListChatModel(responses=["a"])) != key(FakeListChatModel(responses=["b"]))


def test_completion_models_are_text(see) -> None:
    request = request_of(*see(OpenAI(api_key="k"), "What is 1+1?"))
    assert (request.dialect, request.text, request.model) == (TEXT, "What is 1+1?", "gpt-3.5-turbo-instruct")
    assert request.controls.semantic


def test_a_completion_template_is_not_embedded(see) -> None:
    """Two fillings of one long template are near duplicates to an encoder."""
    request = request_of(*see(OpenAI(api_key="k"), "Translate into French.\n\nText: cat"))
    assert not request.controls.semantic


def test_langchain_hides_a_completion_models_call_arguments(see) -> None:
    """langchain#40403: no cache can see them. A failure here means that LangChain shows them now."""
    model = OpenAI(api_key="k")
    assert see(model, "q", temperature=0) == see(model, "q", temperature=1)


def test_langchain_remembers_settings_that_were_changed_since(see) -> None:
    """langchain#39598: no cache can see the change. A failure here means that LangChain shows it now."""
    model = gpt(temperature=0)
    before = see(model)
    model.temperature = 0.9
    assert see(model) == before


# -- what has no stable form ------------------------------------------------------------------------


class Stateless:
    pass


class Stateful:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Stateful name={self.name} at {hex(id(self))}>"


@pytest.mark.parametrize(
    "thing",
    [Answer, Stateless, Stateless(), len, lambda: 1, Stateless().__init__],
    ids=lambda thing: type(thing).__name__,
)
@pytest.mark.parametrize("wrapped", [lambda x: x, lambda x: [x], lambda x: {"a": [x]}])
def test_what_langchain_shows_by_its_name_only_is_not_cached(key, thing, wrapped) -> None:
    with pytest.raises(UnkeyableError):
        key(gpt(), response_format=wrapped(thing))


def test_structured_output_by_class_is_not_cached_but_by_schema_it_is(see, key_of) -> None:
    """Two schemas of one name share an `llm_string`, and the old JSON would be read into the new schema."""
    model = gpt()
    prompt, _ = see(model)

    def llm_string(**how: str) -> str:
        call = dict(model.with_structured_output(Answer, **how).first.kwargs)
        call.pop("ls_structured_output_format")  # as `generate` does
        return model._get_llm_string(**call)

    with pytest.raises(UnkeyableError):
        key_of(prompt, llm_string())
    assert key_of(prompt, llm_string(method="function_calling")) != key_of(prompt, model._get_llm_string())


def test_an_object_that_shows_its_state_is_keyed_by_it(key) -> None:
    assert key(gpt(), filter=Stateful("a")) == key(gpt(), filter=Stateful("a"))
    assert key(gpt(), filter=Stateful("a")) != key(gpt(), filter=Stateful("b"))


def test_text_that_looks_like_an_object_stays_text(key) -> None:
    assert key(gpt(), user="<b at 0x1f>") != key(gpt(), user="<b at 0x2f>")
    assert key(gpt(), user="a---[('b', 1)]", logit_bias=math.inf) == key(
        gpt(), user="a---[('b', 1)]", logit_bias=math.inf
    )


def test_numbers_that_json_lacks_are_keyed(key) -> None:
    values = (math.nan, math.inf, -math.inf, 1.0)
    assert len({key(gpt(), temperature=value) for value in values}) == len(values)


def test_a_provider_that_keeps_the_conversation_is_not_cached(key) -> None:
    with pytest.raises(UnkeyableError):
        key(gpt(), conversation="conv_1")
    assert key(gpt(), previous_response_id="resp_1") != key(gpt(), previous_response_id="resp_2")


def test_an_unreadable_llm_string_is_keyed_as_it_stands() -> None:
    prompt = chat(HumanMessage("q"))
    assert scope(prompt, "Sample LLM string.") == scope(prompt, "Sample LLM string.")
    assert scope(prompt, "Sample LLM string.") != scope(prompt, "Sample LLM string!")
    assert scope(prompt, "[('a', Point(x=1))]") != scope(prompt, "[('a', Point(x=2))]")
    with pytest.raises(UnkeyableError):
        scope(prompt, "[('a', Point(x=<object object at 0x7f00>))]")


# -- the prompt's half ------------------------------------------------------------------------------

SYSTEM = SystemMessage("You are helpful.")
CALL = {"name": "f", "args": {"a": 1}, "id": "call_1", "type": "tool_call"}


def test_only_the_last_human_text_is_text() -> None:
    request = request_of(
        chat(SYSTEM, HumanMessage("q1"), AIMessage("a1"), HumanMessage("Wie geht's? 日本")), LLM
    )
    assert (request.text, request.dialect) == ("Wie geht's? 日本", CHAT)
    assert request.controls.semantic
    assert "q1" in repr(request.context)
    assert "helpful" in repr(request.context)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([HumanMessage("q")], [HumanMessage([{"type": "text", "text": "q"}])]),
        ([HumanMessage("q")], [HumanMessage(["q"])]),
        ([HumanMessage("q")], [HumanMessageChunk("q")]),
        ([HumanMessage("q")], [HumanMessage("  q\n")]),
        ([HumanMessage("q")], [ChatMessage("q", role="user")]),
        ([HumanMessage("q")], [HumanMessage("q", name=None, additional_kwargs={"a": None})]),
        ([HumanMessage("q")], [HumanMessage("q", id="1", response_metadata={"a": 1})]),
        (
            [HumanMessage("q")],
            [HumanMessage([{"type": "text", "text": "q", "cache_control": {"type": "ephemeral"}}])],
        ),
        (
            [AIMessage("a"), HumanMessage("q")],
            [
                AIMessage(
                    "a",
                    id="run-1",
                    response_metadata={"id": "chatcmpl-1", "logprobs": [1.5]},
                    usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
                    additional_kwargs={"refusal": None},
                ),
                HumanMessage("q"),
            ],
        ),
        (
            [AIMessage("a"), HumanMessage("q")],
            [AIMessageChunk("a", chunk_position="last"), HumanMessage("q")],
        ),
        (
            [AIMessage("", tool_calls=[CALL]), ToolMessage("r", tool_call_id="call_1")],
            [
                AIMessage("", tool_calls=[{**CALL, "id": "call_2"}]),
                ToolMessage("r", tool_call_id="call_2", artifact=object()),
            ],
        ),
        (
            [AIMessage("", tool_calls=[CALL])],
            [
                AIMessage(
                    [{"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}], tool_calls=[CALL]
                )
            ],
        ),
        (
            [HumanMessage("q", additional_kwargs={"a": 1, "b": 2})],
            [HumanMessage("q", additional_kwargs={"b": 2, "a": 1})],
        ),
        (
            [HumanMessage([{"type": "image", "url": "u", "id": "lc_1"}])],
            [HumanMessage([{"url": "u", "type": "image", "id": "lc_2"}])],
        ),
    ],
)
def test_what_no_provider_can_tell_apart_is_the_same(one, other) -> None:
    assert same(chat(*one), chat(*other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([HumanMessage("q")], [HumanMessage("r")]),
        ([HumanMessage("q")], [AIMessage("q")]),
        ([HumanMessage("q")], [SystemMessage("q")]),
        ([HumanMessage("q")], [HumanMessage("q", name="bob")]),
        ([HumanMessage("q")], [ChatMessage("q", role="critic")]),
        ([SYSTEM, HumanMessage("q")], [HumanMessage("q")]),
        ([SYSTEM, HumanMessage("q")], [SystemMessage("Be rude."), HumanMessage("q")]),
        ([SYSTEM, HumanMessage("q")], [HumanMessage("You are helpful."), HumanMessage("q")]),
        ([HumanMessage("a"), HumanMessage("q")], [HumanMessage("b"), HumanMessage("q")]),
        ([HumanMessage("a\nb")], [HumanMessage(["a", "b"])]),
        ([HumanMessage(["a\nb", "c"])], [HumanMessage(["a", "b\nc"])]),
        (
            [HumanMessage([{"type": "text", "text": "q"}, {"type": "image", "url": "1"}])],
            [HumanMessage([{"type": "text", "text": "q"}, {"type": "image", "url": "2"}])],
        ),
        (
            [HumanMessage([{"type": "image", "url": "1"}, {"type": "text", "text": "q"}])],
            [HumanMessage([{"type": "text", "text": "q"}, {"type": "image", "url": "1"}])],
        ),
        (
            [HumanMessage([{"type": "file", "id": "file_1"}])],
            [HumanMessage([{"type": "file", "id": "file_2"}])],
        ),
        (
            [AIMessage("", tool_calls=[CALL]), HumanMessage("q")],
            [AIMessage("", tool_calls=[{**CALL, "args": {"a": 2}}]), HumanMessage("q")],
        ),
        (
            [AIMessage("", tool_calls=[{**CALL, "args": {"a": 2**70}}])],
            [AIMessage("", tool_calls=[{**CALL, "args": {"a": 2**70 + 1}}])],
        ),
        ([ToolMessage("r", tool_call_id="1")], [ToolMessage("r", tool_call_id="1", status="error")]),
        (
            [AIMessage("a", additional_kwargs={"reasoning_content": "x"}), HumanMessage("q")],
            [AIMessage("a"), HumanMessage("q")],
        ),
    ],
)
def test_what_a_provider_can_tell_apart_is_not_the_same(one, other) -> None:
    assert not same(chat(*one), chat(*other))


def test_tool_results_that_changed_places_are_not_the_same() -> None:
    calls = AIMessage("", tool_calls=[CALL, {**CALL, "id": "call_2"}])

    def conversation(first: str, second: str) -> str:
        return chat(calls, ToolMessage("x", tool_call_id=first), ToolMessage("y", tool_call_id=second))

    assert not same(conversation("call_1", "call_2"), conversation("call_2", "call_1"))


@pytest.mark.parametrize(
    ("messages", "semantic"),
    [
        ([HumanMessage("q")], True),
        ([SYSTEM, HumanMessage("q"), AIMessage("a"), HumanMessage("q2")], True),
        ([HumanMessage([{"type": "image", "url": "1"}]), AIMessage("a"), HumanMessage("q2")], True),
        ([HumanMessage("")], False),
        ([HumanMessage(" \n")], False),
        ([SYSTEM], False),
        ([HumanMessage("q"), AIMessage("a")], False),
        ([HumanMessage([{"type": "text", "text": "q"}, {"type": "image", "url": "1"}])], False),
        (
            [HumanMessage("q"), AIMessage("", tool_calls=[CALL]), ToolMessage("r", tool_call_id="call_1")],
            False,
        ),
        (
            [AIMessage("", tool_calls=[CALL]), ToolMessage("r", tool_call_id="call_1"), HumanMessage("q")],
            False,
        ),
    ],
)
def test_which_conversations_may_be_answered_by_similarity(messages, semantic) -> None:
    assert request_of(chat(*messages), LLM).controls.semantic is semantic


def test_tools_rule_out_similarity_unless_asked_for() -> None:
    prompt, bound = chat(HumanMessage("q")), gpt()._get_llm_string(tools=[TOOL])
    assert not request_of(prompt, bound).controls.semantic
    assert request_of(prompt, bound, semantic_with_tools=True).controls.semantic


@pytest.mark.parametrize(
    "call",
    [
        {"functions": [{"name": "f"}]},
        {"mcp_servers": [{"url": "u"}]},
        {"web_search_options": {"search_context_size": "low"}},
        {"extra_body": {"tools": [TOOL]}},
    ],
    ids=str,
)
def test_tools_are_found_wherever_they_are_bound(call) -> None:
    assert not request_of(chat(HumanMessage("q")), gpt()._get_llm_string(**call)).controls.semantic


def test_an_object_in_a_message_is_not_cached() -> None:
    with pytest.raises(UnkeyableError):
        scope(chat(HumanMessage("q", additional_kwargs={"o": object()})))
    assert same(
        chat(HumanMessage('"not_implemented" at 0x1')), chat(HumanMessage('"not_implemented" at 0x1'))
    )


def test_an_object_in_a_content_block_or_in_a_constructors_list_is_not_cached() -> None:
    for block in ({"type": "image", "x": object()}, {"type": "text", "text": "q", "x": [object()]}):
        with pytest.raises(UnkeyableError):
            scope(chat(HumanMessage([block])))
    with pytest.raises(UnkeyableError):
        scope(chat(HumanMessage("q")), gpt(model_kwargs={"a": [Stateless()]})._get_llm_string())
    shown = gpt(model_kwargs={"a": [Stateful("a")]}), gpt(model_kwargs={"a": [Stateful("b")]})
    assert len({scope(chat(HumanMessage("q")), model._get_llm_string()) for model in shown}) == 2


@pytest.mark.parametrize("depth", [300, 900, 50_000])
def test_nesting_without_end_is_not_cached(depth: int) -> None:
    """And above all it does not raise."""
    deep = "[" * depth + "]" * depth
    prompt = chat(HumanMessage("q"))
    nested = prompt.replace('"type": "human"', f'"type": "human", "x": {deep}')
    for request in (request_of(nested, LLM), request_of(prompt, LLM.replace("{", f'{{"x": {deep}, ', 1))):
        try:
            Keyring().scope(request, "")
        except UnkeyableError:
            assert depth > 200
    deeper = '{"id": ["a"], "kwargs": {"x": ' + deep + "}}---[('stop', None)]"
    assert isinstance(request_of(prompt, deeper).text, str)
    assert isinstance(request_of(prompt, f"[('x', {deep})]").text, str)


@pytest.mark.parametrize("spoil", ['"x": "\\ud800"', '"x": ' + "[" * 2000 + "]" * 2000, '"x": NaN', '"x": '])
def test_a_wrapper_that_cannot_be_read_is_never_embedded(spoil: str) -> None:
    prompt = chat(HumanMessage("q")).replace('"type": "human"', '"type": "human", ' + spoil)
    assert not request_of(prompt, LLM).controls.semantic
    assert not same(prompt, prompt.replace('"q"', '"r"'))


def test_an_old_prompt_without_types_is_read_just_as_carefully() -> None:
    named = chat(HumanMessage("q", name="bob")).replace('"type": "human", ', "")
    assert '"name": "bob"' in named
    assert "human" not in named
    assert not same(named, named.replace("bob", "eve"))


# -- properties -------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
fragments = st.lists(
    st.sampled_from(
        [
            *("[", "]", "(", ")", "{", "}", "'", '"', ",", ":", "---", "\\", "1", "\x00", "nan"),
            *("<class 'a.B'>", "<o at 0x1>", '{"id": ["a"], "kwargs": {}}', "[('stop', None)]"),
            *('[{"lc": 1, ', '"kwargs": {"content": []}'),
        ]
    ),
    max_size=10,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=40) | fragments | st.text(max_size=20).map('[{"lc"'.__add__),
    st.text(max_size=40) | fragments,
)
def test_no_string_whatever_makes_the_parsers_raise(prompt: str, llm_string: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        request = request_of(prompt, llm_string)
    assert isinstance(request.text, str)


@settings(max_examples=60, deadline=None)
@given(json_values)
def test_no_json_whatever_makes_the_prompt_parser_raise(value: object) -> None:
    message = {
        "lc": 1,
        "type": "constructor",
        "id": ["HumanMessage"],
        "kwargs": {"content": value, "name": value},
    }
    parse_prompt(json.dumps([message]))
    parse_prompt(json.dumps([{**message, "kwargs": value}]))
    parse_prompt('[{"lc": 1, ' + json.dumps(value) + "]")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=3, max_size=5), json_values, max_size=4), st.randoms())
def test_the_order_of_settings_is_irrelevant_and_their_values_are_not(params, random) -> None:
    items = list(params.items())
    random.shuffle(items)
    prompt = chat(HumanMessage("q"))
    given_ = gpt()._get_llm_string(model_kwargs=params)
    assert scope(prompt, given_) == scope(prompt, gpt()._get_llm_string(model_kwargs=dict(items)))
    assert scope(prompt, given_) != scope(prompt, gpt()._get_llm_string(model_kwargs={**params, "zzz": 1}))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_two_conversations_are_the_same_only_if_their_words_are(one: str, other: str) -> None:
    def conversation(text: str) -> str:
        return chat(SystemMessage(text), HumanMessage("q"))

    assert same(conversation(one), conversation(other)) == (one == other)
