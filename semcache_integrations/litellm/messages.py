"""Anthropic messages <-> payloads, and their replay as server-sent events.

The law: one entry serves a plain call and a stream, whichever of the two it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from semcache_integrations.core.answers import register
from semcache_integrations.litellm.envelope import body_of, opened, sealed
from semcache_integrations.litellm.requests import MESSAGES
from semcache_integrations.litellm.stream import Paced, Wanted, log_in_task
from semcache_integrations.litellm.versions import CACHED_MESSAGES, MESSAGE_EVENTS
from semcache_integrations.wire import anthropic as wire
from semcache_integrations.wire import sse

_METADATA = "_hidden_params"  # the Router writes it into the message


class ReplayedMessages(Paced, CACHED_MESSAGES):  # type: ignore[misc]  # not every LiteLLM has it
    """Replays a message. It is a subclass of LiteLLM's own replay because LiteLLM asks for one.

    Args:
        message: What to replay.
        wanted: How the caller wants it.
    """

    def __init__(self, message: Mapping[str, Any], wanted: Wanted) -> None:
        events = (sse.encoded(event).decode() for event in wire.events(message, wanted.replay))
        super().__init__(tuple(events), wanted.logging_obj, wanted.arguments)
        self._message = message
        self._pause_s = wanted.replay.delay_s

    async def _handle_streaming_logging(self, *_chunks: Any, **_about: Any) -> None:
        """Tell LiteLLM; its own way to do so needs packages of its proxy."""
        log_in_task(self.litellm_logging_obj, self._message)


def pack(answer: object, **_about: Any) -> str | None:  # Any: what other packers need
    """Return the payload of a complete message, or None for one that must not be kept.

    Args:
        answer: The message, or the events of a stream as LiteLLM collected them.
    """
    body = body_of(answer)
    if body is not None and MESSAGE_EVENTS in body:
        body = _assembled(body[MESSAGE_EVENTS])
    if body is None or not wire.is_complete(body):
        return None
    return sealed({name: value for name, value in body.items() if name != _METADATA})


def present(payload: str, wanted: Wanted) -> Mapping[str, Any] | ReplayedMessages | None:
    """Return the answer in a payload as the caller wants it, or None if it cannot be read."""
    body = opened(payload)
    if body is None:
        return None
    message = wire.renamed(body)
    return ReplayedMessages(message, wanted) if wanted.stream else message


def says(payload: str) -> str:
    """Return what the answer in a payload says, as it is compared with others."""
    return wire.says(opened(payload) or {})


def _assembled(events: Sequence[str]) -> dict[str, Any] | None:
    def parsed() -> Iterator[dict[str, Any]]:
        yield from sse.decoded(events)

    try:
        return wire.assembled(parsed())
    except ValueError:
        return None


register(MESSAGES, says)
