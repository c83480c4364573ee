"""The last turn of a conversation: the text in it that may be reworded, and all the rest, which may not.

The law: only what a user wrote last, and only if nothing but text came with it, may ever be reworded.
"""

from __future__ import annotations

from typing import Any, NamedTuple  # Any: JSON, whose values are whatever the caller wrote

_TEXT_PARTS = ("text", "input_text")  # a tuple: a type may be anything, a list too


class LastTurn(NamedTuple):
    """A last message, split.

    Attributes:
        text: What may be reworded, "" if nothing may.
        rest: All else that the message holds; None for nothing.
        embeddable: Whether the text may be compared by similarity.
    """

    text: str
    rest: object
    embeddable: bool


def last_turn(turn: object) -> LastTurn:
    """Split the last message.

    Of several text parts the last one is the question; a document before it must match exactly.
    """
    if not isinstance(turn, dict) or turn.get("role") != "user":
        return LastTurn("", turn, embeddable=False)
    content = turn.get("content")
    rest = {name: value for name, value in turn.items() if name not in {"content", "role"}}
    if isinstance(content, str):
        return LastTurn(content, rest or None, is_one_line(content))
    if not isinstance(content, list) or not content or not _is_text(content[-1]):
        return LastTurn("", turn, embeddable=False)
    return _of_parts(content[:-1], content[-1], rest)


def is_one_line(text: str) -> bool:
    """Whether the text is neither blank nor several lines.

    Several lines are a template that was filled in, or a document: embedded, one looks like the other.
    """
    return len(text.strip().splitlines()) == 1


def _of_parts(before: list[Any], last: dict[str, Any], rest: dict[str, Any]) -> LastTurn:
    marks = {name: value for name, value in last.items() if name not in {"type", "text"}}
    beside = (
        [rest, before, marks] if before or marks else rest
    )  # a list: no message has a field that looks like it
    return LastTurn(
        last["text"], beside or None, is_one_line(last["text"]) and all(_is_text(part) for part in before)
    )


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") in _TEXT_PARTS and isinstance(part.get("text"), str)
