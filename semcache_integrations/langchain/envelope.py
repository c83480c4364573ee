"""LangChain's results <-> our versioned JSON. Never pickle, never `langchain_core.load`.

The law: what comes out is what went in, as if a provider had just said it: plain data validated into the
two classes named here, with ids of its own, complete usage and nothing shared between callers. Text that
no `dump` of this version wrote is no answer.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

import orjson
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel

from semcache_integrations.langchain.answers import MARK, metadata_without_handles, without_handles

M = TypeVar("M", bound=BaseModel)

VERSION = 1
NO_USAGE: Mapping[str, int] = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
"""LangChain adds a cost to a hit's usage, and then cannot read a message that lacks one of these."""

_REMEMBERED = 256
_LONGEST_REMEMBERED = 32_768  # characters of a payload; so that remembering costs 20 MB at worst
_ID_FIELDS = frozenset({"id", "call_id", "tool_use_id", "tool_call_id"})
_TAIL = 24
_SHORTEST_ID = 9


@dataclass(frozen=True, slots=True)
class Mould(Generic[M]):
    """A validated model taken apart, to cast equal ones that share nothing with it.

    Parsing JSON is the fastest deep copy there is, and unpickling the fastest way to a model whose fields
    are known to be valid: together they take a third of what validating takes.

    Attributes:
        kind: The model's class.
        values: Its fields and its extra fields, as JSON.
        given: The names of the fields that were given to it.
    """

    kind: type[M]
    values: bytes
    given: frozenset[str]

    @classmethod
    def of(cls, model: M) -> Mould[M]:
        """Take a model apart; its fields must be JSON-like."""
        fields = {name: getattr(model, name) for name in type(model).model_fields if name != "message"}
        values = orjson.dumps((fields, model.model_extra))
        return cls(type(model), values, frozenset(model.model_fields_set))

    def cast(self, fields: dict[str, Any], extra: dict[str, Any] | None) -> M:
        """Return a model of these fields, which nobody else may hold."""
        model = self.kind.__new__(self.kind)
        model.__setstate__(
            {
                "__dict__": fields,
                "__pydantic_extra__": extra,
                "__pydantic_fields_set__": set(self.given),
                "__pydantic_private__": None,
            }
        )
        return model


@dataclass(frozen=True, slots=True)
class Template:
    """One stored generation, validated once and cast anew for every hit.

    Attributes:
        generation: Without its message.
        message: None for the answer of a completion model.
        call_ids: The ids of the message's tool calls.
    """

    generation: Mould[Generation]
    message: Mould[AIMessage] | None = None
    call_ids: tuple[str, ...] = ()


def dump(generations: Sequence[Generation]) -> str:
    """Return storable generations as JSON.

    Raises:
        ValueError: something in them is no JSON (NaN, an integer beyond 64 bits, a cycle).
    """
    try:
        return orjson.dumps({"v": VERSION, "g": [_dumped(one) for one in generations]}).decode()
    except (TypeError, RecursionError) as error:
        raise ValueError(f"the answer cannot be written as JSON: {type(error).__name__}") from None


def _dumped(generation: Generation) -> dict[str, Any]:
    info = generation.generation_info
    if not isinstance(generation, ChatGeneration):
        return {"k": "text", "t": generation.text, "i": _plain(info)}
    message = _plain(message_chunk_to_message(generation.message).model_dump(warnings=False))
    kept = None if info is None else _plain(metadata_without_handles(info))
    return {"k": "chat", "m": without_handles(message), "i": kept}


def _plain(value: object) -> Any:  # Any: JSON
    """Return a value as JSON-like data; what JSON has no form for becomes its `model_dump` or its string.

    Raises:
        ValueError: a number is not finite.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("the answer holds a number that is not finite")
        return float(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    dumped = getattr(value, "model_dump", None)
    return _plain(dumped()) if callable(dumped) and not isinstance(value, type) else str(value)


def revive(
    payload: str, mark: Mapping[str, object], usage: Mapping[str, int] | None = None
) -> list[Generation] | None:
    """Return fresh generations, or None if the payload is none of ours. Never raises.

    Args:
        payload: What `dump` wrote.
        mark: What each message says about the hit, under `response_metadata["semcache"]`.
        usage: Replaces the usage of the original call, or None to keep it.
    """
    read = _templates if len(payload) <= _LONGEST_REMEMBERED else _templates.__wrapped__
    try:
        templates = read(payload)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):  # pydantic's errors are ValueErrors
        return None
    return [_revived(template, mark, usage) for template in templates]


@lru_cache(maxsize=_REMEMBERED)
def _templates(payload: str) -> tuple[Template, ...]:
    """Read a payload.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, RecursionError: no `dump` of this version wrote it.
    """
    kept = orjson.loads(payload)
    if kept["v"] != VERSION or not kept["g"]:
        raise ValueError("of another version, or empty")
    return tuple(_template(one) for one in kept["g"])


def _template(kept: Mapping[str, Any]) -> Template:
    if kept["k"] == "text":
        return Template(Mould.of(Generation(text=kept["t"], generation_info=kept["i"])))
    if kept["k"] != "chat" or kept["m"]["type"] != "ai":
        raise ValueError("of an unknown kind")
    message = AIMessage.model_validate(kept["m"])
    message.usage_metadata = cast("UsageMetadata", {**NO_USAGE, **(message.usage_metadata or {})})
    generation = ChatGeneration(message=message, generation_info=kept["i"])
    call_ids = tuple(call["id"] for call in message.tool_calls if call["id"])
    return Template(Mould.of(generation), Mould.of(message), call_ids)


def _revived(template: Template, mark: Mapping[str, object], usage: Mapping[str, int] | None) -> Generation:
    fields, extra = orjson.loads(template.generation.values)
    if template.message is not None:
        said, more = orjson.loads(template.message.values)
        if template.call_ids:
            _rename_calls(said, template.call_ids)
        if usage is not None:
            said["usage_metadata"] = dict(usage)
        said["response_metadata"][MARK] = dict(mark)
        said["id"] = _run_id()  # LangGraph drops a second message with an id that it knows
        fields["message"] = template.message.cast(said, more)
    return template.generation.cast(fields, extra)


def _run_id() -> str:
    """Return `lc_run--` and a random UUID, in half the time that `uuid.uuid4()` takes."""
    digits = secrets.token_hex(16)
    return f"lc_run--{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _rename_calls(fields: dict[str, Any], call_ids: tuple[str, ...]) -> None:
    """Give the tool calls new ids, which providers want unique within a conversation, wherever they stand."""
    names = {old: _renamed(old) for old in call_ids}
    fields["tool_calls"] = _with_ids(fields["tool_calls"], names)
    if isinstance(fields["content"], list):
        fields["content"] = _with_ids(fields["content"], names)
    more = fields["additional_kwargs"]
    if isinstance(more.get("tool_calls"), list):
        more["tool_calls"] = _with_ids(more["tool_calls"], names)


def _with_ids(items: list[Any], names: Mapping[str, str]) -> list[Any]:
    return [_with_id(item, names) if isinstance(item, dict) else item for item in items]


def _with_id(item: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        field: names.get(value, value) if field in _ID_FIELDS and isinstance(value, str) else value
        for field, value in item.items()
    }


def _renamed(old: str) -> str:
    """Return a new id of the same make: `call_…`, `toolu_…`, or Mistral's nine letters and digits."""
    prefix, underscore, _ = old.partition("_")
    if not underscore:
        return secrets.token_hex(max(len(old), _SHORTEST_ID))[: max(len(old), _SHORTEST_ID)]
    return f"{prefix}_{secrets.token_hex(_TAIL // 2)}"
