"""Reading what `PrometheusMetrics` exposes, and telling watchers of requests as the proxy does."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import AsyncGenerator

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from semcache_integrations import labels
from semcache_integrations.core.models import CacheEntry, CacheRequest, Hit, Namespace
from semcache_integrations.http.answers import pack
from semcache_integrations.http.calls import Asked, Call, Head, Part
from semcache_integrations.http.happenings import HIT, Watch
from semcache_integrations.troubles import Troubles

URL = "https://api.openai.com/v1/chat/completions?key=in-the-query"
TENANT = "tenant-hush"
QUESTION = "question-hush"


def samples(metrics) -> dict[tuple[str, ...], float]:
    """Return every exposed sample by its name and `label=value`s, read by Prometheus' own parser."""
    text = metrics.exposition()[0].decode()
    found = [sample for family in plain_families(text) for sample in family.samples]
    read = {
        (one.name, *(f"{key}={value}" for key, value in sorted(one.labels.items()))): one.value
        for one in found
    }
    assert len(read) == len(found), "a sample is exposed twice"
    return read


def open_names(metrics) -> set[str]:
    """Return the names of the families, read by OpenMetrics' own parser, which is strict."""
    return {
        family.name
        for family in open_families(metrics.exposition("application/openmetrics-text")[0].decode())
    }


def hit(*, tier="semantic", similarity=0.97, usage=(1200, 300)) -> Hit:
    """Return a hit on an answer of Chat Completions for which the provider counted so many tokens."""
    answer = {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "answer-hush"}}
        ],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }
    payload = pack("chat", "application/json", json.dumps(answer).encode())
    assert payload is not None
    entry = CacheEntry("entry-1", Namespace("n" * 32), QUESTION, payload, 1_000.0)
    return Hit(entry, similarity, tier)


def asked(model="gpt-4o-mini") -> Asked:
    return Asked(CacheRequest(QUESTION, model, tenant=TENANT, dialect="chat"), "chat")


def head_of(found: Hit) -> Head:
    return Head(200, (), {HIT: found}).labelled(labels.of_hit(found, 12.0))


def watch(*watchers) -> Watch:
    """Return a `Watch` whose monotonic clock moves by a quarter of a second at each look."""
    timer = itertools.count(0.0, 0.25).__next__
    troubles = Troubles(logging.getLogger("tests.observability"))
    return Watch(watchers, troubles, clock=lambda: 1_000.0, timer=timer)


async def parts(head: Head, *pieces: bytes, error: Exception | None = None) -> AsyncGenerator[Part, None]:
    yield head
    for piece in pieces:
        yield piece
    if error is not None:
        raise error


async def told(watching: Watch, head: Head, what: Asked | None, *, said=None, url=URL) -> None:
    """Let one answer pass, to its end."""
    call = Call("POST", url, (), b"{}", None if what is None else what.dialect)
    async for _ in watching.follow(call, what, parts(head, b"{", b"}"), said or {}):
        pass
