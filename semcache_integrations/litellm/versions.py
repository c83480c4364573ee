"""What LiteLLM calls its things, in each of its versions from 1.80 on.

The law: all that differs between LiteLLM's versions is in here, each difference once, found out by asking for
the thing itself and never by comparing version numbers. The rest of the adapter knows one LiteLLM only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import wraps
from importlib import import_module
from typing import Any

from litellm.caching import caching_handler
from litellm.litellm_core_utils.core_helpers import map_finish_reason
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.litellm_core_utils.thread_pool_executor import executor
from litellm.types.utils import ModelResponse

HITS_NEED_MORE = hasattr(caching_handler, "_should_defer_streaming_cache_hit_callbacks")
"""Whether a hit imports modules of LiteLLM's proxy: since 1.102; 1.80 imports none."""

PARTIAL_HITS = "embedding_uncached_input" in caching_handler.CachingHandlerResponse.model_fields
"""Whether LiteLLM asks for those inputs of an `aembedding` alone that were not found.

1.80 means to, and asks for all of them; then it gives the first vectors that come to the missing inputs.
"""

CUT_STREAMS_FAIL = hasattr(CustomStreamWrapper, "_should_fail_on_clean_eof")
"""Whether LiteLLM itself fails on a stream that ends without a finish reason: from 1.110 on."""


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False


CACHES_RESPONSES = _has("litellm.responses.streaming_iterator", "CachedResponsesAPIStreamingIterator")
"""Whether LiteLLM itself can cache responses, and replay them as streams: 1.80 cannot."""

CACHES_MESSAGES = _has(
    "litellm.llms.anthropic.messages.native.response_cache", "CachedAnthropicMessagesStreamIterator"
)
"""The same of Anthropic's messages."""

MESSAGE_EVENTS = "litellm_cached_anthropic_sse_events"
"""Under this name LiteLLM hands over the events of an Anthropic stream: `CACHED_STREAM_EVENTS_KEY` where it has one."""


def import_what_hits_need() -> None:
    """Import the modules of LiteLLM's proxy that a hit imports, with packages that LiteLLM does not depend on.

    They are fastapi since 1.102 and soundfile in 1.108. A replay needs httpx-sse besides.

    Raises:
        ImportError: one of those packages is missing.
    """
    import_module("httpx_sse")
    if HITS_NEED_MORE:
        caching_handler._should_defer_streaming_cache_hit_callbacks(cached_result=None)  # noqa: SLF001 - see above


def handler_of(logging_obj: object) -> object:
    """Return what LiteLLM put into the record of a call about its caching; 1.80 gives it a private name."""
    for name in ("llm_caching_handler", "_llm_caching_handler"):
        handler = getattr(logging_obj, name, None)
        if handler is not None:
            return handler
    return None


def note_hit(logging_obj: Any) -> None:
    """Tell LiteLLM's record of a call that it is a hit, before 1.80 puts the price of a live call on it."""
    if logging_obj is not None:
        logging_obj.model_call_details["cache_hit"] = True


def note_first_chunk(logging_obj: Any) -> None:
    """Tell LiteLLM's record of a call that its stream has begun; the method was private in 1.80."""
    now = datetime.now()  # noqa: DTZ005 - LiteLLM's times are naive
    if hasattr(logging_obj, "update_completion_start_time"):
        logging_obj.update_completion_start_time(completion_start_time=now)
    else:
        logging_obj._update_completion_start_time(completion_start_time=now)  # noqa: SLF001 - see above


async def log_success(logging_obj: Any, whole: object) -> None:
    """Run the callbacks for an async stream that was a hit; 1.80 has no one method for both kinds of callbacks."""
    if hasattr(logging_obj, "dispatch_success_handlers"):
        await logging_obj.dispatch_success_handlers(
            whole, cache_hit=True, start_time=None, end_time=None, prefer_async_handlers=True
        )
        return
    await logging_obj.async_success_handler(whole, cache_hit=True, start_time=None, end_time=None)
    executor.submit(logging_obj.success_handler, whole, cache_hit=True, start_time=None, end_time=None)


def mixes_vectors_up(arguments: Mapping[str, Any]) -> bool:
    """Whether a look-up of one input of an `aembedding` might end in a vector of another: see `PARTIAL_HITS`."""
    asked = getattr(arguments.get("litellm_logging_obj"), "messages", None)
    return not PARTIAL_HITS and isinstance(asked, list) and len(asked) > 1


class Closing:
    """How a stream is closed, for a LiteLLM whose streams cannot be (1.80).

    It stands behind LiteLLM's own class among the bases, so whatever that can do itself, it does.
    """

    _closed: bool = False

    def close(self) -> None:
        """End the stream."""
        self._closed = True

    async def aclose(self) -> None:
        """Async twin of `close`."""
        self._closed = True

    def __enter__(self) -> object:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> object:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


def _tell_the_true_reasons(wrapper: Any) -> None:
    """Let this class of LiteLLM's streams hand over for writing why the provider ended them.

    What 1.80 assembles says `stop` of every stream that was cut short, and of every one with a chunk of token
    counts, whatever the provider said. Nothing else that comes with it tells: 1.80 counts the tokens of all
    streams itself. The stream knows, and so the methods are wrapped in which it passes on a copy for the
    cache; what the user and the callbacks get is not touched.
    """
    write, awrite = wrapper.cache_streaming_response, wrapper.async_cache_streaming_response

    @wraps(write)
    def cache_streaming_response(stream: Any, processed_chunk: Any, *args: Any, **kwargs: Any) -> Any:
        _correct(processed_chunk, stream)
        return write(stream, processed_chunk, *args, **kwargs)

    @wraps(awrite)
    async def async_cache_streaming_response(
        stream: Any, processed_chunk: Any, *args: Any, **kwargs: Any
    ) -> Any:
        _correct(processed_chunk, stream)
        return await awrite(stream, processed_chunk, *args, **kwargs)

    wrapper.cache_streaming_response = cache_streaming_response
    wrapper.async_cache_streaming_response = async_cache_streaming_response


def _correct(whole: object, stream: Any) -> None:
    """Give an assembled answer the reason that its stream ended for; `length` if the provider gave none."""
    if not isinstance(whole, ModelResponse) or not whole.choices:
        return
    sent = getattr(stream, "received_finish_reason", None) or getattr(
        stream, "intermittent_finish_reason", None
    )
    reason = map_finish_reason(sent) if sent else "length"
    calls = reason == "stop" and getattr(stream, "tool_call", None)
    whole.choices[0].finish_reason = "tool_calls" if calls else reason


if not CUT_STREAMS_FAIL:
    _tell_the_true_reasons(CustomStreamWrapper)
