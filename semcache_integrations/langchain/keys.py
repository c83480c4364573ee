"""`prompt` and `llm_string` -> `CacheRequest`. Pure parsing: nothing is loaded, instantiated or imported.

The law: `text` is the last message if a user wrote it, the only part that may be similar; whatever else a
provider is sent is `context` or `params` and must match exactly; what it is never sent (ids, usage,
response metadata, artifacts) is neither. The prompt is JSON written by `langchain_core.load.dumps`; it is
read as data, never by `loads`.

What LangChain hides from a cache cannot be keyed here: API keys, the call-time arguments of text-completion
models (langchain#40403), settings that were mutated after the first call (langchain#39598), and a base URL
that comes from the environment. `with_semantic_cache` sees all but the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeAlias

import orjson

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import canonical_json
from semcache_integrations.core.models import DEFAULT_CONTROLS, CacheRequest, Controls
from semcache_integrations.langchain.identity import parse_llm_string
from semcache_integrations.langchain.opaque import Unkeyable, without_objects

CHAT = "langchain-chat"
TEXT = "langchain-text"
EXACT_ONLY = Controls(semantic=False)
_REMEMBERED = 256
_LONGEST_REMEMBERED = 16_384  # characters of both strings; so that remembering costs 8 MB at worst

_ROLES = {
    "HumanMessage": "user",
    "SystemMessage": "system",
    "AIMessage": "assistant",
    "ToolMessage": "tool",
    "FunctionMessage": "function",
}
_TEXT_BLOCKS = frozenset({"text", "input_text", "output_text"})
_CALL_BLOCKS = frozenset({"tool_use", "tool_call", "function_call", "custom_tool_call"})
_TOOL_ROLES = frozenset({"tool", "function"})
_UNSEEN = frozenset(  # by providers
    ("type", "id", "response_metadata", "usage_metadata", "artifact", "tool_call_chunks", "chunk_position")
)
_READ_HERE = frozenset(
    ("content", "role", "tool_calls", "invalid_tool_calls", "tool_call_id", "additional_kwargs", "status")
)
_DERIVED = frozenset({"parsed", "tool_calls"})  # additional_kwargs that repeat what other fields say
_BLOCK_NOTES = frozenset({"index", "cache_control"})
_TEXT_NOTES = _BLOCK_NOTES | {"type", "text", "id"}
_ORDINARY = 2  # fields of a message that is text and nothing else: content and type
_BEYOND_ORJSON = re.compile(r"\d{20}")
"""What orjson would read as a float, so that neighbouring integers become equal."""


Turn: TypeAlias = tuple[str, str, dict[str, Any]]
"""Role, text, whatever else is sent. (Any: LangChain's JSON, read as it comes.)"""
_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Conversation:
    """A prompt, taken apart.

    Attributes:
        text: The last message if a user wrote it, else empty.
        context: All other that a provider is sent.
        dialect: `CHAT` or `TEXT`.
        semantic: Whether a similar text may be answered the same.
    """

    text: str
    context: object
    dialect: str
    semantic: bool


def request_of(
    prompt: str, llm_string: str, *, tenant: str = "", semantic_with_tools: bool = False
) -> CacheRequest:
    """Return what is asked. Never raises; what has no canonical form says so when the engine keys it.

    Args:
        prompt: As a `BaseCache` is given it.
        llm_string: As a `BaseCache` is given it.
        tenant: Whose request it is.
        semantic_with_tools: Let a similar question be served although tools are bound.
    """
    make = _request if len(prompt) + len(llm_string) <= _LONGEST_REMEMBERED else _request.__wrapped__
    return make(prompt, llm_string, tenant, semantic_with_tools)


# Remembered, because a miss is asked for twice, by `lookup` and by `update`, and a hit again and again.
@lru_cache(maxsize=_REMEMBERED)
def _request(prompt: str, llm_string: str, tenant: str, similar_with_tools: bool) -> CacheRequest:  # noqa: FBT001 - lru_cache is fastest with positional arguments
    identity, conversation = parse_llm_string(llm_string), parse_prompt(prompt)
    semantic = conversation.semantic and (similar_with_tools or not identity.tools)
    return CacheRequest(
        conversation.text,
        identity.model,
        identity.params,
        conversation.context,
        tenant,
        conversation.dialect,
        DEFAULT_CONTROLS if semantic else EXACT_ONLY,
    )


def parse_prompt(prompt: str) -> Conversation:
    """Take a prompt apart. Never raises: what is not a list of serialised messages is plain text."""
    if not prompt.startswith('[{"lc"'):
        # Several lines are a filled template or a document, of which an embedding sees the boilerplate.
        question = prompt.strip()
        return Conversation(prompt, None, TEXT, semantic=bool(question) and "\n" not in question)
    try:
        return _conversation(_messages(prompt))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return Conversation(prompt, None, TEXT, semantic=False)  # serialised somehow: never embed that


def _messages(prompt: str) -> list[Any]:
    messages: list[Any] = orjson.loads(prompt)
    for message in messages:
        kwargs = message["kwargs"]
        if kwargs["content"].__class__ is not str or len(kwargs) != _ORDINARY or "type" not in kwargs:
            break
    else:
        return messages  # text alone, the hot path
    if _BEYOND_ORJSON.search(prompt):
        messages = json.loads(prompt)
    if '"not_implemented"' in prompt:
        messages = [_without_objects(message) for message in messages]
    return messages


def _without_objects(message: Any) -> dict[str, Any]:
    kwargs = {name: value for name, value in message["kwargs"].items() if name not in _UNSEEN}
    return {**message, "kwargs": without_objects(kwargs)}


def _conversation(messages: list[Any]) -> Conversation:
    calls: dict[object, int] = {}
    turns = [_turn(message, calls) for message in messages]
    role, text, extras = turns[-1]
    if role != "user":
        return Conversation("", turns, CHAT, semantic=False)
    asks = bool(text.strip())
    if len(turns) == 1 and not extras:
        return Conversation(text, None, CHAT, semantic=asks)
    plain = not extras or all(isinstance(part, int) for part in extras.get("parts", ()))
    tools = bool(calls) or not _TOOL_ROLES.isdisjoint([role for role, _, _ in turns])
    return Conversation(text, (turns[:-1], extras), CHAT, semantic=asks and plain and not tools)


def _turn(message: Any, calls: dict[object, int]) -> Turn:
    """Return role, text and whatever else a provider is sent of one message.

    Args:
        message: In LangChain's serialised form.
        calls: Numbers of the tool calls so far, by id; grows.

    Raises:
        ValueError, TypeError, KeyError, IndexError, AttributeError: it is not a serialised message.
    """
    if message["lc"] != 1 or message["type"] != "constructor":
        raise ValueError("not a serialised message")
    kwargs = message["kwargs"]
    content = kwargs["content"]
    kind = message["id"][-1].removesuffix("Chunk")
    role = kwargs["role"] if kind == "ChatMessage" else _ROLES.get(kind, kind)
    if len(kwargs) == _ORDINARY and "type" in kwargs and isinstance(content, str):
        return role, content, _NOTHING
    extras = _extras(kwargs, calls)
    if isinstance(content, str):
        return role, content, extras
    text, parts = _parts(content, calls)
    if parts:
        extras["parts"] = parts
    return role, text, extras


def _extras(kwargs: Mapping[str, Any], calls: dict[object, int]) -> dict[str, Any]:
    """Return what else is sent: calls and their results by number instead of id, names, unknown fields."""
    read = _UNSEEN | _READ_HERE
    extras = {name: value for name, value in kwargs.items() if name not in read and value is not None}
    for field in ("tool_calls", "invalid_tool_calls"):
        if made := kwargs.get(field):
            extras[field] = [(call["name"], call["args"], _number(call.get("id"), calls)) for call in made]
    if "tool_call_id" in kwargs:
        extras["answers"] = _number(kwargs["tool_call_id"], calls)
    if kwargs.get("status", "success") != "success":
        extras["status"] = kwargs["status"]
    derived = _DERIVED if "tool_calls" in extras or "invalid_tool_calls" in extras else {"parsed"}
    more = kwargs.get("additional_kwargs", {}).items()
    if sent := {name: value for name, value in more if name not in derived and value is not None}:
        extras["more"] = sent
    return extras


def _number(call_id: object, calls: dict[object, int]) -> int:
    return calls.setdefault(call_id, len(calls))


def _parts(content: list[Any], calls: Mapping[object, int]) -> tuple[str, list[object]]:
    """Return the text of a list of content blocks, and what must match exactly beside it.

    One bare text block equals its text. Of several, the lengths tell where one ends; anything else is
    kept as a digest, because an image may have megabytes.
    """
    texts: list[str] = []
    parts: list[object] = []
    for block in content:
        if isinstance(block, str):
            block = {"type": "text", "text": block}  # noqa: PLW2901 - the same block in its long form
        kind = block["type"]
        if kind in _CALL_BLOCKS and (block.get("call_id") or block.get("id")) in calls:
            continue  # said once already, by `tool_calls`
        if kind not in _TEXT_BLOCKS:
            parts.append(_digest(block))
            continue
        texts.append(block["text"])
        parts.append(len(block["text"]))
        if notes := {name: value for name, value in block.items() if name not in _TEXT_NOTES and value}:
            parts.append(_digest(notes))
    return "\n".join(texts), [] if len(parts) == 1 and texts else parts


def _digest(block: Mapping[str, object]) -> object:
    """Return the digest of a block, without what says nothing about its content."""
    content = {name: value for name, value in block.items() if name not in _BLOCK_NOTES}
    if str(content.get("id", "")).startswith("lc_"):  # made up by LangChain for each block
        del content["id"]
    try:
        return blake2b(canonical_json(content).encode(), digest_size=16).hexdigest()
    except UnkeyableError as error:
        return Unkeyable(str(error))
