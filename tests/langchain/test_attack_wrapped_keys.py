"""Attacks on the keys of wrapped models: two calls that must not share an answer, and what a key must not keep."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from doubles.langchain_calls import CountingChat, StreamingChat
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import LLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from semcache_integrations.langchain import with_semantic_cache
from semcache_integrations.langchain.identity import chat_model_string
from semcache_integrations.testing import FakeUpstream


def hit(message):
    return message.response_metadata.get("semcache", {}).get("hit", False)


def described(model):
    return chat_model_string(model, None, {})


class Open(CountingChat):
    model_config = ConfigDict(extra="allow")

    @property
    def _identifying_params(self):
        return {"model": "m1", **(self.__pydantic_extra__ or {})}


class Private(CountingChat):
    _tone: str = PrivateAttr(default="plain")

    @property
    def _identifying_params(self):
        return {"model": "m1", "tone": self._tone}


class SerialisedPrivate(Private):
    """Describes itself by LangChain's serialisation, which is remembered for as long as nothing was set."""

    @classmethod
    def is_lc_serializable(cls):
        return True

    @property
    def lc_attributes(self):
        return {"tone": self._tone}


class Tone:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"Tone(name={self.name!r})"


class Hidden(BaseModel):
    tone: str = Field(default="plain", repr=False)


class Nested(CountingChat):
    hidden: Any = None

    @property
    def _identifying_params(self):
        return {"model": "m1", "hidden": self.hidden.model_dump()}


def test_models_that_differ_in_extra_fields_share_no_answer(kept):
    one, other = (with_semantic_cache(Open(tone=tone), kept) for tone in ("plain", "rude"))
    one.invoke("q")
    assert not hit(other.invoke("q"))


@pytest.mark.parametrize("kind", [Private, SerialisedPrivate])
def test_models_that_differ_in_private_settings_share_no_answer(kept, kind):
    plain, rude = kind(), kind()
    rude._tone = "rude"
    with_semantic_cache(plain, kept).invoke("q")
    assert not hit(with_semantic_cache(rude, kept).invoke("q"))


@pytest.mark.parametrize(
    ("model", "edit"),
    [
        (CountingChat(setting=Tone("plain")), lambda model: setattr(model.setting, "name", "rude")),
        (Nested(hidden=Hidden()), lambda model: setattr(model.hidden, "tone", "rude")),
    ],
    ids=["an object", "a field that is not shown"],
)
def test_settings_that_are_edited_in_place_are_others(model, edit):
    before = described(model)
    assert described(model) == before
    edit(model)
    assert described(model) != before


def test_what_a_key_remembers_keeps_no_client_alive():
    model = ChatOpenAI(model="gpt-4o-mini", api_key="k")
    described(model)
    client = weakref.ref(model.root_client)
    del model
    gc.collect()
    assert client() is None


def test_a_stream_that_is_read_on_outside_its_scope_is_kept_for_its_tenant_only(kept):
    model = with_semantic_cache(StreamingChat(), kept)
    with kept.scope(tenant="acme"):
        stream = model.stream("q")
        next(stream)
    list(stream)
    assert not hit(model.invoke("q"))
    with kept.scope(tenant="acme"):
        assert hit(model.invoke("q"))


async def test_an_async_stream_that_is_read_on_outside_its_scope_is_too(kept):
    model = with_semantic_cache(StreamingChat(), kept)
    with kept.scope(tenant="acme"):
        stream = model.astream("q")
        await anext(stream)
    assert [each async for each in stream]
    assert not hit(model.invoke("q"))
    with kept.scope(tenant="acme"):
        assert hit(model.invoke("q"))


def test_a_stream_belongs_to_the_scope_in_which_it_was_asked_for(kept):
    model = with_semantic_cache(StreamingChat(), kept)
    with kept.scope(tenant="acme"):
        stream = model.stream("q")
    list(stream)
    assert not hit(model.invoke("q"))
    with kept.scope(tenant="acme"):
        assert hit(model.invoke("q"))


def test_a_stream_begun_under_bypass_is_not_kept_though_it_ends_outside(kept):
    model = with_semantic_cache(StreamingChat(), kept)
    with kept.bypass():
        stream = model.stream("q")
        next(stream)
    list(stream)
    assert not hit(model.invoke("q"))


class Several(StreamingChat):
    n: int = 1


@pytest.mark.parametrize(("asked", "kept_as_one"), [({}, True), ({"n": 1}, True), ({"n": 2}, False)])
def test_a_stream_is_kept_unless_several_answers_are_asked_for(kept, asked, kept_as_one):
    model = with_semantic_cache(Several(), kept)
    list(model.stream("q", **asked))
    assert hit(model.invoke("q", **asked)) == kept_as_one
    set_so = with_semantic_cache(Several(**asked), kept)
    list(set_so.stream("r"))
    assert hit(set_so.invoke("r")) == kept_as_one


def test_a_stream_of_several_answers_is_not_kept_as_one(kept):
    with FakeUpstream() as apis:
        model = with_semantic_cache(ChatOpenAI(model="m", base_url=apis.url, n=2), kept)
        list(model.stream("q"))
        assert len(model.generate([[HumanMessage("q")]]).generations[0]) == 2


class SilentChat(BaseChatModel):
    """Does not say by which settings it is identified."""

    temperature: float = 0
    options: dict = {}  # noqa: RUF012 - pydantic copies it

    @property
    def _llm_type(self):
        return "silent"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"at {self.temperature}"))])


class SilentText(LLM):
    temperature: float = 0

    @property
    def _llm_type(self):
        return "silent"

    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        return f"at {self.temperature}"


@pytest.mark.parametrize("kind", [SilentChat, SilentText])
def test_settings_count_though_the_class_does_not_say_that_they_identify_a_model(kind, kept):
    with_semantic_cache(kind(temperature=0), kept).invoke("q")
    other = with_semantic_cache(kind(temperature=1), kept).invoke("q")
    assert getattr(other, "content", other) == "at 1.0"
    assert described(SilentChat(options={"a": [1]})) != described(SilentChat(options={"a": [2]}))


def test_a_setting_that_is_undone_is_not_the_setting(kept):
    model = with_semantic_cache(SilentChat(temperature=0.5), kept)
    model.invoke("q")
    model.temperature = 0.7
    assert model.invoke("q").text == "at 0.7"
    model.temperature = 0.5
    assert hit(model.invoke("q"))
