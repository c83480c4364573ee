"""The bodies of OpenAI's API, as `FakeUpstream` sends them. Pure: a request's JSON in, an answer's JSON out."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]  # Any: JSON

_CREATED = 1_700_000_000
_DIMENSION = 8
_PIECE = 7  # characters a streamed chunk: words are cut in the middle, as providers do


def last_user_text(body: Json) -> str:
    """Return the text of the last user message, the parts of a list joined."""
    contents = [message.get("content") for message in body["messages"] if message.get("role") == "user"]
    content = contents[-1] if contents else ""
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content)
    return content or ""


def completion(body: Json, text: str) -> Json:
    """Return a chat completion whose every choice says `text`.

    A request with tools whose last user message contains "use the tool" is answered with a call of the first.
    """
    identity = hashlib.sha256(repr(body["messages"]).encode()).hexdigest()[:16]
    wants_tool = bool(body.get("tools")) and "use the tool" in last_user_text(body)
    message = (
        _tool_call(body, identity) if wants_tool else {"role": "assistant", "content": text, "refusal": None}
    )
    choices = [
        {
            "index": index,
            "message": message,
            "finish_reason": "tool_calls" if wants_tool else "stop",
            "logprobs": None,
        }
        for index in range(body.get("n") or 1)
    ]
    return {
        "id": f"chatcmpl-{identity}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": body["model"],
        "system_fingerprint": "fp_fake",
        "choices": choices,
        "usage": _usage(body, text),
    }


def chunks(whole: Json, *, usage: bool) -> Iterator[Json]:
    """Cut a completion into the chunks of a stream.

    Args:
        whole: What `completion` returned.
        usage: End with the chunk that carries the token counts.
    """
    head = {**whole, "object": "chat.completion.chunk"}
    del head["usage"]
    for choice in whole["choices"]:
        for delta in _deltas(choice["message"]):
            yield {**head, "choices": [{"index": choice["index"], "delta": delta, "finish_reason": None}]}
        yield {
            **head,
            "choices": [{"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}],
        }
    if usage:
        yield {**head, "choices": [], "usage": whole["usage"]}


def embedding(body: Json) -> Json:
    """Return vectors of 8 dimensions that depend on model and text alone."""
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vectors = [_vector(f"{body['model']}|{text}") for text in inputs]
    if body.get("encoding_format") == "base64":
        encoded: list[object] = [
            base64.b64encode(struct.pack(f"<{_DIMENSION}f", *v)).decode() for v in vectors
        ]
    else:
        encoded = list(vectors)
    data = [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(encoded)]
    tokens = sum(len(str(text).split()) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def _deltas(message: Json) -> Iterator[Json]:
    yield {"role": "assistant", "content": "" if message.get("content") else None}
    text = message.get("content") or ""
    yield from ({"content": text[at : at + _PIECE]} for at in range(0, len(text), _PIECE))
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield {"tool_calls": [{"index": index, **call}]}


def _tool_call(body: Json, identity: str) -> Json:
    function = {"name": body["tools"][0]["function"]["name"], "arguments": "{}"}
    call = {"id": f"call_{identity}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}


def _usage(body: Json, text: str) -> Json:
    asked = sum(len(str(message.get("content") or "").split()) for message in body["messages"])
    answered = len(text.split())
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _vector(text: str) -> tuple[float, ...]:
    digest = hashlib.sha256(text.encode()).digest()
    return tuple(byte / 255 for byte in digest[:_DIMENSION])
