"""LangChain's `prompt` -> the text that may be reworded, and the rest, which must match exactly. Pure.

The law: what a provider is sent is keyed; what it is not (ids, usage, artifacts, metadata of earlier answers)
is not. Only the last thing that a user wrote may ever be embedded, never LangChain's serialised wrapper.
The prompt is data: nothing in it is instantiated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.wire.turns import is_one_line

CHAT_DIALECT = "langchain-chat"
TEXT_DIALECT = "langchain-text"

_ROLES = {
    "HumanMessage": "user",
    "SystemMessage": "system",
    "AIMessage": "assistant",
    "ToolMessage": "tool",
    "FunctionMessage": "function",
}
_PLAIN = {"content", "type"}
_UNSENT = frozenset(
    {"content", "type", "id", "response_metadata", "usage_metadata", "artifact", "role"}
    | {"tool_calls", "invalid_tool_calls", "tool_call_chunks", "tool_call_id", "chunk_position"}
)
_UNSENT_EXTRAS = frozenset({"parsed", "tool_calls", "__openai_function_call_ids__"})
_UNSENT_MARKS = frozenset({"index", "cache_control"})
_TEXTS = frozenset({"text", "input_text", "output_text"})
_CALLS = frozenset({"tool_use", "tool_call", "function_call", "custom_tool_call"})
_THOUGHTS = frozenset({"reasoning", "thinking", "redacted_thinking", "refusal"})
_EMPTY: tuple[object, ...] = (None, [], {})
_WRAPPER = '[{"lc"'
_OWN_ID = "lc_"  # LangChain makes such ids up, a new one for each block
_EXACT = 2.0**63  # orjson reads integers beyond its range as floats, which no longer name them
_SPEAKER = re.compile(r"(System|Human|User|AI|Assistant|Tool|Function): (.*)", re.DOTALL)
_Json = dict[str, Any]  # Any: JSON


class Prompt(NamedTuple):
    """What is asked.

    Attributes:
        text: The last thing that a user wrote, or empty.
        context: All else, JSON-like.
        semantic: Whether the text may be reworded.
        dialect: Whether messages or a plain text were sent.
    """

    text: str
    context: object
    semantic: bool
    dialect: str


def read_prompt(prompt: str) -> Prompt:
    """Return what a chat model's messages or a text model's prompt ask.

    Raises:
        UnkeyableError: something that is sent has no stable form.
    """
    messages = _messages(prompt)
    try:
        return _plain_text(prompt) if messages is None else _conversation(messages)
    except RecursionError:
        raise UnkeyableError("the messages are nested too deeply") from None


def _messages(prompt: str) -> list[_Json] | None:
    if not prompt.startswith("["):
        return None
    try:
        found = orjson.loads(prompt)
    except orjson.JSONDecodeError:
        found = _lenient(prompt)  # NaN and lone surrogates, which Python writes and orjson refuses
    if found is None and prompt.startswith(_WRAPPER):
        raise UnkeyableError("the messages cannot be read")  # and must not be taken for a text
    if not isinstance(found, list) or not found:
        return None
    if not all(isinstance(item, dict) and item.get("lc") == 1 for item in found):
        return None
    if not all(item.get("type") == "constructor" and isinstance(item.get("kwargs"), dict) for item in found):
        raise UnkeyableError("LangChain could not serialise a message")
    return found


def _lenient(prompt: str) -> object:
    try:
        return json.loads(prompt)
    except (ValueError, RecursionError):
        return None


def _conversation(messages: list[_Json]) -> Prompt:
    calls: dict[str, int] = {}
    turns = [_turn(message, calls) for message in messages]
    last = turns[-1]
    text, alone = _take_text(last) if last["role"] == "user" else ("", False)
    agentic = any("calls" in turn or turn["role"] in ("tool", "function") for turn in turns)
    context = None if len(turns) == 1 and len(last) == 1 else turns
    return Prompt(text, context, alone and not agentic and is_one_line(text), CHAT_DIALECT)


def _turn(message: _Json, calls: dict[str, int]) -> _Json:
    """Return what is sent of one message; tool calls are numbered, because their ids are new in every run."""
    kwargs = message["kwargs"]
    role = _role(message, kwargs)
    if kwargs.keys() <= _PLAIN and isinstance(kwargs.get("content"), str):
        return {"role": role, "content": kwargs["content"]}
    turn: _Json = {"role": role}
    called = _numbered(kwargs, calls)
    if called:
        turn["calls"] = called
    turn["content"] = _content(kwargs.get("content"), calls, role)
    if "tool_call_id" in kwargs:
        turn["answers"] = calls.get(str(kwargs["tool_call_id"]), kwargs["tool_call_id"])
    for name, value in kwargs.items():
        kept = _extras(value) if name == "additional_kwargs" else value
        if name not in _UNSENT and kept and (name, kept) != ("status", "success"):
            turn[name] = _stable(kept)
    return turn


def _role(message: _Json, kwargs: _Json) -> str:
    path = message.get("id")
    kind = str(path[-1]).removesuffix("Chunk") if isinstance(path, list) and path else ""
    return str(kwargs.get("role")) if kind == "ChatMessage" else _ROLES.get(kind, kind)


def _numbered(kwargs: _Json, calls: dict[str, int]) -> list[_Json]:
    numbered = []
    for call in (*_list(kwargs, "tool_calls"), *_list(kwargs, "invalid_tool_calls")):
        number = calls.setdefault(str(call.get("id")), len(calls))
        numbered.append({"name": call.get("name"), "args": _stable(call.get("args")), "call": number})
    return numbered


def _list(kwargs: _Json, name: str) -> list[_Json]:
    found = kwargs.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _extras(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {name: item for name, item in value.items() if name not in _UNSENT_EXTRAS and item not in _EMPTY}


def _content(content: object, calls: Mapping[str, int], role: str) -> object:
    """Return a text as it is, also if it came as a list of one; every other list block by block."""
    if not isinstance(content, list):
        return _stable(content)
    blocks = [_block(block, calls, role) for block in content]
    return blocks[0] if len(blocks) == 1 and isinstance(blocks[0], str) else blocks


def _block(block: object, calls: Mapping[str, int], role: str) -> object:
    if not isinstance(block, dict):
        return _stable(block)
    kind = block.get("type")
    if role == "assistant" and kind in _CALLS:
        number = calls.get(str(block.get("call_id") or block.get("id")))
        if number is not None:
            return {"call": number}
    own = kind in _TEXTS or kind in _THOUGHTS or str(block.get("id")).startswith(_OWN_ID)
    kept = {
        name: value
        for name, value in block.items()
        if name not in _UNSENT_MARKS and not (own and name == "id") and value not in _EMPTY
    }
    if kind in _TEXTS and kept.keys() == {"type", "text"} and isinstance(kept["text"], str):
        return kept["text"]
    return _stable(kept)


def _take_text(turn: _Json) -> tuple[str, bool]:
    """Take the last text out of the last turn, leaving a hole.

    Of several texts the last one is the question; a document before it must match exactly.

    Returns:
        The text, and whether the turn holds nothing but texts.
    """
    content = turn["content"]
    if isinstance(content, str):
        del turn["content"]
        return content, True
    if not isinstance(content, list):
        return "", False
    places = [place for place, block in enumerate(content) if isinstance(block, str)]
    if not places:
        return "", False
    text = content[places[-1]]
    content[places[-1]] = None
    return text, len(places) == len(content)


def _stable(value: Any) -> Any:  # Any: JSON in, the same JSON out
    """Return the value if it has one form for good.

    Raises:
        UnkeyableError: it holds an object's address, or an integer that the parser could not keep.
    """
    if isinstance(value, float) and abs(value) >= _EXACT:
        raise UnkeyableError("a message holds a number beyond 64 bits")
    if isinstance(value, list):
        for item in value:
            _stable(item)
    elif isinstance(value, dict):
        if value.get("lc") == 1 and value.get("type") == "not_implemented":
            raise UnkeyableError("a message holds an object that LangChain could not serialise")
        for item in value.values():
            _stable(item)
    return value


def _plain_text(prompt: str) -> Prompt:
    """Let a single line be reworded, or the last turn of a conversation that LangChain wrote out line by line."""
    body = prompt.rstrip()
    head, _, line = body.rpartition("\n")
    spoken = _SPEAKER.fullmatch(line)
    speaker, text = (spoken[1], spoken[2]) if spoken else ("", line)
    context = [head, speaker] if head or speaker else None
    by_user = speaker in ("Human", "User") or not (head or speaker)
    return Prompt(text, context, by_user and bool(text.strip()), TEXT_DIALECT)
