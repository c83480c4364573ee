"""OpenAI's Chat Completions: what nearly every provider and SDK speaks. Pure translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from semcache_integrations.testing.upstream.answers import (
    Answer,
    Ask,
    Tool,
    digest,
    last_question,
    words_in,
)
from semcache_integrations.testing.upstream.frames import CREATED, DONE, frame, pieces


def read(body: Mapping[str, Any]) -> Ask:
    """Understand a request to /chat/completions."""
    messages = body.get("messages") or []
    question, users_turn = last_question(messages)
    return Ask(
        model=body.get("model", ""),
        questions=(question,),
        digest=digest(body),
        tools=tuple(_tool(tool) for tool in body.get("tools") or ()),
        tool_choice=_choice(body.get("tool_choice")),
        schema=_schema(body.get("response_format")),
        n=body.get("n") or 1,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        logprobs=bool(body.get("logprobs")),
        prompt_tokens=words_in(messages),
        users_turn=users_turn,
    )


def body(ask: Ask, answers: Sequence[Answer], serial: int) -> dict[str, Any]:
    """Write a `chat.completion`."""
    choices = [
        {
            "index": index,
            "message": _message(answer, f"call_{serial}_{index}"),
            "finish_reason": answer.finish_reason,
            "logprobs": _logprobs(answer.tokens) if ask.logprobs else None,
        }
        for index, answer in enumerate(answers)
    ]
    return {**_head(ask, serial, "chat.completion"), "choices": choices, "usage": usage(ask, answers)}


def frames(ask: Ask, answers: Sequence[Answer], serial: int) -> Iterator[bytes]:
    """Write `chat.completion.chunk`s: role, content, finish reason, usage if asked for, [DONE]."""
    head = _head(ask, serial, "chat.completion.chunk")
    if ask.include_usage:
        head["usage"] = None
    for index, answer in enumerate(answers):
        for delta, tokens, reason in _deltas(answer, f"call_{serial}_{index}"):
            logprobs = _logprobs(tokens) if ask.logprobs and tokens else None
            choice = {"index": index, "delta": delta, "finish_reason": reason, "logprobs": logprobs}
            yield frame({**head, "choices": [choice]})
    if ask.include_usage:
        yield frame({**head, "choices": [], "usage": usage(ask, answers)})
    yield DONE


def error(status: int, message: str) -> dict[str, Any]:
    """Write an error as OpenAI does."""
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004 - HTTP's own border
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def usage(ask: Ask, answers: Sequence[Answer]) -> dict[str, Any]:
    """Count words for tokens."""
    written = sum(len(answer.tokens) for answer in answers)
    return {
        "prompt_tokens": ask.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": ask.prompt_tokens + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _head(ask: Ask, serial: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{serial}",
        "object": kind,
        "created": CREATED,
        "model": ask.model,
        "system_fingerprint": "fp_fake",
    }


def _message(answer: Answer, call_id: str) -> dict[str, Any]:
    spoken = answer.text if not (answer.tool or answer.refusal) else None
    message: dict[str, Any] = {"role": "assistant", "content": spoken, "refusal": answer.refusal or None}
    if answer.tool:
        function = {"name": answer.tool, "arguments": answer.arguments}
        message["tool_calls"] = [{"id": call_id, "type": "function", "function": function}]
    return message


def _deltas(answer: Answer, call_id: str) -> Iterator[tuple[dict[str, Any], list[str], str | None]]:
    """Yield delta, the tokens in it, and the finish reason."""
    if answer.tool:
        start = {"id": call_id, "type": "function", "function": {"name": answer.tool, "arguments": ""}}
        opened = {"role": "assistant", "content": None, "refusal": None}
        yield {**opened, "tool_calls": [{"index": 0, **start}]}, [], None
        for piece in pieces(answer.arguments):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, [], None
    else:
        yield {"role": "assistant", "content": "", "refusal": None}, [], None
        field = "refusal" if answer.refusal else "content"
        for token in answer.tokens:
            yield {field: token}, [token], None
    yield {}, [], answer.finish_reason


def _logprobs(tokens: Sequence[str]) -> dict[str, Any]:
    content = [
        {"token": token, "logprob": -0.1, "bytes": list(token.encode()), "top_logprobs": []}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _tool(tool: Mapping[str, Any]) -> Tool:
    function = tool.get("function", {})
    return Tool(function.get("name", ""), function.get("parameters") or {})


def _choice(choice: Any) -> str:
    if isinstance(choice, Mapping):
        return str(choice.get("function", {}).get("name", "auto"))
    return choice or "auto"


def _schema(wanted: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not wanted or wanted.get("type") == "text":
        return None
    return dict((wanted.get("json_schema") or {}).get("schema") or {})
