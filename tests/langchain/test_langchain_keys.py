"""LangChain's two strings as keys: what must hit hits, and its nearest neighbour misses."""

from __future__ import annotations

import json
import sys
import types
from contextlib import suppress

import pytest
from doubles.langchain_calls import CountingChat, asked_by, prompt_of
from hypothesis import given
from hypothesis import settings as fuzzing
from hypothesis import strategies as st
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    ToolMessage,
)
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI
from pydantic import BaseModel, create_model

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import Keyring, canonical_text
from semcache_integrations.langchain import literals, settings
from semcache_integrations.langchain.keys import request_for

OPENAI = (
    '{"id": ["langchain", "chat_models", "openai", "ChatOpenAI"], "kwargs": {"model_name": "gpt-4o-mini", '
    '"openai_api_base": "https://api.openai.com/v1", "openai_api_key": {"id": ["OPENAI_API_KEY"], "lc": 1, '
    '"type": "secret"}, "stream_usage": true, "temperature": 0.0}, "lc": 1, "name": "ChatOpenAI", '
    '"type": "constructor"}---[(\'stop\', None)]'
)
ANTHROPIC = (
    '{"id": ["langchain", "chat_models", "anthropic", "ChatAnthropic"], "kwargs": {"anthropic_api_key": '
    '{"id": ["ANTHROPIC_API_KEY"], "lc": 1, "type": "secret"}, "anthropic_api_url": "https://api.anthropic.com", '
    '"max_retries": 2, "max_tokens": 100, "model": "claude-sonnet-4-5", "stream_usage": true, "thinking": '
    '{"budget_tokens": 1024, "type": "enabled"}}, "lc": 1, "name": "ChatAnthropic", "type": "constructor"}'
    "---[('stop', None), ('tools', [{'name': 'tool', 'input_schema': {'properties': {'city': {'type': 'string'}}, "
    "'required': ['city'], 'type': 'object'}, 'description': 'weather'}])]"
)
OPENAI_TEXT = (
    "[('_type', 'openai'), ('frequency_penalty', 0), ('logprobs', None), ('max_tokens', 256), ('model_name', "
    "'gpt-3.5-turbo-instruct'), ('n', 1), ('presence_penalty', 0), ('seed', None), ('stop', None), "
    "('temperature', 0.7), ('top_p', 1)]"
)
HI = prompt_of(HumanMessage("hi"))


def key(prompt, llm_string=OPENAI):
    """Return what the engine keys: two calls share an entry exactly if these are equal."""
    request = request_for(prompt, llm_string)
    return Keyring().scope(request, ""), canonical_text(request.text)


def same_model(left, right):
    return key(HI, left) == key(HI, right)


def same(left, right):
    return key(prompt_of(*left)) == key(prompt_of(*right))


# -- the model ------------------------------------------------------------------------------------


def test_golden_strings_are_read():
    openai, anthropic, text = (settings.read_model(one) for one in (OPENAI, ANTHROPIC, OPENAI_TEXT))
    assert (openai.name, openai.tools, openai.params["base_url"]) == (
        "gpt-4o-mini",
        False,
        "https://api.openai.com/v1",
    )
    assert (anthropic.name, anthropic.tools) == ("claude-sonnet-4-5", True)
    assert (text.name, text.tools) == ("gpt-3.5-turbo-instruct", False)


def openai(**arguments):
    return ChatOpenAI(**{"model": "gpt-4o-mini", "temperature": 0, **arguments})


def llm_string(model, /, **arguments):
    return asked_by(model, **arguments)[1]


class Answer(BaseModel):
    x: int


def weather(city: str) -> str:
    """Weather."""
    return city


DELIVERY = {
    "streaming": {"streaming": True},
    "stream_usage": {"stream_usage": False},
    "timeout": {"timeout": 3},
    "max_retries": {"max_retries": 7},
    "number form": {"temperature": 0.0},
    "api key": {"api_key": "sk-other"},
    "authorization header": {"default_headers": {"Authorization": "Bearer x", "X-Api-Key": "y"}},
    "tracing header": {"default_headers": {"X-Request-ID": "1"}},
    "metadata": {"metadata": {"team": "a"}, "tags": ["t"]},
    "token counter": {"custom_get_token_ids": len},
    "proxy": {"openai_proxy": ""},
}


@pytest.mark.parametrize("difference", DELIVERY)
def test_delivery_transport_and_secrets_are_not_keyed(difference):
    assert same_model(llm_string(openai()), llm_string(openai(**DELIVERY[difference])))


SETTINGS = {
    "model": {"model": "gpt-4o"},
    "temperature": {"temperature": 0.1},
    "base url": {"base_url": "http://gateway/v1"},
    "organization": {"organization": "org-1"},
    "seed": {"seed": 1},
    "n": {"n": 2},
    "max tokens": {"max_tokens": 5},
    "unknown parameter": {"model_kwargs": {"unheard_of": True}},
    "extra body": {"extra_body": {"top_k": 3}},
    "reasoning": {"reasoning_effort": "low"},
    "header": {"default_headers": {"X-Persona": "pirate"}},
    "query": {"default_query": {"api-version": "1"}},
    "stop": {"stop": ["x"]},
    "responses": {"use_responses_api": True},
}


@pytest.mark.parametrize("difference", SETTINGS)
def test_every_setting_that_may_change_the_answer_is_keyed(difference):
    assert not same_model(llm_string(openai()), llm_string(openai(**SETTINGS[difference])))


@pytest.mark.parametrize(
    "arguments",
    [
        {"temperature": 0.7},
        {"stop": ["a"]},
        {"model": "gpt-4o"},
        {"tools": [{"type": "function"}]},
        {"user": "u"},
    ],
    ids=str,
)
def test_arguments_of_the_call_are_keyed(arguments):
    assert not same_model(llm_string(openai()), llm_string(openai(), **arguments))


def test_the_model_named_in_the_call_is_the_model():
    assert request_for(HI, llm_string(openai(), model="gpt-4o")).model == "gpt-4o"


def test_header_values_are_nowhere_in_the_request():
    request = request_for(
        HI, llm_string(openai(default_headers={"X-Persona": "pirate", "Authorization": "Bearer s3"}))
    )
    assert "pirate" not in repr(request)
    assert "s3" not in repr(request)


def test_providers_with_the_same_settings_differ():
    azure = AzureChatOpenAI(azure_deployment="d", azure_endpoint="https://a", api_version="1", api_key="k")
    other = AzureChatOpenAI(azure_deployment="d", azure_endpoint="https://b", api_version="1", api_key="k")
    assert not same_model(llm_string(azure), llm_string(other))
    claude = ChatAnthropic(model="m", max_tokens=5)
    assert not same_model(llm_string(claude), llm_string(openai(model="m", max_tokens=5)))


@pytest.mark.parametrize(
    "model", [openai(api_key="k"), OpenAI(api_key="k", temperature=0)], ids=["chat", "text"]
)
def test_the_base_url_that_only_the_sdk_reads_is_keyed(model, monkeypatch):
    """LangChain leaves OPENAI_BASE_URL out of its key: two gateways would share their answers."""
    described = llm_string(model)
    before = key(HI, described)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gateway/v1")
    assert key(HI, described) != before
    assert key(HI, OPENAI)[0].count("gateway") == 0  # this one names its own


def test_tools_and_their_schemas_are_keyed_and_noticed():
    plain, bound = (
        openai(),
        llm_string(openai().bind_tools([weather]).bound, **openai().bind_tools([weather]).kwargs),
    )
    assert not same_model(llm_string(plain), bound)
    assert settings.read_model(bound).tools is True
    assert not same_model(bound, bound.replace("'city'", "'town'"))


@pytest.mark.parametrize("place", ["model_kwargs", "extra_body"])
def test_tools_are_noticed_wherever_they_are_bound(place):
    assert (
        settings.read_model(llm_string(openai(**{place: {"tools": [{"type": "web_search"}]}}))).tools is True
    )


def test_a_schema_is_keyed_by_what_it_is_and_not_by_its_name(monkeypatch):
    """LangChain's key holds `<class 'module.Answer'>`: two classes of one name would share their JSON."""
    module = types.ModuleType("semcache_schemas")
    monkeypatch.setitem(sys.modules, "semcache_schemas", module)

    def described(**fields):
        module.Reply = create_model("Reply", __module__="semcache_schemas", **fields)
        bound = openai().with_structured_output(module.Reply, method="json_schema").first
        text = llm_string(bound.bound, **bound.kwargs)
        assert "<class 'semcache_schemas.Reply'>" in text
        return key(HI, text)

    first = described(x=(int, ...))
    assert described(y=(str, ...)) != first
    assert described(x=(int, ...)) == first


@pytest.mark.parametrize("name", ["__main__.Answer", "gone.module.Answer", "test.<locals>.Answer"])
def test_a_schema_that_cannot_be_found_has_no_key(name, monkeypatch):
    """In a notebook, running a cell again makes another class of the same name."""
    notebook = types.ModuleType("__main__")
    notebook.Answer = Answer
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    with pytest.raises(UnkeyableError, match="schema"):
        request_for(HI, f"[('response_format', <class '{name}'>), ('stop', None)]")


def test_a_schema_of_a_script_is_found(monkeypatch):
    script = types.ModuleType("__main__")
    script.__file__, script.Answer = "app.py", Answer
    monkeypatch.setitem(sys.modules, "__main__", script)
    assert request_for(HI, "[('response_format', <class '__main__.Answer'>)]").params


class Thing:
    pass


@pytest.mark.parametrize(
    "build",
    [
        lambda: llm_string(openai(model_kwargs={"thing": [Thing()]})),
        lambda: llm_string(openai(model_kwargs={"thing": Thing()})),
        lambda: llm_string(openai(), thing=Thing()),
        lambda: llm_string(CountingChat(setting=Thing())),
        lambda: llm_string(CountingChat(setting=[weather])),
        lambda: "not LangChain's, but <Thing object at 0x7f00335c0dd0>",
    ],
)
def test_an_object_known_by_its_address_has_no_key(build):
    """Another object may get the same address, and the same object has another one tomorrow."""
    with pytest.raises(UnkeyableError):
        request_for(HI, build())


@pytest.mark.parametrize("shown", ["<Thing>", "<function f(a=1) at 0x7f00335c0dd0>", "Thing(<class 'a.B'>)"])
def test_an_object_that_shows_no_state_has_no_key(shown):
    with pytest.raises(UnkeyableError):
        request_for(HI, f"[('a', {shown})]")


def test_an_object_that_shows_its_state_is_keyed_by_it():
    one, moved = "[('a', <Tool name=x at 0x7f00335c0dd0>)]", "[('a', <Tool name=x at 0x7f00335c0d99>)]"
    assert same_model(one, moved)
    assert not same_model(one, one.replace("name=x", "name=y"))


@pytest.mark.parametrize("name", ["conversation", "container"])
def test_a_conversation_that_the_provider_keeps_has_no_key(name):
    """The same question gets another answer there each time."""
    with pytest.raises(UnkeyableError):
        request_for(HI, llm_string(openai(), **{name: "conv_1"}))


def test_an_address_in_a_text_is_a_text():
    described = llm_string(CountingChat(setting="an object at 0x7f00335c0dd0"))
    assert request_for(HI, described).model == "m1"


def test_an_object_that_is_only_transport_does_not_matter():
    assert same_model(llm_string(openai()), llm_string(openai(), client=Thing()))


def test_an_unknown_form_is_keyed_as_it_stands_and_never_reworded():
    request = request_for("q", "Sample LLM string configuration.")
    assert not request.controls.semantic
    assert not same_model("Sample LLM string configuration.", "Sample LLM string configuration!")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[('a', nan), ('b', -inf), ('c', -1)]", "nan"),
        ("[('a', '---'), ('b', 'it\\'s <b>')]", "it's <b>"),
        ("[('a', <Color.RED: 1>)]", "<Color.RED: 1>"),
        ("[('a', torch.float16)]", "torch.float16"),
        ("[('a', Setting(x=[1], y='<z>'))]", "Setting"),
        ("[('a', {'b': (1, 2), 'c': b'd'})]", "(1, 2)"),
    ],
)
def test_python_reprs_are_read(text, value):
    assert value in str(literals.read_items(text))


@pytest.mark.parametrize(
    "text", ["", "[", "[1]", "{'a': 1}", "[('a', )]", "[(1, 2)]", "[" * 1000, "[('a', <b)]", "\x00"]
)
def test_what_is_no_list_of_pairs_is_not_read(text):
    assert literals.read_items(text) is None


def test_two_reprs_differ():
    assert not same_model("[('a', Setting(x=1))]", "[('a', Setting(x=2))]")
    assert not same_model("[('a', <Color.RED: 1>)]", "[('a', <Color.BLUE: 2>)]")
    assert not same_model("[('a', '<Color.RED: 1>')]", "[('a', <Color.RED: 1>)]")


# -- the prompt -----------------------------------------------------------------------------------

CALL = {"name": "weather", "args": {"city": "Paris"}, "id": "call_1"}


def answered(**fields):
    return HumanMessage("q1"), AIMessage("a1", **fields), HumanMessage("q2")


EQUAL = {
    "id": ([HumanMessage("q", id="1")], [HumanMessage("q", id="2")]),
    "one block": ([HumanMessage("q")], [HumanMessage([{"type": "text", "text": "q"}])]),
    "block id": ([HumanMessage("q")], [HumanMessage([{"type": "text", "text": "q", "id": "lc_1"}])]),
    "chunk": ([HumanMessage("q")], [HumanMessageChunk("q")]),
    "cache control": (
        [SystemMessage("s"), HumanMessage("q")],
        [
            SystemMessage([{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]),
            HumanMessage("q"),
        ],
    ),
    "answer's metadata": (answered(response_metadata={"id": "1"}), answered(response_metadata={"id": "2"})),
    "answer's usage": (
        answered(),
        answered(usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}),
    ),
    "answer as chunk": (answered(), (HumanMessage("q1"), AIMessageChunk("a1"), HumanMessage("q2"))),
    "answer's hit mark": (answered(), answered(response_metadata={"semcache": {"hit": True}})),
    "answer's order of extras": (
        answered(additional_kwargs={"a": 1, "b": 2}),
        answered(additional_kwargs={"b": 2, "a": 1}),
    ),
    "answer's empty extras": (answered(), answered(additional_kwargs={"refusal": None})),
    "parsed object": (answered(), answered(additional_kwargs={"parsed": Answer(x=1)})),
    "tool call id": (
        (AIMessage("", tool_calls=[CALL]), ToolMessage("r", tool_call_id="call_1")),
        (AIMessage("", tool_calls=[{**CALL, "id": "call_2"}]), ToolMessage("r", tool_call_id="call_2")),
    ),
    "Anthropic's tool call id": tuple(
        (
            AIMessage(
                [
                    {"type": "text", "text": "t"},
                    {"type": "tool_use", "id": used, "name": "weather", "input": {"city": "Paris"}},
                ],
                tool_calls=[{**CALL, "id": used}],
            ),
            ToolMessage("r", tool_call_id=used),
        )
        for used in ("toolu_1", "toolu_2")
    ),
    "artifact": (
        (ToolMessage("r", tool_call_id="1", artifact=Thing()),),
        (ToolMessage("r", tool_call_id="1", artifact=Thing()),),
    ),
    "argument order": (
        (AIMessage("", tool_calls=[{**CALL, "args": {"a": 1, "b": 2}}]),),
        (AIMessage("", tool_calls=[{**CALL, "args": {"b": 2, "a": 1.0}}]),),
    ),
    "outer space": ([HumanMessage("q")], [HumanMessage(" q\n")]),
}


@pytest.mark.parametrize("case", EQUAL)
def test_what_a_provider_is_not_sent_is_not_keyed(case):
    assert same(*EQUAL[case])


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
OTHER_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAB"}}
TEXT = {"type": "text", "text": "q"}
TWO_CALLS = AIMessage("", tool_calls=[CALL, {**CALL, "id": "call_2", "args": {"city": "Rome"}}])

DIFFERENT = {
    "text": ([HumanMessage("q")], [HumanMessage("r")]),
    "role": ([HumanMessage("q")], [SystemMessage("q")]),
    "assistant": ([HumanMessage("q")], [AIMessage("q")]),
    "chat role": ([ChatMessage("q", role="user")], [ChatMessage("q", role="critic")]),
    "name": ([HumanMessage("q")], [HumanMessage("q", name="bob")]),
    "a name like a status": ([HumanMessage("q")], [HumanMessage("q", name="success")]),
    "system prompt": ([SystemMessage("s"), HumanMessage("q")], [SystemMessage("t"), HumanMessage("q")]),
    "no system prompt": ([SystemMessage("s"), HumanMessage("q")], [HumanMessage("q")]),
    "developer": (
        [SystemMessage("s"), HumanMessage("q")],
        [SystemMessage("s", additional_kwargs={"__openai_role__": "developer"}), HumanMessage("q")],
    ),
    "history": (answered(), (HumanMessage("q1"), AIMessage("a2"), HumanMessage("q2"))),
    "who said it": (answered(), (AIMessage("q1"), HumanMessage("a1"), HumanMessage("q2"))),
    "order": (
        (HumanMessage("a"), HumanMessage("b"), HumanMessage("q")),
        (HumanMessage("b"), HumanMessage("a"), HumanMessage("q")),
    ),
    "extras": (answered(), answered(additional_kwargs={"reasoning_content": "hm"})),
    "a false extra": (answered(), answered(additional_kwargs={"strict": False})),
    "image": ([HumanMessage([TEXT, IMAGE])], [HumanMessage([TEXT, OTHER_IMAGE])]),
    "no image": ([HumanMessage([TEXT, IMAGE])], [HumanMessage("q")]),
    "image before": ([HumanMessage([TEXT, IMAGE])], [HumanMessage([IMAGE, TEXT])]),
    "image by id": (
        [HumanMessage([{"type": "image", "source_type": "id", "id": "file-1"}])],
        [HumanMessage([{"type": "image", "source_type": "id", "id": "file-2"}])],
    ),
    "image in history": (
        (HumanMessage([TEXT, IMAGE]), AIMessage("a"), HumanMessage("q")),
        (HumanMessage([TEXT, OTHER_IMAGE]), AIMessage("a"), HumanMessage("q")),
    ),
    "two texts": ([HumanMessage(["a\nb", "c"])], [HumanMessage(["a", "b\nc"])]),
    "joined texts": ([HumanMessage(["a", "b"])], [HumanMessage("a\nb")]),
    "a text and its document": ([HumanMessage(["a", "b"])], [HumanMessage(["b", "b"])]),
    "tool arguments": (
        (AIMessage("", tool_calls=[CALL]), ToolMessage("r", tool_call_id="call_1")),
        (
            AIMessage("", tool_calls=[{**CALL, "args": {"city": "Rome"}}]),
            ToolMessage("r", tool_call_id="call_1"),
        ),
    ),
    "tool result": ((ToolMessage("r", tool_call_id="1"),), (ToolMessage("s", tool_call_id="1"),)),
    "tool failure": (
        (ToolMessage("r", tool_call_id="1"),),
        (ToolMessage("r", tool_call_id="1", status="error"),),
    ),
    "which call a result answers": (
        (TWO_CALLS, ToolMessage("r", tool_call_id="call_1"), ToolMessage("s", tool_call_id="call_2")),
        (TWO_CALLS, ToolMessage("r", tool_call_id="call_2"), ToolMessage("s", tool_call_id="call_1")),
    ),
    "function": (
        (FunctionMessage("r", name="f"), HumanMessage("q")),
        (FunctionMessage("r", name="g"), HumanMessage("q")),
    ),
    "thought": (
        (AIMessage([{"type": "thinking", "thinking": "a"}, TEXT]), HumanMessage("q")),
        (AIMessage([{"type": "thinking", "thinking": "b"}, TEXT]), HumanMessage("q")),
    ),
    "escaped mapping": (
        (AIMessage("", tool_calls=[{**CALL, "args": {"lc": 1, "x": 1}}]),),
        (AIMessage("", tool_calls=[{**CALL, "args": {"lc": 1, "x": 2}}]),),
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_a_provider_is_sent_is_keyed(case):
    assert not same(*DIFFERENT[case])


def test_the_text_is_what_the_user_wrote_last_and_nothing_else():
    request = request_for(prompt_of(SystemMessage("s"), AIMessage("a"), HumanMessage("What is 1+1?")), OPENAI)
    assert request.text == "What is 1+1?"
    assert request.controls.semantic


def test_characters_beyond_ascii_are_themselves():
    """LangChain escapes them: embedded as they come, all such prompts would look alike."""
    assert request_for(prompt_of(HumanMessage("Где? 日本")), OPENAI).text == "Где? 日本"


def test_of_several_texts_the_last_is_the_question():
    request = request_for(prompt_of(HumanMessage(["a long document", "q"])), OPENAI)
    assert request.text == "q"
    assert "a long document" in str(request.context)
    assert request.controls.semantic


@pytest.mark.parametrize(
    "messages",
    [
        [HumanMessage("")],
        [HumanMessage(" \n")],
        [HumanMessage([])],
        [HumanMessage([TEXT, IMAGE])],
        [HumanMessage([IMAGE])],
        [SystemMessage("q")],
        [HumanMessage("q"), AIMessage("a")],
        [HumanMessage("q"), AIMessage("", tool_calls=[CALL]), ToolMessage("r", tool_call_id="call_1")],
        [AIMessage("", tool_calls=[CALL]), ToolMessage("r", tool_call_id="call_1"), HumanMessage("q")],
        [FunctionMessage("r", name="f"), HumanMessage("q")],
        [ChatMessage("q", role="critic")],
    ],
    ids=str,
)
def test_only_a_users_own_words_may_be_reworded(messages):
    assert not request_for(prompt_of(*messages), OPENAI).controls.semantic


def test_with_tools_bound_nothing_may_be_reworded_unless_asked_for():
    assert not request_for(HI, ANTHROPIC).controls.semantic
    assert request_for(HI, ANTHROPIC, semantic_with_tools=True).controls.semantic
    assert not request_for(HI, "not readable", semantic_with_tools=True).controls.semantic


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("a", additional_kwargs={"thing": Thing()}),
        AIMessage("", tool_calls=[{**CALL, "args": {"thing": Thing()}}]),
        AIMessage("", tool_calls=[{**CALL, "args": {"n": 2**70}}]),
    ],
    ids=["extra", "argument", "big number"],
)
def test_what_has_no_stable_form_has_no_key(message):
    with pytest.raises(UnkeyableError):
        key(prompt_of(HumanMessage("q"), message, HumanMessage("q")))


def test_nan_is_not_nothing():
    """Python writes NaN into its JSON, and orjson refuses it."""
    asked = prompt_of(AIMessage("", tool_calls=[{**CALL, "args": {"n": float("nan")}}]), HumanMessage("q"))
    assert key(asked) == key(asked)
    assert key(asked) != key(asked.replace("NaN", "null"))


@pytest.mark.parametrize(
    "prompt",
    [
        '[{"lc": 1, "type": "not_implemented", "id": ["a"], "repr": "<b>"}]',
        '[{"lc": 1, "type": "constr',
        HI[:-1],
    ],
)
def test_messages_that_cannot_be_read_are_not_taken_for_a_text(prompt):
    with pytest.raises(UnkeyableError):
        request_for(prompt, OPENAI)


def test_nothing_in_a_prompt_is_instantiated():
    """A poisoned history names a class; to us it is a role like any other."""
    evil = json.dumps(
        [{"lc": 1, "type": "constructor", "id": ["subprocess", "Popen"], "kwargs": {"content": "touch x"}}]
    )
    request = request_for(evil, OPENAI)
    assert request.text == ""
    assert not request.controls.semantic


# -- the prompt of a text model -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "text", "semantic"),
    [
        ("q", "q", True),
        ("Human: q", "q", True),
        ("System: s\nHuman: q", "q", True),
        ("System: s\nHuman: q\nAI: ", "AI:", False),
        ("System: s\nHuman: q\nAI: a", "a", False),
        ("Translate into French.\nHello", "Hello", False),
        ("Context: c\n\nQuestion: q\n", "Question: q", False),
        ("", "", False),
        ("[1, 2]", "[1, 2]", True),
        ('[{"lc": 2}]', '[{"lc": 2}]', True),
    ],
)
def test_only_a_single_line_or_a_last_turn_of_a_text_prompt_may_be_reworded(prompt, text, semantic):
    request = request_for(prompt, OPENAI_TEXT)
    assert (request.text, request.controls.semantic) == (text, semantic)


@fuzzing(deadline=None)
@given(st.text(), st.text())
def test_text_prompts_share_a_key_only_if_they_are_equal(left, right):
    try:
        equal = key(left, OPENAI_TEXT) == key(right, OPENAI_TEXT)
    except UnkeyableError:
        return
    assert not equal or canonical_text(left).split() == canonical_text(right).split()


@fuzzing(deadline=None)
@given(st.lists(st.sampled_from(["Human: ", "System: ", "AI: ", "a", "b", "\n", " "]), max_size=8))
def test_splitting_a_text_prompt_loses_nothing(parts):
    prompt = "".join(parts)
    changed = prompt.replace("a", "c", 1)
    assert (key(prompt, OPENAI_TEXT) == key(changed, OPENAI_TEXT)) == (prompt == changed)


def test_a_text_and_a_message_never_share_an_entry():
    assert key("hi") != key(HI)


# -- arbitrary strings ----------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KWARGS = st.dictionaries(
    st.sampled_from(["content", "type", "tool_calls", "additional_kwargs", "tool_call_id", "name", "role"]),
    JSON,
)
MESSAGES = st.lists(
    st.builds(
        lambda kind, kwargs: {"lc": 1, "type": "constructor", "id": [kind], "kwargs": kwargs},
        st.sampled_from(["HumanMessage", "AIMessage", "ToolMessage", "ChatMessage", "X"]),
        KWARGS,
    ),
    min_size=1,
    max_size=3,
)


@fuzzing(deadline=None)
@given(st.text() | JSON.map(json.dumps) | MESSAGES.map(json.dumps))
def test_no_prompt_raises_anything_but_our_own(prompt):
    with suppress(UnkeyableError):
        assert isinstance(request_for(prompt, OPENAI).text, str)


@fuzzing(deadline=None)
@given(
    st.text()
    | JSON.map(lambda value: json.dumps({"kwargs": value}) + "---[('stop', None)]")
    | st.dictionaries(st.text(), JSON).map(lambda settings: str(sorted(settings.items())))
    | st.text("[](){}<>'\"\\, x=:").map("[('a', {})]".format)
)
def test_no_llm_string_raises_anything_but_our_own(text):
    with suppress(UnkeyableError):
        assert isinstance(request_for(HI, text).model, str)


@fuzzing(deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1), JSON, max_size=4), st.randoms())
def test_the_order_of_settings_is_irrelevant_and_each_of_them_counts(chosen, random):
    def described(values):
        shuffled = random.sample(sorted(values), len(values))
        return json.dumps({"kwargs": {name: values[name] for name in shuffled}}) + "---[('stop', None)]"

    with suppress(UnkeyableError):
        assert same_model(described(chosen), described(chosen))
        assert not same_model(described(chosen), described({**chosen, "another": 1}))
