"""`SemanticCacheAgentMiddleware`: the cache in LangChain's agents (`create_agent`).

The law: the model of a step is exchanged for its caching twin, and the step goes on. A middleware that answers by
itself would take every callback, every token event and half the trace from whoever is watching.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

try:
    from langchain.agents.middleware import AgentMiddleware
    from langchain.agents.middleware.types import ModelRequest, ModelResponse
except ImportError as error:
    raise ImportError(
        "caching inside agents needs langchain 1.0: pip install 'semcache-integrations[agents]'"
    ) from error

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay, checked
from semcache_integrations.langchain.wrapping import CacheLike, adapter_for, with_semantic_cache

_WORDS = Replay()


class SemanticCacheAgentMiddleware(AgentMiddleware[Any, Any, Any]):  # Any: agents of all states and contexts
    """Lets every model call of an agent read and write the cache, streamed or not, sync or async.

    ```python
    from langchain.agents import create_agent
    from semcache_integrations.langchain import SemanticCacheAgentMiddleware

    agent = create_agent("openai:gpt-5-mini", middleware=[SemanticCacheAgentMiddleware()])
    ```

    With tools bound, only the very same conversation is answered from the cache (`semantic_with_tools=True` lets
    questions be reworded). An answer that calls a tool is cached, what the tool says is not: it is called each time.
    What only stands for a model (`init_chat_model(configurable_fields=…)`) goes on without the cache, and a warning.

    Args:
        cache: See `with_semantic_cache`.
        replay: See `with_semantic_cache`.
        when: Says of a request whether its model call may use the cache; None lets all of them.
        **settings: See `with_semantic_cache`.

    Raises:
        ConfigurationError: the settings cannot work.
    """

    def __init__(
        self,
        cache: CacheLike = None,
        *,
        replay: Replay = _WORDS,
        when: Callable[[ModelRequest[Any]], bool] | None = None,
        **settings: Any,  # LangChainSemanticCache checks them
    ) -> None:
        super().__init__()
        self.cache = adapter_for(cache, settings)
        self._replay = checked(replay)
        self._when = when

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Make one model call of the agent."""
        return handler(self._cached(request))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Async twin of `wrap_model_call`."""
        return await handler(self._cached(request))

    def _cached(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        if self._when is not None and not self._when(request):
            return request
        try:
            model = with_semantic_cache(request.model, self.cache, replay=self._replay)
        except ConfigurationError as error:  # what stands for a model, such as that of `configurable_fields`
            self.cache.answers.troubles.complain("wrapping", error)
            return request
        return request.override(model=model)
