"""A small OpenAI on this machine: chat completions over real HTTP, streamed and not, with tools and JSON schemas.

It answers by rule, not by wit: a tool is called with whatever its schema allows, filled with the numbers and the
quoted words of the question; an answer says how many requests there were, so that a second one is seen as such.
"""

from __future__ import annotations

import json
import math
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


class OpenAIUpstream:
    """Serves POST /v1/chat/completions as long as its `with` block runs.

    `asked` holds the body of every request that reached it; `url` is what a client takes as its `base_url`.
    """

    def __init__(self):
        self.asked = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"upstream": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def count(self):
        return len(self.asked)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hear(self, body):
        """Take one request in, and return its number."""
        with self._lock:
            self.asked.append(body)
            return len(self.asked)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number = self.upstream.hear(body)
        if self.path != "/v1/chat/completions":
            self._send(404, json.dumps({"error": {"message": f"nothing at {self.path}"}}))
        elif body.get("stream"):
            self._send_events(chunks_of(body, number))
        else:
            self._send(200, json.dumps(completion(body, number)))

    def _send(self, status, text):
        self._head(status, "application/json")
        self.wfile.write(text.encode())

    def _send_events(self, chunks):
        self._head(200, "text/event-stream")
        try:
            for chunk in chunks:
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
        except ConnectionError:
            self.close_connection = True  # the reader has heard enough

    def _head(self, status, kind):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def completion(body, number):
    """Return the answer to a request as one object."""
    message, reason = answer(body, number)
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {**_about(body, number), "object": "chat.completion", "choices": [choice], "usage": USAGE}


def chunks_of(body, number):
    """Yield the answer to a request as what a stream sends."""
    message, reason = answer(body, number)
    options = body.get("stream_options") or {}
    common = {**_about(body, number), "object": "chat.completion.chunk"}
    if options.get("include_usage"):
        common["usage"] = None
    for delta in _deltas(message):
        yield {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**common, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    if options.get("include_usage"):
        yield {**common, "choices": [], "usage": USAGE}


def _about(body, number):
    return {
        "id": f"chatcmpl-{number}",
        "created": 1_700_000_000,
        "model": body["model"],
        "system_fingerprint": "fp_of_tests",
    }


def _deltas(message):
    calls = message.get("tool_calls", [])
    yield {"role": "assistant", "content": None if calls else ""}
    for at, call in enumerate(calls):
        function = call["function"]
        yield {"tool_calls": [{**call, "index": at, "function": {**function, "arguments": ""}}]}
        for part in _cut(function["arguments"]):
            yield {"tool_calls": [{"index": at, "function": {"arguments": part}}]}
    for part in _cut(message["content"] or ""):
        yield {"content": part}


def _cut(text):
    return [text[at : at + 6] for at in range(0, len(text), 6)]


def answer(body, number):
    """Return the message that answers a request, and why it ends."""
    tool = _tool_to_call(body)
    if tool is None:
        return {"role": "assistant", "content": _text(body, number), "refusal": None}, "stop"
    arguments = json.dumps(example(tool.get("parameters", {}), question(body)), ensure_ascii=False)
    call = {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": tool["name"], "arguments": arguments},
    }
    return {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}, "tool_calls"


def _tool_to_call(body):
    """Return the tool that is asked for, else the first; none once a tool has answered."""
    choice = body.get("tool_choice")
    if choice == "none" or body["messages"][-1]["role"] == "tool":
        return None
    tools = [one["function"] for one in body.get("tools", [])]
    if isinstance(choice, dict):
        tools = [tool for tool in tools if tool["name"] == choice["function"]["name"]]
    return tools[0] if tools else None


def _text(body, number):
    wanted = body.get("response_format") or {"type": "text"}
    if wanted["type"] == "json_schema":
        return json.dumps(example(wanted["json_schema"]["schema"], question(body)), ensure_ascii=False)
    if wanted["type"] == "json_object":
        return json.dumps(dict.fromkeys(_quoted(question(body)), "a word") or {"answer": number})
    return f"This is answer {number}. It has two sentences."


def question(body):
    """Return the text of what was asked last."""
    asked = [one["content"] for one in body["messages"] if one["role"] == "user"]
    content = asked[-1] if asked else ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _quoted(text):
    return re.findall(r"'([^']+)'", text)


def example(schema, text=""):
    """Return a value that a JSON schema allows, one that does not refer to itself.

    Numbers and strings are those of the text, strings in quotes, while there are some.
    """
    numbers, words = iter(map(int, re.findall(r"\d+", text))), iter(_quoted(text))
    return _value(schema, schema.get("$defs") or schema.get("definitions") or {}, numbers, words)


def _value(schema, known, numbers, words):
    schema = _resolved(schema, known)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kinds = schema.get("type", "object")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        fields = schema.get("properties", {})
        return {name: _value(field, known, numbers, words) for name, field in fields.items()}
    if kind == "array":
        items = [schema.get("items", {})] * schema.get("minItems", 1)
        return [_value(item, known, numbers, words) for item in items]
    return _plain(schema, kind, numbers, words)


def _resolved(schema, known):
    """Return what a schema refers to, or the first that it lets choose."""
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _resolved(schema[choice][0], known)
    if "$ref" in schema:
        return _resolved(known[schema["$ref"].rsplit("/", 1)[-1]], known)
    return schema


def _plain(schema, kind, numbers, words):
    if kind == "string":
        return next(words, "a word")
    return (
        _number(schema, numbers) if kind in ("integer", "number") else {"boolean": True, "null": None}[kind]
    )


def _number(schema, numbers):
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    most = schema.get("maximum", schema.get("exclusiveMaximum", math.inf) - 1)
    return max(least, min(next(numbers, 1), most))
