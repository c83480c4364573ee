"""Chat completions <-> payloads: which are worth keeping, and a fresh copy of one for each hit.

The law: no two callers ever share a mutable object: LiteLLM writes into the responses that it returns, and so
do users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from litellm.types.utils import Choices, ModelResponse
from pydantic import BaseModel, ValidationError

from semcache_integrations.core.answers import called, register, spoken
from semcache_integrations.litellm.envelope import body_of, opened, sealed
from semcache_integrations.litellm.requests import CHAT
from semcache_integrations.litellm.stream import ReplayStream, Wanted, chunks
from semcache_integrations.litellm.usage import finished
from semcache_integrations.wire.reading import new_id

_COMPLETE = frozenset({"stop", "tool_calls", "function_call"})
_SAYS_SOMETHING = ("content", "tool_calls", "function_call", "audio", "images")
_SHALLOW = frozenset({"role", "content", "tool_calls", "function_call", "provider_specific_fields"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A kept chat completion. Read it, never hand it out: hand out `fresh()`.

    Attributes:
        response: LiteLLM's own object, built once for many hits.
        body: The same as JSON.
        flat: Whether it holds nothing that a two-level copy would share.
    """

    response: ModelResponse
    body: Mapping[str, Any]  # Any: JSON
    flat: bool

    def fresh(self) -> ModelResponse:
        """Return a copy that the caller may do anything with; its tool calls have ids of their own.

        A flat answer is copied by levels, which takes a quarter of the time of a deep copy.
        """
        if not self.flat:
            return _renamed(_without_history(self.response.model_copy(deep=True)))
        parts: dict[str, object] = {"choices": [_level(choice) for choice in self.response.choices]}
        usage = getattr(self.response, "usage", None)
        if usage is not None:
            details = {
                name: part.model_copy() for name, part in vars(usage).items() if isinstance(part, BaseModel)
            }
            parts["usage"] = usage.model_copy(update=details)
        return _without_history(self.response.model_copy(update=parts))


def pack(answer: object, *, model: str = "", streamed: Sequence[Any] | None = None) -> str | None:
    """Return the payload of a complete answer, or None for one that must not be kept.

    Args:
        answer: A `ModelResponse`, or its JSON as the async path hands it over.
        model: The model that was asked.
        streamed: The messages that were asked, if LiteLLM assembled the answer from a stream.
    """
    body = body_of(answer)
    if (
        body is None
        or not body.get("choices")
        or not str(body.get("object", "")).startswith("chat.completion")
    ):
        return None
    if not all(_is_complete(choice) for choice in body["choices"]):
        return None
    if streamed is not None:
        body = finished(body, model, streamed) if len(body["choices"]) == 1 else None
    return None if body is None else sealed(body)


@lru_cache(maxsize=256)
def unpack(payload: str) -> Answer | None:
    """Return the answer in a payload, or None if this version cannot read it."""
    body = opened(payload)
    if body is None:
        return None
    try:
        response = ModelResponse(**body)
        flat = all(_is_flat(choice) for choice in body["choices"])
    except (ValueError, TypeError, KeyError, AttributeError, ValidationError):
        return None
    return Answer(response, body, flat) if body["choices"] else None


def present(payload: str, wanted: Wanted) -> ModelResponse | ReplayStream | None:
    """Return the answer in a payload as the caller wants it, or None if it cannot be read."""
    answer = unpack(payload)
    if answer is None:
        return None
    if not wanted.stream:
        return answer.fresh()
    source = chunks(answer.body, wanted.replay, usage=wanted.usage)
    return ReplayStream(source, answer.fresh, wanted)


def says(payload: str) -> str:
    """Return what the answer in a payload says, as it is compared with others: all its texts and tool calls."""
    said = []
    for choice in (opened(payload) or {})["choices"]:
        message = choice["message"]
        calls = [call["function"] for call in message.get("tool_calls") or ()]
        said.append(spoken(message.get("content")))
        said += [called(call.get("name"), call.get("arguments")) for call in calls]
    return "\n".join(said)


def _is_complete(choice: Mapping[str, Any]) -> bool:
    message = choice.get("message") or {}
    if choice.get("finish_reason") not in _COMPLETE or message.get("refusal"):
        return False
    content = message.get("content")
    if isinstance(content, str) and not content.strip():
        message = {**message, "content": None}
    return any(message.get(name) for name in _SAYS_SOMETHING)


def _is_flat(choice: Mapping[str, Any]) -> bool:
    message = choice["message"]
    return (
        not choice.get("logprobs")
        and not choice.get("provider_specific_fields")
        and all(not value or (name in _SHALLOW and isinstance(value, str)) for name, value in message.items())
    )


def _level(choice: Choices) -> Choices:
    return choice.model_copy(update={"message": choice.message.model_copy()})


def _without_history(copy: ModelResponse) -> ModelResponse:
    copy._hidden_params = {}  # noqa: SLF001 - LiteLLM's public answers keep their metadata under this name
    return copy


def _renamed(copy: ModelResponse) -> ModelResponse:
    for choice in copy.choices:
        for call in choice.message.tool_calls or ():
            call.id = new_id("call_")  # conversations must not meet the same id twice
    return copy


register(CHAT, says)
