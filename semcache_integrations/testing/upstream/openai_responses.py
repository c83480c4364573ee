"""OpenAI's Responses: output items and typed events. Pure translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from semcache_integrations.testing.upstream import openai_chat
from semcache_integrations.testing.upstream.answers import (
    Answer,
    Ask,
    Tool,
    digest,
    last_question,
    words_in,
)
from semcache_integrations.testing.upstream.frames import CREATED, frame, pieces

error = openai_chat.error
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def read(body: Mapping[str, Any]) -> Ask:
    """Understand a request to /responses."""
    given = body.get("input") or ""
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    question, users_turn = last_question(items)
    return Ask(
        model=body.get("model", ""),
        questions=(question,),
        digest=digest(body),
        tools=tuple(_tools(body.get("tools") or ())),
        tool_choice=_choice(body.get("tool_choice")),
        schema=_schema((body.get("text") or {}).get("format")),
        max_tokens=body.get("max_output_tokens"),
        stream=bool(body.get("stream")),
        prompt_tokens=words_in(items),
        users_turn=users_turn,
    )


def body(ask: Ask, answers: Sequence[Answer], serial: int) -> dict[str, Any]:
    """Write a `response` with one output item."""
    answer = answers[0]
    reason = _INCOMPLETE.get(answer.finish_reason)
    return {
        **_head(ask, serial),
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [_item(answer, serial, "incomplete" if reason else "completed")],
        "usage": _usage(ask, answer),
    }


def frames(ask: Ask, answers: Sequence[Answer], serial: int) -> Iterator[bytes]:
    """Write the typed events, numbered, from `response.created` to `response.completed`."""
    numbers = count()
    for event in _events(body(ask, answers, serial), answers[0]):
        yield frame({**event, "sequence_number": next(numbers)}, str(event["type"]))


def _events(whole: dict[str, Any], answer: Answer) -> Iterator[dict[str, Any]]:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    item = whole["output"][0]
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    yield from _item_events(item, answer)
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _item_events(item: dict[str, Any], answer: Answer) -> Iterator[dict[str, Any]]:
    empty: dict[str, Any] = {"arguments": ""} if answer.tool else {"content": []}
    begun = {**item, **empty, "status": "in_progress"}
    where = {"item_id": item["id"], "output_index": 0}
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
    if answer.tool:
        kind = "response.function_call_arguments"
        for piece in pieces(answer.arguments):
            yield {"type": f"{kind}.delta", **where, "delta": piece}
        yield {"type": f"{kind}.done", **where, "name": answer.tool, "arguments": answer.arguments}
    else:
        yield from _part_events(item["content"][0], {**where, "content_index": 0}, answer)


def _part_events(part: dict[str, Any], where: dict[str, Any], answer: Answer) -> Iterator[dict[str, Any]]:
    kind, field = ("refusal", "refusal") if answer.refusal else ("output_text", "text")
    yield {"type": "response.content_part.added", **where, "part": {**part, field: ""}}
    for token in answer.tokens:
        yield {"type": f"response.{kind}.delta", **where, "delta": token, **_no_logprobs(kind)}
    yield {"type": f"response.{kind}.done", **where, field: part[field], **_no_logprobs(kind)}
    yield {"type": "response.content_part.done", **where, "part": part}


def _no_logprobs(kind: str) -> dict[str, Any]:
    return {"logprobs": []} if kind == "output_text" else {}


def _head(ask: Ask, serial: int) -> dict[str, Any]:
    return {
        "id": f"resp_{serial}",
        "object": "response",
        "created_at": CREATED,
        "model": ask.model,
        "error": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "tool_choice": "auto",
        "tools": [],
    }


def _item(answer: Answer, serial: int, status: str) -> dict[str, Any]:
    if answer.tool:
        call = {"call_id": f"call_{serial}", "name": answer.tool, "arguments": answer.arguments}
        return {"type": "function_call", "id": f"fc_{serial}", "status": status, **call}
    part: dict[str, Any] = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
    if answer.refusal:
        part = {"type": "refusal", "refusal": answer.refusal}
    head = {"type": "message", "id": f"msg_{serial}", "role": "assistant"}
    return {**head, "status": status, "content": [part]}


def _usage(ask: Ask, answer: Answer) -> dict[str, Any]:
    written = len(answer.tokens)
    return {
        "input_tokens": ask.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": ask.prompt_tokens + written,
    }


def _tools(tools: Sequence[Mapping[str, Any]]) -> Iterator[Tool]:
    return (
        Tool(tool["name"], tool.get("parameters") or {}) for tool in tools if tool.get("type") == "function"
    )


def _choice(choice: Any) -> str:
    return str(choice.get("name", "auto")) if isinstance(choice, Mapping) else choice or "auto"


def _schema(wanted: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not wanted or wanted.get("type") == "text":
        return None
    return dict(wanted.get("schema") or {})
