"""Finds the question in a body by a JSONPath, and what is left of the body without it.

The law: the last match is the question; whatever is no text is no question, and no error. Text and rest say together
what the body said, so two bodies that differ anywhere else have different rests; the body itself is never changed.

The library is `jsonpath-rfc9535`, the strict one of its author's two; see `jsonpath.py` for the reason, and for the
steps that a stranger's path may take.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeAlias  # Any: JSON

from jsonpath_rfc9535 import JSONPathQuery

from semcache_integrations.http.jsonpath import Location, TooManyStepsError, found, parsed
from semcache_integrations.http.problems import ProblemError

HEADER = "x-llm-prompt"
LONGEST_PATH = 1_024

Hole: TypeAlias = tuple[Location, int]
"""Where a text was taken out, and how many line breaks it has; 0 for the last one, which has all that are left."""

_TEXT_PARTS = ("text", "input_text")  # no set: what stands there instead may not be hashable


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question.

    Args:
        text: What is asked.
        only_text: Whether nothing but text was asked: no image, no file, no tool's result.
        rest: The body with an empty text wherever `text` came from, and the places of these holes beside it. No body
            can say the same, because the holes are named outside of it. It is JSON, to be keyed as it is.
    """

    text: str
    only_text: bool
    rest: tuple[Any, tuple[Hole, ...]]


@dataclass(frozen=True)
class PromptPath:
    """A JSONPath (RFC 9535) that says where the question is.

    Args:
        path: Such as `$.messages[-1].content`.

    Raises:
        ProblemError: 400, it is none; the message says what is wrong and where.
    """

    path: str
    _query: JSONPathQuery = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.path) > LONGEST_PATH:
            raise ProblemError(400, f"{HEADER} must not be longer than {LONGEST_PATH} characters")
        try:
            query = parsed(self.path)
        except ValueError as error:
            wrong, position = error.args
            raise ProblemError(
                400, f"{HEADER} is no JSONPath (RFC 9535): {wrong}, at character {position}"
            ) from None
        object.__setattr__(self, "_query", query)

    def find(self, body: object) -> Prompt | None:
        """Return the question in a body; None if there is none, or it is no text.

        Raises:
            ProblemError: 400, the path takes too many steps on this body.
        """
        try:
            nodes = found(self._query, body)
        except TooManyStepsError:
            raise ProblemError(400, f"{HEADER} takes too many steps on this body: name a place") from None
        if not nodes:
            return None
        last = nodes[-1]
        if isinstance(last.value, str):
            return Prompt(last.value, only_text=True, rest=_rest(body, ((last.location, 0),)))
        return _of_parts(body, last.location, last.value) if isinstance(last.value, list) else None


def _of_parts(body: object, location: Location, parts: list[object]) -> Prompt | None:
    texts = list(_texts(parts))
    if not texts:
        return None
    breaks = [text.count("\n") for _, text in texts[:-1]] + [0]
    places = [(*location, index, "text") for index, _ in texts]
    return Prompt(
        "\n".join(text for _, text in texts),
        only_text=len(texts) == len(parts),
        rest=_rest(body, tuple(zip(places, breaks, strict=True))),
    )


def _texts(parts: list[object]) -> Iterator[tuple[int, str]]:
    for index, part in enumerate(parts):
        if isinstance(part, dict) and part.get("type") in _TEXT_PARTS and isinstance(part.get("text"), str):
            yield index, part["text"]


def _rest(body: object, holes: tuple[Hole, ...]) -> tuple[Any, tuple[Hole, ...]]:
    hollow: Any = body
    copies: dict[Location, Any] = {}
    for location, _ in holes:
        hollow = _emptied(hollow, location, copies)
    return hollow, holes


def _emptied(body: Any, location: Location, copies: dict[Location, Any]) -> Any:
    """Return the body with an empty text at a location; whatever is on the way there is copied, once."""
    if not location:
        return ""
    for depth in range(len(location)):
        way = location[:depth]
        if way in copies:
            continue
        copies[way] = copy(body if not way else copies[way[:-1]][way[-1]])
        if way:
            copies[way[:-1]][way[-1]] = copies[way]
    copies[location[:-1]][location[-1]] = ""
    return copies[()]
