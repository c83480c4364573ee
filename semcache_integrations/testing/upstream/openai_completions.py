"""OpenAI's first Completions format: a prompt, or a list of them. Pure translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from semcache_integrations.testing.upstream import openai_chat
from semcache_integrations.testing.upstream.answers import Answer, Ask, digest, words_in
from semcache_integrations.testing.upstream.frames import CREATED, DONE, frame

error = openai_chat.error


def read(body: Mapping[str, Any]) -> Ask:
    """Understand a request to /completions."""
    prompt = body.get("prompt") or ""
    prompts = prompt if isinstance(prompt, list) else [prompt]
    return Ask(
        model=body.get("model", ""),
        questions=tuple(str(one) for one in prompts),
        digest=digest(body),
        n=body.get("n") or 1,
        max_tokens=body.get("max_tokens"),
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        prompt_tokens=words_in(prompts),
    )


def body(ask: Ask, answers: Sequence[Answer], serial: int) -> dict[str, Any]:
    """Write a `text_completion`."""
    choices = [
        _choice(index, answer.text or answer.refusal, answer.finish_reason)
        for index, answer in enumerate(answers)
    ]
    return {**_head(ask, serial), "choices": choices, "usage": openai_chat.usage(ask, answers)}


def frames(ask: Ask, answers: Sequence[Answer], serial: int) -> Iterator[bytes]:
    """Write the same in pieces."""
    head = _head(ask, serial)
    for index, answer in enumerate(answers):
        for token in answer.tokens:
            yield frame({**head, "choices": [_choice(index, token, None)]})
        yield frame({**head, "choices": [_choice(index, "", answer.finish_reason)]})
    if ask.include_usage:
        yield frame({**head, "choices": [], "usage": openai_chat.usage(ask, answers)})
    yield DONE


def _head(ask: Ask, serial: int) -> dict[str, Any]:
    return {"id": f"cmpl-{serial}", "object": "text_completion", "created": CREATED, "model": ask.model}


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": reason, "logprobs": None}
