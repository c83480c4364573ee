"""The cache key that LiteLLM carries for us from the look-up to the write.

LiteLLM asks a cache for a key, passes it back on the look-up and, with the finished answer, on the write.
To LiteLLM it is a string. To us it holds the request as it was when the call began: until the answer has
come, the caller may have appended to `messages`, or left the block whose tenant the call belongs to.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from typing_extensions import Self

from semcache_integrations.context import Surroundings, surroundings
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.litellm.keys import digest


class Ticket(str):
    """A cache key with the request behind it.

    Attributes:
        request: What was asked, or None if it must not be cached.
        said: What held around the call.
        subject: The very `messages` or `input` object of the call, by which its write is recognised.
    """

    __slots__ = ("request", "said", "subject")
    request: CacheRequest | None
    said: Surroundings
    subject: object

    @classmethod
    def of(cls, request: CacheRequest | None, subject: object = None) -> Self:
        """Return the ticket of a request, made where its call begins.

        Raises:
            UnkeyableError: the text is not valid Unicode.
        """
        said = surroundings.get()
        name = f"uncached-{uuid.uuid4().hex}" if request is None else digest(request, said.tenant)
        ticket = cls(name)
        ticket.request, ticket.said, ticket.subject = request, said, subject
        return ticket

    def is_for(self, arguments: Mapping[str, object]) -> bool:
        """Whether these are the arguments of the call that this ticket was made for.

        Nested calls share LiteLLM's logging object, where the ticket of the inner one replaces the outer's.
        """
        model = self.request.model if self.request else None
        return self.subject is arguments.get("messages") and model == arguments.get("model")
