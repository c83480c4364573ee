"""`StreamReplayHandler`: tokens for handlers that were promised some, when `set_llm_cache` answers an `invoke`.

The law: a handler sees each token once. What was streamed live is not replayed, and a wrapped model streams by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.callbacks.manager import handle_event
from langchain_core.outputs import ChatGeneration, LLMResult

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay, checked
from semcache_integrations.langchain.chunks import chunks_of

_WORDS = Replay()
_IGNORED_BY = {
    "on_llm": "ignore_llm",
    "on_chat": "ignore_chat_model",
    "on_stream": "ignore_llm",
    "on_chain": "ignore_chain",
    "on_tool": "ignore_agent",
    "on_agent": "ignore_agent",
    "on_retriever": "ignore_retriever",
    "on_retry": "ignore_retry",
    "on_custom": "ignore_custom_event",
}
_EVENTS = (
    *("on_llm_start", "on_chat_model_start", "on_chain_start", "on_chain_end", "on_chain_error"),
    *("on_tool_start", "on_tool_end", "on_tool_error", "on_agent_action", "on_agent_finish"),
    *("on_retriever_start", "on_retriever_end", "on_retriever_error", "on_text", "on_retry"),
    *("on_custom_event", "on_stream_event"),
)


class StreamReplayHandler(BaseCallbackHandler):
    """Wraps handlers: a hit of `set_llm_cache` reaches them token by token before it ends.

    For `.invoke()` and `.batch()` with handlers of one's own, such as one that writes to a terminal. Handlers that
    LangChain attaches by itself (LangGraph's, `astream_events`) cannot be reached: use `with_semantic_cache` there.

    ```python
    from langchain_core.callbacks import StdOutCallbackHandler
    from semcache_integrations.langchain import StreamReplayHandler

    handlers = [StreamReplayHandler(StdOutCallbackHandler())]  # model.invoke(…, config={"callbacks": handlers})
    ```

    Args:
        *handlers: Sync handlers; they get all else as it comes.
        replay: Into which chunks an answer is cut; nobody waits between them, because `invoke` has the answer already.

    Raises:
        ConfigurationError: one of them is no callback handler, or an async one.
    """

    run_inline = True  # in order: a token must not come after the end

    def __init__(self, *handlers: BaseCallbackHandler, replay: Replay = _WORDS) -> None:
        wrong = [type(each).__name__ for each in handlers if not _is_sync(each)]
        if wrong or not handlers:
            raise ConfigurationError(
                f"StreamReplayHandler wraps callback handlers, none of them async: StreamReplayHandler(handler, …), not {', '.join(wrong) or 'none'}"
            )
        self.handlers = handlers
        self.replay = checked(replay)
        self.raise_error = any(handler.raise_error for handler in handlers)
        self._streamed: set[UUID] = set()

    def on_llm_new_token(
        self, token: Any, *, run_id: UUID, **about: Any
    ) -> None:  # Any: as LangChain calls it
        """Hand on a live token."""
        self._streamed.add(run_id)
        self._tell("on_llm_new_token", token, run_id=run_id, **about)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **about: Any) -> None:  # Any: as above
        """Replay a hit, then hand on its end."""
        answer = response.generations[0][0] if response.generations and response.generations[0] else None
        if isinstance(answer, ChatGeneration) and run_id not in self._streamed and _is_hit(answer):
            about_run = {"run_id": run_id, "parent_run_id": about.get("parent_run_id")}
            for chunk in chunks_of(answer.model_copy(deep=True), self.replay):
                self._tell("on_llm_new_token", chunk.text, chunk=chunk, **about_run)
        self._streamed.discard(run_id)
        self._tell("on_llm_end", response, run_id=run_id, **about)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **about: Any) -> None:  # Any: as above
        """Hand on an error."""
        self._streamed.discard(run_id)
        self._tell("on_llm_error", error, run_id=run_id, **about)

    def _tell(self, event: str, *said: Any, **about: Any) -> None:  # Any: as above
        kind = "_".join(event.split("_")[:2])
        handle_event(list(self.handlers), event, _IGNORED_BY.get(kind), *said, **about)


def _is_sync(handler: object) -> bool:
    return isinstance(handler, BaseCallbackHandler) and not isinstance(handler, AsyncCallbackHandler)


def _is_hit(answer: ChatGeneration) -> bool:
    return bool(answer.message.response_metadata.get("semcache"))


def _handing_on(event: str) -> Callable[..., None]:
    def hand_on(self: StreamReplayHandler, *said: Any, **about: Any) -> None:  # Any: as above
        self._tell(event, *said, **about)

    hand_on.__name__ = event
    return hand_on


for _event in _EVENTS:
    setattr(StreamReplayHandler, _event, _handing_on(_event))
