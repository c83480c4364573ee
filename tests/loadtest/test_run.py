"""Real load on a real proxy: the numbers add up, wrong hits are found, and nothing of the user's own is touched."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import httpx
import psutil
import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.routing import Route

from semcache_integrations.cli.app import app
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.exchange import Exchange
from semcache_integrations.http.gateway import Gateway
from semcache_integrations.http.providers import DEFAULT, OPENAI
from semcache_integrations.http.requests import Reader
from semcache_integrations.loadtest.asking import PATH
from semcache_integrations.loadtest.plan import Plan, Shares
from semcache_integrations.loadtest.run import Where, arun
from semcache_integrations.loadtest.tally import HIT_TIERS
from semcache_integrations.loadtest.target import delete
from semcache_integrations.testing import MemoryStore
from semcache_integrations.testing.serving import Serving

SHARES = Shares(repeat=0.3, reword=0.5)
MINE = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
LAX = {"similarity_threshold": 0.1, "policy": "static", "vetoes": False}


def planned(**more):
    return Plan(**{"shares": SHARES, "users": 5, "spawn_rate": 50, "seconds": 2, "stream_share": 0.3, **more})


def load(origin, **more):
    return asyncio.run(arun(planned(**more), Where(url=origin, headers={})))


def mine(origin):
    """Ask as the user does, in a namespace of his own; return who answered."""
    answer = httpx.post(f"{origin}{PATH}", json=MINE, headers={"x-semcache-namespace": "mine"}, timeout=30)
    return answer.headers["x-cache-status"]


def calls(report):
    return {tier: row.calls for tier, row in report.tiers.items()}


def test_the_numbers_add_up_and_the_users_own_entries_stay(proxied, provider):
    with proxied(similarity_threshold=0.75) as (origin, _cache):
        assert mine(origin) == "miss"
        provider.reset()
        report = load(origin)
        assert provider.count == calls(report)["miss"] + calls(report)["bypass"] + 1  # the cold one
        assert mine(origin) == "hit"
    assert (report.errors, report.cut_off, report.unjudged) == ({}, 0, 0)
    assert report.cold.tier == "miss"
    assert report.users == report.planned_users == 5
    assert report.requests == sum(calls(report).values()) + 1 == sum(report.became.values())
    assert report.hits == sum(calls(report)[tier] for tier in HIT_TIERS) > 0
    assert sum(report.reasons.values()) == report.requests - report.hits
    assert {call.headers.get("x-semcache-namespace") for call in provider.calls} == {None}
    assert len({call.body.get("stream", False) for call in provider.calls}) == 2


def test_a_lax_cache_is_found_out(proxied):
    with proxied(**LAX) as (origin, _cache):
        report = load(origin, requests=300, seconds=30)
        again = CliRunner().invoke(app, ["loadtest", origin, "--requests", "100", "--time", "30s", "--json"])
    assert report.requests == 300
    assert report.wrong > 0.2 * report.hits
    assert report.tiers["semantic"].wrong == pytest.approx(report.wrong, abs=report.tiers["hash"].wrong)
    assert 0 < len(report.examples) <= 5
    assert "of the hits were wrong" in report.complaints(0.05)[0]
    assert report.complaints(1.0) == []
    assert again.exit_code == 1
    assert "--max-wrong" in again.stderr
    assert json.loads(again.stdout)["wrong"] > 0


def test_equal_seeds_of_one_user_find_the_same(proxied):
    with proxied(similarity_threshold=0.75) as (origin, _cache):
        one, other = (load(origin, users=1, requests=60, seconds=30) for _ in range(2))
    assert one.became == other.became
    assert one.run != other.run


def test_without_a_way_to_delete_entries_expire_and_it_is_said(proxied):
    store = MemoryStore()
    with proxied(token="theirs", store=store) as (origin, cache):
        shown = CliRunner().invoke(app, ["loadtest", origin, "--requests", "10", "--users", "1"])
        cache.flush()
        kept = [entry for entry, _vector in store._points.values()]
    assert shown.exit_code == 0, shown.output
    assert "not deleted" in shown.stdout
    assert {tag.startswith("loadtest-") for entry in kept for tag in entry.tags} == {True}
    assert all(entry.expires_at - entry.created_at < 120 for entry in kept)


@pytest.mark.parametrize("token", ["", "theirs"])
def test_where_the_proxy_deletes_what_has_the_runs_tag_is_gone_and_all_else_is_there(proxied, token):
    store = MemoryStore()
    with proxied(token=token, store=store, similarity_threshold=0.75) as (origin, cache):
        assert mine(origin) == "miss"
        plan = planned(requests=20, users=1, seconds=30)
        report = asyncio.run(arun(plan, Where(url=origin, headers={}, admin_token=token)))
        cache.flush()
        assert cache.count() == 1
        assert mine(origin) == "hit"
    assert report.deleted == report.tiers["miss"].calls + 1


def test_a_proxy_that_deletes_nothing_does_not_ask_its_upstream_to(provider, cache):
    home = DEFAULT.with_provider(replace(OPENAI, base=provider.origin))
    gateway = Gateway(Exchange(cache, Reader()), httpx.AsyncHTTPTransport(), providers=home)
    older = Starlette(routes=[Route("/{path:path}", gateway.answer, methods=["POST"])])
    serving = Serving(older, name="an older proxy")
    serving.start()
    assert asyncio.run(delete(serving.origin, "loadtest-1", "secret")) is None
    serving.close()
    assert provider.count == 0


def test_a_proxy_without_namespaces_is_not_put_under_load(proxied):
    def forgetful(proxy):
        async def without(scope, receive, send):
            headers = [field for field in scope.get("headers", ()) if field[0] != b"x-semcache-namespace"]
            await proxy({**scope, "headers": headers}, receive, send)

        return without

    with proxied(forgetful, token="theirs") as (origin, _cache):
        load(origin, requests=5, users=1, seconds=30)
        with pytest.raises(ConfigurationError, match="no namespaces"):
            load(origin)


def test_errors_are_counted_by_kind_and_are_a_failure(proxied, provider):
    with proxied() as (origin, _cache):
        assert mine(origin) == "miss"
        provider.fail(500, times=1, hang=False)
        with pytest.raises(ConfigurationError, match="HTTP 500"):
            load(origin)
        report = asyncio.run(_failing_later(origin, provider))
    assert report.errors == {"HTTP 418": 3}
    assert "planned fault" in report.messages["HTTP 418"]
    assert report.complaints(1.0) == [f"3 of {report.requests} requests failed"]


async def _failing_later(origin, provider):
    """Let three calls fail as soon as the first one was answered."""
    planned_faults = []

    def show(_load):
        if not planned_faults:
            planned_faults.append(provider.fail(418, times=3))

    plan = planned(requests=40, seconds=30, shares=Shares(repeat=0, reword=0))
    return await arun(plan, Where(url=origin, headers={}), show)


def test_users_that_pause_and_users_that_do_not_come_are_told(proxied):
    with proxied() as (origin, _cache):
        report = load(origin, users=50, spawn_rate=4, seconds=0.6, pause_s=0.1)
    assert 1 <= report.users < 50
    assert report.planned_users == 50


def test_what_is_no_semcache_proxy_is_refused_at_once(provider):
    with pytest.raises(ConfigurationError, match="no semcache proxy"):
        load(provider.origin)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--users", "2001"], "--users"),
        (["--users", "0"], "--users"),
        (["--spawn-rate", "501"], "--spawn-rate"),
        (["--time", "soon"], "no time"),
        (["--time", "2h"], "hour"),
        (["--repeat-share", "0.8", "--reword-share", "0.5"], "more than 1"),
        (["--max-wrong", "2"], "--max-wrong"),
        (["http://127.0.0.1:9"], "nothing answers"),
        (["ftp://x"], "no URL"),
        (["http://127.0.0.1:9", "--latency", "1"], "--latency"),
    ],
)
def test_bad_options_are_named(options, word):
    told = CliRunner().invoke(app, ["loadtest", *options])
    assert told.exit_code == 2
    assert word in told.stderr


COMMAND = [sys.executable, "-c", "from semcache_integrations.cli import main; main()", "loadtest"]


def command(*options):
    return subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ), text=True
    )


@pytest.mark.model
def test_without_a_url_it_runs_a_proxy_of_its_own(minilm, monkeypatch, tmp_path):
    monkeypatch.setenv("SEMCACHE_MODEL_DIR", str(minilm.folder.parent))
    monkeypatch.setenv("SEMCACHE_PATH", str(tmp_path))  # the user's own entries: not for us
    running = command("--requests", "80", "--time", "60s", "--latency", "0", "--json")
    told, complaints = running.communicate(timeout=120)
    assert running.returncode == 0, complaints
    report = json.loads(told)
    assert report["requests"] == 80
    assert report["upstream_calls"] == report["tiers"]["miss"]["calls"] + 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    sys.platform == "win32",
    reason="asyncio knows no signals on Windows: Ctrl-C ends the command without a report",
)
def test_ctrl_c_ends_it_with_a_report(proxied, provider):
    with proxied() as (origin, _cache):
        running = command(origin, "--time", "5m", "--json")
        while provider.count < 20:
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        told, complaints = running.communicate(timeout=60)
    assert running.returncode == 0, complaints
    report = json.loads(told)
    assert report["interrupted"]
    assert report["requests"] >= 20
    assert report["errors"] == {}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
@pytest.mark.model
def test_whoever_is_killed_leaves_no_proxy_behind(minilm, monkeypatch):
    monkeypatch.setenv("SEMCACHE_MODEL_DIR", str(minilm.folder.parent))
    running = command("--time", "5m", "--latency", "0")
    own = psutil.Process(running.pid)
    while len(own.children()) < 2:
        assert running.poll() is None
    started = own.children()
    running.kill()
    running.communicate(timeout=60)
    until = time.monotonic() + 60
    while any(map(_runs, started)):
        assert time.monotonic() < until


def _runs(process):
    """Whether it runs; whoever inherits it may not have taken note yet that it has ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
