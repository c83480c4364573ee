"""LiteLLM's functions that answer with text, each in its four ways: sync and async, plain and streamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import litellm
import orjson
from doubles.litellm_writes import written

from semcache_integrations.litellm.versions import CACHES_MESSAGES, CACHES_RESPONSES

WAYS = ("sync", "async", "sync stream", "async stream")


@dataclass(frozen=True)
class Kind:
    """One function and its async twin.

    `says` reads the text of a plain answer, `piece` that of one chunk of a stream; `subject` is the argument that
    says what is asked, and `asked` makes its value out of a question.
    """

    name: str
    sync: Callable[..., Any] | None
    coroutine: Callable[..., Any]
    model: str
    subject: str
    asked: Callable[[str], Any]
    says: Callable[[Any], str]
    piece: Callable[[Any], str]
    extra: dict[str, Any] = field(default_factory=dict)
    origin: bool = False

    @property
    def offered(self):
        """Whether this LiteLLM can cache it: 1.80 caches no responses and no messages, nor what is bridged to them."""
        needs = {"responses": CACHES_RESPONSES, "messages": CACHES_MESSAGES}
        return all(has for word, has in needs.items() if word in self.name)

    @property
    def ways(self):
        return [way for way in WAYS if self.sync is not None or way.startswith("async")]

    async def call(self, way, question, upstream, **arguments):
        """Ask in one of the ways, read the answer to its end, and return (text, last object that came)."""
        api_base = upstream.origin if self.origin else upstream.url
        given = {"model": self.model, "api_base": api_base, "api_key": "sk-test", **self.extra}
        given |= {self.subject: self.asked(question), **arguments}
        stream = way.endswith("stream")
        if stream:
            given["stream"] = True
        answer = self.sync(**given) if way.startswith("sync") else await self.coroutine(**given)
        if not stream:
            return self.says(answer), answer
        chunks = list(answer) if way.startswith("sync") else [chunk async for chunk in answer]
        return "".join(map(self.piece, chunks)), chunks


async def asked(way, function, coroutine, **arguments):
    """Call one of two twins, and wait until its answer is written."""
    answer = function(**arguments) if way == "sync" else await coroutine(**arguments)
    await written()
    return answer


def messages(question):
    return [{"role": "user", "content": question}]


def _chat_piece(chunk):
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


def _text_piece(chunk):
    return (chunk.choices[0].text or "") if chunk.choices else ""


def _response_text(response):
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    return "".join(getattr(part, "text", "") for part in parts)


def _response_piece(event):
    return event.delta if event.type == "response.output_text.delta" else ""


def _message_text(message):
    return "".join(block.get("text", "") for block in message["content"])


def _message_piece(data):
    text = ""
    for line in data.decode().splitlines():
        if line.startswith("data: "):
            text += (orjson.loads(line.removeprefix("data: ")).get("delta") or {}).get("text") or ""
    return text


_CHAT = (litellm.completion, litellm.acompletion)
_TEXT = (litellm.text_completion, litellm.atext_completion)
_RESPONSES = (litellm.responses, litellm.aresponses)
_MESSAGES = (None, litellm.anthropic_messages)
_AS_CHAT = ("messages", messages, lambda answer: answer.choices[0].message.content, _chat_piece)
_AS_TEXT = ("prompt", str, lambda answer: answer.choices[0].text, _text_piece)
_AS_RESPONSES = ("input", str, _response_text, _response_piece)
_AS_MESSAGES = ("messages", messages, _message_text, _message_piece)
_FIFTY = {"max_tokens": 500}

KINDS = {
    kind.name: kind
    for kind in (
        Kind("chat", *_CHAT, "openai/gpt-4o-mini", *_AS_CHAT),
        Kind("chat by responses", *_CHAT, "openai/responses/gpt-4o-mini", *_AS_CHAT),
        Kind("chat by anthropic", *_CHAT, "anthropic/claude-fake", *_AS_CHAT, _FIFTY, origin=True),
        Kind("text", *_TEXT, "text-completion-openai/gpt-3.5-turbo-instruct", *_AS_TEXT),
        Kind("text by chat", *_TEXT, "openai/gpt-4o-mini", *_AS_TEXT),
        Kind("responses", *_RESPONSES, "openai/gpt-4o-mini", *_AS_RESPONSES),
        Kind("responses by chat", *_RESPONSES, "mistral/some-model", *_AS_RESPONSES),
        Kind("messages", *_MESSAGES, "anthropic/claude-fake", *_AS_MESSAGES, _FIFTY, origin=True),
        Kind("messages by chat", *_MESSAGES, "hosted_vllm/some-model", *_AS_MESSAGES, _FIFTY),
        Kind("messages by responses", *_MESSAGES, "openai/gpt-4o-mini", *_AS_MESSAGES, _FIFTY),
    )
}
