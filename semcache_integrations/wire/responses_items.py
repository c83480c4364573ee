"""One output item of OpenAI's Responses as the events of its stream, from added to done.

The law: the deltas of a text join to the text that the `done` beside them carries, and every event of an
item names the item and its place. What is not known is added and done, whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any  # JSON, whose values are whatever the wire brought

from semcache_integrations.core.replay import Replay, split
from semcache_integrations.wire.reading import Json, mappings, text


@dataclass(frozen=True, slots=True)
class Call:
    """How calls of one kind are streamed.

    Attributes:
        field: The field of the item that holds the arguments.
        events: What the names of the events begin with.
        told: Further fields of the item that `done` repeats.
    """

    field: str
    events: str
    told: tuple[str, ...] = ()


CALLS = {
    "function_call": Call("arguments", "response.function_call_arguments", ("name",)),
    "custom_tool_call": Call("input", "response.custom_tool_call_input"),
}
"""The kinds of items that the caller is to execute, by type."""

_TEXTS = {  # a part: the field of its text, and what the names of the events begin with
    "output_text": ("text", "response.output_text"),
    "refusal": ("refusal", "response.refusal"),
    "reasoning_text": ("text", "response.reasoning_text"),
}
_FILLED_LATER = ("content", "summary")
_SUMMARY = "response.reasoning_summary"


def item_events(item: Json, index: int, replay: Replay) -> Iterator[dict[str, Any]]:
    """Yield the events of an item, not numbered yet.

    Args:
        item: One of a response's `output`.
        index: Its place there.
        replay: How its texts and arguments are cut.
    """
    # Some providers leave out the ids of calls, and every event must name its item.
    where = {"item_id": text(item.get("id")) or text(item.get("call_id")), "output_index": index}
    yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
    kind = text(item.get("type"))
    if kind in CALLS:
        yield from _call_events(item, CALLS[kind], where, replay)
    elif kind in {"message", "reasoning"}:
        for at, part in enumerate(mappings(item.get("summary"))):
            yield from _summary_events(part, {**where, "summary_index": at}, replay)
        for at, part in enumerate(mappings(item.get("content"))):
            yield from _part_events(part, {**where, "content_index": at}, replay)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _begun(item: Json) -> dict[str, Any]:
    kind = text(item.get("type"))
    if kind in CALLS:
        empty: dict[str, Any] = {CALLS[kind].field: ""}
    elif kind in {"message", "reasoning"}:
        empty = {name: [] for name in _FILLED_LATER if isinstance(item.get(name), list)}
    else:
        return dict(item)
    begun = {"status": "in_progress"} if isinstance(item.get("status"), str) else {}
    return {**item, **empty, **begun}


def _call_events(item: Json, call: Call, where: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    written = text(item.get(call.field))
    for piece in split(written, replay):
        yield {"type": f"{call.events}.delta", **where, "delta": piece}
    told = {name: item.get(name) for name in call.told}
    yield {"type": f"{call.events}.done", **where, **told, call.field: written}


def _summary_events(part: Json, where: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    written = text(part.get("text"))
    yield {"type": f"{_SUMMARY}_part.added", **where, "part": {**part, "text": ""}}
    for piece in split(written, replay):
        yield {"type": f"{_SUMMARY}_text.delta", **where, "delta": piece}
    yield {"type": f"{_SUMMARY}_text.done", **where, "text": written}
    yield {"type": f"{_SUMMARY}_part.done", **where, "part": part}


def _part_events(part: Json, where: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    known = _TEXTS.get(text(part.get("type")))
    if known is None:
        yield {"type": "response.content_part.added", **where, "part": part}
    else:
        yield {"type": "response.content_part.added", **where, "part": _begun_part(part, known[0])}
        yield from _text_events(part, *known, where, replay)
    yield {"type": "response.content_part.done", **where, "part": part}


def _begun_part(part: Json, field: str) -> dict[str, Any]:
    none_yet: dict[str, Any] = {
        name: [] for name in ("annotations", "logprobs") if isinstance(part.get(name), list)
    }
    return {**part, field: "", **none_yet}


def _text_events(part: Json, field: str, name: str, where: Json, replay: Replay) -> Iterator[dict[str, Any]]:
    written, has_logprobs = text(part.get(field)), part.get("type") == "output_text"
    none_known: dict[str, Any] = {"logprobs": []} if has_logprobs else {}
    for piece in split(written, replay):
        yield {"type": f"{name}.delta", **where, "delta": piece, **none_known}
    for at, annotation in enumerate(mappings(part.get("annotations"))):
        added = {"annotation_index": at, "annotation": annotation}
        yield {"type": f"{name}.annotation.added", **where, **added}
    all_known = {"logprobs": mappings(part.get("logprobs"))} if has_logprobs else {}
    yield {"type": f"{name}.done", **where, field: written, **all_known}
