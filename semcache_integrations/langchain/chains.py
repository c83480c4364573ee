"""`cache_runnable`: the models inside a chain that is ready already, wrapped where they are.

The law: the chain that went in is left as it was. What cannot be looked into (a function's closure) is left alone, and
a chain without any model that can be found is refused, so that nobody believes it cached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay
from semcache_integrations.langchain.wrapping import CacheLike, adapter_for, models_in, with_semantic_cache

R = TypeVar("R", bound="Runnable[Any, Any]")  # Any: chains of all kinds

_WORDS = Replay()


def cache_runnable(
    chain: R, cache: CacheLike = None, *, replay: Replay = _WORDS, **settings: Any
) -> R:  # Any: checked
    """Return a copy of a chain in which every model reads and writes the cache.

    Sequences, parallel and branched steps, bound arguments and tools, fall-backs, retries and configurable
    alternatives are looked into; a model inside a function is not.

    ```python
    from langchain_core.output_parsers import StrOutputParser
    from langchain_openai import ChatOpenAI
    from semcache_integrations.langchain import cache_runnable

    chain = cache_runnable(ChatOpenAI(model="gpt-5-mini") | StrOutputParser())
    ```

    Args:
        chain: The chain; it is left as it is.
        cache: See `with_semantic_cache`; all models of the chain share one.
        replay: See `with_semantic_cache`.
        **settings: See `with_semantic_cache`.

    Raises:
        ConfigurationError: there is no model in it, or the settings cannot work.
    """
    if next(models_in(chain), None) is None:
        raise ConfigurationError(
            f"there is no model to be found in this {type(chain).__name__}: wrap the model with with_semantic_cache() "
            "before the chain is built from it"
        )
    adapter = adapter_for(cache, settings)
    return cast("R", _rewritten(chain, lambda model: with_semantic_cache(model, adapter, replay=replay)))


def _rewritten(part: Any, wrapped: Callable[[Any], Any]) -> Any:  # Any: whatever the fields of chains hold
    """Return the part with its models wrapped; the very same object if it has none."""
    if isinstance(part, (BaseChatModel, BaseLLM)):
        return wrapped(part)
    if isinstance(part, (list, tuple)) and type(part) in (list, tuple):
        items = [_rewritten(item, wrapped) for item in part]
        return part if all(map(_is, items, part)) else type(part)(items)
    if type(part) is dict:
        values = {name: _rewritten(value, wrapped) for name, value in part.items()}
        return part if all(map(_is, values.values(), part.values())) else values
    if isinstance(part, Runnable) and isinstance(part, BaseModel):
        fields = {name: (value, _rewritten(value, wrapped)) for name, value in vars(part).items()}
        changed = {name: new for name, (old, new) in fields.items() if new is not old}
        return part.model_copy(update=changed) if changed else part
    return part


def _is(one: object, other: object) -> bool:
    return one is other
