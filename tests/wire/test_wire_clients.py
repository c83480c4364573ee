"""The real SDKs accumulate, from the events that we send, what they read from the whole answer."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import get_args

import anthropic
import openai
import pytest
from doubles.wire_bodies import COMPLETION, MESSAGE, RESPONSE
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from semcache_integrations.core.replay import Replay, Strategy
from semcache_integrations.wire import anthropic as messages
from semcache_integrations.wire import openai_chat as completions
from semcache_integrations.wire import responses
from semcache_integrations.wire.sse import DONE, encoded

REPLAYS = [Replay(strategy, size) for strategy in get_args(Strategy) for size in (1, 3)]
ASKED = {"model": "claude-test", "max_tokens": 99, "messages": [{"role": "user", "content": "Capital?"}]}
WANTED = {"model": "gpt-test", "input": "Capital?"}
CHAT = {"model": "gpt-test", "messages": ASKED["messages"]}
COUNTED = {"stream_options": {"include_usage": True}}
SETTINGS = {"api_key": "none-needed", "max_retries": 0}
TEXT = MESSAGE["content"][4]["text"]
CALLED = [
    (call["function"]["name"], call["function"]["arguments"])
    for call in COMPLETION["choices"][0]["message"]["tool_calls"]
]


class Provider(BaseHTTPRequestHandler):
    """Answers with MESSAGE, RESPONSE or COMPLETION, whole or in the events of our making."""

    replay = REPLAYS[0]
    completion = COMPLETION

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith("/messages"):
            whole, events, end = MESSAGE, messages.events(MESSAGE, self.replay), b""
        elif self.path.endswith("/responses"):
            whole, events, end = RESPONSE, responses.events(RESPONSE, self.replay), b""
        else:
            whole, end = self.completion, DONE
            events = completions.events(whole, self.replay, usage="stream_options" in asked)
        body = json.dumps(whole).encode()
        if asked.get("stream"):
            body = b"".join(map(encoded, events)) + end
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if asked.get("stream") else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=REPLAYS, ids=lambda replay: f"{replay.strategy}-{replay.size}", autouse=True)
def replay(request, monkeypatch) -> Replay:
    monkeypatch.setattr(Provider, "replay", request.param)
    return request.param


def test_anthropics_client_accumulates_the_message(address):
    with anthropic.Anthropic(base_url=address, **SETTINGS) as client:
        whole = client.messages.create(**ASKED)
        with client.messages.stream(**ASKED) as stream:
            said = "".join(stream.text_stream)
            final = stream.get_final_message()
    assert said == TEXT
    assert told(final) == told(whole) == MESSAGE


async def test_anthropics_async_client_accumulates_the_message(address):
    async with (
        anthropic.AsyncAnthropic(base_url=address, **SETTINGS) as client,
        client.messages.stream(**ASKED) as stream,
    ):
        said = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert said == TEXT
    assert told(final) == MESSAGE


def test_anthropics_raw_events_are_what_we_assemble_the_message_from(address):
    with anthropic.Anthropic(base_url=address, **SETTINGS) as client:
        events = [event.to_dict() for event in client.messages.create(**ASKED, stream=True)]
    assert messages.assembled(events) == MESSAGE


def test_openais_client_accumulates_the_response(address):
    with openai.OpenAI(base_url=address, **SETTINGS) as client:
        whole = client.responses.create(**WANTED)
        with client.responses.stream(**WANTED) as stream:
            events = list(stream)
            final = stream.get_final_response()
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.output_text == whole.output_text == TEXT
    assert told(final) == told(whole) == RESPONSE


async def test_openais_async_client_accumulates_the_response(address):
    async with (
        openai.AsyncOpenAI(base_url=address, **SETTINGS) as client,
        client.responses.stream(**WANTED) as stream,
    ):
        snapshots = [event.snapshot async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert snapshots[-1] == TEXT
    assert told(final) == RESPONSE


def test_openais_raw_events_are_what_we_assemble_the_response_from(address):
    with openai.OpenAI(base_url=address, **SETTINGS) as client:
        events = [event.to_dict() for event in client.responses.create(**WANTED, stream=True)]
    assert responses.assembled(events) == RESPONSE


def test_openais_client_accumulates_the_completion(address):
    with openai.OpenAI(base_url=address, **SETTINGS) as client:
        whole = client.chat.completions.create(**CHAT)
        with client.chat.completions.stream(**CHAT, **COUNTED) as stream:
            events = list(stream)
            final = stream.get_final_completion()
    assert "".join(event.delta for event in events if event.type == "content.delta") == TEXT
    done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert [(call.name, call.arguments) for call in done] == CALLED
    assert final.choices[0].message.content == whole.choices[0].message.content == TEXT
    assert told(whole) == COMPLETION
    assert accumulated(final) == without_additions(COMPLETION)


async def test_openais_async_client_accumulates_the_completion(address):
    async with (
        openai.AsyncOpenAI(base_url=address, **SETTINGS) as client,
        client.chat.completions.stream(**CHAT, **COUNTED) as stream,
    ):
        snapshots = [event.snapshot async for event in stream if event.type == "content.delta"]
        final = await stream.get_final_completion()
    assert snapshots[-1] == TEXT
    assert accumulated(final) == without_additions(COMPLETION)


def test_openais_state_accumulates_several_choices(address, monkeypatch):
    first = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    second = {**COMPLETION["choices"][0], "index": 1}
    monkeypatch.setattr(Provider, "completion", {**COMPLETION, "choices": [first, second]})
    state = ChatCompletionStreamState()
    with openai.OpenAI(base_url=address, **SETTINGS) as client:
        for chunk in client.chat.completions.create(**CHAT, **COUNTED, stream=True):
            state.handle_chunk(chunk)
    assert accumulated(state.get_final_completion()) == without_additions(Provider.completion)


def test_openais_raw_chunks_are_what_we_assemble_the_completion_from(address):
    with openai.OpenAI(base_url=address, **SETTINGS) as client:
        chunks = list(client.chat.completions.create(**CHAT, **COUNTED, stream=True))
        uncounted = list(client.chat.completions.create(**CHAT, stream=True))
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in chunks)
    assert [chunk.usage is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert completions.assembled(chunk.to_dict() for chunk in chunks) == COMPLETION
    assert all("usage" not in chunk.to_dict() for chunk in uncounted)


def accumulated(completion) -> object:
    """Return what the SDK was told: it adds null for what no delta told, and leaves calls the index of theirs."""
    return without_additions(told(completion))


def without_additions(completion) -> object:
    made = copy.deepcopy(completion)
    for choice in made["choices"]:
        choice["message"] = {name: value for name, value in choice["message"].items() if value is not None}
        for place, call in enumerate(choice["message"].get("tool_calls", ())):
            assert call.pop("index", place) == place
    return made


def told(answer) -> object:
    """Return what was on the wire: an answer without what the SDK parsed for its caller."""
    return unparsed(answer.to_dict(warnings=False))


def unparsed(value: object) -> object:
    if isinstance(value, dict):
        return {name: unparsed(inner) for name, inner in value.items() if not name.startswith("parsed")}
    return [unparsed(inner) for inner in value] if isinstance(value, list) else value
