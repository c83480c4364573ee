"""OpenAI's Chat Completions, which nearly every provider speaks: a whole completion <-> the chunks of its stream.

The law: `assembled(events(completion, replay, usage=True)) == completion` for every completion that
`is_complete`, however the replay cuts. What is not known to be whole is None and never an entry.

Where a provider's whole answers differ from OpenAI's in what no stream can tell, its completions come back
in OpenAI's way: with `content: null` in a message that calls and has no content, without an `index` in a
tool call (DeepSeek, Mistral), and without a `delta` beside the message (Perplexity).

What a live stream has and these events have not: the pace of its tokens, their obfuscation and their log
probabilities one by one (here all come with the first piece of the text), tool arguments cut between
tokens, choices that are written at the same time (here one follows the other), and fields of a choice that
are told before its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any  # JSON, whose values are whatever the wire brought

from semcache_integrations.core.answers import spoken
from semcache_integrations.core.replay import Replay, split
from semcache_integrations.wire.openai_chat_assembly import (
    CALLED,
    CHUNK,
    COMPLETION,
    TEXTS,
    Assembly,
    call_of,
    function_of,
    is_place,
)
from semcache_integrations.wire.reading import (
    Json,
    call_text,
    listed,
    mapping,
    mappings,
    new_id,
    text,
)

_STORABLE = frozenset({"stop", "tool_calls", "function_call"})
_CALLS = frozenset({"tool_calls", "function_call"})  # finish reasons, and the fields that they promise
_TOLD_ELSEWHERE = frozenset({"choices", "usage"})
_TOLD_APART = frozenset({"index", "message", "finish_reason", "logprobs", "delta"})
_MISTRALS = re.compile(r"[A-Za-z0-9]{9}")


def events(completion: Mapping[str, Any], replay: Replay, *, usage: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a stream that makes `completion`; after them comes `sse.DONE`.

    Args:
        completion: The body of an answer that was not streamed, best one that `is_complete`. The chunks
            share its values: encode them, do not change them.
        replay: How texts, thoughts and arguments are cut.
        usage: Whether the caller asked for usage (`stream_options.include_usage`); without it none is told.
    """
    head = {name: value for name, value in completion.items() if name not in _TOLD_ELSEWHERE}
    head["object"] = CHUNK
    counted = completion.get("usage") if usage else None
    none_yet = {} if counted is None else {"usage": None}
    for place, choice in enumerate(completion["choices"]):
        for told in _unfolded(choice, choice.get("index", place), replay):
            yield {**head, "choices": [told], **none_yet}
    if counted is not None:
        yield {**head, "choices": [], "usage": counted}


def assembled(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the completion that the chunks of a stream make, or None unless the stream is whole.

    Whole is a stream in which every choice that began has a finish reason. Chunks of another completion, an
    `error`, and whatever is of an unknown shape or told in two ways make None: it may be a part of the
    answer, and an entry without that part would be a wrong answer for every later caller, while None costs
    one entry. The usage is there if the stream told it. How many choices were asked for no stream tells:
    who asked for several compares their number, for a stream may be cut between two.
    """
    assembly = Assembly()
    if all(assembly.takes(event) for event in events):
        return assembly.whole()
    return None


def is_complete(completion: object) -> bool:
    """Whether a completion may be kept: each of its choices ended by itself, and says or calls something.

    Never kept are answers that were cut or filtered, that refuse, whose shape no stream could tell, and
    those with audio that has an `expires_at`: it is one caller's.
    """
    answer = mapping(completion)
    choices = answer.get("choices")
    if answer.get("object") != COMPLETION or answer.get("error") or not isinstance(choices, list):
        return False
    if not isinstance(answer.get("usage", {}), Mapping):
        return False
    return bool(choices) and all(
        _is_final(mapping(choice), place) and _answers(mapping(choice))
        for place, choice in enumerate(choices)
    )


def says(completion: object) -> str:
    """Return what a completion answers, as it is compared with others: its texts and its calls, one a line.

    Raises:
        ValueError: it is no completion, or a call's arguments cannot be compared.
    """
    choices = listed(mapping(completion).get("choices"), "this is no completion: it has no list of choices")
    return "\n".join(said for choice in choices for said in _said(mapping(choice.get("message"))))


def renamed(completion: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose tool calls have ids of their own: a conversation must not meet the same id twice.

    The id of the completion stays: it is never sent back.
    """
    return {**completion, "choices": [_renamed_choice(choice) for choice in completion["choices"]]}


# ---- a completion as chunks


def _unfolded(choice: Json, index: object, replay: Replay) -> Iterator[dict[str, Any]]:
    """Yield what the chunks tell of a choice; the log probabilities come with its text, or else at its end."""
    message = choice["message"]
    logprobs = {"logprobs": choice["logprobs"]} if "logprobs" in choice else {}
    none_yet = dict.fromkeys(logprobs)
    yield {"index": index, "delta": _begun(message), "finish_reason": None, **none_yet}
    for delta in _deltas(message, replay):
        now, logprobs = (logprobs, none_yet) if "content" in delta else (none_yet, logprobs)
        yield {"index": index, "delta": delta, "finish_reason": None, **now}
    rest = {name: value for name, value in choice.items() if name not in _TOLD_APART}
    yield {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason"), **logprobs, **rest}


def _begun(message: Json) -> dict[str, Any]:
    begun = {"role": message["role"]} if "role" in message else {}
    texts = {name: message[name] for name in TEXTS if isinstance(message.get(name, ()), str | None)}
    return begun | {name: None if written is None else "" for name, written in texts.items()}


def _deltas(message: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    for name in TEXTS:
        for piece in split(text(message.get(name)), replay):
            yield {name: piece}
    calls, function = mappings(message.get("tool_calls")), mapping(message.get("function_call"))
    called = {name for name, value in (("tool_calls", calls), ("function_call", function)) if value}
    told = {"role", *_begun(message), *called}
    if rest := {name: value for name, value in message.items() if name not in told}:
        yield rest
    for index, call in enumerate(calls):
        yield from ({"tool_calls": [{**part, "index": index}]} for part in _call_deltas(call, replay))
    if function:
        yield from ({"function_call": part} for part in _body_deltas(function, "arguments", replay))


def _call_deltas(call: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    kind = next((kind for kind in CALLED if isinstance(call.get(kind), Mapping)), None)
    if kind is None:
        yield dict(call)
        return
    first, *pieces = _body_deltas(call[kind], CALLED[kind], replay)
    yield {**call, kind: first}
    yield from ({kind: piece} for piece in pieces)


def _body_deltas(body: Json, written: str, replay: Replay) -> Iterator[dict[str, Any]]:
    yield {**body, written: ""} if isinstance(body.get(written), str) else dict(body)
    for piece in split(text(body.get(written)), replay):
        yield {written: piece}


# ---- choices


def _is_final(choice: Json, place: int) -> bool:
    """Whether a choice ended by itself, may be another caller's as well, and is one that a stream can tell."""
    index, logprobs, message = choice.get("index"), choice.get("logprobs"), mapping(choice.get("message"))
    return (
        text(choice.get("finish_reason")) in _STORABLE
        and is_place(index)
        and index == place
        and (logprobs is None or isinstance(logprobs, Mapping))
        and all(isinstance(mapping(logprobs).get(name), list | None) for name in ("content", "refusal"))
        and isinstance(message.get("tool_calls"), list | None)
    )


def _answers(choice: Json) -> bool:
    message = mapping(choice.get("message"))
    calls, expires_at = _calls(message), mapping(message.get("audio")).get("expires_at")
    if message.get("refusal") or None in calls or expires_at is not None:
        return False
    if choice["finish_reason"] in _CALLS:
        return bool(message.get(choice["finish_reason"]))
    return bool(calls) or bool(_text(message).strip())


def _calls(message: Json) -> list[tuple[str, str] | None]:
    """Return the name and the arguments of each call; None for what is not known to be one."""
    calls, function = message.get("tool_calls"), message.get("function_call")
    made = [call_of(call) for call in calls] if isinstance(calls, list) else []
    return made if function is None else [*made, function_of(function)]


def _text(message: Json) -> str:
    """Return the text of a message, which some providers tell in parts, as Mistral does beside thoughts."""
    content = message.get("content")
    return text(content) or spoken([text(part.get("text")) for part in mappings(content) if "text" in part])


def _said(message: Json) -> Iterator[str]:
    if said := _text(message):
        yield said
    yield from (call_text(*call) for call in _calls(message) if call is not None)


def _renamed_choice(choice: object) -> object:
    message = mapping(mapping(choice).get("message"))
    if not isinstance(choice, Mapping) or not isinstance(message.get("tool_calls"), list):
        return choice
    return {
        **choice,
        "message": {**message, "tool_calls": [_renamed(call) for call in message["tool_calls"]]},
    }


def _renamed(call: object) -> object:
    if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
        return call
    # Mistral refuses calls whose ids are not exactly like its own.
    own = new_id("")[:9] if _MISTRALS.fullmatch(call["id"]) else new_id("call_")
    return {**call, "id": own}
