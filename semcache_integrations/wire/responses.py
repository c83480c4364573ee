"""OpenAI's Responses: a whole response <-> the events of its stream.

The law: `assembled(events(response, replay)) == response` for every response, however the replay cuts,
because the last event carries it whole; the events before it say the same, piece by piece. What is not
known to be whole is None and never an entry.

What a live stream has and these events have not: the pace of its tokens, their obfuscation and their log
probabilities one by one, an annotation between two pieces of its text (here they follow the text), and the
progress of tools that the provider runs (a search is added and done, whole).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any  # JSON, whose values are whatever the wire brought

from semcache_integrations.core.answers import spoken
from semcache_integrations.core.replay import Replay
from semcache_integrations.wire.reading import (
    Json,
    call_text,
    listed,
    mapping,
    mappings,
    new_id,
    renamed_fields,
    text,
)
from semcache_integrations.wire.responses_items import CALLS, item_events

_COMPLETED = "response.completed"
_BROKEN = frozenset({"response.failed", "response.incomplete", "error"})
_KNOWN_LAST = ("usage", "completed_at")
_BOUND = frozenset({"mcp_approval_request", "code_interpreter_call"})
_CALL_FIELDS = frozenset({"call_id", "caller_id"})
_ID_FIELDS = frozenset({"id"})


def events(response: Mapping[str, Any], replay: Replay) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream that makes `response`, numbered from 0.

    Args:
        response: The body of an answer that was not streamed, best one that `is_complete`. The events
            share its values: encode them, do not change them.
        replay: How texts, summaries, refusals and arguments are cut.
    """
    for number, event in enumerate(_unnumbered(response, replay)):
        yield {"type": event["type"], "sequence_number": number, **event}


def assembled(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the response that a stream's only `response.completed` brought, or None unless the stream is whole.

    None for a stream with `response.failed`, `response.incomplete` or `error`, or with what is no event.
    Unknown events are ignored: the last one carries all that they told.
    """
    completed: list[object] = []
    for event in events:
        kind = mapping(event).get("type")
        if not isinstance(kind, str) or kind in _BROKEN:
            return None
        if kind == _COMPLETED:
            completed.append(event.get("response"))
    if len(completed) != 1 or not isinstance(completed[0], Mapping):
        return None
    return dict(completed[0])


def is_complete(response: object) -> bool:
    """Whether a response may be kept: it is completed, refuses nothing, and says or calls something.

    Never kept are also those that only one caller can go on from: of a `conversation` that the provider
    keeps, with a request for approval, or with code that ran in a container, which expires.
    """
    answer = mapping(response)
    output = answer.get("output")
    if answer.get("status") != "completed" or not isinstance(output, list):
        return False
    if any(answer.get(name) for name in ("error", "incomplete_details", "conversation")):
        return False
    items = mappings(output)
    return len(items) == len(output) and all(map(_is_final, items)) and any(map(_answers, items))


def says(response: object) -> str:
    """Return what a response answers, as it is compared with others: its texts and its calls, one a line.

    Raises:
        ValueError: it is no response, or a call's arguments cannot be compared.
    """
    items = listed(mapping(response).get("output"), "this is no response: it has no list of output items")
    return "\n".join(said for item in items for said in _said(item))


def renamed(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose calls and items have ids of their own: a conversation must not meet the same id twice.

    The provider refuses input in which an item's id repeats. It also looks up a reasoning item by its id,
    and the item that follows by its own, unless the reasoning came along encrypted: so the items of a
    response with reasoning that only the provider holds keep their ids, while its calls get new ones.

    The id of the response stays, for it names what the provider stored: whoever goes on from it with
    `previous_response_id` goes on from what was first asked. An adapter that cannot allow this must not
    serve requests that let the provider store.
    """
    output = response["output"]
    calls = _new_call_ids(mappings(output))
    items = {} if any(map(_is_held, mappings(output))) else _new_item_ids(mappings(output))
    return {**response, "output": [_renamed_item(item, calls, items) for item in output]}


# ---- a response as events


def _unnumbered(response: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    unknown_yet = {name: None for name in _KNOWN_LAST if name in response}
    begun = {**response, **unknown_yet, "status": "in_progress", "output": []}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(response["output"]):
        yield from item_events(item, index, replay)
    yield {"type": _COMPLETED, "response": dict(response)}


# ---- items


def _parts(item: Json) -> list[Json]:
    return mappings(item.get("content")) if item.get("type") == "message" else []


def _texts(item: Json) -> list[str]:
    return [text(part.get("text")) for part in _parts(item) if part.get("type") == "output_text"]


def _is_final(item: Json) -> bool:
    """Whether an item is done, refuses nothing, and may be another caller's as well."""
    refuses = any(part.get("type") == "refusal" for part in _parts(item))
    return (
        item.get("status") in (None, "completed")  # a tuple: the status may be anything, a list too
        and not refuses
        and text(item.get("type")) not in _BOUND
    )


def _answers(item: Json) -> bool:
    return text(item.get("type")) in CALLS or bool(spoken(_texts(item)).strip())


def _said(item: Json) -> Iterator[str]:
    if texts := _texts(item):
        yield spoken(texts)
    if (call := CALLS.get(text(item.get("type")))) is not None:
        yield call_text(item.get("name"), item.get(call.field))


def _is_held(item: Json) -> bool:
    return item.get("type") == "reasoning" and not item.get("encrypted_content")


def _new_call_ids(items: list[Json]) -> dict[str, str]:
    ids = (item["call_id"] for item in items if isinstance(item.get("call_id"), str))
    return {old: new_id("call_") for old in ids}


def _new_item_ids(items: list[Json]) -> dict[str, str]:
    """Name the items anew; what stands before the underscore tells the provider what an item is."""
    ids = (item["id"] for item in items if isinstance(item.get("id"), str))
    return {old: new_id(old.partition("_")[0] + "_") for old in ids if "_" in old}


def _renamed_item(item: object, calls: Mapping[str, str], items: Mapping[str, str]) -> object:
    if not isinstance(item, Mapping):
        return item
    copy = renamed_fields(renamed_fields(item, items, _ID_FIELDS), calls, _CALL_FIELDS)
    if isinstance(item.get("caller"), Mapping):  # a call that a program made names the program's call
        copy["caller"] = renamed_fields(item["caller"], calls, _CALL_FIELDS)
    return copy
