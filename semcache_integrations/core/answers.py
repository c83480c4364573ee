"""The text of a stored answer, by the dialect of its payload: what two answers are compared by.

Whoever writes payloads registers how they read. The law: reading never fails; what nobody can read is
compared as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import orjson

_readers: dict[str, Callable[[str], str]] = {}


def register(dialect: str, read: Callable[[str], str]) -> None:
    """Let `read` say what the payloads of `dialect` answer: their text, and tool calls as canonical JSON.

    Args:
        dialect: `CacheRequest.dialect`.
        read: Payload in, text out; it may raise `ValueError`, `KeyError`, `TypeError` or `AttributeError`
            for a payload that it cannot read.
    """
    _readers[dialect] = read


def text_of(dialect: str, payload: str) -> str:
    """Return the text of an answer; the payload itself where the dialect is unknown or the payload unreadable."""
    read = _readers.get(dialect)
    if read is None:
        return payload
    try:
        text = read(payload)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return payload
    return text if isinstance(text, str) and text else payload


def told(text: str, calls: Iterable[tuple[str, object]]) -> str:
    """Return an answer's text, with its tool calls as canonical JSON.

    Args:
        text: What it says.
        calls: Name and arguments of each call; arguments that are JSON in a string are read.

    Raises:
        TypeError: the arguments are no JSON.
    """
    called = [{"name": name, "arguments": _parsed(arguments)} for name, arguments in calls]
    written = orjson.dumps(called, option=orjson.OPT_SORT_KEYS).decode() if called else ""
    return f"{text}\n{written}" if text and written else text or written


def _parsed(arguments: object) -> object:
    if not isinstance(arguments, str):
        return arguments
    try:
        return orjson.loads(arguments)
    except ValueError:
        return arguments
