"""What LangChain hands to a cache, taken from its own code; a chat model that counts; a provider that listens."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from langchain_anthropic import ChatAnthropic
from langchain_core.caches import BaseCache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


class Capture(BaseCache):
    """Writes down what it is asked, and answers so that no provider is."""

    def lookup(self, prompt, llm_string):
        self.asked = prompt, llm_string
        return [ChatGeneration(message=AIMessage("captured"))]

    def update(self, prompt, llm_string, return_val):
        raise AssertionError("nothing was missed")

    def clear(self, **kwargs):
        raise NotImplementedError


def asked_by(model, prompt="hi", /, **arguments):
    """Return the prompt and the `llm_string` that the model's own code makes of a call."""
    cache = Capture()
    model.cache = cache
    model.invoke(prompt, **arguments)
    return cache.asked


def prompt_of(*messages):
    """Return messages as LangChain passes them to a cache: serialised, without their ids."""
    return dumps([message.model_copy(update={"id": None}) for message in messages])


def chat_answer(text="Paris", **fields):
    fields.setdefault("response_metadata", {"finish_reason": "stop", "model_name": "m1"})
    fields.setdefault("usage_metadata", dict(USAGE))
    return [ChatGeneration(message=AIMessage(text, **fields))]


class CountingChat(BaseChatModel):
    """Answers every question with a numbered answer, and counts."""

    setting: object = 0
    reply: object = None
    calls: int = 0

    @property
    def _llm_type(self):
        return "counting"

    @property
    def _identifying_params(self):
        return {"model": "m1", "setting": self.setting}

    def _message(self):
        self.calls += 1
        if self.reply is not None:
            return self.reply.model_copy(deep=True)
        return AIMessage(
            f"answer {self.calls}", usage_metadata=dict(USAGE), response_metadata={"finish_reason": "stop"}
        )

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=self._message())])

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=tools, **kwargs)


class StreamingChat(CountingChat):
    """Streams its answer word by word."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for word in self._message().text.split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(word + " "))
        yield ChatGenerationChunk(
            message=AIMessageChunk("", usage_metadata=dict(USAGE)), generation_info={"finish_reason": "stop"}
        )


def model_of(kind, upstream, **settings):
    """Return the real model of an API that asks a `FakeUpstream`: `chat`, `responses` or `anthropic`."""
    if kind == "anthropic":
        return ChatAnthropic(model="claude-of-tests", base_url=upstream.origin, max_tokens=2048, **settings)
    if kind == "responses":
        settings["use_responses_api"] = True
    return ChatOpenAI(model="gpt-4o-mini", base_url=upstream.url, max_retries=0, **settings)


class Provider:
    """What the SDKs of OpenAI and Anthropic talk to: answers `bodies[path]`, and keeps what it was asked."""

    def __init__(self, url):
        self.url = url
        self.asked = []
        self.bodies = {
            "/v1/chat/completions": {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "gpt-4o-mini-2024-07-18",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": "Paris"},
                    }
                ],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            },
            "/v1/messages": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-of-tests",
                "content": [{"type": "text", "text": "Paris"}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 3, "output_tokens": 2},
            },
            "/v1/responses": {
                "id": "resp_1",
                "object": "response",
                "created_at": 1,
                "status": "completed",
                "model": "o4-mini",
                "output": [
                    {"type": "reasoning", "id": "rs_1", "summary": []},
                    {
                        "type": "message",
                        "id": "msg_1",
                        "status": "completed",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Paris", "annotations": []}],
                    },
                ],
                "parallel_tool_calls": True,
                "tool_choice": "auto",
                "tools": [],
                "usage": {
                    "input_tokens": 3,
                    "output_tokens": 2,
                    "total_tokens": 5,
                    "input_tokens_details": {"cached_tokens": 0},
                    "output_tokens_details": {"reasoning_tokens": 0},
                },
            },
        }


@contextmanager
def provider():
    """Serve a `Provider` on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            known.asked.append(body)
            answer = json.dumps(known.bodies[self.path]).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
