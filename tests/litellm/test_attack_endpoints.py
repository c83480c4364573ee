"""Attacks on the endpoints: arguments of one that look like another's, files half read, answers changed too early."""

from __future__ import annotations

import asyncio
import io
import threading
from types import SimpleNamespace

import litellm
import pytest
from doubles.litellm_calls import KINDS, messages
from doubles.litellm_loops import until
from doubles.litellm_writes import written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litellm.types.utils import ModelResponse, TranscriptionResponse

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.litellm import requests
from semcache_integrations.litellm.endpoints import FUNCTIONS, looking, writing
from semcache_integrations.litellm.versions import CACHES_RESPONSES
from semcache_integrations.testing import FakeUpstream

QUESTION = "What is the capital of France?"


def recording(file, number, **more):
    return {"model": "whisper-1", "file": file, "litellm_call_id": str(number), "api_key": "k", **more}


def test_a_transcription_that_was_helped_by_a_prompt_is_kept_as_one(cache):
    """A text completion has a prompt too, and its writes were taken for those of one."""
    helped = {"file": b"RIFF1234", "prompt": "Names: Siân, Aoife"}
    assert cache.get_cache(**recording(number=1, **helped)) is None
    cache.add_cache(TranscriptionResponse(text="Aoife speaks."), **recording(number=1, **helped))
    assert not cache._flights._flights  # nobody waits any longer
    assert cache.get_cache(**recording(number=2, **helped)).text == "Aoife speaks."
    assert cache.get_cache(**recording(b"RIFF1234", 3)) is None


def test_a_file_that_was_refused_at_the_look_up_is_not_kept_once_it_has_been_read(cache):
    """What is left of a half-read file is uploaded, and then it stands at its end like one that was read whole."""
    file = io.BytesIO(b"RIFF1234")
    file.seek(4)
    assert cache.get_cache(**recording(file, 1)) is None
    file.read()
    cache.add_cache(TranscriptionResponse(text="the second half"), **recording(file, 1))
    assert cache.get_cache(**recording(b"RIFF1234", 2)) is None


@pytest.mark.parametrize("kind", ["chat", "responses", "messages", "text"])
async def test_what_a_caller_makes_of_its_answer_at_once_reaches_nobody_else(cache, provider, kind):
    kind = KINDS[kind]
    first, answer = await kind.call("async", QUESTION, provider)
    if kind.name == "messages":
        answer["content"][0]["text"] = "changed"
    elif kind.name == "text":
        answer.choices[0].text = "changed"
    elif kind.name == "chat":
        answer.choices[0].message.content = "changed"
    else:
        answer.output[0].content[0].text = "changed"
    await written()
    again, _ = await kind.call("async", QUESTION, provider)
    assert again == first


async def test_vectors_that_their_caller_changes_at_once_reach_nobody_else(cache, provider):
    about = {
        "model": "openai/text-embedding-3-small",
        "api_base": provider.url,
        "api_key": "k",
        "input": ["one"],
    }
    await litellm.aembedding(**{**about, "input": ["another"]})
    first = await litellm.aembedding(**about)
    came = list(first.data[0]["embedding"])
    first.data[0]["embedding"][0] = 99.0
    await written()
    for _ in range(2):
        assert (await litellm.aembedding(**about)).data[0]["embedding"] == came
        await written()
    assert provider.count == 3


@pytest.mark.parametrize(
    "control", [pytest.param({}, id="used"), pytest.param({"no-cache": True}, id="refreshed")]
)
async def test_prompts_that_change_while_they_are_upstream_poison_nothing(cache, control):
    gate = threading.Event()

    def held_back():
        gate.wait(30)
        return 0.0

    with FakeUpstream(latency=held_back) as provider:
        about = {"model": KINDS["text"].model, "api_base": provider.url, "api_key": "k"}
        gate.set()
        await litellm.atext_completion(prompt=["before"], **about)
        await written()
        gate.clear()
        prompts = ["one"]
        call = asyncio.create_task(litellm.atext_completion(prompt=prompts, cache=control, **about))
        await until(lambda: provider.count == 2)
        prompts[:] = ["two"]
        gate.set()
        await call
        await written()
        await litellm.atext_completion(prompt=["two"], **about)
        assert provider.count == 3


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        ({"messages": messages(QUESTION)}, {"cache": {"no-store": True}}),
        ({"messages": messages(QUESTION), "n": 2}, {"stream": True}),
        ({"prompt": ["one", "two"]}, {"stream": True}),
    ],
    ids=["not to be stored", "choices merged", "prompts merged"],
)
def test_an_answer_that_must_not_be_kept_is_not_though_it_is_handed_over(cache, asked, more):
    """Most versions of LiteLLM hand over none of these; 1.80 merges what it streams."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "So."}}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    about = {"model": "gpt-4o", "api_key": "k", **asked}
    cache.add_cache(ModelResponse(choices=[choice], usage=usage), **about, **more)
    assert cache.get_cache(**about) is None
    assert not cache.troubles


@pytest.mark.parametrize(("text", "more"), [("So.", {"stream": True}), ("", {})], ids=["streamed", "empty"])
def test_a_transcription_that_was_streamed_or_is_empty_is_not_kept(cache, text, more):
    cache.add_cache(TranscriptionResponse(text=text), **recording(b"RIFF1234", 1, **more))
    assert cache.get_cache(**recording(b"RIFF1234", 2)) is None
    assert not cache.troubles


def test_a_function_that_is_not_cached_is_none_of_those_whose_arguments_it_shares():
    record = SimpleNamespace(llm_caching_handler=SimpleNamespace(original_function=litellm.moderation))
    assert looking({"input": QUESTION, "litellm_logging_obj": record}) is None


# -- attacks that held -------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [["one", "two"], [1, 2, 3]], ids=["texts", "tokens"])
@pytest.mark.parametrize("more", [{}, {"echo": True}, {"best_of": 2}, {"suffix": "end"}, {"n": 2}], ids=str)
async def test_prompts_of_every_form_meet_only_themselves(cache, provider, asked, more):
    if isinstance(asked[0], int) and not CACHES_RESPONSES:
        pytest.skip("LiteLLM 1.80 takes no tokens for a prompt")
    text = KINDS["text"]
    for count, prompt in enumerate((asked, [*asked, asked[0]]), 1):
        given = {"model": text.model, "api_base": provider.url, "api_key": "k", "prompt": prompt, **more}
        first = await litellm.atext_completion(**given)
        await written()
        again = await litellm.atext_completion(**given)
        assert [one.text for one in again.choices] == [one.text for one in first.choices]
        assert provider.count == count


@pytest.mark.parametrize("name", ["responses", "messages"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_that_goes_on_before_the_write_poisons_nothing(cache, provider, name, stream):
    kind, turns = KINDS[name], messages("first question")
    given = {"model": kind.model, "api_base": provider.origin if kind.origin else provider.url, **kind.extra}
    answer = await kind.coroutine(**given, **{kind.subject: turns}, stream=stream, api_key="k")
    if stream:
        assert [event async for event in answer]
    turns += [{"role": "assistant", "content": "so"}, {"role": "user", "content": "now something else"}]
    await written()
    await kind.coroutine(**given, **{kind.subject: turns}, api_key="k")
    assert provider.count == 2
    await kind.coroutine(**given, **{kind.subject: messages("first question")}, api_key="k")
    assert provider.count == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
TURN = st.fixed_dictionaries(
    {}, optional={"role": st.just("user") | JSON, "content": JSON, "type": st.just("message") | JSON}
)
NAMES = (
    "messages",
    "input",
    "prompt",
    "documents",
    "file",
    "cache",
    "metadata",
    "tools",
    "extra_headers",
    "n",
)


@given(
    st.dictionaries(st.sampled_from(NAMES), JSON | st.lists(TURN, max_size=3), max_size=5),
    st.sampled_from(sorted(FUNCTIONS)),
    JSON,
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_a_call_says_it_has_a_request_or_is_refused(arguments, name, answer):
    """Nothing else may come out of the modules that read it."""
    try:
        request = FUNCTIONS[name].request({"model": "m", **arguments})
    except UnkeyableError:
        pass
    else:
        assert isinstance(request.text, str)
        assert request.dialect in vars(requests).values()
    if answer is not None and not isinstance(answer, (bool, int, float, bytes, list)):
        writing(answer, arguments)
