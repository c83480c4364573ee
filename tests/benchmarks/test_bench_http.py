"""HTTP: the proxy beside a plain pass-through, and the transport beside the network, in one run.

All servers are processes of their own; the provider takes no time, so that what is seen is what is added.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from beside import QUESTION, ours

from semcache_integrations import SemanticCache
from semcache_integrations.httpx import SemanticCacheTransport
from semcache_integrations.testing import FakeUpstream

pytestmark = [pytest.mark.bench, pytest.mark.model]

AT_ONCE, IN_ALL = 16, 160
SERVE = (sys.executable, "-c", "from semcache_integrations.cli import main; main()", "serve")
numbers = itertools.count()


def body(question=QUESTION):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}


def another():
    """A question that nobody has asked."""
    return body(f"What is {next(numbers)} times {next(numbers)}, and what is it good for?")


@pytest.fixture(scope="module")
def upstream():
    with FakeUpstream() as running:
        yield running


def served(command):
    """Run a server; yield a client of it when it answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    process = subprocess.Popen([*command(port)], stdout=subprocess.DEVNULL)
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", timeout=60, limits=limits) as client:
        while not answers(client):
            assert process.poll() is None
        yield client
    process.terminate()
    process.wait()


def answers(client):
    try:
        return client.get("/models").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def proxy(upstream, minilm):
    yield from served(lambda port: (*SERVE, "--port", port, "--provider", f"openai={upstream.origin}"))


@pytest.fixture(scope="module")
def pass_through(upstream):
    script = Path(__file__).with_name("pass_through.py")
    yield from served(lambda port: (sys.executable, str(script), upstream.origin, port))


def ask(client, asked):
    return client.post("/chat/completions", json=asked)


@pytest.mark.benchmark(group="HTTP: a hit through the proxy")
def test_a_hit(benchmark, proxy):
    ours(benchmark, ratio=1.0)
    ask(proxy, body())
    assert benchmark(ask, proxy, body()).headers["x-cache-tier"] == "hash"


@pytest.mark.benchmark(group="HTTP: a hit through the proxy")
def test_a_plain_pass_through(benchmark, pass_through):
    assert benchmark(ask, pass_through, body()).status_code == 200


@pytest.mark.benchmark(group="HTTP: a miss through the proxy, embedded, looked up and kept")
def test_a_miss(benchmark, proxy):
    ours(benchmark)
    assert benchmark(lambda: ask(proxy, another())).headers["x-cache-status"] == "miss"


@pytest.mark.benchmark(group="HTTP: a miss through the proxy, embedded, looked up and kept")
def test_a_plain_pass_through_of_the_same(benchmark, pass_through):
    assert benchmark(lambda: ask(pass_through, another())).status_code == 200


def many(client):
    """Ask often, many at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda _: ask(client, body()).status_code, range(IN_ALL)))


@pytest.mark.benchmark(group=f"HTTP: {IN_ALL} calls, {AT_ONCE} at once")
def test_hits_at_once(benchmark, proxy):
    ours(benchmark, ratio=1.0)
    ask(proxy, body())
    assert set(benchmark(many, proxy)) == {200}


@pytest.mark.benchmark(group=f"HTTP: {IN_ALL} calls, {AT_ONCE} at once")
def test_passed_through_at_once(benchmark, pass_through):
    assert set(benchmark(many, pass_through)) == {200}


@pytest.mark.benchmark(group="HTTP: a hit below a client")
def test_a_hit_below_a_client(benchmark, upstream):
    ours(benchmark, ratio=0.3)
    with (
        SemanticCache(hash_only=True) as cache,
        httpx.Client(transport=SemanticCacheTransport(cache), base_url=upstream.url) as client,
    ):
        ask(client, body())
        assert benchmark(ask, client, body()).headers["x-cache-status"] == "hit"


@pytest.mark.benchmark(group="HTTP: a hit below a client")
def test_a_call_over_loopback(benchmark, upstream):
    with httpx.Client(base_url=upstream.url) as client:
        assert benchmark(ask, client, body()).status_code == 200
