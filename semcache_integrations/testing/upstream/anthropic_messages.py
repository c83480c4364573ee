"""Anthropic's Messages: content blocks and typed events. Pure translation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from semcache_integrations.testing.upstream.answers import (
    Answer,
    Ask,
    Tool,
    digest,
    last_question,
    words_in,
)
from semcache_integrations.testing.upstream.frames import frame, pieces

_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_CHOICES = {"any": "required", "auto": "auto", "none": "none"}
_THOUGHT = {"type": "thinking", "thinking": "They ask; I answer.", "signature": "c2lnbmF0dXJl"}
_EMPTY: dict[str, dict[str, Any]] = {  # how a block of a stream begins
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
    "text": {"text": ""},
}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def read(body: Mapping[str, Any]) -> Ask:
    """Understand a request to /messages."""
    messages = body.get("messages") or []
    question, users_turn = last_question(messages)
    return Ask(
        model=body.get("model", ""),
        questions=(question,),
        digest=digest(body),
        tools=tuple(_tools(body.get("tools") or ())),
        tool_choice=_choice(body.get("tool_choice")),
        schema=_schema(body),
        max_tokens=body.get("max_tokens"),
        stream=bool(body.get("stream")),
        prompt_tokens=words_in([body.get("system"), messages]),
        users_turn=users_turn,
        thinks=(body.get("thinking") or {}).get("type") == "enabled",
    )


def body(ask: Ask, answers: Sequence[Answer], serial: int) -> dict[str, Any]:
    """Write a `message` with its content blocks: a thought if one is asked for, and the answer unless refused."""
    answer = answers[0]
    return {
        "id": f"msg_{serial}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [
            *([_THOUGHT] if ask.thinks else []),
            *([] if answer.refusal else [_block(answer, serial)]),
        ],
        "stop_reason": _reason(answer),
        "stop_sequence": None,
        "usage": {"input_tokens": ask.prompt_tokens, "output_tokens": len(answer.tokens)},
    }


def frames(ask: Ask, answers: Sequence[Answer], serial: int) -> Iterator[bytes]:
    """Write the typed events from `message_start` to `message_stop`."""
    for event in _events(body(ask, answers, serial), answers[0]):
        yield frame(event, str(event["type"]))


def error(status: int, message: str) -> dict[str, Any]:
    """Write an error as Anthropic does."""
    return {"type": "error", "error": {"type": _ERRORS.get(status, "api_error"), "message": message}}


def _events(whole: dict[str, Any], answer: Answer) -> Iterator[dict[str, Any]]:
    usage = whole["usage"]
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    for at, block in enumerate(whole["content"]):
        yield {
            "type": "content_block_start",
            "index": at,
            "content_block": {**block, **_EMPTY[block["type"]]},
        }
        yield {"type": "ping"}
        for delta in _deltas(block, answer):
            yield {"type": "content_block_delta", "index": at, "delta": delta}
        yield {"type": "content_block_stop", "index": at}
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


def _deltas(block: dict[str, Any], answer: Answer) -> Iterator[dict[str, str]]:
    if block is _THOUGHT:
        thought = ({"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"]))
        return chain(thought, [{"type": "signature_delta", "signature": block["signature"]}])
    if answer.tool:
        return ({"type": "input_json_delta", "partial_json": piece} for piece in pieces(answer.arguments))
    return ({"type": "text_delta", "text": token} for token in answer.tokens)


def _block(answer: Answer, serial: int) -> dict[str, Any]:
    if answer.tool:
        arguments = json.loads(answer.arguments)
        return {"type": "tool_use", "id": f"toolu_{serial}", "name": answer.tool, "input": arguments}
    return {"type": "text", "text": answer.text}


def _reason(answer: Answer) -> str:
    return "refusal" if answer.refusal else _REASONS[answer.finish_reason]


def _tools(tools: Sequence[Mapping[str, Any]]) -> Iterator[Tool]:
    return (Tool(tool["name"], tool["input_schema"]) for tool in tools if "input_schema" in tool)


def _choice(choice: Mapping[str, Any] | None) -> str:
    kind = (choice or {}).get("type", "auto")
    return _CHOICES.get(kind) or str((choice or {}).get("name", "auto"))


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format")
    return dict(wanted.get("schema") or {}) if wanted else None
