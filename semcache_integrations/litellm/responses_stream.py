"""A kept response as the typed events of a live stream.

The law: as for all replays. LiteLLM's own replay is the base, because LiteLLM asks for one; the events are ours, and
cut as the caller wants. Versions that cannot cache responses have no such base: this module is not imported there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litellm.llms.openai.responses.transformation import OpenAIResponsesAPIConfig
from litellm.responses.streaming_iterator import CachedResponsesAPIStreamingIterator
from litellm.types.llms.openai import ResponsesAPIResponse

from semcache_integrations.litellm.stream import Paced, Wanted
from semcache_integrations.wire import responses as wire


class ReplayedResponses(Paced, CachedResponsesAPIStreamingIterator):
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

    def _set_events_from_response(self, transformed: ResponsesAPIResponse, logging_obj: Any) -> None:
        del transformed, logging_obj  # LiteLLM would make events of its own out of them
        self._events, self._idx = self._typed, 0
        self.completed_response = self._events[-1]

    def __contains__(self, _item: object) -> bool:
        return False  # LiteLLM asks `"detail" in answer`, which would read the whole stream


def _typed(event: dict[str, Any], wanted: Wanted) -> Any:  # Any: one of LiteLLM's event classes
    reader: Any = OpenAIResponsesAPIConfig  # Any: LiteLLM's constructor has no types
    return reader().transform_streaming_response(
        model=wanted.model, parsed_chunk=event, logging_obj=wanted.logging_obj
    )
