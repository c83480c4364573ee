"""`LiteLLMSemanticCache`: what LiteLLM calls on `litellm.cache`, put to the engine.

The law: nothing in here raises into the user's call, and nothing in here needs an event loop unless
LiteLLM awaits it (its sync Router runs inside a running loop). What a call is, what is kept of its answer
and how a kept one is given back is its endpoint's business.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import litellm
from litellm.caching.base_cache import BaseCache
from litellm.caching.caching import Cache, CacheMode
from litellm.types.caching import LiteLLMCacheType

from semcache_integrations.cache import SemanticCache, shared_or_new
from semcache_integrations.context import Holding, tenant_name
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.models import Hit, Lookup, Miss
from semcache_integrations.core.replay import Replay, checked
from semcache_integrations.litellm.ambient import ambient
from semcache_integrations.litellm.endpoints import CALL_TYPES, CHANGEABLE, Endpoint, looking, writing
from semcache_integrations.litellm.exact import ExactTier
from semcache_integrations.litellm.flights import Flights
from semcache_integrations.litellm.noting import note
from semcache_integrations.litellm.requests import ONE_INPUT
from semcache_integrations.litellm.stream import Wanted, mark
from semcache_integrations.litellm.ticket import LastServed, Ticket
from semcache_integrations.litellm.versions import note_hit
from semcache_integrations.litellm.watch import WATCH
from semcache_integrations.litellm.wishes import replay_of
from semcache_integrations.litellm.writes import Writes
from semcache_integrations.troubles import Troubles

log = logging.getLogger("semcache_integrations.litellm")


class LiteLLMSemanticCache(Cache):
    """A semantic cache for LiteLLM: chat, text completions, responses, messages and their streams; the rest exactly.

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
        patience_s: Seconds that a call waits for an equal one that is upstream; then it goes there itself. 0
            lets equal calls go side by side.
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
        patience_s: float = 30.0,
        **settings: Any,  # SemanticCache checks them
    ) -> None:
        super().__init__(type=LiteLLMCacheType.LOCAL, mode=_mode(mode), supported_call_types=CALL_TYPES)
        self.type = "semcache"  # type: ignore[assignment]  # LiteLLM treats its own types specially, none by this name
        self.max_messages = None  # LiteLLM's default caches no conversation beyond four messages
        self._replay = Replay() if replay is None else checked(replay)
        self._tenant = tenant_name(tenant)
        self._flights = Flights(_seconds(patience_s))
        self.engine = shared_or_new(cache, settings, type(self))
        self.cache = ExactTier(self.engine)
        self._owns_engine = cache is None
        self._troubles = Troubles(log)
        self._writes = Writes(self._new_ticket, self._is_ours)
        self._served = LastServed()
        self._secret = self.engine.config.secret_bytes
        WATCH.tell(self)

    @property
    def troubles(self) -> Counter[str]:
        """How many calls went on without the cache, by kind of trouble."""
        return self._troubles

    # -- keys -------------------------------------------------------------------------------------

    def get_cache_key(self, **kwargs: Any) -> str:
        """Return the key that LiteLLM passes on to the look-up, and shows as `x-litellm-cache-key`."""
        served = None if "litellm_logging_obj" in kwargs else self._served.get(kwargs)
        return served or self._new_ticket(looking(kwargs), kwargs)

    def _ticket(self, endpoint: Endpoint | None, arguments: Mapping[str, Any]) -> Ticket:
        """Return the ticket that LiteLLM was given as this call's key, or write one."""
        key = arguments.get("cache_key")
        return key if isinstance(key, Ticket) else self._new_ticket(endpoint, arguments)

    def _new_ticket(self, endpoint: Endpoint | None, arguments: Mapping[str, Any]) -> Ticket:
        subject = None if endpoint is None else arguments.get(endpoint.subject)
        if endpoint is not None and self._is_ours(arguments):
            with self._troubles.going_on("key"):
                asked = {**arguments, **ambient(arguments)}
                request = endpoint.request(asked, tenant=self._tenant, secret=self._secret)
                return Ticket.of(request, arguments, self.engine.entry_id, subject)
        # so that its write knows of the refusal, and does not try anew
        return Ticket.of(None, arguments, self.engine.entry_id, subject)

    def _is_ours(self, arguments: Mapping[str, Any]) -> bool:
        return arguments.get("caching") is not False and self._takes_part(arguments)

    def _takes_part(self, arguments: Mapping[str, Any]) -> bool:
        """Whether LiteLLM's `mode` lets the call use the cache."""
        return self.should_use_cache(**arguments) is True  # type: ignore[no-untyped-call]  # litellm is half typed

    # -- look-up ----------------------------------------------------------------------------------

    def get_cache(self, dynamic_cache_object: BaseCache | None = None, **kwargs: Any) -> Any:
        """Return the kept answer to a call in LiteLLM's own form, as a stream if one was asked for, or None."""
        with self._troubles.going_on("look-up"):
            endpoint = looking(kwargs)
            ticket = self._ticket(endpoint, kwargs)
            if _is_one_input(ticket):
                return super().get_cache(dynamic_cache_object, **kwargs)
            found = None if ticket.request is None else self.engine.lookup(ticket.request)
            flight = self._flight(found, ticket)
            if flight is not None and self._flights.wait(flight, endpoint, kwargs):
                found = self._again(found, ticket)
            return self._present(found, ticket, endpoint, kwargs)
        return None

    async def async_get_cache(self, dynamic_cache_object: BaseCache | None = None, **kwargs: Any) -> Any:
        """Async twin of `get_cache`."""
        with self._troubles.going_on("look-up"):
            endpoint = looking(kwargs)
            ticket = self._ticket(endpoint, kwargs)
            if _is_one_input(ticket):
                WATCH.stay(for_answers=True)
                return await super().async_get_cache(dynamic_cache_object, **kwargs)
            found = None if ticket.request is None else await self.engine.alookup(ticket.request)
            flight = self._flight(found, ticket)
            if flight is not None and await self._flights.await_(flight, endpoint, kwargs):
                found = self._again(found, ticket)
            return self._present(found, ticket, endpoint, kwargs)
        return None

    def _flight(self, found: Lookup | None, ticket: Ticket) -> Any:
        """Return what equal calls share, or None for one that is answered or that nothing is kept of."""
        if found or ticket.request is None or ticket.keeps_nothing:
            return None
        return self.engine.identity(ticket.request)

    def _again(self, found: Lookup | None, ticket: Ticket) -> Lookup | None:
        return (self.engine.recall(ticket.request) if ticket.request else None) or found

    def _present(
        self, found: Lookup | None, ticket: Ticket, endpoint: Endpoint | None, arguments: Mapping[str, Any]
    ) -> Any:
        age_s = self.engine.age_s(found.entry) if found else 0.0
        answer, wanted = None, self._wanted(arguments)
        if endpoint is not None and found and not (wanted.stream and wanted.logging_obj is None):
            answer = endpoint.present(found.payload, wanted)
        note(arguments, Miss("store_error", found.similarity) if found and answer is None else found, age_s)
        if answer is None or not isinstance(found, Hit):
            self._writes.await_answer(ticket, endpoint, arguments)
            WATCH.stay(for_answers=endpoint in CHANGEABLE and ticket.request is not None)
            return None
        note_hit(arguments.get("litellm_logging_obj"))
        self._served.set(ticket, arguments)
        about = {"tier": found.tier, "similarity": found.similarity, "entry_id": found.entry.id}
        mark(answer, semcache={**about, "age_s": round(age_s, 3)})
        return answer

    def _wanted(self, arguments: Mapping[str, Any]) -> Wanted:
        return Wanted(
            model=arguments.get("model", ""),
            stream=arguments.get("stream") is True and not arguments.get("complete_response"),
            replay=replay_of(arguments, self._replay),
            usage=bool((arguments.get("stream_options") or {}).get("include_usage")),
            logging_obj=arguments.get("litellm_logging_obj"),
            arguments=arguments,
        )

    # -- store ------------------------------------------------------------------------------------

    def add_cache(self, result: object, **kwargs: Any) -> None:
        """Keep the answer to a call, if it is complete."""
        endpoint = None
        with self._troubles.going_on("write"):
            endpoint = writing(result, kwargs)
            order = self._writes.order(result, endpoint, kwargs, later=False)
            if order is not None:
                with Holding(order.said):
                    self.engine.store(order.request, order.payload)
        self._land(endpoint, kwargs)

    async def async_add_cache(
        self,
        result: object,
        dynamic_cache_object: BaseCache | None = None,
        **kwargs: Any,
    ) -> None:
        """Async twin of `add_cache`. LiteLLM runs it as a task, after the answer has been handed out."""
        del dynamic_cache_object  # LiteLLM's own memory before Redis
        endpoint = None
        with self._troubles.going_on("write"):
            endpoint = writing(result, kwargs)
            order = self._writes.order(result, endpoint, kwargs, later=True)
            if order is not None:
                with Holding(order.said):
                    await self.engine.astore(order.request, order.payload)
        self._land(endpoint, kwargs)

    async def async_add_cache_pipeline(
        self, result: Any, dynamic_cache_object: BaseCache | None = None, **kwargs: Any
    ) -> None:
        """Keep embeddings input by input, unless the caller has changed the inputs or the vectors since."""
        with self._troubles.going_on("write"):
            if self._writes.are_as_they_came(result, kwargs):
                await super().async_add_cache_pipeline(result, dynamic_cache_object, **kwargs)

    def _land(self, endpoint: Endpoint | None, arguments: Mapping[str, Any]) -> None:
        """Let go who waits for this call; with a stream, all ends that was nested around it."""
        ended = None if arguments.get("stream") is True else endpoint
        with self._troubles.going_on("write"):
            self._flights.land(arguments.get("litellm_call_id"), ended)

    def failed(self, call: Hashable) -> None:
        """Hear from LiteLLM that a call has failed, and forget what was kept for its write."""
        self._flights.land(call)
        self._writes.give_up(call)

    def answered(self, arguments: Mapping[str, Any], answer: object) -> None:
        """Hear from LiteLLM what an async call was answered, before its caller has it."""
        if litellm.cache is self:
            with self._troubles.going_on("write"):
                self._writes.note_answer(answer, arguments)

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


def _seconds(patience_s: float) -> float:
    if isinstance(patience_s, bool) or not isinstance(patience_s, (int, float)) or not patience_s >= 0:
        raise ConfigurationError(f"patience_s={patience_s!r}: it is a number of seconds, at least 0")
    return patience_s


def _is_one_input(ticket: Ticket) -> bool:
    """Whether the call is one of the look-ups of `aembedding`, which LiteLLM makes with the key alone."""
    return ticket.request is not None and ticket.request.dialect == ONE_INPUT
