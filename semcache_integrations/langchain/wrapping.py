"""`with_semantic_cache`: a model in, a model of the same class out that asks the cache by itself.

The law: the model that went in is left as it was. What came out is an instance of its class, so whatever checks or
copies it goes on working; the cache hangs on the new class, so copies that LangChain makes of it are cached as well.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

from langchain_core.globals import get_llm_cache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay, checked
from semcache_integrations.langchain.asking import Caching, Desk
from semcache_integrations.langchain.cache import LangChainSemanticCache
from semcache_integrations.langchain.identity import as_its_base
from semcache_integrations.langchain.model import CachingChat, Postponed
from semcache_integrations.langchain.streams import SAID, belonging_streams
from semcache_integrations.langchain.text_model import CachingText

M = TypeVar("M", bound="BaseChatModel | BaseLLM")
CacheLike = LangChainSemanticCache | SemanticCache | None

_WORDS = Replay()
_lock = threading.Lock()
_by_name: weakref.WeakValueDictionary[str, LangChainSemanticCache] = weakref.WeakValueDictionary()
_names: weakref.WeakKeyDictionary[LangChainSemanticCache, str] = weakref.WeakKeyDictionary()


def with_semantic_cache(model: M, cache: CacheLike = None, *, replay: Replay = _WORDS, **settings: Any) -> M:
    """Return a model of the same class that reads and writes the cache on every path, streams included.

    ```python
    from langchain_openai import ChatOpenAI
    from semcache_integrations.langchain import with_semantic_cache

    model = with_semantic_cache(ChatOpenAI(model="gpt-5-mini"))
    ```

    Wrap the model itself, before `bind_tools`, `with_structured_output` or `|`; `cache_runnable` does it inside a
    chain that is ready. Equal calls that run at the same time make one call upstream.

    Args:
        model: A chat model or a text model; it is left as it is.
        cache: Where answers are kept; None takes the one of `set_llm_cache` if it is ours, else makes one.
        replay: Into which chunks a stored answer is cut when it is streamed.
        **settings: Of a new `LangChainSemanticCache`, such as `path=`, `similarity_threshold=` or `tenant=`.

    Raises:
        ConfigurationError: it is no model, or the settings cannot work.
    """
    if not isinstance(model, (BaseChatModel, BaseLLM)):
        raise ConfigurationError(_no_model(model))
    plain = without_semantic_cache(model)
    adapter = adapter_for(cache, settings)
    return cast("M", _made(_class_of(type(plain), adapter, checked(replay)), plain.model_copy()))


def without_semantic_cache(model: M) -> M:
    """Return the model as it was before `with_semantic_cache`; a model without a cache is itself.

    Its own `cache` is None afterwards, so that it asks the one of `set_llm_cache`, whatever it was before.
    """
    if not isinstance(model, Caching):
        return model
    plain = as_its_base(model, model.semcache_base).model_copy()
    state = vars(plain)
    limiter = state.get("rate_limiter")
    if isinstance(limiter, Postponed):
        state["rate_limiter"] = limiter.meant
    state["cache"] = None
    return cast("M", plain)


def semantic_cache_of(model: object) -> LangChainSemanticCache | None:
    """Return the cache that a model asks by itself, or the first such model in a chain; None if there is none."""
    return next((found.semcache_adapter for found in models_in(model) if isinstance(found, Caching)), None)


def models_in(chain: object) -> Iterator[BaseChatModel | BaseLLM]:
    """Yield the models of a chain, or the model that it is; one inside a function cannot be found."""
    if isinstance(chain, (BaseChatModel, BaseLLM)):
        yield chain
        return
    parts: Iterable[object] = chain if isinstance(chain, (list, tuple)) else ()
    if type(chain) is dict:
        parts = chain.values()
    elif isinstance(chain, Runnable) and isinstance(chain, BaseModel):
        parts = vars(chain).values()
    for part in parts:
        yield from models_in(part)


def _no_model(given: object) -> str:
    what = "with_semantic_cache takes a chat model or a text model, not"
    if isinstance(given, type):
        return f"{what} the class {given.__name__}: make an instance of it"
    if isinstance(given, str):
        return f"{what} a str: make the model first, with its class or init_chat_model()"
    what = f"{what} a {type(given).__name__}"
    if type(given).__name__ == "_ConfigurableModel":
        return f"{what}, which makes a new model at each call: name the model in init_chat_model(), or use set_llm_cache()"
    if isinstance(given, Runnable):
        return f"{what}: wrap the model before .bind_tools(), .with_structured_output() or |, or use cache_runnable()"
    return what


def adapter_for(cache: CacheLike, settings: dict[str, Any]) -> LangChainSemanticCache:  # Any: checked
    """Return the adapter that is meant by `cache`: that itself, the one that everybody uses, or a new one.

    Raises:
        ConfigurationError: the settings cannot work, or a ready cache was given some.
    """
    if isinstance(cache, LangChainSemanticCache):
        if settings:
            raise ConfigurationError(f"a ready cache has its settings: drop {', '.join(settings)}")
        return cache
    everybodys = get_llm_cache()
    if cache is None and not settings and isinstance(everybodys, LangChainSemanticCache):
        return everybodys
    return LangChainSemanticCache(cache, **settings)


def _class_of(base: type[Any], adapter: LangChainSemanticCache, replay: Replay) -> type[Any]:
    """Return the caching class for a class of models: one for each cache and way of replay."""
    with _lock:
        made = adapter.caching_classes.get((base, replay))
        if made is None:
            made = adapter.caching_classes[base, replay] = _new_class(base, adapter, replay)
        return made


def _new_class(base: type[Any], adapter: LangChainSemanticCache, replay: Replay) -> type[Any]:
    mixin = CachingChat if issubclass(base, BaseChatModel) else CachingText
    about = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    hooks = {"model_post_init": _model_post_init, "__reduce__": _reduce, "__reduce_ex__": _reduce_ex}
    streams = {"__slots__": (SAID,), **belonging_streams(base)}
    metaclass: Any = type(base)
    made = metaclass(base.__name__, (mixin, base), {**about, **hooks, **streams})
    # Set afterwards: inside the class, pydantic would take them for fields.
    made.semcache_base, made.semcache_desk = base, Desk(adapter.answers, replay)
    made.semcache_adapter = adapter
    return cast("type[Any]", made)


def _made(kind: type[Any], plain: Any) -> Any:
    model = as_its_base(plain, kind)
    _take_over(model)
    return model


def _model_post_init(self: Any, context: Any, /) -> None:
    """Take over instances that LangChain makes by itself, such as those of `configurable_fields`."""
    self.semcache_base.model_post_init(self, context)
    _take_over(self)


def _take_over(model: Any) -> None:
    state = vars(model)
    limiter = state.get("rate_limiter")
    if limiter is not None and not isinstance(limiter, Postponed):
        state["rate_limiter"] = Postponed(limiter)
    state["cache"] = False  # LangChain's own way to the cache would ask a second time
    state.pop("_serialized", None)


# -- pickling: as far as the model itself goes --------------------------------------------------------------


def _reduce_ex(self: Any, _protocol: int) -> tuple[Any, ...]:
    return _reduce(self)


def _reduce(self: Any) -> tuple[Any, ...]:
    adapter: LangChainSemanticCache = self.semcache_adapter
    name = _names.setdefault(adapter, uuid.uuid4().hex)
    _by_name[name] = adapter
    return _restored, (without_semantic_cache(self), name, self.semcache_desk.replay)


def _restored(model: Any, name: str, replay: Replay) -> Any:
    """Wrap a model again: with the cache that it had, or, in another process, with the one that is set there."""
    return with_semantic_cache(model, _by_name.get(name), replay=replay)
