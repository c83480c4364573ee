"""`LiteLLMSemanticCache`: what LiteLLM calls on `litellm.cache`, put to the engine.

The law: nothing in here raises into the user's call, and nothing in here needs an event loop unless
LiteLLM awaits it (its sync Router runs inside a running loop). Chat calls go to the engine as requests;
embeddings take LiteLLM's own path through `ExactTier`; other calls never get here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple, cast, get_args

from litellm.caching.base_cache import BaseCache
from litellm.caching.caching import Cache, CacheMode
from litellm.types.caching import LiteLLMCacheType

from semcache_integrations.cache import SemanticCache, shared_or_new
from semcache_integrations.context import Holding, Surroundings, tenant_name
from semcache_integrations.core.errors import ConfigurationError, UnkeyableError
from semcache_integrations.core.models import CacheRequest, Lookup, Miss
from semcache_integrations.core.replay import Replay, Strategy
from semcache_integrations.litellm import answers
from semcache_integrations.litellm.ambient import ambient
from semcache_integrations.litellm.exact import ExactTier
from semcache_integrations.litellm.keys import chat_request, embedding_request
from semcache_integrations.litellm.noting import note
from semcache_integrations.litellm.stream import ReplayStream
from semcache_integrations.litellm.ticket import (
    LastServed,
    Ticket,
    Tickets,
    is_subsequence,
    unchanged,
)

log = logging.getLogger("semcache_integrations.litellm")

CALL_TYPES: Final = ("completion", "acompletion", "embedding", "aembedding")
"""LiteLLM asks the cache for these alone; every other endpoint passes by, uncached."""

_STRATEGIES = frozenset(get_args(Strategy))
_EMBEDDING_REQUESTS = embedding_request, partial(embedding_request, one_of_many=True)


class _Order(NamedTuple):
    """An answer to keep, and the request and the surroundings that it belongs to."""

    request: CacheRequest
    payload: str
    said: Surroundings


class LiteLLMSemanticCache(Cache):
    """A semantic cache for LiteLLM: `completion`, `acompletion`, their streams, and embeddings (exactly).

    ```python
    import litellm
    from semcache_integrations.litellm import LiteLLMSemanticCache

    litellm.cache = LiteLLMSemanticCache()
    ```

    One call is controlled by its `cache=` argument: LiteLLM's `no-cache`, `no-store`, `ttl`, `s-maxage`,
    `namespace` and `use-cache`, and ours: `similarity_threshold` (it may only tighten), `semantic` (False
    for exact repeats only), `replay` and `tags`. `caching=False` keeps a call out altogether.

    Args:
        cache: The engine, to share with other adapters; without one, `settings` make it.
        replay: How hits are streamed.
        tenant: Whose entries these are.
        mode: LiteLLM's `default_on`, or `default_off` for calls with `cache={"use-cache": True}` only.
        **settings: Those of `SemanticCache`.

    Raises:
        ConfigurationError: the settings cannot work.
    """

    def __init__(
        self,
        cache: SemanticCache | None = None,
        *,
        replay: Replay | None = None,
        tenant: str = "",
        mode: str = "default_on",
        **settings: Any,  # SemanticCache checks them
    ) -> None:
        super().__init__(type=LiteLLMCacheType.LOCAL, mode=_mode(mode), supported_call_types=list(CALL_TYPES))
        self.type = "semcache"  # type: ignore[assignment]  # LiteLLM treats its own types specially, none by this name
        self.max_messages = None  # LiteLLM's default caches no conversation beyond four messages
        if replay is not None and not isinstance(replay, Replay):
            raise ConfigurationError("replay= is a Replay: Replay('words', 8)")
        self.engine = shared_or_new(cache, settings)
        self.cache = ExactTier(self.engine)
        self._owns_engine = cache is None
        self._replay = Replay() if replay is None else replay
        self._tenant = tenant_name(tenant)
        self._tickets = Tickets()
        self._served = LastServed()
        secret = self.engine.config.secret
        self._secret = secret.get_secret_value().encode() if secret else b""

    # -- keys -------------------------------------------------------------------------------------

    def get_cache_key(self, **kwargs: Any) -> str:
        """Return the key that LiteLLM passes on to the look-up, and shows as `x-litellm-cache-key`."""
        try:
            served = None if "litellm_logging_obj" in kwargs else self._served.get(kwargs)
            return served or Ticket.of(self._request(kwargs), kwargs, self.engine.entry_id)
        except Exception as error:  # noqa: BLE001 - whatever an argument's own code raises, the call goes on
            _complain("key", error)
            return Ticket.of(None, kwargs, self.engine.entry_id)

    def _request(self, arguments: Mapping[str, Any]) -> CacheRequest | None:
        """Return the request behind a call, or None for a call that is not to be cached."""
        endpoint = _endpoint(arguments)
        if not self._is_ours(arguments) or endpoint not in CALL_TYPES:
            return None
        build = chat_request if "messages" in arguments else _EMBEDDING_REQUESTS[endpoint == "aembedding"]
        try:
            asked = {**arguments, **ambient(arguments)}
            return build(asked, tenant=self._tenant, secret=self._secret)
        except UnkeyableError as error:
            log.debug("not cached: %s", error)
            return None

    def _is_ours(self, arguments: Mapping[str, Any]) -> bool:
        return arguments.get("caching") is not False and self._takes_part(arguments)

    def _takes_part(self, arguments: Mapping[str, Any]) -> bool:
        """Whether LiteLLM's `mode` lets the call use the cache."""
        return self.should_use_cache(**arguments) is True  # type: ignore[no-untyped-call]  # litellm is half typed

    # -- look-up ----------------------------------------------------------------------------------

    def get_cache(self, dynamic_cache_object: BaseCache | None = None, **kwargs: Any) -> Any:
        """Return the kept answer to a call: a `ModelResponse`, a stream, what embeddings need, or None."""
        if "messages" not in kwargs:
            return super().get_cache(dynamic_cache_object, **kwargs)
        try:
            ticket = self._ticket(kwargs)
            found = None if ticket.request is None else self.engine.lookup(ticket.request)
            return self._present(found, ticket, kwargs)
        except Exception as error:  # noqa: BLE001 - LiteLLM does not guard this call, and the user's must go on
            _complain("look-up", error)
            return None

    async def async_get_cache(self, dynamic_cache_object: BaseCache | None = None, **kwargs: Any) -> Any:
        """Async twin of `get_cache`."""
        if "messages" not in kwargs:
            return await super().async_get_cache(dynamic_cache_object, **kwargs)
        try:
            ticket = self._ticket(kwargs)
            found = None if ticket.request is None else await self.engine.alookup(ticket.request)
            return self._present(found, ticket, kwargs)
        except Exception as error:  # noqa: BLE001 - LiteLLM does not guard this call, and the user's must go on
            _complain("look-up", error)
            return None

    def _ticket(self, arguments: Mapping[str, Any]) -> Ticket:
        """Return the ticket that LiteLLM was given as this call's key, or write one."""
        key = arguments.get("cache_key")
        if isinstance(key, Ticket):
            return key
        return Ticket.of(self._request(arguments), arguments, self.engine.entry_id)

    def _present(self, found: Lookup | None, ticket: Ticket, arguments: Mapping[str, Any]) -> Any:
        answer = answers.unpack(found.payload) if found else None
        read = Miss("store_error", found.similarity) if found and answer is None else found
        note(arguments, read, self.engine.age_s(found.entry) if found else 0.0)
        metadata = arguments.get("metadata")
        if isinstance(metadata, dict):  # the proxy makes its x-litellm-semantic-similarity header of it
            metadata["semantic-similarity"] = (found.similarity if found is not None else None) or 0.0
        if not found or answer is None:
            self._tickets.leave(ticket, arguments)
            return None
        self._served.set(ticket, arguments)
        if arguments.get("stream") is True and not arguments.get("complete_response"):
            return self._stream(answer, arguments)
        response = answer.fresh()
        response._hidden_params["semcache"] = {  # noqa: SLF001 - LiteLLM's name for an answer's metadata
            "tier": found.tier,
            "similarity": found.similarity,
            "entry_id": found.entry.id,
        }
        return response

    def _stream(self, answer: answers.Answer, arguments: Mapping[str, Any]) -> ReplayStream | None:
        logging_obj = arguments.get("litellm_logging_obj")
        if logging_obj is None:
            return None
        return ReplayStream(
            answer,
            model=arguments["model"],
            logging_obj=logging_obj,
            replay=self._pace(arguments),
            usage=bool((arguments.get("stream_options") or {}).get("include_usage")),
        )

    def _pace(self, arguments: Mapping[str, Any]) -> Replay:
        asked = (arguments.get("cache") or {}).get("replay")
        if isinstance(asked, Replay):
            return asked
        if isinstance(asked, str) and asked in _STRATEGIES:
            return replace(self._replay, strategy=cast("Strategy", asked))
        return self._replay

    # -- store ------------------------------------------------------------------------------------

    def add_cache(self, result: object, **kwargs: Any) -> None:
        """Keep the answer to a call, if it is complete."""
        kwargs.pop("dynamic_cache_object", None)  # one of LiteLLM's callers passes it, no backend takes it
        if "messages" not in kwargs:
            super().add_cache(result, **kwargs)  # type: ignore[no-untyped-call]  # litellm is half typed
            return
        try:
            order = self._order(result, kwargs, later=False)
            if order is not None:
                with Holding(order.said):
                    self.engine.store(order.request, order.payload)
        except Exception as error:  # noqa: BLE001 - LiteLLM does not guard this call, and the user's must go on
            _complain("write", error)

    async def async_add_cache(
        self, result: object, dynamic_cache_object: BaseCache | None = None, **kwargs: Any
    ) -> None:
        """Async twin of `add_cache`. LiteLLM runs it as a task, after the answer has been handed out."""
        if "messages" not in kwargs:
            await super().async_add_cache(result, dynamic_cache_object, **kwargs)
            return
        try:
            order = self._order(result, kwargs, later=True)
            if order is not None:
                with Holding(order.said):
                    await self.engine.astore(order.request, order.payload)
        except Exception as error:  # noqa: BLE001 - a failed task would be logged as nobody's fault
            _complain("write", error)

    async def async_add_cache_pipeline(
        self, result: Any, dynamic_cache_object: BaseCache | None = None, **kwargs: Any
    ) -> None:
        """Keep embeddings input by input, unless the caller has changed the list of inputs since."""
        asked = getattr(kwargs.get("litellm_logging_obj"), "messages", None)
        if is_subsequence(kwargs.get("input"), asked):
            await super().async_add_cache_pipeline(result, dynamic_cache_object, **kwargs)

    def _order(self, result: object, arguments: Mapping[str, Any], *, later: bool) -> _Order | None:
        """Return what is to be kept, or None.

        Args:
            result: The answer.
            arguments: Of the call.
            later: Whether the caller has had its answer already, and may have changed its arguments.
        """
        ticket = self._tickets.take(arguments)
        if (arguments.get("cache") or {}).get("no-store") is True or not self._is_ours(arguments):
            return None
        if ticket is None and (not later or unchanged(arguments)):
            ticket = Ticket.of(self._request(arguments), arguments, self.engine.entry_id)
        if ticket is None or ticket.request is None:
            return None
        streamed = ticket.turns if arguments.get("stream") is True else None
        if streamed is not None and (arguments.get("n") or 1) != 1:
            return None  # LiteLLM has merged the choices into one
        payload = answers.pack(result, model=ticket.request.model, streamed=streamed)
        return None if payload is None else _Order(ticket.request, payload, ticket.said)

    # -- life -------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Make all that was written durable."""
        self.engine.flush()

    async def disconnect(self) -> None:
        """Close the engine, or flush it if others share it. The proxy calls this when it shuts down."""
        if self._owns_engine:
            await self.engine.aclose()
        else:
            await asyncio.to_thread(self.engine.flush)


def _mode(name: str) -> CacheMode:
    try:
        return CacheMode(name)
    except ValueError:
        raise ConfigurationError(f"mode={name!r}: LiteLLM knows default_on and default_off") from None


def _endpoint(arguments: Mapping[str, Any]) -> str:
    """Return the function that is looking: nested calls share a logging object, whose handler is the inner one's."""
    handler = getattr(arguments.get("litellm_logging_obj"), "llm_caching_handler", None)
    return getattr(getattr(handler, "original_function", None), "__name__", "completion")


def _complain(step: str, error: Exception) -> None:
    log.warning("the %s failed and the call goes on without the cache: %s", step, type(error).__name__)
