"""`with_semantic_cache` on text models: what hits, what misses, and what LangChain announces of it."""

from __future__ import annotations

import asyncio
import copy
import pickle
from contextlib import nullcontext

import pytest
from doubles.langchain_texts import ASKED, WAYS, AsyncText, Counting, CountingText, StreamingText
from langchain_core.language_models.llms import BaseLLM
from langchain_core.outputs import Generation, LLMResult
from langchain_openai import OpenAI

from semcache_integrations import bypass
from semcache_integrations.core.replay import Replay
from semcache_integrations.langchain import with_semantic_cache

MODELS = pytest.mark.parametrize("kind", [CountingText, StreamingText, AsyncText])
WAY = pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
OTHER_WAY = pytest.mark.parametrize("other", WAYS.values(), ids=list(WAYS))


# -- what hits and what misses --------------------------------------------------------------------


@MODELS
@WAY
@OTHER_WAY
async def test_what_was_answered_in_one_way_is_a_hit_in_every_other(wrapped, kind, way, other):
    model = wrapped(kind())
    answer = await way(model, "q")
    assert await other(model, "q") == answer
    assert ASKED == ["q"]
    assert await other(model, "r") != answer
    assert ASKED == ["q", "r"]


@MODELS
@WAY
@pytest.mark.parametrize(
    ("first", "second"),
    [({"temperature": 0}, {"temperature": 1}), ({}, {"top_p": 0.5}), ({}, {"stop": ["x"]})],
    ids=["temperature", "one more argument", "stop"],
)
async def test_the_arguments_of_a_call_are_in_the_key(wrapped, kind, way, first, second):
    model = wrapped(kind())
    answers = [await way(model, "q", **arguments) for arguments in (first, second, first, second)]
    assert answers[0] != answers[1]
    assert answers[:2] == answers[2:]
    assert len(ASKED) == 2


async def test_a_bound_argument_is_in_the_key(wrapped):
    model = wrapped(CountingText())
    assert model.bind(stop=["x"]).invoke("q") != model.invoke("q")
    assert model.bind(stop=["x"]).invoke("q") == model.invoke("q", stop=["x"])


@WAY
async def test_a_setting_that_is_changed_after_the_first_call_misses(wrapped, way):
    model = wrapped(StreamingText())
    answer = await way(model, "q")
    model.temperature = 1.0
    assert await way(model, "q") != answer
    model.temperature = 0.0
    assert await way(model, "q") == answer


def test_a_reworded_question_hits(wrapped):
    model = wrapped(CountingText())
    answer = model.invoke("What is the capital of France?")
    assert model.invoke("What's the capital of France?") == answer
    assert model.invoke("What is the capital of Peru?") != answer


async def test_an_argument_without_a_stable_form_is_no_obstacle(wrapped):
    model = wrapped(StreamingText())
    for way in WAYS.values():
        assert await way(model, "q", odd=object())
    assert len(ASKED) == len(WAYS)


# -- many prompts ---------------------------------------------------------------------------------


async def test_duplicates_in_one_batch_are_asked_once(wrapped):
    model = wrapped(CountingText())
    assert len(set(model.batch(["q", "q", "q"]))) == 1
    assert len(set(await model.abatch(["r", "r", "r"]))) == 1
    first, second, third = model.batch(["s", "t", "s"])
    assert first == third != second
    assert sorted(ASKED) == ["q", "r", "s", "t"]


@pytest.mark.parametrize("mode", ["bypass", "unkeyable"])
async def test_duplicates_are_asked_each_where_no_cache_is_asked(wrapped, mode):
    """Who bypasses the cache to get two answers gets two."""
    model, arguments = wrapped(CountingText()), {"odd": object()} if mode == "unkeyable" else {}
    with bypass() if mode == "bypass" else nullcontext():
        assert len(set(model.batch(["q", "q"], **arguments))) == 2
        assert len(set(await model.abatch(["q", "q"], **arguments))) == 2


async def test_only_what_is_not_cached_is_asked_and_answers_come_in_order(wrapped):
    model = wrapped(CountingText())
    known = model.invoke("b")
    ASKED.clear()
    results = [model.generate(["a", "b", "c", "a"]), await model.agenerate(["d", "b", "e", "d"])]
    assert ASKED == ["a", "c", "d", "e"]
    for result, prompts in zip(results, ["abca", "dbed"], strict=True):
        texts = [answers[0].text for answers in result.generations]
        assert texts[1] == known
        assert [text.split()[3] for text in texts] == list(prompts)


def test_a_caller_who_edits_an_answer_edits_nobody_elses(wrapped):
    class Telling(CountingText):
        def _generate(self, *arguments, **named):
            result = super()._generate(*arguments, **named)
            for (answer,) in result.generations:
                answer.generation_info = {"finish_reason": "stop"}
            return result

    model = wrapped(Telling())
    (first,), (second,) = model.generate(["q", "q"]).generations
    first.generation_info["mine"] = first.text = "mine"
    ((found,),) = model.generate(["q"]).generations
    assert second.generation_info == found.generation_info == {"finish_reason": "stop"}
    assert second.text == found.text != "mine"


def test_a_model_whose_hook_takes_no_run_manager_is_asked_without_one(wrapped):
    class Plain(BaseLLM):
        _llm_type = "plain"

        def _generate(self, prompts, stop=None):
            ASKED.extend(prompts)
            return LLMResult(generations=[[Generation(text="answer")] for _ in prompts])

    model = wrapped(Plain())
    assert model.invoke("q") == model.invoke("q") == "".join(model.stream("q")) == "answer"
    assert ASKED == ["q"]


# -- callbacks ------------------------------------------------------------------------------------


@MODELS
@WAY
async def test_a_hit_starts_and_ends_once_like_any_answer(wrapped, kind, way):
    model = wrapped(kind())
    for _ in range(2):
        handler = Counting()
        await way(model, "q", config={"callbacks": [handler]})
        assert handler.seen == ["start", "end"]
    assert ASKED == ["q"]


async def test_each_prompt_of_many_starts_and_ends_once(wrapped):
    model = wrapped(CountingText())
    model.invoke("b")
    for _ in range(2):
        for call in (model.batch, model.abatch):
            handler = Counting()
            answers = call(["a", "b", "a"], config={"callbacks": [handler]})
            assert len(await answers if asyncio.iscoroutine(answers) else answers) == 3
            assert sorted(handler.seen) == ["end"] * 3 + ["start"] * 3
        handler = Counting()
        model.generate(["a", "b"], callbacks=[handler])
        assert sorted(handler.seen) == ["end"] * 2 + ["start"] * 2


@MODELS
async def test_every_chunk_is_announced_once_fresh_and_replayed(wrapped, kind):
    model = wrapped(kind(), replay=Replay("words", 2))
    for stream in (model.stream, model.stream, model.astream):
        handler = Counting()
        chunks = stream("q", config={"callbacks": [handler]})
        heard = [text async for text in chunks] if hasattr(chunks, "__anext__") else list(chunks)
        assert handler.tokens == heard
    assert len(heard) > 2
    assert ASKED == ["q"]


@pytest.mark.parametrize("strategy", ["words", "sentences", "paragraphs", "characters", "none"])
async def test_a_replayed_stream_joins_to_the_stored_text(wrapped, strategy):
    model = wrapped(StreamingText(), replay=Replay(strategy, 1))
    answer = model.invoke("q")
    chunks = list(model.stream("q"))
    assert "".join(chunks) == answer
    assert [text async for text in model.astream("q")] == chunks
    assert (len(chunks) == 1) == (strategy == "none" or len(answer) < 2)
    assert ASKED == ["q"]


# -- the model itself -----------------------------------------------------------------------------

COPIES = {
    "model_copy": lambda model: model.model_copy(),
    "model_copy deep": lambda model: model.model_copy(deep=True),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "wrapped again": lambda model: with_semantic_cache(model, type(model).semcache_adapter),
}


@MODELS
@pytest.mark.parametrize("copied", COPIES.values(), ids=list(COPIES))
def test_a_wrapped_model_and_its_copies_are_of_the_class_that_went_in_and_share_answers(
    wrapped, kind, copied
):
    plain = kind(temperature=0.5)
    model = wrapped(plain)
    twin = copied(model)
    assert isinstance(model, kind)
    assert isinstance(twin, kind)
    assert isinstance(twin, BaseLLM)
    assert twin.temperature == 0.5
    assert twin.invoke("q") == model.invoke("q") == "".join(twin.stream("q"))
    assert plain.invoke("q") != model.invoke("q")
    twin.temperature = 1.0
    assert twin.invoke("q") != model.invoke("q")


def test_openais_text_model_asks_its_provider_once(wrapped, provider):
    choices = [{"text": "Paris", "index": 0, "finish_reason": "stop", "logprobs": None}]
    provider.bodies["/v1/completions"] = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "gpt-3.5-turbo-instruct",
        "choices": choices,
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    model = wrapped(OpenAI(base_url=f"{provider.url}/v1"))
    assert model.invoke("q") == model.invoke("q") == "".join(model.stream("q")) == "Paris"
    assert model.invoke("q", temperature=0.1) == "Paris"
    assert [body["prompt"] for body in provider.asked] == [["q"], ["q"]]
