"""LangChain's generations <-> payloads: our own versioned JSON, and a fresh copy of the answer for each hit.

The law: a payload that this version cannot read is a miss, never an exception; nothing in it names a class
to be made. No two callers share a mutable object. An answer carries no id by which the provider, or
LangGraph, could take it for the one that was given before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from semcache_integrations.core.answers import called, spoken
from semcache_integrations.langchain.storable import is_storable

HitUsage = Literal["original", "zero"]
"""What a hit's `usage_metadata` says: what the answer cost when it was new, or nothing."""

_VERSION = 1
_KEPT = frozenset(AIMessage.model_fields) - {"id"}
NO_USAGE: Mapping[str, int] = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
_HANDLES = frozenset({"id", "headers", "container", "request_id"})  # of a call that is over
_CALL_IDS = frozenset({"id", "call_id", "tool_call_id", "tool_use_id"})
_MODELS_OWN = frozenset({"args", "arguments", "input", "text"})  # the model's words, ids or not
_SHORTEST_ID = 9  # characters; Mistral's ids have no more

_Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class _Kept:
    """One generation of a kept answer.

    Attributes:
        generation: Validated once, copied for each hit, never handed out.
        parts: JSON of all that a caller could edit in place; parsed anew for each hit.
        call_ids: Ids of its tool calls.
    """

    generation: Generation
    parts: bytes
    call_ids: tuple[str, ...] = ()

    def fresh(self, mark: Mapping[str, object], usage: HitUsage) -> Generation:
        generation, parts = copy(self.generation), orjson.loads(self.parts)
        if self.call_ids:
            parts = _renamed(parts, {old: _new_call_id(old) for old in self.call_ids})
        values = vars(generation)  # what model_copy(update=…) does as well, in three times the time
        values["generation_info"] = parts["info"]
        if isinstance(generation, ChatGeneration):
            message: _Json = parts["message"]
            message["response_metadata"]["semcache"] = dict(mark)
            if usage == "zero":
                message["usage_metadata"] = dict(NO_USAGE)
            values["message"] = revived = copy(generation.message)
            vars(revived).update(message, id=_new_message_id())
        return generation


@dataclass(frozen=True, slots=True)
class Answer:
    """A kept answer. Not for handing out: hand out `fresh()`."""

    kept: tuple[_Kept, ...]

    def fresh(self, mark: Mapping[str, object], usage: HitUsage = "original") -> list[Generation]:
        """Return a copy that the caller may do anything with.

        Args:
            mark: Put into each message's `response_metadata["semcache"]`; a plain `Generation` has no
                place for it, and equals what was stored.
            usage: What the messages' `usage_metadata` says.
        """
        return [generation.fresh(mark, usage) for generation in self.kept]


def pack(generations: Sequence[Generation]) -> str | None:
    """Return the payload of an answer, or None for one that must not be kept."""
    if not is_storable(generations):
        return None
    try:
        envelope = {"v": _VERSION, "g": [_packed(one) for one in generations]}
        json.dumps(envelope, allow_nan=False)  # orjson would write NaN as null
        return orjson.dumps(envelope).decode()
    except (TypeError, ValueError, PydanticSerializationError, RecursionError):
        return None  # not JSON, and no string would do: invalid Unicode, integers beyond 64 bits, cycles


@lru_cache(maxsize=256)
def unpack(payload: str) -> Answer | None:
    """Return the answer in a payload, or None if this version cannot read it."""
    try:
        envelope = orjson.loads(payload)
        if envelope["v"] != _VERSION or not envelope["g"]:
            return None
        return Answer(tuple(_unpacked(one) for one in envelope["g"]))
    except (KeyError, TypeError, ValueError, AttributeError, ValidationError):
        return None


def says(payload: str) -> str:
    """Return what the answer in a payload says, as it is compared with others: all its texts and tool calls."""
    said = []
    for one in orjson.loads(payload)["g"]:
        if one["k"] == "text":
            said.append(one["t"])
        else:
            said.append(spoken(one["m"]["content"]))
            said += [called(call["name"], call["args"]) for call in one["m"]["tool_calls"]]
    return "\n".join(said)


def metered(found: list[Generation] | None) -> list[Generation] | None:
    """Give every message its token counts, though the stream that it comes from had none.

    LangChain writes a cost beside them, which alone it cannot read again, and who invokes a model counts on them.
    """
    for one in found or ():
        message = getattr(one, "message", None)
        if message is not None and message.usage_metadata is None:
            message.usage_metadata = dict(NO_USAGE)
    return found


def _packed(generation: Generation) -> _Json:
    info = to_jsonable_python(generation.generation_info, fallback=str)
    if not isinstance(generation, ChatGeneration):
        return {"k": "text", "t": generation.text, "i": info}
    message = generation.message
    if isinstance(message, AIMessageChunk):
        message = message_chunk_to_message(message)
    body = message.model_dump(include=set(_KEPT), warnings=False)
    return {"k": "chat", "m": _without_handles(to_jsonable_python(body, fallback=str)), "i": info}


def _without_handles(message: _Json) -> _Json:
    """Drop what points at the provider's record of the call: the next call must not be chained to it.

    The Responses API refuses a thought without its id, and one with the id of another conversation.
    """
    metadata = message["response_metadata"]
    message["response_metadata"] = {name: value for name, value in metadata.items() if name not in _HANDLES}
    extras = message["additional_kwargs"]
    extras.pop("__openai_function_call_ids__", None)
    if isinstance(extras.get("reasoning"), dict) and "id" in extras["reasoning"]:
        del extras["reasoning"]
    if isinstance(message["content"], list):
        message["content"] = [
            _without_id(block) for block in message["content"] if not _is_remote_thought(block)
        ]
    return message


def _is_remote_thought(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "reasoning" and "id" in block


def _without_id(block: object) -> object:
    if not isinstance(block, dict) or block.get("type") in ("tool_use", "tool_call"):
        return block  # their id is the call's own, and renewed for each hit
    return {name: value for name, value in block.items() if name != "id"}


def _unpacked(body: _Json) -> _Kept:
    info = body["i"]
    if body["k"] == "text":
        return _Kept(Generation(text=body["t"], generation_info=info), orjson.dumps({"info": info}))
    if body["k"] != "chat" or body["m"]["type"] != "ai":
        raise ValueError("an unknown kind of answer")
    usage = body["m"]["usage_metadata"] and {**NO_USAGE, **body["m"]["usage_metadata"]}
    message = AIMessage.model_validate({**body["m"], "id": "", "usage_metadata": usage})
    editable = {name: value for name, value in vars(message).items() if isinstance(value, (dict, list))}
    return _Kept(
        ChatGeneration(message=message, generation_info=info),
        orjson.dumps({"message": editable, "info": info}),
        tuple(call["id"] for call in message.tool_calls if call["id"]),
    )


def _renamed(value: Any, names: Mapping[str, str]) -> Any:  # Any: JSON in, JSON out
    """Return the JSON with the ids of tool calls replaced, wherever the answer repeats them."""
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {}
    for name, item in value.items():
        if name in _CALL_IDS and isinstance(item, str):
            renamed[name] = names.get(item, item)
        else:
            renamed[names.get(name, name)] = item if name in _MODELS_OWN else _renamed(item, names)
    return renamed


def _new_message_id() -> str:
    """Return an id in LangChain's form. The UUID (version 4) is written by hand: `uuid4` takes three times as long."""
    digits = os.urandom(16).hex()
    return f"lc_run--{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _new_call_id(old: str) -> str:
    """Return an id that looks like the old one: providers want their own form, and none twice."""
    head, dash, tail = old.rpartition("_")
    length = max(len(tail), _SHORTEST_ID)
    return head + dash + os.urandom((length + 1) // 2).hex()[:length]
