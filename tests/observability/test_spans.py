"""What OpenTelemetry's own exporter gets of a cache and of the proxy."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from doubles.observed import QUESTION, TENANT, asked, head_of, hit, told, watch
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from semcache_integrations import SemanticCache, labels
from semcache_integrations.core.models import CacheEvent
from semcache_integrations.http.calls import Call, Head
from semcache_integrations.observability import Spans
from semcache_integrations.testing import FaultyStore, HashingEmbedder, MemoryStore

PARIS = "What is the capital of France?"
SECOND = 1_000_000_000
CALL = Call("POST", "https://api.openai.com/v1/chat/completions", (), b"{}", "chat")


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider.get_tracer("tests")
    provider.shutdown()


@pytest.fixture
def spans(tracer):
    return Spans(tracer)


@pytest.fixture
def faulty():
    return FaultyStore(MemoryStore())


@pytest.fixture
def cache(spans, faulty):
    with SemanticCache(
        embedder=HashingEmbedder(), store=faulty, similarity_threshold=0.7, hooks=[spans.event]
    ) as one:
        yield one


def told_of(exporter) -> list[tuple[str, str, str]]:
    """Return name, status and tier or reason of each span."""
    found = exporter.get_finished_spans()
    return [
        (span.name, said["semcache.status"], said.get("semcache.tier", said.get("semcache.reason", "")))
        for span in found
        for said in [span.attributes]
    ]


def test_look_ups_and_stores_have_a_span_each(exporter, cache, faulty):
    cache.put(PARIS, "Paris", model="gpt-4o-mini")
    assert cache.get(PARIS, model="gpt-4o-mini") == "Paris"
    assert cache.get("What's the capital of France?", model="gpt-4o-mini") == "Paris"
    assert cache.get(PARIS, model="gpt-4o") is None
    faulty.fail("put")
    cache.put("Who wrote Faust?", "Goethe")
    assert told_of(exporter) == [
        ("semcache.store", "stored", ""),
        ("semcache.lookup", "hit", "hash"),
        ("semcache.lookup", "hit", "semantic"),
        ("semcache.lookup", "miss", "not_found"),
        ("semcache.store", "failed", "injected failure"),
    ]
    _, exact, similar, miss, failed = exporter.get_finished_spans()
    assert exact.attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert exact.attributes["semcache.similarity"] == 1.0
    assert 0.7 <= similar.attributes["semcache.similarity"] < 1.0
    assert similar.attributes["semcache.entry_id"] == exact.attributes["semcache.entry_id"]
    assert miss.status.status_code is StatusCode.UNSET
    assert failed.status.status_code is StatusCode.ERROR


def test_a_span_lasts_as_long_as_the_event_says_and_ends_when_it_is_told(exporter, tracer):
    Spans(tracer, clock=lambda: 100 * SECOND).event(CacheEvent("hit", "exact", seconds=0.25))
    (span,) = exporter.get_finished_spans()
    assert (span.start_time, span.end_time) == (int(99.75 * SECOND), 100 * SECOND)


def test_a_write_that_was_dropped_is_an_error_and_other_events_have_no_span(exporter, spans):
    spans.event(CacheEvent("dropped", reason="too many writes are waiting"))
    for kind in ("breaker_open", "brake", "quarantined"):
        spans.event(CacheEvent(kind, reason="x"))
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.status.status_code) == ("semcache.store", StatusCode.ERROR)


def test_the_span_around_is_the_parent_and_without_one_there_is_none(exporter, tracer, cache):
    cache.put(PARIS, "Paris")
    with tracer.start_as_current_span("the caller's") as around:
        cache.get(PARIS)
    alone, below, _ = exporter.get_finished_spans()
    assert alone.parent is None
    assert below.parent.span_id == around.get_span_context().span_id
    assert below.kind is SpanKind.INTERNAL


async def test_a_request_is_told_by_the_conventions_for_generative_ai(exporter, spans):
    await told(watch(spans.happening), head_of(hit()), asked())
    (span,) = exporter.get_finished_spans()
    assert span.name == "chat gpt-4o-mini"
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "server.address": "api.openai.com",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "semcache.status": "hit",
        "semcache.tier": "semantic",
        "semcache.entry_id": "entry-1",
        "semcache.similarity": 0.97,
        "semcache.dialect": "chat",
        "semcache.complete": True,
        "semcache.saved.prompt_tokens": 1200,
        "semcache.saved.answer_tokens": 300,
    }
    assert span.kind is SpanKind.INTERNAL


async def test_a_requests_span_has_the_times_of_the_request(exporter, spans):
    await told(watch(spans.happening), head_of(hit()), asked())
    (span,) = exporter.get_finished_spans()
    assert (span.start_time, span.end_time) == (1_000 * SECOND, int(1_000.5 * SECOND))
    assert [(event.name, event.timestamp) for event in span.events] == [
        ("semcache.head", int(1_000.25 * SECOND))
    ]


async def test_a_request_below_the_servers_own_span_is_its_child(exporter, tracer, spans):
    with tracer.start_as_current_span("POST") as around:
        await told(watch(spans.happening), head_of(hit()), asked())
    below, _ = exporter.get_finished_spans()
    assert below.parent.span_id == around.get_span_context().span_id


async def test_what_was_asked_upstream_is_a_clients_span_and_passed_through_has_no_model(exporter, spans):
    watching = watch(spans.happening)
    await told(watching, Head(200, ()), asked(), said=labels.other("miss", "not_found"))
    await told(
        watching, Head(200, ()), None, said=labels.other("bypass"), url="http://localhost:8000/v1/files"
    )
    miss, bypass = exporter.get_finished_spans()
    assert (miss.kind, miss.attributes["semcache.reason"]) == (SpanKind.CLIENT, "not_found")
    assert (bypass.kind, bypass.name) == (SpanKind.CLIENT, "semcache.request")
    assert (bypass.attributes["server.address"], bypass.attributes["server.port"]) == ("localhost", 8000)
    assert not {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"} & set(
        bypass.attributes
    )


@pytest.mark.parametrize(
    ("status", "code"), [(200, StatusCode.UNSET), (429, StatusCode.ERROR), (503, StatusCode.ERROR)]
)
async def test_an_error_of_the_upstream_is_an_error_of_the_span(exporter, spans, status, code):
    await told(watch(spans.happening), Head(status, ()), asked(), said=labels.other("miss", "not_found"))
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is code
    assert span.attributes.get("error.type") == (None if status == 200 else str(status))


def test_a_refusal_has_no_head(exporter, spans):
    watch(spans.happening).refused(CALL, asked(), 504, "the upstream gave no answer in time")
    (span,) = exporter.get_finished_spans()
    assert (span.kind, span.events) == (SpanKind.INTERNAL, ())
    assert span.attributes["semcache.reason"] == "the upstream gave no answer in time"
    assert span.start_time == span.end_time


async def test_nobodys_question_answer_tenant_or_password_is_in_a_span(exporter, spans, cache):
    with cache.scope(tenant=TENANT):
        cache.put(QUESTION, "answer-hush")
        cache.get(QUESTION)
    url = "https://user:pass-hush@api.openai.com/v1/key-hush?key=in-the-query"
    await told(watch(spans.happening), head_of(hit()), asked(), url=url)
    written = json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()])
    assert "api.openai.com" in written
    assert not [secret for secret in ("hush", "in-the-query", "user:") if secret in written]


async def test_text_that_no_exporter_can_write_is_made_writable(exporter, spans):
    seen = []
    await told(watch(seen.append), head_of(hit()), asked())
    spans.happening(replace(seen[0], model="m\ud800" + "x" * 999, host="[bad:99999", similarity=math.nan))
    (span,) = exporter.get_finished_spans()
    assert span.name.encode() == b"chat m?" + b"x" * 198
    assert not {"server.address", "server.port", "semcache.similarity"} & set(span.attributes)


def test_an_exporter_that_raises_breaks_no_look_up():
    class Broken:
        def start_span(self, *args, **about):
            raise RuntimeError("injected failure")

    with SemanticCache(hash_only=True, hooks=[Spans(Broken()).event]) as cache:
        cache.put(PARIS, "Paris")
        assert cache.get(PARIS) == "Paris"


async def test_a_tracer_that_raises_breaks_no_answer():
    class Broken:
        def start_span(self, *args, **about):
            raise RuntimeError("injected failure")

    seen = []
    await told(watch(Spans(Broken()).happening, seen.append), head_of(hit()), asked())
    assert len(seen) == 1


def test_without_a_provider_nothing_is_recorded_and_nothing_fails():
    with SemanticCache(hash_only=True, hooks=[Spans().event]) as cache:
        cache.put(PARIS, "Paris")
        assert cache.get(PARIS) == "Paris"
