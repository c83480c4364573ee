"""The message that grows from the events of Anthropic's stream, one event at a time.

The law: an event is taken only where the format allows it; who is not sure says no, and no message comes
of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any  # JSON, whose values are whatever the wire brought

from semcache_integrations.wire.reading import Json, mapping

_PIECES = {  # a delta: the field of the block that grows, and the field of the delta that it grows by
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("input", "partial_json"),
}


class Assembly:
    """One message in the making."""

    def __init__(self) -> None:
        self._message: dict[str, Any] | None = None  # Any: JSON
        self._blocks: list[dict[str, Any]] = []
        self._open: dict[
            int, dict[str, list[str]]
        ] = {}  # by index and field; joined once, when a block closes
        self._stopped = False
        self._steps: dict[str, Callable[[Json], bool]] = {
            "content_block_start": self._opens,
            "content_block_delta": self._adds,
            "content_block_stop": self._closes,
            "message_delta": self._tells,
            "message_stop": self._stops,
        }

    def takes(self, event: object) -> bool:
        """Take one event; False if the message can no longer be known to be whole."""
        kind = mapping(event).get("type")
        if kind == "ping":
            return True
        if self._stopped or not isinstance(kind, str):
            return False
        if self._message is None:
            return kind == "message_start" and self._starts(mapping(event))
        step = self._steps.get(kind)
        return step is not None and step(mapping(event))

    def whole(self) -> dict[str, Any] | None:
        """Return the message, or None if its end is missing."""
        if self._message is None or not self._stopped:
            return None
        return {**self._message, "content": self._blocks}

    def _starts(self, event: Json) -> bool:
        begun = event.get("message")
        if not isinstance(begun, dict) or begun.get("content"):
            return False
        self._message = dict(begun)
        return True

    def _opens(self, event: Json) -> bool:
        block, index = event.get("content_block"), event.get("index")
        if not isinstance(block, dict) or index != len(self._blocks):
            return False
        self._blocks.append(dict(block))
        self._open[index] = {}
        return True

    def _adds(self, event: Json) -> bool:
        index, delta = event.get("index"), mapping(event.get("delta"))
        if not isinstance(index, int) or index not in self._open:
            return False
        block, kind = self._blocks[index], delta.get("type")
        if kind == "citations_delta":
            return "text" in block and _cites(block, delta.get("citation"))
        if kind == "signature_delta":
            return "thinking" in block and _signs(block, delta.get("signature"))
        return isinstance(kind, str) and kind in _PIECES and self._gathers(index, delta, *_PIECES[kind])

    def _gathers(self, index: int, delta: Json, field: str, name: str) -> bool:
        before, piece = self._blocks[index].get(field), delta.get(name)
        if not isinstance(piece, str) or not isinstance(before, dict if field == "input" else str):
            return False
        self._open[index].setdefault(field, []).append(piece)
        return True

    def _closes(self, event: Json) -> bool:
        index = event.get("index")
        if not isinstance(index, int) or index not in self._open:
            return False
        gathered = self._open.pop(index).items()
        return all(_grows(self._blocks[index], field, "".join(pieces)) for field, pieces in gathered)

    def _tells(self, event: Json) -> bool:
        """Merge what the end tells; fields beside `delta` are the message's own, as the provider's SDK reads them."""
        delta, usage = event.get("delta"), event.get("usage")
        if self._message is None or not isinstance(delta, dict):
            return False
        told = {name: value for name, value in event.items() if name not in {"type", "delta", "usage"}}
        self._message.update(told | delta)
        if isinstance(usage, dict) and usage:
            # The counts are totals; one that does not apply is left out or null, and the first one stands.
            counts = {name: count for name, count in usage.items() if count is not None}
            self._message["usage"] = {**mapping(self._message.get("usage")), **counts}
        return True

    def _stops(self, _event: Json) -> bool:
        self._stopped = not self._open
        return self._stopped


def _grows(block: dict[str, Any], field: str, written: str) -> bool:
    if field == "input":
        return not written or _puts_input(block, written)
    block[field] += written
    return True


def _cites(block: dict[str, Any], citation: object) -> bool:
    before = block.get("citations") or []
    if not isinstance(before, list) or not isinstance(citation, dict):
        return False
    block["citations"] = [*before, citation]
    return True


def _signs(block: dict[str, Any], signature: object) -> bool:
    block["signature"] = signature
    return isinstance(signature, str)


def _puts_input(block: dict[str, Any], written: str) -> bool:
    try:  # not orjson: it rounds integers of more than 64 bits
        block["input"] = json.loads(written)
    except (ValueError, RecursionError):
        return False
    return isinstance(block["input"], dict)
