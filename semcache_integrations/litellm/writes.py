"""What is kept of an answer, and as the answer to what: the tickets of the calls that are upstream.

The law: an answer is kept under its question as it was when the call began, and only as it was when it came. By the
time of an async write the caller has had both, and may have changed either.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from litellm.types.utils import EmbeddingResponse

from semcache_integrations.context import Surroundings
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.litellm.endpoints import CHANGEABLE, EMBEDDING, Endpoint, writing
from semcache_integrations.litellm.plain import print_of
from semcache_integrations.litellm.ticket import Ticket, Tickets, is_subsequence, unchanged

Arguments = Mapping[str, Any]
"""Those of a call; LiteLLM types none of them."""


class Order(NamedTuple):
    """An answer to keep, and the request and the surroundings that it belongs to."""

    request: CacheRequest
    payload: str
    said: Surroundings


class Writes:
    """The calls whose answers are awaited.

    Args:
        new_ticket: Makes the ticket of a call.
        is_ours: Whether a call may use the cache at all.
    """

    def __init__(
        self,
        new_ticket: Callable[[Endpoint | None, Arguments], Ticket],
        is_ours: Callable[[Arguments], bool],
    ) -> None:
        self._new_ticket, self._is_ours = new_ticket, is_ours
        self._tickets = Tickets()

    def await_answer(self, ticket: Ticket, endpoint: Endpoint | None, arguments: Arguments) -> None:
        """Keep the ticket of a call that goes upstream, unless no write will take it."""
        if not ticket.keeps_nothing:
            self._tickets.leave(ticket, arguments, endpoint)

    def note_answer(self, answer: object, arguments: Arguments) -> None:
        """Note an answer before its caller has it, of the endpoints whose answers callers might change."""
        endpoint = writing(answer, arguments)
        if endpoint is None or endpoint not in CHANGEABLE or arguments.get("stream") is True:
            return
        if isinstance(answer, EmbeddingResponse):
            ticket = self._new_ticket(None, arguments)  # of all inputs; each has one of its own
            ticket.answer = print_of(answer)
        else:
            found = self._tickets.look(arguments, endpoint) or self._late_ticket(endpoint, arguments)
            if found is None:
                return
            ticket = found
            ticket.answer = endpoint.pack(answer, model=arguments.get("model", ""))
        self.await_answer(ticket, endpoint, arguments)

    def are_as_they_came(self, answer: EmbeddingResponse, arguments: Arguments) -> bool:
        """Whether inputs and vectors of an `aembedding` call are what they were; its caller has had them by now."""
        asked = getattr(arguments.get("litellm_logging_obj"), "messages", None)
        ticket = self._tickets.take(arguments, EMBEDDING)
        return (
            ticket is not None
            and ticket.answer == print_of(answer)
            and is_subsequence(arguments.get("input"), asked)
        )

    def give_up(self, call: Hashable) -> None:
        """Forget the tickets of a call that failed."""
        self._tickets.drop(call)

    def order(
        self, result: object, endpoint: Endpoint | None, arguments: Arguments, *, later: bool
    ) -> Order | None:
        """Return what is to be kept of an answer, or None.

        Args:
            result: The answer.
            endpoint: What it is an answer of.
            arguments: Of the call.
            later: Whether the caller has had its answer already, and may have changed it, or its arguments.
        """
        if endpoint is None:
            return None
        ticket = self._tickets.take(arguments, endpoint, arguments.get(endpoint.subject))
        if (arguments.get("cache") or {}).get("no-store") is True or not self._is_ours(arguments):
            return None
        if ticket is None:
            ticket = (
                self._late_ticket(endpoint, arguments) if later else self._new_ticket(endpoint, arguments)
            )
        if ticket is None or ticket.request is None:
            return None
        streamed = ticket.turns if arguments.get("stream") is True else None
        if streamed is not None and ((arguments.get("n") or 1) != 1 or ticket.asks_many):
            return None  # LiteLLM has merged the choices into one
        payload = endpoint.pack(result, model=ticket.request.model, streamed=streamed)
        if payload is None or (later and streamed is None and _is_changed(payload, ticket, endpoint)):
            return None
        return Order(ticket.request, payload, ticket.said)

    def _late_ticket(self, endpoint: Endpoint, arguments: Arguments) -> Ticket | None:
        """Return the ticket of a call that was not looked up, unless its question is another one by now."""
        return self._new_ticket(endpoint, arguments) if unchanged(arguments, endpoint.subject) else None


def _is_changed(payload: str, ticket: Ticket, endpoint: Endpoint) -> bool:
    """Whether an answer is not, as far as is known, what it was when it came."""
    return endpoint in CHANGEABLE and payload != ticket.answer
