"""Answers <-> payloads: which are worth keeping, and one entry as JSON or as server-sent events, as the call asks.

The law: what is not known to be whole is never kept, and a call gets what a live answer would have held, or a miss.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, Final  # Any: JSON

import orjson

from semcache_integrations.core.answers import register
from semcache_integrations.core.replay import Replay
from semcache_integrations.http.calls import Asked, Dialect
from semcache_integrations.wire import anthropic, openai_chat, responses, sse

_VERSION = 1
_DONE = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\]\s*\Z")
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
    """

    content_type: str
    body: bytes | Iterator[bytes]
    pause_s: float = 0.0


def pack(dialect: Dialect, content_type: str, body: bytes) -> str | None:
    """Return the payload of a complete answer, or None for one that must not be kept.

    Args:
        dialect: How it is written.
        content_type: What its head calls it.
        body: All of it, decoded.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        whole = _assembled(dialect, body) if kind == EVENTS else _loaded(kind, body)
    except (ValueError, RecursionError):
        return None
    if not whole or not _is_complete(dialect, whole):
        return None
    return _dumped({"v": _VERSION, "body": whole})


def present(payload: str, asked: Asked, usual: Replay) -> Served | None:
    """Return a kept answer as the call wants it, or None if this version cannot read it, or it lacks what is wanted.

    A stream tells its token counts only if it was asked to. The plain answer to the same question always does, and its
    readers rely on that: it is then asked anew, and overwrites the entry.
    """
    body = _opened(payload)
    if body is None or (asked.stream and asked.dialect == "generic"):
        return None
    counted = asked.usage or not asked.stream
    if asked.dialect in _NEEDS_USAGE and counted and not body.get("usage"):
        return None
    form = _FORMS.get(asked.dialect)
    fresh = body if form is None else form.renamed(body)
    if not asked.stream:
        return Served(JSON, _dumped(fresh).encode())
    replay = asked.wishes.replay or usual
    return Served(f"{EVENTS}; charset=utf-8", _frames(fresh, asked, replay), replay.delay_s)


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


def _assembled(dialect: Dialect, body: bytes) -> dict[str, Any] | None:
    if dialect == "generic":
        return None  # nobody knows what its end looks like
    if dialect == "chat" and not _DONE.search(body, max(0, len(body) - _TAIL)):
        return None  # a stream of several choices may be cut just between two of them
    whole: dict[str, Any] | None = _FORMS[dialect].assembled(sse.decoded(body))
    return whole


def _loaded(kind: str, body: bytes) -> dict[str, Any] | None:
    if kind != JSON and not kind.endswith("+json"):
        return None
    loaded = json.loads(body)  # not orjson: it rounds integers of more than 64 bits
    return loaded if isinstance(loaded, dict) else None


def _is_complete(dialect: Dialect, whole: Mapping[str, Any]) -> bool:
    form = _FORMS.get(dialect)
    return not whole.get("error") if form is None else form.is_complete(whole)


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


for _dialect in _FORMS:
    register(f"http.{_dialect}", partial(_says, _dialect))
