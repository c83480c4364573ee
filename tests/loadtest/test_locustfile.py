"""The file for locust: it is printed as it is, it finds nothing wrong where nothing is, and what is wrong otherwise."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import pytest
from click.testing import CliRunner
from doubles import locust_stand_in

from semcache_integrations.cli.app import app


@pytest.fixture
def printed(tmp_path):
    """The file as the command prints it."""
    told = CliRunner().invoke(app, ["loadtest", "--locustfile"])
    assert told.exit_code == 0
    path = tmp_path / "locustfile.py"
    path.write_text(told.stdout, encoding="utf-8")
    return path


def played(path, origin, monkeypatch, times):
    """Let both kinds of users do their task so many times; return what was asked, and what failed."""
    locust = locust_stand_in.module(origin)
    monkeypatch.setitem(sys.modules, "locust", locust)
    users = runpy.run_path(str(path))
    loading, checking = users["Loading"](), users["Checking"]()
    for _ in range(times):
        loading.question()
        checking.follow()
    return Counter(locust.asked), locust.failures


def test_it_compiles(printed):
    compile(printed.read_text("utf-8"), str(printed), "exec")


def test_its_users_find_nothing_wrong_where_nothing_is(printed, proxied, monkeypatch, provider):
    with proxied(similarity_threshold=0.97) as (origin, _cache):
        asked, failures = played(printed, origin, monkeypatch, 20)
    assert failures == []
    assert {asked[f"check: {step}"] for step in ("1 prime", "2 duplicate", "3 rewording", "4 repeat")} == {20}
    assert asked["new"] + asked["reword"] + asked["repeat"] == 20
    assert asked["repeat"] > 0


def test_its_users_find_wrong_answers(printed, proxied, monkeypatch):
    with proxied(similarity_threshold=0.1, policy="static", vetoes=False) as (origin, _cache):
        _asked, failures = played(printed, origin, monkeypatch, 20)
    assert any("another question's answer" in why for _name, why in failures)


def test_its_users_find_that_repeats_are_not_cached(printed, proxied, monkeypatch, provider):
    """An upstream whose answers must not be kept: each duplicate asks it again."""
    with proxied(similarity_threshold=0.97) as (origin, _cache):
        provider.fail(finish_reason="length", times=4)
        _asked, failures = played(printed, origin, monkeypatch, 1)
    assert {name for name, _why in failures} >= {"check: 2 duplicate"}
    assert any("miss answered" in why for _name, why in failures)


@pytest.mark.skipif(
    find_spec("locust") is None,
    reason="the same file runs above on a stand-in; with locust itself: pip install --group load",
)
def test_real_locust_runs_it(printed, proxied):
    with proxied(similarity_threshold=0.97) as (origin, _cache):
        command = ["-m", "locust", "-f", str(printed), "--headless", "-u", "5", "-r", "5", "-t", "3s"]
        done = subprocess.run(
            [sys.executable, *command, "--only-summary", "--host", origin],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "check: 4 repeat" in done.stdout + done.stderr
