"""The text of a stored answer, by the dialect of its payload: what two answers are compared by.

Whoever writes payloads registers how they read. The law: reading never fails; what nobody can read is
compared as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
        return read(payload)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return payload


def spoken(content: object) -> str:
    """Return the texts of a message's content (a string, or blocks of which some have text), one a line."""
    return "\n".join(_texts(content))


def called(name: object, arguments: object) -> str:
    """Return a tool call as text: equal calls give equal texts, whatever the order of their arguments."""
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except ValueError:
            return f"{name}({arguments})"
    return f"{name}({orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode()})"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        yield from _texts(value.get("text"))
