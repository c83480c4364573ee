"""What the tests of the LangChain adapter share: the strings that real models send, and their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import BaseMessage

from semcache_integrations.core.keys import Keyring, canonical_text
from semcache_integrations.langchain.keys import request_of


class SeenError(Exception):
    """Carries what a cache was asked out of the model's call, before the model is."""


class Onlooker(BaseCache):
    def lookup(self, prompt: str, llm_string: str):
        raise SeenError(prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: object) -> None:
        raise AssertionError("nothing was answered")

    def clear(self, **kwargs: Any) -> None:
        raise AssertionError("nobody asked for this")


def see(
    model: BaseLanguageModel, messages: str | Sequence[BaseMessage] = "q", /, **kwargs: Any
) -> tuple[str, str]:
    """Return `prompt` and `llm_string` as LangChain itself makes them for this call."""
    model.cache = Onlooker()
    with pytest.raises(SeenError) as caught:
        model.invoke(messages, **kwargs)
    prompt, llm_string = caught.value.args
    return prompt, llm_string


def key_of(prompt: str, llm_string: str) -> tuple[str, str]:
    """Return what must be equal for an exact hit; raises `UnkeyableError` where the engine would bypass."""
    request = request_of(prompt, llm_string)
    return Keyring().scope(request, ""), canonical_text(request.text)


@pytest.fixture(name="see")
def see_fixture() -> Callable[..., tuple[str, str]]:
    return see


@pytest.fixture(name="key")
def key_fixture() -> Callable[..., tuple[str, str]]:
    """The key of a call, through LangChain: `key(model, messages, **kwargs)`."""

    def key(model: BaseLanguageModel, messages: Any = "q", /, **kwargs: Any) -> tuple[str, str]:
        return key_of(*see(model, messages, **kwargs))

    return key


@pytest.fixture(name="key_of")
def key_of_fixture() -> Callable[[str, str], tuple[str, str]]:
    return key_of
