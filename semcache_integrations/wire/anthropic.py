"""Anthropic's Messages: a whole message <-> the events of its stream.

The law: `assembled(events(message, replay)) == message` for every message that `is_complete`, however the
replay cuts. What is not known to be whole is None and never an entry.

What a live stream has and these events have not: pings, the pace of its tokens, a citation between two
pieces of its text (here they follow the text), and tool arguments spelled as the model spelled them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any  # JSON, whose values are whatever the wire brought

from semcache_integrations.core.answers import spoken
from semcache_integrations.core.replay import Replay, split
from semcache_integrations.wire.anthropic_assembly import Assembly
from semcache_integrations.wire.reading import (
    Json,
    call_text,
    listed,
    mapping,
    mappings,
    new_id,
    renamed_fields,
    text,
)

# A stop sequence ends an answer where the caller wanted it; the sequences themselves belong to the key.
_STORABLE = frozenset({"end_turn", "stop_sequence", "tool_use"})
_TOLD_LAST = ("stop_reason", "stop_sequence", "stop_details", "container")
_OUTPUT_USAGE = ("server_tool_use", "output_tokens_details")
_FIRST_OUTPUT_TOKENS = 1  # what live streams report before anything is written
_CALL_PREFIXES = {"tool_use": "toolu_", "server_tool_use": "srvtoolu_", "mcp_tool_use": "mcptoolu_"}
_CALL_FIELDS = frozenset({"id", "tool_use_id", "tool_id"})


def events(message: Mapping[str, Any], replay: Replay) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream that makes `message`.

    Args:
        message: The body of an answer that was not streamed, best one that `is_complete`. The events share
            its values: encode them, do not change them.
        replay: How texts, thoughts and tool arguments are cut.
    """
    yield {"type": "message_start", "message": _begun(message)}
    for index, block in enumerate(message["content"]):
        start, deltas = _unfolded(block, replay)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    told = {name: message[name] for name in _TOLD_LAST if name in message}
    yield {"type": "message_delta", "delta": told, "usage": dict(mapping(message.get("usage")))}
    yield {"type": "message_stop"}


def assembled(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the message that the events of a stream make, or None unless the stream is whole.

    Whole is a stream from one `message_start` to `message_stop` whose blocks are all closed. Pings are
    ignored wherever they stand. An `error`, and any event or delta whose type or place is unknown, makes
    None: it may hold a part of the answer, and an entry without that part would be a wrong answer for
    every later caller, while None costs one entry.
    """
    assembly = Assembly()
    if all(assembly.takes(event) for event in events):
        return assembly.whole()
    return None


def is_complete(message: object) -> bool:
    """Whether a message may be kept: it ended by itself, and says or calls something.

    Never kept are answers that were cut (`max_tokens`, `model_context_window_exceeded`), refused or paused
    (`pause_turn` asks to be continued), those without usage (a stream could not tell it), and those that
    belong to a `container`, which is one caller's and expires.
    """
    answer = mapping(message)
    content = answer.get("content")
    if not isinstance(content, list) or answer.get("type") != "message" or answer.get("container"):
        return False
    blocks = mappings(content)
    if len(blocks) < len(content) or "output_tokens" not in mapping(answer.get("usage")):
        return False
    calls = any(block.get("type") == "tool_use" for block in blocks)
    if answer.get("stop_reason") == "tool_use":
        return calls
    return text(answer.get("stop_reason")) in _STORABLE and (calls or bool(spoken(_texts(blocks)).strip()))


def says(message: object) -> str:
    """Return what a message answers, as it is compared with others: its texts and its calls, one a line.

    Raises:
        ValueError: it is no message, or a call's arguments cannot be compared.
    """
    blocks = listed(mapping(message).get("content"), "this is no message: it has no list of content blocks")
    calls = (block for block in blocks if block.get("type") == "tool_use")
    said = [spoken(_texts(blocks)), *(call_text(call.get("name"), call.get("input")) for call in calls)]
    return "\n".join(said)


def renamed(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose calls have ids of their own: a conversation must not meet the same id twice.

    The ids of calls that the provider's own tools ran are new too, and their results follow. The id of
    the message stays: it is never sent back.
    """
    blocks = message["content"]
    names = {
        block["id"]: new_id(_CALL_PREFIXES[block["type"]])
        for block in mappings(blocks)
        if text(block.get("type")) in _CALL_PREFIXES and isinstance(block.get("id"), str)
    }
    return {**message, "content": [_renamed_block(block, names) for block in blocks]}


# ---- a message as events


def _begun(message: Json) -> dict[str, Any]:
    unknown_yet = {name: None for name in _TOLD_LAST if name in message}
    begun = {**message, **unknown_yet, "content": []}
    if isinstance(message.get("usage"), Mapping):
        begun["usage"] = _first_usage(message["usage"])
    return begun


def _first_usage(usage: Json) -> dict[str, Any]:
    unknown_yet = {name: None for name in _OUTPUT_USAGE if name in usage}
    written = {"output_tokens": _FIRST_OUTPUT_TOKENS} if "output_tokens" in usage else {}
    return {**usage, **unknown_yet, **written}


def _unfolded(block: Json, replay: Replay) -> tuple[Json, Iterator[dict[str, Any]]]:
    """Return how a block starts and what is added to it; what is not known starts as the whole block."""
    kind = text(block.get("type"))
    if kind == "text" and isinstance(block.get("text"), str):
        return _text_start(block), _text_deltas(block, replay)
    if kind == "thinking" and isinstance(block.get("thinking"), str):
        return _thinking_start(block), _thinking_deltas(block, replay)
    if kind in {"tool_use", "server_tool_use"} and isinstance(block.get("input"), Mapping):
        return {**block, "input": {}}, _input_deltas(block["input"], replay)
    return block, iter(())


def _text_start(block: Json) -> dict[str, Any]:
    none_yet: dict[str, Any] = {"citations": []} if isinstance(block.get("citations"), list) else {}
    return {**block, "text": "", **none_yet}


def _text_deltas(block: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    for piece in split(block["text"], replay):
        yield {"type": "text_delta", "text": piece}
    for citation in mappings(block.get("citations")):
        yield {"type": "citations_delta", "citation": citation}


def _thinking_start(block: Json) -> dict[str, Any]:
    unsigned = {"signature": ""} if isinstance(block.get("signature"), str) else {}
    return {**block, "thinking": "", **unsigned}


def _thinking_deltas(block: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    for piece in split(block["thinking"], replay):
        yield {"type": "thinking_delta", "thinking": piece}
    if text(block.get("signature")):
        yield {"type": "signature_delta", "signature": block["signature"]}


def _input_deltas(arguments: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    yield {"type": "input_json_delta", "partial_json": ""}  # as every live call begins
    # Not orjson: it cannot write integers of more than 64 bits, which tools do take.
    written = json.dumps(arguments, ensure_ascii=False) if arguments else ""
    for piece in split(written, replay):
        yield {"type": "input_json_delta", "partial_json": piece}


# ---- blocks


def _texts(blocks: list[Json]) -> list[str]:
    return [text(block["text"]) for block in blocks if block.get("type") == "text" and "text" in block]


def _renamed_block(block: object, names: Mapping[str, str]) -> object:
    if not isinstance(block, Mapping):
        return block
    copy = renamed_fields(block, names, _CALL_FIELDS)
    if isinstance(block.get("caller"), Mapping):  # a call that another call's code made names that other
        copy["caller"] = renamed_fields(block["caller"], names, _CALL_FIELDS)
    return copy
