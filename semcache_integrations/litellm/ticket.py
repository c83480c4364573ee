"""What a look-up leaves behind for the write of the same call.

Until an answer has come, the caller may have appended to `messages` (every chat loop does, and an async
write runs after that), or left the block whose tenant the call belongs to. So a `Ticket` holds the request
as it was when the call began. To LiteLLM it is the cache key, a string: the id of the entry that an answer
to this call is kept as. `Tickets` keeps those of the calls that went upstream.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping

from typing_extensions import Self

from semcache_integrations.context import Surroundings, surroundings
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.litellm.requests import TEXT

_METADATA = ("litellm_metadata", "metadata")


class Ticket(str):
    """A cache key with the request behind it.

    Attributes:
        request: What was asked, or None if it must not be cached.
        said: What held around the call.
        subject: The very object that the call asks with (its `messages`, its `input`…), by which its write is recognised.
        answer: What the answer was before its caller had it, where that is known.
        keeps_nothing: Whether the call asks that its answer is not kept.
        metadata: The metadata of the call by name: some look-ups of LiteLLM's are given the key alone.
    """

    __slots__ = ("_length", "answer", "keeps_nothing", "metadata", "request", "said", "subject")
    request: CacheRequest | None
    said: Surroundings
    subject: object
    answer: str | None
    keeps_nothing: bool
    metadata: Mapping[str, object]
    _length: int

    @classmethod
    def of(
        cls,
        request: CacheRequest | None,
        arguments: Mapping[str, object],
        entry_id: Callable[[CacheRequest], str],
        subject: object = None,
    ) -> Self:
        """Return the ticket of a request, made where its call begins.

        Args:
            request: What is asked, or None if it must not be cached.
            arguments: Of the call.
            entry_id: Names the entry of a request: `SemanticCache.entry_id`.
            subject: The object that the call asks with.

        Raises:
            UnkeyableError: the text is not valid Unicode.
        """
        said = surroundings.get()
        name = f"uncached-{uuid.uuid4().hex}" if request is None else entry_id(request)
        ticket = cls(name)
        ticket.answer = None
        ticket.request, ticket.said, ticket.subject = request, said, subject
        ticket.metadata = {key: arguments[key] for key in _METADATA if key in arguments}
        cache = arguments.get("cache")
        ticket.keeps_nothing = isinstance(cache, Mapping) and cache.get("no-store") is True
        ticket._length = len(subject) if isinstance(subject, list) else 0
        return ticket

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # LiteLLM shows it in the answer's metadata, and users copy answers

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)  # a pickled answer carries the name alone: no request, no messages

    @property
    def asks_many(self) -> bool:
        """Whether several prompts are asked at once."""
        return self.request is not None and self.request.dialect == TEXT and isinstance(self.subject, list)

    @property
    def turns(self) -> list[object]:
        """The messages of the call, without those that were appended since; a prompt is one message."""
        if isinstance(self.subject, str):
            return [{"role": "user", "content": self.subject}]
        return list(self.subject[: self._length]) if isinstance(self.subject, list) else []


class Tickets:
    """The tickets of calls that are upstream now, by LiteLLM's id of the call, the dialect and the model.

    Nested calls share the id: an inner one's differs by its endpoint or by its model, and a write that finds
    another call's object under its id is not the one that the ticket was made for.

    Args:
        most: How many are kept; the oldest goes first, and its answer is not stored.
    """

    def __init__(self, most: int = 4_096) -> None:
        self._most = most
        self._open: OrderedDict[tuple[tuple[object, object], object], Ticket] = OrderedDict()
        self._lock = threading.Lock()

    def leave(self, ticket: Ticket, arguments: Mapping[str, object], endpoint: object = None) -> None:
        """Keep the ticket of a call that goes upstream."""
        with self._lock:
            self._open[_call(arguments), endpoint] = ticket
            if len(self._open) > self._most:
                self._open.popitem(last=False)

    def look(self, arguments: Mapping[str, object], endpoint: object) -> Ticket | None:
        """Return the ticket of the call with these arguments, and keep it."""
        with self._lock:
            return self._open.get((_call(arguments), endpoint))

    def take(
        self, arguments: Mapping[str, object], endpoint: object = None, subject: object = None
    ) -> Ticket | None:
        """Return the ticket of the call with these arguments, if it left one.

        Args:
            arguments: Of the call.
            endpoint: Its endpoint.
            subject: What the write says that was asked; None if it says it in another form.
        """
        with self._lock:
            ticket = self._open.pop((_call(arguments), endpoint), None)
        return ticket if ticket is not None and (subject is None or subject is ticket.subject) else None

    def drop(self, call: object) -> None:
        """Forget the tickets of a call that failed, with the messages that they keep alive."""
        with self._lock:
            for left in [left for left in self._open if left[0][0] == call]:
                del self._open[left]


class LastServed(threading.local):
    """The ticket of this thread's last hit: LiteLLM asks for a hit's key once more, to show it."""

    def __init__(self) -> None:
        self._last: tuple[tuple[object, object], Ticket] | None = None

    def set(self, ticket: Ticket, arguments: Mapping[str, object]) -> None:
        """Remember the ticket of a call that was answered."""
        self._last = _call(arguments), ticket

    def get(self, arguments: Mapping[str, object]) -> Ticket | None:
        """Return the ticket if it is this call's, and forget it."""
        last, self._last = self._last, None
        return last[1] if last is not None and last[0] == _call(arguments) else None


def unchanged(arguments: Mapping[str, object], subject: str) -> bool:
    """Whether what is asked is what the call began with, as far as LiteLLM's own record of the call shows.

    Args:
        arguments: Of the call.
        subject: Names the argument that says what is asked.
    """
    asked, logging_obj = arguments.get(subject), arguments.get("litellm_logging_obj")
    if isinstance(asked, (str, bytes)):
        return True  # nobody can change them
    return logging_obj is not None and getattr(logging_obj, "messages", None) == asked


def is_subsequence(inputs: object, asked: object) -> bool:
    """Whether the inputs that came back are those that were asked, in their order; cached ones may be missing."""
    if not isinstance(asked, list):
        return False
    remaining = iter(asked)
    return all(
        any(
            other in (item, {"role": "user", "content": item}) for other in remaining
        )  # LiteLLM notes texts as turns
        for item in (inputs if isinstance(inputs, list) else [inputs])
    )


def _call(arguments: Mapping[str, object]) -> tuple[object, object]:
    return arguments.get("litellm_call_id"), arguments.get("model")
