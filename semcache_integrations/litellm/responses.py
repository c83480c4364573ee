"""Answers of the Responses API <-> payloads.

The law: one entry serves a plain call and a stream. The ids stay: a later call may name the response, or answer a
function call in it, and the provider knows them under these ids alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litellm.types.llms.openai import ResponsesAPIResponse

from semcache_integrations.core.answers import register
from semcache_integrations.litellm.envelope import body_of, opened, sealed
from semcache_integrations.litellm.requests import RESPONSES
from semcache_integrations.litellm.stream import Wanted
from semcache_integrations.wire import responses as wire


def pack(answer: object, **_about: Any) -> str | None:  # Any: what other packers need
    """Return the payload of a complete response, or None for one that must not be kept."""
    body = body_of(answer)
    return sealed(body) if body is not None and wire.is_complete(body) else None


def present(payload: str, wanted: Wanted) -> ResponsesAPIResponse | Iterator[Any] | None:  # Any: events
    """Return the answer in a payload as the caller wants it, or None if it cannot be read."""
    body = opened(payload)
    if body is None:
        return None
    response = ResponsesAPIResponse(**body)
    if not wanted.stream:
        return response
    from semcache_integrations.litellm.responses_stream import ReplayedResponses  # not for every LiteLLM

    return ReplayedResponses(response, body, wanted)


def says(payload: str) -> str:
    """Return what the answer in a payload says, as it is compared with others."""
    return wire.says(opened(payload) or {})


register(RESPONSES, says)
