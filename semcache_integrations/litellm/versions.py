"""What LiteLLM calls its things, in each of its versions from 1.80 on.

The law: all that differs between LiteLLM's versions is in here, each difference once, found out by asking for
the thing itself and never by comparing version numbers. The rest of the adapter knows one LiteLLM only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litellm.caching import caching_handler
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.litellm_core_utils.thread_pool_executor import executor
from litellm.types.utils import ModelResponse

CUT_STREAMS_FAIL = hasattr(CustomStreamWrapper, "_should_fail_on_clean_eof")
"""Whether LiteLLM itself fails on a stream that ends without a finish reason: from 1.110 on."""


def import_what_hits_need() -> None:
    """Import the modules of LiteLLM's proxy that a hit imports, with packages that LiteLLM does not depend on.

    They are fastapi since 1.102 and soundfile in 1.108; 1.80 needs neither.

    Raises:
        ImportError: one of those packages is missing.
    """
    if hasattr(caching_handler, "_should_defer_streaming_cache_hit_callbacks"):
        caching_handler._should_defer_streaming_cache_hit_callbacks(cached_result=None)  # noqa: SLF001 - see above


def handler_of(logging_obj: object) -> object:
    """Return what LiteLLM put into the record of a call about its caching; 1.80 gives it a private name."""
    for name in ("llm_caching_handler", "_llm_caching_handler"):
        handler = getattr(logging_obj, name, None)
        if handler is not None:
            return handler
    return None


def as_json(answer: ModelResponse) -> dict[str, Any]:
    """Return an answer as JSON. 1.80's models are right and still make pydantic warn that they look odd."""
    dumped: dict[str, Any] = answer.model_dump(mode="json", warnings=False)  # type: ignore[no-untyped-call]  # litellm is half typed
    return dumped


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
