"""A kept Anthropic message as the server-sent events of a live stream.

The law: as for all replays. LiteLLM's own replay is the base, because LiteLLM asks for one. Versions that cannot cache
messages have no such base: this module is not imported there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litellm.llms.anthropic.messages.native.response_cache import CachedAnthropicMessagesStreamIterator

from semcache_integrations.litellm.stream import Paced, Wanted, log_in_task
from semcache_integrations.wire import anthropic as wire
from semcache_integrations.wire import sse


class ReplayedMessages(Paced, CachedAnthropicMessagesStreamIterator):
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
