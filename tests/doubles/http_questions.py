"""Questions, answers and how to read what became of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

QUESTION = "What is the capital of France?"
REWORDED = "What's the capital of France?"
OTHER = "How do I bake sourdough bread at home?"
WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def chat(question=QUESTION, **more):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}], **more}


def status(response):
    return response.headers.get("x-cache-status")


def events(*deltas):
    """Yield the frames of a chat's stream, all but its end."""
    head = {name: WHOLE[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    for delta, reason in (*((delta, None) for delta in deltas), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        yield f"data: {json.dumps({**head, 'choices': [choice]})}\n\n".encode()


def all_at_once(cache, ask, arguments, arrived):
    """Ask once for each argument, all in threads of their own; return what they were told, in their order.

    The upstream answers, which is to set `arrived`, when all of them have been looked up.
    """
    before, arguments = cache.stats().lookups, list(arguments)
    with ThreadPoolExecutor(len(arguments)) as threads:
        told = [threads.submit(ask, argument) for argument in arguments]
        while cache.stats().lookups < before + len(arguments):
            pass
        arrived.set()
        return [one.result() for one in told]
