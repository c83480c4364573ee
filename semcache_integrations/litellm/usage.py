"""What a stream's token counts say: LiteLLM assembles an answer from chunks, and its counts betray how.

The law: only a stream that the provider finished is kept. From 1.110 on LiteLLM itself fails on one that
ends without a finish reason. Before, it gave such a stream the reason `stop` all the same; but it counted
its tokens itself, while a finished one carried the provider's counts, or zeros (measured on 1.106-1.108). 1.80
counts the tokens of every stream itself; there `versions` hands over the provider's own reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import litellm

from semcache_integrations.litellm.versions import CUT_STREAMS_FAIL


def finished(body: Mapping[str, Any], model: str, messages: Sequence[Any]) -> dict[str, Any] | None:
    """Return a streamed answer with its token counts filled in, or None if the stream was cut short.

    Args:
        body: The answer that LiteLLM assembled, as JSON.
        model: The model that was asked; picks the tokeniser.
        messages: What was asked.
    """
    choice, usage = body["choices"][0], body.get("usage") or {}
    if choice["message"].get("tool_calls") and choice.get("finish_reason") == "stop":
        return None  # a finished one says `tool_calls`
    details = usage.get("completion_tokens_details") or {}
    if usage.get("total_tokens") and (CUT_STREAMS_FAIL or not details.get("text_tokens")):
        return dict(body)
    counted = _count(choice["message"], model, messages)
    if not usage.get("total_tokens"):
        return {**body, "usage": {**usage, **counted}}
    return None if all(usage.get(name) == count for name, count in counted.items()) else dict(body)


def _count(message: Mapping[str, Any], model: str, messages: Sequence[Any]) -> dict[str, int]:
    calls = [call.get("function") or {} for call in message.get("tool_calls") or ()]
    text = (message.get("content") or "") + "".join(str(function.get("arguments", "")) for function in calls)
    prompt = litellm.token_counter(model=model, messages=list(messages))
    completion = litellm.token_counter(model=model, text=text, count_response_tokens=True)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
