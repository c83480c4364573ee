"""Text completions <-> payloads, and their replay as the chunks of a text completion.

The law: as for chat completions. LiteLLM puts the streams of text completions together as *chat* completions, and
replays kept ones as such; here both directions keep the form that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from litellm.types.utils import TextChoices, TextCompletionResponse, Usage

from semcache_integrations.core.answers import register
from semcache_integrations.core.replay import Replay, split
from semcache_integrations.litellm.envelope import body_of, opened, sealed
from semcache_integrations.litellm.requests import TEXT
from semcache_integrations.litellm.stream import ReplayStream, Wanted
from semcache_integrations.litellm.usage import finished

_HEAD = ("id", "created", "model")


def pack(answer: object, *, model: str = "", streamed: Sequence[Any] | None = None) -> str | None:
    """Return the payload of a complete text completion, or None for one that must not be kept.

    Args:
        answer: The completion; of a stream, what LiteLLM assembled from it.
        model: The model that was asked.
        streamed: The prompt as messages, if LiteLLM assembled the answer from a stream.
    """
    body = body_of(answer)
    if body is not None and str(body.get("object", "")).startswith("chat.completion"):
        body = _from_chat(body, model, streamed) if streamed is not None else None
    if body is None or not body.get("choices") or body.get("object") != "text_completion":
        return None
    return sealed(body) if all(map(_is_complete, body["choices"])) else None


def present(payload: str, wanted: Wanted) -> TextCompletionResponse | ReplayStream | None:
    """Return the answer in a payload as the caller wants it, or None if it cannot be read."""
    body = opened(payload)
    if body is None or not body.get("choices"):
        return None
    if not wanted.stream:
        return TextCompletionResponse(**body)
    return ReplayStream(
        chunks(body, wanted.replay, usage=wanted.usage), lambda: TextCompletionResponse(**body), wanted
    )


def says(payload: str) -> str:
    """Return what the answer in a payload says, as it is compared with others."""
    return "\n".join(str(choice["text"]) for choice in (opened(payload) or {})["choices"])


def chunks(body: Mapping[str, Any], replay: Replay, *, usage: bool) -> Iterator[TextCompletionResponse]:
    """Cut a text completion into stream chunks, losing nothing.

    Args:
        body: The completion as JSON.
        replay: How to cut texts.
        usage: End with the chunk that carries the token counts, as `stream_options` asks for.
    """
    for choice in body["choices"]:
        logprobs = choice.get("logprobs")
        for piece in split(choice.get("text") or "", replay):
            yield _chunk(body, {**choice, "text": piece, "finish_reason": None, "logprobs": logprobs})
            logprobs = None
        yield _chunk(body, {**choice, "text": "", "logprobs": None})
    if usage and body.get("usage"):
        yield _chunk(body, None, usage=Usage(**body["usage"]))


def _chunk(
    body: Mapping[str, Any], choice: Mapping[str, Any] | None, usage: Usage | None = None
) -> TextCompletionResponse:
    chunk = TextCompletionResponse(**{name: body.get(name) for name in _HEAD}, usage=usage)
    chunk.choices = []
    if choice is not None:
        said = TextChoices(**choice)
        said.finish_reason = choice["finish_reason"]  # LiteLLM says `stop` where nothing is said
        chunk.choices = [said]
    return chunk


def _from_chat(body: Mapping[str, Any], model: str, asked: Sequence[Any]) -> dict[str, Any] | None:
    if len(body["choices"]) != 1 or body["choices"][0]["message"].get("tool_calls"):
        return None
    whole = finished(body, model, asked)
    if whole is None:
        return None
    choice = whole["choices"][0]
    text = {
        "text": choice["message"].get("content"),
        "index": 0,
        "finish_reason": choice.get("finish_reason"),
        "logprobs": None,
    }
    head = {name: whole.get(name) for name in (*_HEAD, "usage")}
    return {**head, "object": "text_completion", "choices": [text]}


def _is_complete(choice: Mapping[str, Any]) -> bool:
    return choice.get("finish_reason") == "stop" and bool(str(choice.get("text") or "").strip())


register(TEXT, says)
