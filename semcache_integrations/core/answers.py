"""The text of a stored answer, by the dialect of its payload: what two answers are compared by.

Whoever writes payloads registers how they read. The law: reading never fails; what nobody can read is
compared as it stands.
"""

from __future__ import annotations

from collections.abc import Callable

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
