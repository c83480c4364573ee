"""Answers past their freshness, through a proxy with a clock that the test winds."""

from __future__ import annotations

import json

import httpx
import pytest
from doubles.http_questions import QUESTION, REWORDED, WHOLE, chat, status
from doubles.http_wire import WireUpstream

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.proxy import ProxySettings, create_proxy_app
from semcache_integrations.http.stale import Staleness
from semcache_integrations.testing.serving import Serving

FRESH_S, REVALIDATE_S, ERROR_S = 60, 30, 300


@pytest.fixture
def wire():
    with WireUpstream(json.dumps(WHOLE).encode()) as one:
        yield one


@pytest.fixture
def ask(cache, wire, request):
    """Ask the proxy the question, or another one; `staleness` is the test's own or the usual one."""
    staleness = getattr(request, "param", Staleness(fresh_s=FRESH_S, if_error_s=ERROR_S))
    serving = Serving(
        create_proxy_app(cache, ProxySettings(hosts=("127.0.0.1",), staleness=staleness)),
        name="proxy",
        lifespan="on",
    )
    serving.start()
    where = {"x-llm-proxy-upstream": f"{wire.origin}/v1/chat/completions"}
    with httpx.Client(base_url=serving.origin) as client:
        yield lambda question=QUESTION, **more: client.post(
            "/v1/chat/completions", json=chat(question, **more), headers=where
        )
    serving.close()


def other_answer(wire, text):
    choice = {**WHOLE["choices"][0], "message": {"role": "assistant", "content": text}}
    wire.pieces = (json.dumps({**WHOLE, "choices": [choice]}).encode(),)


def fail(wire, code):
    wire.status, wire.pieces = code, (b'{"error": "own"}',)


def says(answer):
    return answer.json()["choices"][0]["message"]["content"]


def test_an_answer_is_fresh_for_so_long_and_then_asked_anew(ask, wire, clock):
    ask()
    clock.advance(FRESH_S)
    assert status(ask()) == "hit"
    clock.advance(1)
    other_answer(wire, "Lyon")
    again = ask()
    assert (status(again), again.headers["x-cache-reason"]) == ("miss", "expired")
    assert (says(again), says(ask()), wire.count) == ("Lyon", "Lyon", 2)


@pytest.mark.parametrize("code", [429, 500, 502, 503])
def test_a_stale_answer_is_served_where_the_upstream_fails(ask, wire, clock, code):
    ask()
    clock.advance(FRESH_S + ERROR_S)
    fail(wire, code)
    for question in (QUESTION, REWORDED):
        answer = ask(question)
        assert (answer.status_code, status(answer), says(answer)) == (200, "stale", "Paris")
    assert ask(stream=True).text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("code", [400, 401, 403, 404])
def test_a_refusal_of_the_callers_own_making_is_passed_on(ask, wire, clock, code):
    ask()
    clock.advance(FRESH_S + 1)
    fail(wire, code)
    assert (ask().status_code, status(ask())) == (code, "miss")


def test_nothing_is_served_beyond_the_window_nor_to_another_question(ask, wire, clock):
    ask()
    clock.advance(FRESH_S + ERROR_S + 1)
    fail(wire, 500)
    assert ask().status_code == 500
    assert ask("How do I bake sourdough bread at home?").status_code == 500


def test_a_stale_answer_is_served_where_nobody_is_there(ask, wire, clock):
    wire.headers["connection"] = "close"
    ask()
    clock.advance(FRESH_S + 1)
    wire.close()
    answer = ask()
    assert (answer.status_code, status(answer), says(answer)) == (200, "stale", "Paris")


@pytest.mark.parametrize("ask", [Staleness(fresh_s=FRESH_S, while_revalidate_s=REVALIDATE_S)], indirect=True)
def test_a_stale_answer_is_served_at_once_while_a_new_one_is_fetched(ask, wire, clock):
    ask()
    clock.advance(FRESH_S + REVALIDATE_S)
    other_answer(wire, "Lyon")
    first = ask()
    assert (status(first), says(first)) == ("stale", "Paris")
    while status(again := ask()) == "stale":
        pass
    assert (status(again), says(again), wire.count) == ("hit", "Lyon", 2)


@pytest.mark.parametrize("ask", [Staleness(fresh_s=FRESH_S, while_revalidate_s=REVALIDATE_S)], indirect=True)
def test_a_revalidation_that_fails_changes_nothing_and_its_window_ends(ask, wire, clock):
    ask()
    clock.advance(FRESH_S + REVALIDATE_S)
    fail(wire, 500)
    assert status(ask()) == "stale"
    clock.advance(1)
    assert ask().status_code == 500


@pytest.mark.parametrize("ask", [Staleness()], indirect=True)
def test_nothing_is_stale_unless_somebody_says_so(ask, wire, clock):
    ask()
    clock.advance(10**6)
    fail(wire, 500)
    assert status(ask()) == "hit"


@pytest.mark.parametrize(
    "wrong", [{"if_error_s": 1}, {"while_revalidate_s": 1}, {"fresh_s": -1}, {"fresh_s": 1, "if_error_s": -1}]
)
def test_windows_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        Staleness(**wrong)
