"""Anthropic messages <-> payloads.

The law: one entry serves a plain call and a stream, whichever of the two it came from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from semcache_integrations.core.answers import register
from semcache_integrations.litellm.envelope import body_of, opened, sealed
from semcache_integrations.litellm.requests import MESSAGES
from semcache_integrations.litellm.stream import Wanted
from semcache_integrations.litellm.versions import MESSAGE_EVENTS
from semcache_integrations.wire import anthropic as wire
from semcache_integrations.wire import sse

_METADATA = "_hidden_params"  # the Router writes it into the message


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


def present(payload: str, wanted: Wanted) -> Mapping[str, Any] | AsyncIterator[bytes] | None:
    """Return the answer in a payload as the caller wants it, or None if it cannot be read."""
    body = opened(payload)
    if body is None:
        return None
    message = wire.renamed(body)
    if not wanted.stream:
        return message
    from semcache_integrations.litellm.messages_stream import ReplayedMessages  # not for every LiteLLM

    return ReplayedMessages(message, wanted)


def says(payload: str) -> str:
    """Return what the answer in a payload says, as it is compared with others."""
    return wire.says(opened(payload) or {})


def _assembled(events: Sequence[str]) -> dict[str, Any] | None:
    try:
        return wire.assembled(sse.decoded(events))
    except ValueError:  # what a provider sends may be anything
        return None


register(MESSAGES, says)
