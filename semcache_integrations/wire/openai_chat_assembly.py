"""The completion that grows from the chunks of OpenAI's Chat Completions, one chunk at a time.

The law: whatever is told twice is the same both times, or grows as the format says; who is not sure says
no, and no completion comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard  # Any: JSON, whose values are whatever the wire brought

from semcache_integrations.wire.reading import Json, mapping, text

COMPLETION = "chat.completion"
CHUNK = "chat.completion.chunk"
TEXTS = ("reasoning_content", "reasoning", "content", "refusal")
"""The texts of a message, in the order in which models write them."""
CALLED = {"function": "arguments", "custom": "input"}
"""The kinds of tool calls, by the field that tells what is called: the field in it that the model wrote."""

_NOTHING: tuple[object, ...] = (None, "", [], {})
_NOT_THE_ANSWERS = frozenset({"choices", "usage", "created", "obfuscation"})  # of a chunk's fields


@dataclass(frozen=True, slots=True)
class Shape:
    """How an object is told in parts. A field that is named nowhere is told at once, and may be told again.

    Attributes:
        texts: Fields whose pieces are joined.
        rows: Fields whose lists are joined.
        parts: Fields that are objects told in parts.
        entries: Fields that are lists of such objects, each told under its `index`.
        parted: Whether objects in fields that are named nowhere are told in parts, too.
    """

    texts: frozenset[str] = frozenset()
    rows: frozenset[str] = frozenset()
    parts: Mapping[str, Shape] = field(default_factory=dict)
    entries: Mapping[str, Shape] = field(default_factory=dict)
    parted: bool = False


_CALL = Shape(parts={kind: Shape(texts=frozenset({written})) for kind, written in CALLED.items()})
_MESSAGE = Shape(
    texts=frozenset(TEXTS), parts={"function_call": _CALL.parts["function"]}, entries={"tool_calls": _CALL}
)
_LOGPROBS = Shape(rows=frozenset({"content", "refusal"}))
_CHOICE = Shape(parts={"delta": _MESSAGE, "logprobs": _LOGPROBS}, parted=True)
# What a provider adds of its own grows from chunk to chunk: Groq's `x_groq`, Azure's `content_filter_results`.
_HEAD = Shape(parted=True)
_UNKNOWN = Shape()


def call_of(call: object) -> tuple[str, str] | None:
    """Return the name and the arguments of a tool call, or None if they are not known to be whole."""
    bodies = {kind: mapping(call).get(kind) for kind in CALLED}
    told = [function_of(body, CALLED[kind]) for kind, body in bodies.items() if body is not None]
    return told[0] if len(told) == 1 else None


def function_of(body: object, written: str = "arguments") -> tuple[str, str] | None:
    """Return the name and the arguments that `body` tells, or None if they are not known to be whole."""
    name, arguments = mapping(body).get("name"), mapping(body).get(written)
    return (name, arguments) if isinstance(name, str) and name and isinstance(arguments, str) else None


def is_place(index: object) -> TypeGuard[int]:
    """Whether an index may be one; `true` is none, though Python takes it for 1."""
    return isinstance(index, int) and not isinstance(index, bool) and index >= 0


class Growing:
    """An object in the making."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._told: dict[str, Any] = {}
        self._pieces: dict[str, list[str]] = {}  # joined once, at the end
        self._rows: dict[str, list[Any]] = {}
        self._parts: dict[str, Growing] = {}
        self._entries: dict[str, dict[int, Growing]] = {}

    def told(self, name: str) -> object:
        """Return what a field that is told at once holds so far."""
        return self._told.get(name)

    def takes(self, told: object) -> bool:
        """Take what is told next; False if the object can no longer be known to be whole."""
        return isinstance(told, Mapping) and all(self._takes(name, value) for name, value in told.items())

    def whole(self) -> dict[str, Any] | None:
        """Return the object, or None if a part of it is missing or was told in two ways."""
        made = dict(self._told)
        for name, value in self._grown():
            if value is None or not _settles(made, name, value):
                return None
        return made

    def _takes(self, name: str, value: Any) -> bool:
        if value is None:
            self._told.setdefault(name, None)
            return True
        if name in self._shape.texts and isinstance(value, str):
            self._pieces.setdefault(name, []).append(value)
            return True
        if name in self._shape.rows:
            return self._appends(name, value)
        if name in self._shape.entries:
            return self._enters(name, value)
        return self._takes_part(name, value)

    def _appends(self, name: str, value: object) -> bool:
        rows = self._rows.setdefault(name, [])
        rows.extend(value if isinstance(value, list) else [])
        return isinstance(value, list)

    def _enters(self, name: str, value: object) -> bool:
        entries = self._entries.setdefault(name, {})
        return isinstance(value, list) and all(self._takes_entry(entries, name, entry) for entry in value)

    def _takes_entry(self, entries: dict[int, Growing], name: str, entry: object) -> bool:
        index = mapping(entry).get("index")
        told = {key: value for key, value in mapping(entry).items() if key != "index"}
        return is_place(index) and entries.setdefault(index, Growing(self._shape.entries[name])).takes(told)

    def _takes_part(self, name: str, value: object) -> bool:
        if name in self._shape.parts or (self._shape.parted and isinstance(value, Mapping)):
            shape = self._shape.parts.get(name, _UNKNOWN)
            return self._parts.setdefault(name, Growing(shape)).takes(value)
        return _settles(self._told, name, value)

    def _grown(self) -> Iterator[tuple[str, object]]:
        yield from ((name, "".join(pieces)) for name, pieces in self._pieces.items())
        yield from self._rows.items()
        yield from ((name, part.whole()) for name, part in self._parts.items())
        yield from ((name, _in_order(entries)) for name, entries in self._entries.items())


class Assembly:
    """One completion in the making."""

    def __init__(self) -> None:
        self._head = Growing(_HEAD)
        self._choices: dict[int, Growing] = {}
        self._last: dict[str, Any] = {}

    def takes(self, event: object) -> bool:
        """Take one chunk; False if the completion can no longer be known to be whole."""
        told = mapping(event)
        choices = told.get("choices")
        if not isinstance(choices, list) or told.get("error") or not _is_chunk(told):
            return False
        head = {name: value for name, value in told.items() if name not in _NOT_THE_ANSWERS}
        return self._head.takes(head) and self._counts(told) and all(map(self._takes_choice, choices))

    def whole(self) -> dict[str, Any] | None:
        """Return the completion, or None if no choice was told, or one has no end."""
        head, choices = self._head.whole(), _in_order(self._choices)
        if head is None or not choices:
            return None
        made = [_chosen(choice) for choice in choices]
        if any(choice is None for choice in made):
            return None
        return {**head, **self._last, "object": COMPLETION, "choices": made}

    def _counts(self, told: Json) -> bool:
        """Note the usage, of which the last one counts all, and the time, which some providers tell anew each time."""
        if "created" in told and not self._last.get("created"):
            self._last["created"] = told["created"]
        usage = told.get("usage")
        if usage is not None:
            self._last["usage"] = usage
        return usage is None or isinstance(usage, Mapping)

    def _takes_choice(self, told: object) -> bool:
        index, delta = mapping(told).get("index"), mapping(told).get("delta")
        if not is_place(index) or not isinstance(delta, Mapping):
            return False
        choice = self._choices.setdefault(index, Growing(_CHOICE))
        return not (choice.told("finish_reason") and _says(delta)) and choice.takes(told)


def _is_chunk(told: Json) -> bool:
    """Whether an event is a chunk; Azure's first one, which has no choices, does not call itself anything."""
    return told.get("object") == CHUNK or (not told.get("object") and not told["choices"])


def _says(delta: Json) -> bool:
    """Whether a delta adds anything: OpenRouter counts the tokens beside an empty one, after the end."""
    return any(value not in _NOTHING for name, value in delta.items() if name != "role")


def _settles(made: dict[str, Any], name: str, value: Any) -> bool:
    """Put a field that is told at once; False if it was told before, and otherwise."""
    before = made.get(name)
    if before in _NOTHING:
        made[name] = value
        return True
    try:
        return value in _NOTHING or bool(before == value)
    except RecursionError:  # nested too deeply to be compared
        return False


def _in_order(entries: Mapping[int, Growing]) -> list[dict[str, Any]] | None:
    """Return the entries, or None if one of them is missing or not whole."""
    made = [entry.whole() for _, entry in sorted(entries.items())]
    whole = [entry for entry in made if entry is not None]
    return whole if len(whole) == len(made) and all(place in entries for place in range(len(made))) else None


def _chosen(told: Json) -> dict[str, Any] | None:
    """Return the choice that its deltas make, or None if it has not ended or a call is not whole."""
    choice = dict(told)
    message = choice.pop("delta")
    calls = [call_of(call) for call in message.get("tool_calls") or ()]
    if message.get("function_call") is not None:
        calls.append(function_of(message["function_call"]))
    if not text(choice.get("finish_reason")) or choice.get("message") or None in calls:
        return None
    if calls:
        message.setdefault("content", None)
    if message.get("refusal"):
        message["content"] = message.get("content") or None
    return {**choice, "message": message}
