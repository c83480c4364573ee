"""DECIDES what is answered: the same for every wire format, and a function of the request alone.

* The text is `answer(question)`, by default `Answer to: <question> [<digest>]`. The digest covers the whole
  request but its delivery, so an answer served for another model, system prompt or parameter shows.
* A tool is called if the last message is the user's and the tool choice demands it or, under "auto", a word
  of four letters or more in the tool's name, or "tool", is a word of the question: `get_weather` is called
  for "weather in Paris?" and for "use the tool".
* A response format yields JSON that fits its schema, every string in it being the text.
* More words than the request's limit: cut there, finish reason "length". Tokens are words.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from semcache_integrations.core.replay import Replay, split
from semcache_integrations.testing.upstream.ledger import Fault, FinishReason
from semcache_integrations.testing.upstream.samples import sample

REFUSAL = "I'm sorry, but I can't help with that."
_DELIVERY = {"stream", "stream_options", "user", "metadata", "store", "service_tier", "n"}
_ANY_JSON = {"type": "object", "properties": {"answer": {"type": "string"}}}
_SHORTEST_TELLING_WORD = 4
_ONE_WORD = Replay("words", 1)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call; `schema` is the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request in any format.

    Attributes:
        questions: Text of the last user message; several for a batch of prompts.
        tool_choice: `auto`, `none`, `required` or a tool's name.
        schema: What a structured answer must fit, None for plain text.
        max_tokens: Most words of an answer.
        prompt_tokens: Words in the request.
        users_turn: The last message is the user's, not a tool's result.
        thinks: The answer is to begin with a thought, in formats that have them.
    """

    model: str
    questions: tuple[str, ...]
    digest: str
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    schema: Mapping[str, Any] | None = None
    n: int = 1
    max_tokens: int | None = None
    stream: bool = False
    include_usage: bool = False
    logprobs: bool = False
    prompt_tokens: int = 0
    users_turn: bool = True
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice, in no format yet: a text, a refusal, or a call of `tool` with `arguments` in JSON."""

    text: str = ""
    tool: str = ""
    arguments: str = ""
    refusal: str = ""
    finish_reason: FinishReason = "stop"

    @property
    def tokens(self) -> list[str]:
        """The answer's words, each with the white space that follows it."""
        return list(split(self.text or self.arguments or self.refusal, _ONE_WORD))


def digest(body: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits over all that may change an answer."""
    kept = {key: value for key, value in body.items() if key not in _DELIVERY}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


def decide(ask: Ask, fault: Fault, answer: Callable[[str], str] | None) -> list[Answer]:
    """Answer every question `ask.n` times; choices after the first are numbered."""
    return [
        _decide(ask, question, f" (choice {choice})" if choice else "", fault, answer)
        for question in ask.questions
        for choice in range(ask.n)
    ]


def _decide(
    ask: Ask, question: str, suffix: str, fault: Fault, answer: Callable[[str], str] | None
) -> Answer:
    if fault.refusal:
        return Answer(refusal=REFUSAL)
    text = (answer(question) if answer else f"Answer to: {question} [{ask.digest}]") + suffix
    tool = _wanted(ask, question)
    if tool is not None:
        arguments = json.dumps(sample(tool.schema, question), ensure_ascii=False)
        return Answer(tool=tool.name, arguments=arguments, finish_reason="tool_calls")
    if ask.schema is not None:
        text = json.dumps(sample(ask.schema or _ANY_JSON, text), ensure_ascii=False)
    return _shortened(Answer(text), ask.max_tokens, fault)


def _shortened(whole: Answer, max_tokens: int | None, fault: Fault) -> Answer:
    tokens = whole.tokens
    if fault.finish_reason != "stop":
        return replace(whole, text="".join(tokens[: len(tokens) // 2]), finish_reason=fault.finish_reason)
    if max_tokens is not None and len(tokens) > max_tokens:
        return replace(whole, text="".join(tokens[:max_tokens]), finish_reason="length")
    return whole


def _wanted(ask: Ask, question: str) -> Tool | None:
    if not (ask.users_turn and ask.tools) or ask.tool_choice == "none":
        return None
    if ask.tool_choice == "required":
        return ask.tools[0]
    named = [tool for tool in ask.tools if tool.name == ask.tool_choice]
    return next(iter(named or [tool for tool in ask.tools if _mentions(question, tool)]), None)


def _mentions(question: str, tool: Tool) -> bool:
    words = {word for word in re.split(r"[\W_]+", tool.name.lower()) if len(word) >= _SHORTEST_TELLING_WORD}
    return not (words | {"tool"}).isdisjoint(re.findall(r"\w+", question.lower()))


# ---- reading what the formats have in common


def text_of(content: object) -> str:
    """Return the text in a message's content: a string, or a list of typed parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in parts)


def last_question(messages: Sequence[Mapping[str, Any]]) -> tuple[str, bool]:
    """Return the text of the last user message that has one, and whether it is the last message of all."""
    spoken = [
        place
        for place, message in enumerate(messages)
        if message.get("role") == "user" and text_of(message.get("content"))
    ]
    if not spoken:
        return "", False
    return text_of(messages[spoken[-1]].get("content")), spoken[-1] == len(messages) - 1


def words_in(value: object) -> int:
    """Count words, the stand-in for a prompt's tokens."""
    return len(json.dumps(value, ensure_ascii=False).split())
