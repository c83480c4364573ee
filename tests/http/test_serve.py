"""`semcache serve` as a process of its own: what it says, how it ends, what it keeps, and what it refuses to start with."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest
from doubles.http_questions import QUESTION, chat, events, status
from doubles.http_wire import WireUpstream
from prometheus_client.parser import text_string_to_metric_families

COMMAND = (sys.executable, "-c", "from semcache_integrations.cli import main; main()", "serve")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def serve(provider, minilm):
    """Start the command; return its process and a client of it, when it is ready."""
    running = []

    def start(*options, **environment):
        port = free_port()
        where = [f"--provider={name}={provider.origin}" for name in ("openai", "anthropic")]
        process = subprocess.Popen(
            [*COMMAND, f"--port={port}", "--upstream=127.0.0.1", *where, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment_of_tests(), **environment},
        )
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        running.append((process, client))
        while not is_ready(client):
            assert process.poll() is None, process.stdout.read()
        return process, client

    yield start
    for process, client in running:
        client.close()
        process.kill()
        process.wait()
        process.stdout.close()


def environment_of_tests():
    import os

    return dict(os.environ)


def is_ready(client):
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_it_answers_counts_shows_and_keeps_over_a_restart(serve, provider, tmp_path):
    process, client = serve(f"--path={tmp_path}")
    assert [status(client.post("/v1/chat/completions", json=chat())) for _ in range(2)] == ["miss", "hit"]
    families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
    counted = {sample.labels["status"]: sample.value for sample in families["semcache_requests"].samples}
    assert (counted["miss"], counted["hit"]) == (1, 1)
    assert client.get("/admin").status_code == 200
    recent = client.get("/admin/data").json()["recent"]
    assert [one["question"] for one in recent] == [QUESTION] * 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    _, client = serve(f"--path={tmp_path}")
    again = client.post("/v1/chat/completions", json=chat())
    assert (status(again), again.headers["x-cache-tier"], provider.count) == ("hit", "exact", 1)


def test_what_is_under_way_is_finished_before_it_ends(serve):
    told = threading.Event()
    first, *rest = events({"role": "assistant", "content": "Par"}, {"content": "is"})
    kind = {"content-type": "text/event-stream"}
    with WireUpstream(first, told, *rest, b"data: [DONE]\n\n", headers=kind) as wire:
        process, client = serve()
        where = {"x-llm-proxy-upstream": f"{wire.origin}/v1/chat/completions"}
        with client.stream("POST", "/v1/chat/completions", json=chat(stream=True), headers=where) as answer:
            pieces = answer.iter_bytes()
            assert next(pieces) == first
            process.send_signal(signal.SIGTERM)
            told.set()
            assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
        assert process.wait(30) == 0


def test_where_it_says_that_its_dashboard_is_the_dashboard_may_be_seen(serve):
    process, client = serve("--host=0.0.0.0")
    process.send_signal(signal.SIGTERM)
    assert f"http://localhost:{client.base_url.port}/admin" in process.communicate(timeout=30)[0]


def test_each_request_is_a_line_of_the_log_without_its_question(serve):
    process, client = serve("--access-log")
    for _ in range(2):
        client.post("/v1/chat/completions", json=chat(model="m\nforged"))
    client.get("/v1/models")
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[0]
    lines = [line for line in said.splitlines() if "semcache_integrations.access" in line]
    told = [line.partition("access: ")[2] for line in lines]
    assert [line.split()[:4] for line in told] == [
        ["POST", "/v1/chat/completions", "200", "miss"],
        ["POST", "/v1/chat/completions", "200", "hit"],
        ["GET", "/v1/models", "200", "bypass"],
    ]
    assert told[1].endswith("m?forged")
    assert QUESTION not in said


def test_metrics_and_dashboard_want_the_token(serve):
    _, client = serve(SEMCACHE_ADMIN_TOKEN="a token that nobody guesses")
    for path in ("/metrics", "/admin/data"):
        assert client.get(path).status_code == 403
        shown = client.get(path, headers={"authorization": "Bearer a token that nobody guesses"})
        assert shown.status_code == 200


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--provider=nobody=http://x"], "openai=URL"),
        (["--provider=openai"], "openai=URL"),
        (["--provider=openai=localhost:8000"], "http://localhost:8000"),
        (["--provider=anthropic=ftp://localhost"], "http://localhost:8000"),
        (["--host=name.invalid"], "--host"),
        (["--ttl=10", "--fresh=10"], "--fresh"),
        (["--otel"], "opentelemetry-instrument"),
        (["--upstream=a b"], "a b"),
        (["--path=x", "--url=http://x"], "not both"),
        (["--stale-if-error=3"], "fresh"),
        (["--port=99999"], "port"),
        (["--threshold=2"], "threshold"),
    ],
)
def test_a_mistake_is_one_clear_line(options, word):
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_to_be(serve):
    _, client = serve()
    done = subprocess.run(
        [*COMMAND, f"--port={client.base_url.port}"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "address already in use; choose another one with --port" in done.stderr
    assert not done.stdout  # it does not say first that it is there


def test_whichever_port_is_free_is_told():
    started = subprocess.Popen([*COMMAND, "--port=0"], stdout=subprocess.PIPE, text=True)
    with started:
        shown = next(line for line in started.stdout if line.startswith("dashboard: "))
        where = shown.split()[1].removesuffix("/admin")
        assert not where.endswith(":0")
        while not is_ready(client := httpx.Client(base_url=where)):
            assert started.poll() is None
        client.close()
        started.terminate()


def test_an_answer_that_is_cut_off_in_the_end_is_one_line_of_the_log(serve):
    told = threading.Event()
    first, *_ = events({"role": "assistant", "content": "Par"})
    kind = {"content-type": "text/event-stream"}
    with WireUpstream(first, told, b"data: [DONE]\n\n", headers=kind) as wire:
        process, client = serve("--drain=1")
        where = {"x-llm-proxy-upstream": f"{wire.origin}/v1/chat/completions"}
        with client.stream("POST", "/v1/chat/completions", json=chat(stream=True), headers=where) as answer:
            pieces = answer.iter_bytes()
            assert next(pieces) == first
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=30)[0]
        told.set()
    assert process.returncode == 0
    assert "graceful shutdown exceeded" in said
    assert "Traceback" not in said
