"""OpenTelemetry's spans of a cache and of the proxy: `Spans`.

The law: a span is made when what it tells of has ended, with the times at which it happened; its parent is whatever
span is current then. Names are those of OpenTelemetry's conventions for generative AI where they fit. No prompt, no
answer and no tenant is in it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

try:
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind, StatusCode, Tracer
except ImportError as error:
    raise ImportError(
        f"OpenTelemetry's spans need {error.name}: pip install 'semcache-integrations[otel]'"
    ) from error

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from semcache_integrations.core.models import CacheEvent
    from semcache_integrations.http.happenings import Happening

_NS = 1_000_000_000
_LONGEST = 200
_FAILED = 400

_EVENTS: Mapping[str, tuple[str, str]] = {
    "hit": ("semcache.lookup", "hit"),
    "miss": ("semcache.lookup", "miss"),
    "store": ("semcache.store", "stored"),
    "store_failed": ("semcache.store", "failed"),
    "dropped": ("semcache.store", "dropped"),
}
_ASKED_UPSTREAM = frozenset({"miss", "bypass"})
_CHATS = frozenset({"chat", "responses", "messages"})
_PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
}


class Spans:
    """Records a span for each look-up and store of a cache, and for each request to the proxy.

    ```python
    from semcache_integrations import SemanticCache
    from semcache_integrations.observability import Spans

    spans = Spans()  # of the tracer provider that the program has set
    with SemanticCache(hash_only=True, hooks=[spans.event]) as cache:
        cache.put("What is the capital of France?", "Paris")
        assert cache.get("What is the capital of France?") == "Paris"
    ```

    Args:
        tracer: What makes the spans, instead of the global provider's tracer.
        clock: Nanoseconds since the epoch.
    """

    def __init__(self, tracer: Tracer | None = None, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._tracer = tracer or trace.get_tracer("semcache_integrations")
        self._clock = clock

    def event(self, event: CacheEvent) -> None:
        """Record a look-up or a store: a hook, `SemanticCache(hooks=[spans.event])`; other events have no span."""
        if event.kind not in _EVENTS:
            return
        name, status = _EVENTS[event.kind]
        ended = self._clock()
        attributes = _of_event(event, status)
        span = self._tracer.start_span(
            name, attributes=attributes, start_time=ended - round(event.seconds * _NS)
        )
        if status in ("failed", "dropped"):
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def happening(self, happening: Happening) -> None:
        """Record a request: a watcher of the proxy."""
        begun = round(happening.at * _NS)
        span = self._tracer.start_span(
            _name(happening),
            kind=SpanKind.CLIENT if happening.status in _ASKED_UPSTREAM else SpanKind.INTERNAL,
            attributes=_of_happening(happening),
            start_time=begun,
        )
        if happening.head_s > 0:
            span.add_event("semcache.head", timestamp=begun + round(happening.head_s * _NS))
        if happening.http_status >= _FAILED:
            span.set_attribute("error.type", str(happening.http_status))
            span.set_status(StatusCode.ERROR)
        span.end(begun + round(happening.total_s * _NS))


def _name(happening: Happening) -> str:
    if happening.dialect in _CHATS and happening.model:
        return f"chat {_text(happening.model)}"
    return "semcache.request"


def _of_event(event: CacheEvent, status: str) -> dict[str, AttributeValue]:
    return _said(
        {
            "gen_ai.request.model": event.model,
            "semcache.status": status,
            "semcache.tier": event.tier,
            "semcache.reason": event.reason,
            "semcache.entry_id": event.entry_id,
            "semcache.similarity": event.similarity,
        }
    )


def _of_happening(happening: Happening) -> dict[str, AttributeValue]:
    address, port = _address(happening.host)
    return _said(
        {
            "gen_ai.operation.name": "chat" if happening.dialect in _CHATS else "",
            "gen_ai.provider.name": _PROVIDERS.get(address, ""),
            "gen_ai.request.model": happening.model,
            "server.address": address,
            "server.port": port,
            "http.request.method": happening.method,
            "http.response.status_code": happening.http_status,
            "semcache.status": happening.status,
            "semcache.tier": happening.tier,
            "semcache.reason": happening.reason,
            "semcache.entry_id": happening.entry_id,
            "semcache.similarity": happening.similarity,
            "semcache.dialect": happening.dialect,
            "semcache.complete": happening.complete,
            "semcache.saved.prompt_tokens": happening.prompt_tokens or None,
            "semcache.saved.answer_tokens": happening.answer_tokens or None,
        }
    )


def _said(attributes: Mapping[str, str | float | None]) -> dict[str, AttributeValue]:
    """Return the attributes that say something, as an exporter can write them."""
    said: dict[str, AttributeValue] = {}
    for name, value in attributes.items():
        if isinstance(value, str):
            if value:
                said[name] = _text(value)
        elif value is not None and math.isfinite(value):
            said[name] = value
    return said


def _text(value: str) -> str:
    """Return the text without halves of surrogate pairs, which fail a whole batch of an exporter, and not too long."""
    return value[:_LONGEST].encode(errors="replace").decode()


def _address(host: str) -> tuple[str, int | None]:
    """Return name and port of a host, and nothing of a user and password before it."""
    try:
        parts = urlsplit(f"//{host}")
        place = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    return place
