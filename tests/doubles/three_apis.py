"""A provider on this machine that speaks three APIs, whole and streamed: chat completions, Responses and Messages."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

TEXT = "Hello from Paris.\r\nNice day, 今日は 👩‍👩‍👧!\n\n```py\nx  =  1\n```"
PIECE = 7  # characters of an event
THOUGHT = "They want a greeting."
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def pieces(text):
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def called(body):
    """The first tool that the body offers, with arguments, unless its result is there already."""
    last = (body.get("messages") or body.get("input") or [{}])[-1]
    if not body.get("tools") or "tool" in json.dumps(last):
        return None
    tool = body["tools"][0]
    return tool.get("function", tool)["name"], {"city": "Paris"}


def chat(body, number, text):
    base = {
        "id": f"chatcmpl-{number}",
        "created": 1,
        "model": "gpt-of-tests-2026",
        "system_fingerprint": "fp_1",
    }
    call = called(body)
    reason = "tool_calls" if call else "stop"
    if not body.get("stream"):
        message = {"role": "assistant", "content": None if call else text}
        if call:
            function = {"name": call[0], "arguments": json.dumps(call[1])}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return {**base, "object": "chat.completion", "choices": [choice], "usage": USAGE}

    def event(delta, ended=None):
        choice = {"index": 0, "delta": delta, "finish_reason": ended}
        return {**base, "object": "chat.completion.chunk", "choices": [choice]}

    yields = [event({"role": "assistant", "content": ""})]
    if call:
        opened = {"index": 0, "id": "call_1", "function": {"name": call[0], "arguments": ""}}
        yields.append(event({"tool_calls": [opened]}))
        yields += [
            event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
            for piece in pieces(json.dumps(call[1]))
        ]
    else:
        yields += [event({"content": piece}) for piece in pieces(text)]
    yields.append(event({}, reason))
    return [*yields, {**base, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}]


def responses(body, number, text):
    content = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant"}
    usage = {
        "input_tokens": 9,
        "output_tokens": 4,
        "total_tokens": 13,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    whole = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-of-tests-2026",
        "output": [{**item, "content": [content]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }
    if not body.get("stream"):
        return whole
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    opened = {**whole, "output": [], "status": "in_progress", "usage": None}
    events = [
        {"type": "response.created", "response": opened},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", **at, "part": {**content, "text": ""}},
        *(
            {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
            for piece in pieces(text)
        ),
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": content},
        {"type": "response.output_item.done", "output_index": 0, "item": {**item, "content": [content]}},
        {"type": "response.completed", "response": whole},
    ]
    return [{**event, "sequence_number": at} for at, event in enumerate(events)]


def messages(body, number, text):
    call = called(body)
    blocks = [{"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"}] if body.get("thinking") else []
    blocks.append({"type": "text", "text": "Let me look." if call else text})
    if call:
        blocks.append({"type": "tool_use", "id": "toolu_1", "name": call[0], "input": call[1]})
    base = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-of-tests"}
    reason = "tool_use" if call else "end_turn"
    usage = {"input_tokens": 9, "output_tokens": 4}
    if not body.get("stream"):
        return {**base, "content": blocks, "stop_reason": reason, "stop_sequence": None, "usage": usage}
    opened = {**base, "content": [], "stop_reason": None, "stop_sequence": None}
    events = [
        {"type": "message_start", "message": {**opened, "usage": {"input_tokens": 9, "output_tokens": 1}}}
    ]
    for at, block in enumerate(blocks):
        events += _block_events(at, block)
    ended = {"stop_reason": reason, "stop_sequence": None}
    return [
        *events,
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]


def _block_events(at, block):
    opened, deltas = dict(block), []
    if block["type"] == "text":
        opened["text"] = ""
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
    elif block["type"] == "thinking":
        opened |= {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        opened["input"] = {}
        deltas = [
            {"type": "input_json_delta", "partial_json": piece}
            for piece in pieces(json.dumps(block["input"]))
        ]
    return [
        {"type": "content_block_start", "index": at, "content_block": opened},
        *({"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": at},
    ]


APIS = {"/v1/chat/completions": chat, "/v1/responses": responses, "/v1/messages": messages}


class ThreeApis:
    """Serves in a `with` block.

    Attributes:
        url: Without `/v1`.
        asked: The bodies that came, in order.
        text: What is answered.
        gate: Set while answers may be given; clear it to hold every call.
    """

    def __init__(self):
        self.asked = []
        self.text = TEXT
        self.gate = threading.Event()
        self.gate.set()
        self._number = count(1)

    @property
    def count(self):
        return len(self.asked)

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *about):
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path, body):
        """Return the content type and the bytes of an answer."""
        self.asked.append(body)
        assert self.gate.wait(30)
        answer = APIS[path](body, next(self._number), self.text)
        if isinstance(answer, dict):
            return "application/json", json.dumps(answer).encode()
        named = path != "/v1/chat/completions"
        events = [
            (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
            for event in answer
        ]
        return "text/event-stream", "".join([*events, "" if named else "data: [DONE]\n\n"]).encode()


def _handler(provider):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            kind, answer = provider.answer(self.path.partition("?")[0], body)
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    return Handler
