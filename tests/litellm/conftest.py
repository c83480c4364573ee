"""A real OpenAI-compatible upstream that counts its calls, and a LiteLLM that talks to it."""

from __future__ import annotations

import gc
import json
import math
import re
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zlib import crc32

import litellm
import pytest
from doubles.litellm_calls import KINDS, Kind
from doubles.litellm_loops import logging_ended

from semcache_integrations import SemanticCache
from semcache_integrations.core.replay import Replay
from semcache_integrations.litellm import LiteLLMSemanticCache
from semcache_integrations.protocols import Embedder
from semcache_integrations.testing import FakeUpstream

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 22,
    "total_tokens": 33,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


LITELLMS_OWN = (
    "ignore:Item.* using the `ReadOnly` qualifier:UserWarning",
    "ignore:Accessing the 'model_:DeprecationWarning",
    "ignore::ResourceWarning",
    "ignore:Pydantic serializer warnings:UserWarning",  # 1.80 dumps every answer without exclude_unset
    "ignore:The `dict` method is deprecated:DeprecationWarning",  # 1.80 copies chunks so
    "ignore:The `copy` method is deprecated:DeprecationWarning",  # how text completions are logged
)


def pytest_collection_modifyitems(items):
    """Warnings are errors, but LiteLLM's own would fail inside its calls."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for warning in LITELLMS_OWN:
                item.add_marker(pytest.mark.filterwarnings(warning))
            if not all(kind.offered for kind in kinds_of(item)):
                item.add_marker(pytest.mark.skip(reason="this LiteLLM caches no responses and no messages"))


def kinds_of(item):
    """Return the kinds of calls that a test is about, by its parameters."""
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    named = (KINDS.get(value) if isinstance(value, str) else value for value in values)
    return [value for value in named if isinstance(value, Kind)]


class WordEmbedder(Embedder):
    """A bag of words: the same words in another order are the same direction."""

    name, dimension = "words-test", 64

    def embed(self, text):
        vector = [0.0] * self.dimension
        for word in re.findall(r"[a-z0-9]+", text.lower()):
            vector[crc32(word.encode()) % self.dimension] += 1.0
        length = math.sqrt(sum(value * value for value in vector))
        return [value / length for value in vector] if length else None


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of clients that hang up."""


class Upstream:
    """Counts calls by path; a word in the last message picks what goes wrong."""

    def __init__(self):
        self.calls = Counter()
        self.bodies = []
        self.lock = threading.Lock()
        self.delay_s = 0.0
        self.server = Server(("127.0.0.1", 0), self._handler())
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    @property
    def chats(self):
        return self.calls["/v1/chat/completions"]

    @property
    def embeddings(self):
        return self.calls["/v1/embeddings"]

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path, body):
        with self.lock:
            self.calls[path] += 1
            number = self.calls[path]
            self.bodies.append(body)
        time.sleep(self.delay_s)
        return number

    def _handler(self):
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                return

            def do_POST(self):
                sent = sent_by(self)
                is_json = self.headers["content-type"].startswith("application/json")
                body = json.loads(sent) if is_json else {"sent": sent}
                number = upstream.answer(self.path, body)
                reply = next(route for end, route in ROUTES.items() if self.path.endswith(end))(body, number)
                if isinstance(reply, list):
                    self.stream(reply)
                else:
                    self.reply(reply)

            def reply(self, body):
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def stream(self, events):
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for event in events:
                    if event is None:  # the line goes dead
                        self.connection.close()
                        self.close_connection = True
                        return
                    data = f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

        return Handler


def sent_by(handler):
    """Return the body of a request, sent whole or in chunks."""
    if "content-length" in handler.headers:
        return handler.rfile.read(int(handler.headers["content-length"]))
    parts = []
    while size := int(handler.rfile.readline(), 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)


def chat(body, number):
    question = body["messages"][-1].get("content") or ""
    if isinstance(question, list):
        question = " ".join(part.get("text", "") for part in question)
    choices = [choice(body, number, question, index) for index in range(body.get("n") or 1)]
    head = {
        "id": f"chatcmpl-{number}",
        "created": 1_700_000_000 + number,
        "model": body["model"],
        "system_fingerprint": "fp_1",
    }
    if not body.get("stream"):
        return {**head, "object": "chat.completion", "choices": choices, "usage": USAGE}
    events = [
        {**head, "object": "chat.completion.chunk", "choices": [part]}
        for one in choices
        for part in pieces(one)
    ]
    if "dead line" in question:
        return [*events[:3], None]
    if "no finish" in question:
        return [*events[:-1], "[DONE]"]
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    return [*events, "[DONE]"]


def choice(body, number, question, index):
    finish = next((word for word in ("length", "content_filter") if word in question), "stop")
    message = {"role": "assistant", "content": f"Answer {number}.{index} to: {question}\n\n- one\n- two  \n"}
    if "empty" in question:
        message["content"] = ""
    if "refusal" in question:
        message = {"role": "assistant", "content": None, "refusal": "I will not."}
    if body.get("tools"):
        name = body["tools"][0]["function"]["name"]
        function = {"name": name, "arguments": json.dumps({"q": question, "n": number})}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": f"call_{number}", "type": "function", "function": function}],
        }
        finish = "tool_calls"
    if body.get("reasoning_effort"):
        message["reasoning_content"] = f"Thinking about {number} things."
    logprobs = {
        "content": [{"token": "Answer", "logprob": -0.1, "bytes": [65], "top_logprobs": []}],
        "refusal": None,
    }
    return {
        "index": index,
        "message": message,
        "finish_reason": finish,
        "logprobs": logprobs if body.get("logprobs") else None,
    }


def pieces(whole):
    message, index = whole["message"], whole["index"]

    def part(delta, finish=None):
        return {"index": index, "delta": delta, "finish_reason": finish}

    yield part({"role": "assistant", "content": ""})
    for name in ("reasoning_content", "content", "refusal"):
        text = message.get(name) or ""
        yield from (part({name: text[at : at + 6]}) for at in range(0, len(text), 6))
    for at, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        yield part(
            {"tool_calls": [{"index": at, **call, "function": {"name": function["name"], "arguments": ""}}]}
        )
        for start in range(0, len(function["arguments"]), 7):
            yield part(
                {
                    "tool_calls": [
                        {"index": at, "function": {"arguments": function["arguments"][start : start + 7]}}
                    ]
                }
            )
    yield part({}, whole["finish_reason"])


def embed(body, number):
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    seed = len(body["model"])
    data = [
        {
            "object": "embedding",
            "index": at,
            "embedding": [float(crc32(str(text).encode()) % 997), float(seed)],
        }
        for at, text in enumerate(inputs)
    ]
    usage = {"prompt_tokens": 7 * len(inputs), "total_tokens": 7 * len(inputs)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def text(body, number):
    return {
        "id": f"cmpl-{number}", "object": "text_completion", "created": 1, "model": body["model"],
        "choices": [{"index": 0, "text": f"text {number}", "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
    }  # fmt: skip


def respond(body, number):
    message = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant",
               "content": [{"type": "output_text", "text": f"response {number}", "annotations": []}]}  # fmt: skip
    return {
        "id": f"resp_{number}", "object": "response", "created_at": 1_700_000_000, "status": "completed", "model": body["model"],
        "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
        "usage": {"input_tokens": 5, "output_tokens": 4, "total_tokens": 9, "input_tokens_details": {"cached_tokens": 0},
                  "output_tokens_details": {"reasoning_tokens": 0}},
    }  # fmt: skip


def rerank(body, number):
    results = [{"index": at, "relevance_score": 1 / (at + number)} for at in range(len(body["documents"]))]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return {"id": f"rerank-{number}", "results": results, "meta": meta}


def transcribe(body, number):
    return {"text": f"transcript {number}"}


ROUTES = {
    "chat/completions": chat,
    "embeddings": embed,
    "completions": text,
    "responses": respond,
    "rerank": rerank,
    "audio/transcriptions": transcribe,
}


@pytest.fixture(autouse=True, scope="module")
def _litellm_leaks():
    """LiteLLM leaves clients and event loops of its own to the garbage collector: collect them here, unreported."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture(autouse=True)
async def _logging():
    """LiteLLM logs in a task of its own, which may outlive the loop of a test."""
    yield
    await logging_ended()


@pytest.fixture(scope="session")
def server() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def upstream(server):
    server.calls.clear()
    server.bodies.clear()
    server.delay_s = 0.0
    return server


@pytest.fixture(scope="module")
def words():
    return WordEmbedder()


@pytest.fixture(scope="module")
def shared(words):
    with SemanticCache(embedder=words, similarity_threshold=0.9) as cache:
        yield cache


@pytest.fixture
def engine(shared):
    """An empty engine; opening one for every test would take most of the time."""
    shared.clear()
    shared.reset_stats()
    return shared


CALLBACKS = (
    *("input_callback", "success_callback", "_async_success_callback"),
    *("failure_callback", "_async_failure_callback", "callbacks"),
)


@pytest.fixture
def cache(engine, monkeypatch):
    """The engine as `litellm.cache`; whatever LiteLLM registers for it is undone."""
    for name in CALLBACKS:
        monkeypatch.setattr(litellm, name, [])
    monkeypatch.setattr(litellm, "cache", None)
    litellm.cache = LiteLLMSemanticCache(engine, replay=Replay("words", 1))
    return litellm.cache


@pytest.fixture
def target(upstream):
    """The arguments that send a chat call to the upstream."""
    return {"model": "openai/gpt-4o-mini", "api_base": upstream.url, "api_key": "sk-test"}


@pytest.fixture
def provider():
    """One for each test: LiteLLM keeps clients by address, and an async one dies with its test's loop."""
    with FakeUpstream() as running:
        yield running


@pytest.fixture
def called(provider):
    """The arguments that send a chat call there, and let it fail at once."""
    return {"model": "openai/gpt-4o-mini", "api_base": provider.url, "api_key": "sk-test", "max_retries": 0}


@pytest.fixture
def patient(cache, engine, request):
    """A cache whose calls wait for equal ones as long as the module says."""
    litellm.cache = LiteLLMSemanticCache(engine, patience_s=request.module.PATIENCE_S)
    return litellm.cache
