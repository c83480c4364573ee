"""Answers of the Responses API <-> payloads, and their replay as typed events.

The law: one entry serves a plain call and a stream. The ids stay: a later call may name the response, or answer a
function call in it, and the provider knows them under these ids alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litellm.llms.openai.responses.transformation import OpenAIResponsesAPIConfig
from litellm.types.llms.openai import ResponsesAPIResponse

from semcache_integrations.core.answers import register
from semcache_integrations.litellm.envelope import body_of, opened, sealed
from semcache_integrations.litellm.requests import RESPONSES
from semcache_integrations.litellm.stream import Paced, Wanted
from semcache_integrations.litellm.versions import CACHED_RESPONSES
from semcache_integrations.wire import responses as wire


class ReplayedResponses(Paced, CACHED_RESPONSES):  # type: ignore[misc]  # not every LiteLLM has it
    """Replays a response. It is LiteLLM's own replay, with the events of a live stream, cut as the caller wants.

    Args:
        response: What to replay.
        body: The same as JSON.
        wanted: How the caller wants it.
    """

    def __init__(self, response: ResponsesAPIResponse, body: Mapping[str, Any], wanted: Wanted) -> None:
        self._typed = [_typed(event, wanted) for event in wire.events(body, wanted.replay)]
        super().__init__(response, wanted.logging_obj, request_data=dict(wanted.arguments))
        self._pause_s = wanted.replay.delay_s

    def _set_events_from_response(self, transformed: ResponsesAPIResponse, logging_obj: Any) -> None:  # noqa: ARG002 - LiteLLM's hook
        self._events, self._idx = self._typed, 0
        self.completed_response = self._events[-1]

    def __contains__(self, _item: object) -> bool:
        return False  # LiteLLM asks `"detail" in answer`, which would read the whole stream


def pack(answer: object, **_about: Any) -> str | None:  # Any: what other packers need
    """Return the payload of a complete response, or None for one that must not be kept."""
    body = body_of(answer)
    return sealed(body) if body is not None and wire.is_complete(body) else None


def present(payload: str, wanted: Wanted) -> ResponsesAPIResponse | ReplayedResponses | None:
    """Return the answer in a payload as the caller wants it, or None if it cannot be read."""
    body = opened(payload)
    if body is None:
        return None
    response = ResponsesAPIResponse(**body)
    return ReplayedResponses(response, body, wanted) if wanted.stream else response


def says(payload: str) -> str:
    """Return what the answer in a payload says, as it is compared with others."""
    return wire.says(opened(payload) or {})


def _typed(event: dict[str, Any], wanted: Wanted) -> Any:  # Any: one of LiteLLM's event classes
    reader = OpenAIResponsesAPIConfig()  # type: ignore[no-untyped-call]  # litellm is half typed
    return reader.transform_streaming_response(
        model=wanted.model, parsed_chunk=event, logging_obj=wanted.logging_obj
    )


register(RESPONSES, says)
