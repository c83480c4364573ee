"""Answers <-> payloads: which are worth keeping, and one entry as JSON or as server-sent events, as the call asks.

The law: what is not known to be whole is never kept, and a call gets what a live answer would have held, or a miss.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import MappingProxyType, ModuleType
from typing import Any, Final  # Any: JSON

import orjson

from semcache_integrations.core.answers import register
from semcache_integrations.core.replay import Replay, split
from semcache_integrations.http.calls import Asked, Dialect
from semcache_integrations.wire import anthropic, openai_chat, responses, sse

_VERSION = 1
_DONE = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\]\s*\Z")
_EVENT = re.compile(r".*?(?:\r\n\r\n|\n\n|\r\r|\Z)", re.DOTALL)
_TEXTS = ("text/", "application/x-ndjson", "application/jsonl")
_TAIL = 64  # bytes that hold the last event of a chat
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"

_FORMS: Mapping[str, ModuleType] = {"chat": openai_chat, "responses": responses, "messages": anthropic}
_NEEDS_USAGE = frozenset({"chat"})


@dataclass(frozen=True, slots=True)
class Served:
    """A kept answer as one call wants it.

    Attributes:
        content_type: Of the body.
        body: Whole, or the frames of a stream.
        pause_s: Seconds to wait between two frames.
        headers: What the answer's head said beside it.
    """

    content_type: str
    body: bytes | Iterator[bytes]
    pause_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


def pack(
    dialect: Dialect,
    content_type: str,
    body: bytes,
    *,
    ended: bool = False,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> str | None:
    """Return the payload of a complete answer, or None for one that must not be kept.

    Args:
        dialect: How it is written.
        content_type: What its head calls it.
        body: All of it, decoded.
        ended: Whether whoever answered said that this is all; a connection that ends says nothing of the kind.
        headers: What else its head says, of an application of the user's own.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        whole = (
            _plain(content_type, kind, body, ended=ended, headers=headers)
            if dialect == "generic"
            else _spoken(dialect, kind, body)
        )
    except (ValueError, RecursionError):
        return None
    return None if whole is None else _dumped({"v": _VERSION, "body": whole})


def present(payload: str, asked: Asked, usual: Replay) -> Served | None:
    """Return a kept answer as the call wants it, or None if this version cannot read it, or it lacks what is wanted.

    A stream tells its token counts only if it was asked to. The plain answer to the same question always does, and its
    readers rely on that: it is then asked anew, and overwrites the entry.
    """
    body = _opened(payload)
    replay = asked.wishes.replay or usual
    if body is None:
        return None
    if asked.dialect == "generic":
        pieces = _pieces(body["kind"], body["text"], replay)
        return Served(body["kind"], pieces, replay.delay_s, body["headers"])
    if asked.dialect in _NEEDS_USAGE and not body.get("usage") and (asked.usage or not asked.stream):
        return None
    form = _FORMS[asked.dialect]
    if not form.is_complete(body):  # somebody else wrote it, or it was damaged
        return None
    fresh = form.renamed(body)
    if not asked.stream:
        return Served(JSON, _dumped(fresh).encode())
    frames = tuple(
        _frames(fresh, asked, replay)
    )  # now: a damaged entry must not break a stream that has begun
    return Served(f"{EVENTS}; charset=utf-8", iter(frames), replay.delay_s)


def tokens(payload: str) -> tuple[int, int]:
    """Return the tokens of the prompt and of the answer, as the provider counted them; zeros where it did not."""
    usage = (_opened(payload) or {}).get("usage")
    told = usage if isinstance(usage, dict) else {}
    asked = told.get("prompt_tokens", told.get("input_tokens"))
    answered = told.get("completion_tokens", told.get("output_tokens"))
    return (asked if isinstance(asked, int) else 0, answered if isinstance(answered, int) else 0)


def _frames(body: Mapping[str, Any], asked: Asked, replay: Replay) -> Iterator[bytes]:
    if asked.dialect == "chat":
        yield from map(sse.encoded, openai_chat.events(body, replay, usage=asked.usage))
        yield sse.DONE
    else:
        yield from map(sse.encoded, _FORMS[asked.dialect].events(body, replay))


def _pieces(kind: str, text: str, replay: Replay) -> bytes | Iterator[bytes]:
    """Return a text of which only its type is known: JSON in one piece, events one by one, others as replays are."""
    if kind.startswith(EVENTS):
        return iter([event.encode() for event in _EVENT.findall(text)])
    if kind.startswith("text/"):
        return iter([piece.encode() for piece in split(text, replay)])
    return text.encode()


def _plain(
    content_type: str, kind: str, body: bytes, *, ended: bool, headers: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return an answer of which only its type is known, as it stands."""
    text = body.decode()
    if _is_json(kind):
        loaded = json.loads(text)
        whole = bool(loaded) and not (isinstance(loaded, dict) and loaded.get("error"))
    else:
        whole = ended and bool(text.strip()) and kind.startswith(_TEXTS)
    return {"kind": content_type, "text": text, "headers": dict(headers)} if whole else None


def _spoken(dialect: Dialect, kind: str, body: bytes) -> dict[str, Any] | None:
    form = _FORMS[dialect]
    if kind == EVENTS:
        whole = None if _is_cut(dialect, body) else form.assembled(sse.decoded(body))
    else:
        whole = (
            json.loads(body) if _is_json(kind) else None
        )  # not orjson: it rounds integers of more than 64 bits
    return whole if isinstance(whole, dict) and form.is_complete(whole) else None


def _is_cut(dialect: Dialect, body: bytes) -> bool:
    """Whether a chat lacks its last event: a stream of several choices may be cut just between two of them."""
    return dialect == "chat" and not _DONE.search(body, max(0, len(body) - _TAIL))


def _is_json(kind: str) -> bool:
    return kind == JSON or kind.endswith("+json")


def _dumped(value: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # integers of more than 64 bits, and halves of surrogate pairs
        return json.dumps(value)


@lru_cache(maxsize=256)
def _opened(payload: str) -> dict[str, Any] | None:
    """Return the answer's JSON, which all callers share: read it, never change it."""
    try:
        envelope = json.loads(payload)
        body = envelope["body"] if envelope["v"] == _VERSION else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _says(dialect: str, payload: str) -> str:
    said: str = _FORMS[dialect].says(_opened(payload))
    return said


def _text(payload: str) -> str:
    text: str = (_opened(payload) or {})["text"]
    return text


for _dialect in _FORMS:
    register(f"http.{_dialect}", partial(_says, _dialect))
for _dialect in ("generic", "app"):
    register(f"http.{_dialect}", _text)
