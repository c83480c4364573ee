"""What a model is asked, in LangChain's own two strings: prompt and `llm_string`, as they are at this very call.

The law: the strings are those that LangChain's own cache would be asked with, so that one entry serves both; but
for what LangChain forgets: settings changed after the first call (langchain#39598), the schema behind a class
that is to be answered with, the arguments of a call of a text model (langchain#40403), and the settings of a model
whose class does not say by which it is identified.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel

_PARTS = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
_MEMO = "_serialized"  # where LangChain keeps a model's description for good
_SIMPLE = frozenset({str, int, float, bool, type(None)})


def as_its_base(
    model: Any, base: type[Any]
) -> Any:  # Any: a model of whatever class, by LangChain's internals
    """Return the model as an object of another class, with the very same state: clients, settings, private parts."""
    view = object.__new__(base)
    for part in _PARTS:
        if hasattr(model, part):
            object.__setattr__(view, part, getattr(model, part))
    return view


def prompt_of(messages: Sequence[BaseMessage]) -> str:
    """Return messages as LangChain serialises them for a cache: without their ids."""
    return dumps([message.model_copy(update={"id": None}) if message.id else message for message in messages])


def chat_model_string(model: BaseChatModel, stop: list[str] | None, arguments: Mapping[str, Any]) -> str:
    """Return the `llm_string` of a chat model as it is set now.

    Args:
        model: The model itself, not one that caches.
        stop: Of the call.
        arguments: The others of the call.
    """
    asked = {**arguments, "stop": stop}
    if not model.is_lc_serializable():  # what it says of itself is its own code, which may look anywhere
        told = {**_untold(model), **_with_schemas(asked)}
        return str(model._get_llm_string(**told))
    return _string(_Call(model, asked))


def text_model_string(model: BaseLLM, stop: list[str] | None, arguments: Mapping[str, Any]) -> str:
    """Return the `llm_string` of a text model with the arguments of the call; Args as above."""
    settings = getattr(model, "_dict_for_compat", model.dict)()
    return str(sorted({**settings, **_untold(model), **_with_schemas(arguments), "stop": stop}.items()))


def _untold(model: BaseChatModel | BaseLLM) -> dict[str, Any]:
    """Return the settings of a model that says nothing of itself, as far as they are plain values."""
    if type(model)._identifying_params is not BaseLanguageModel._identifying_params:
        return {}
    common = {*BaseChatModel.model_fields, *BaseLLM.model_fields}
    return {name: value for name, value in model if name not in common and _is_plain(value)}


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, (*value, *value.values())))
    return all(map(_is_plain, value)) if isinstance(value, (list, tuple)) else type(value) in _SIMPLE


def _with_schemas(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the classes that answers are to have by what a provider is sent of them."""
    return {
        name: convert_to_json_schema(value) if isinstance(value, type) else value
        for name, value in arguments.items()
    }


class _Call:
    """A model as it is set now, and the arguments of a call; equal to another one for which all are equal.

    What a model is set to can be edited, so this is a picture of it. Taking it is ten times as fast as LangChain's
    description of the model, which therefore is made once for equal pictures.
    """

    __slots__ = ("arguments", "model", "state")

    def __init__(self, model: BaseChatModel, arguments: Mapping[str, Any]) -> None:
        self.model: BaseChatModel | None = model
        self.arguments = arguments
        self.state = (*_parts(model), *((name, _still(value)) for name, value in arguments.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call) and self.state == other.state

    def __hash__(self) -> int:
        return hash(self.state)


class _Same:
    """Stands for one object as long as that lives, and then for none, though another may take its address.

    It keeps nothing alive: what a model holds may be a client, or the weights themselves.
    """

    __slots__ = ("address", "alive")

    def __init__(self, value: object) -> None:
        self.address = id(value)
        try:
            self.alive: Callable[[], object] = weakref.ref(value)
        except TypeError:  # equal to nothing, then
            self.alive = _gone

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.alive() is not None and self.alive() is other.alive()

    def __hash__(self) -> int:
        return self.address


def _gone() -> None:
    return None


def _parts(model: BaseModel) -> tuple[object, ...]:
    """Return a picture of all that a model holds, whether its repr shows it or not."""
    held = {**vars(model), **(model.__pydantic_extra__ or {}), **(model.__pydantic_private__ or {})}
    return (type(model), *((name, _still(value)) for name, value in held.items() if name != _MEMO))


def _still(value: object) -> object:
    """Return what says the same as long as the value does: a picture of what can be edited, else the thing itself."""
    if type(value) in _SIMPLE:
        return type(value), value
    if isinstance(value, BaseModel):
        return _parts(value)
    if isinstance(value, (dict, list, tuple, set, frozenset)) or dataclasses.is_dataclass(value):
        return repr(value)
    return _Same(value)


@lru_cache(maxsize=64)
def _string(call: _Call) -> str:
    """Return LangChain's own key for a call, made anew from what is set now."""
    model, arguments = call.model, call.arguments
    call.model, call.arguments = None, {}  # what is remembered must not keep a model and its clients alive
    fresh = as_its_base(model, type(model))
    settings = {name: value for name, value in vars(model).items() if name != _MEMO}
    object.__setattr__(fresh, "__dict__", settings)
    return str(fresh._get_llm_string(**_with_schemas(arguments)))
