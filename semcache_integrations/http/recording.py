"""What an upstream answers, collected while it passes through.

The law: a recorder changes nothing that passes, holds nobody up, and knows an answer's end by what the provider says
(`[DONE]`, `message_stop`, `response.completed`), not by the end of the connection: SDKs hang up before that.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from semcache_integrations.http.answers import EVENTS, pack
from semcache_integrations.http.calls import Asked, Head
from semcache_integrations.http.credentials import is_told_apart

LARGEST_ANSWER: Final = 16 * 2**20
"""Bytes, decoded; a longer answer passes through and is not kept."""

IN_PROCESS: Final = "semcache_in_process"
"""What a head has among its extensions whose body ends only where whoever answers says so."""

_OK: Final = 200  # a hit says nothing else
_WINDOW: Final = 31  # zlib's number for a window of 32 kB in a gzip wrapper
_GZIPPED = frozenset({"gzip", "x-gzip"})
_READABLE = frozenset({"", "identity"}) | _GZIPPED
_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")
_ENDS: Mapping[str, bytes] = {
    "chat": b"[DONE]",
    "messages": b"message_stop",
    "responses": b"response.completed",
}
_REFUSED = re.compile(r"q=0(\.0{0,3})?")
_MOST_LOOKS = 8  # at whether an answer is whole: its own text may quote what ends a stream


class Recorder:
    """Collects one answer.

    Args:
        asked: The call that it answers.
        head: Its beginning.
    """

    def __init__(self, asked: Asked, head: Head) -> None:
        self._dialect = asked.dialect
        self._kind = head.header("content-type")
        self._decode = _decoder(head.header("content-encoding"))
        self._mark = _ENDS.get(asked.dialect, b"") if self._kind.lower().startswith(EVENTS) else b""
        self._body = bytearray()
        self._searched = 0  # so far no mark in the body, or none that ends it
        self._looks = 0
        self._left = head.length  # raw bytes to come, if it is told
        self._in_process = head.extensions.get(IN_PROCESS) is True
        self._records = asked.wishes.keeps and _may_be_kept(asked, head)

    def takes(self, raw: bytes) -> str | None:
        """Take a piece; return the payload as soon as the answer is known to be whole."""
        if not self._records:
            return None
        self._gather(raw)
        at_end = self._left == 0  # its reader may hang up as soon as it has the last byte
        if not self._records or not (at_end or self._has_ended()):
            return None
        return self._payload(ended=at_end)

    def _gather(self, raw: bytes) -> None:
        if self._left is not None:
            self._left -= len(raw)
        try:
            self._body += self._decode(raw, LARGEST_ANSWER + 1 - len(self._body))
        except zlib.error:
            self._give_up()
        if len(self._body) > LARGEST_ANSWER:
            self._give_up()

    def ends(self) -> str | None:
        """The upstream sent all: return the payload, unless it was returned before or there is none."""
        return self._payload(ended=True) if self._records else None

    def _has_ended(self) -> bool:
        """Whether an event that may be the last one is there, with the blank line that closes it."""
        if not self._mark or self._looks >= _MOST_LOOKS or not self._body.endswith(_BLANK_LINES):
            return False
        at = self._body.find(self._mark, self._searched)
        self._searched = max(0, len(self._body) - len(self._mark)) if at < 0 else at + len(self._mark)
        return at >= 0

    def _payload(self, *, ended: bool = False) -> str | None:
        self._looks += 1
        payload = pack(self._dialect, self._kind, bytes(self._body), ended=ended and self._in_process)
        if payload is not None:
            self._give_up()
        return payload

    def _give_up(self) -> None:
        self._records = False
        self._body.clear()


def acceptable(encodings: str) -> str:
    """Return what to send as `accept-encoding`: of what the caller understands only what a recorder does."""
    told = (part.lower().replace(" ", "").partition(";") for part in encodings.split(","))
    weights = {name: _REFUSED.fullmatch(parameters) is None for name, _, parameters in told}
    return "gzip" if weights.get("gzip", weights.get("*", False)) else "identity"


def _may_be_kept(asked: Asked, head: Head) -> bool:
    """Whether an answer with this head is kept at all."""
    if head.status != _OK:
        return False
    if head.header("content-encoding").strip().lower() not in _READABLE:
        return False
    return "no-store" not in _directives(head) and not is_personal(asked, head) and _is_told(asked, head)


def _is_told(asked: Asked, head: Head) -> bool:
    """Whether all by which the answer varies belongs to its key; LLM APIs vary by nothing that matters."""
    varies = {name.strip().lower() for name in head.header("vary").split(",")}
    return asked.dialect != "generic" or ("*" not in varies and all(map(is_told_apart, varies)))


def is_personal(asked: Asked, head: Head) -> bool:
    """Whether an answer of an API that nobody knows says that it is for one caller alone."""
    if asked.dialect != "generic":
        return False
    return bool(head.header("set-cookie")) or not _directives(head).isdisjoint({"private", "no-store"})


def _directives(head: Head) -> set[str]:
    return {part.partition("=")[0].strip().lower() for part in head.header("cache-control").split(",")}


def _decoder(encoding: str) -> Callable[[bytes, int], bytes]:
    """Return what decodes the pieces of a body, each to so many bytes at most."""
    if encoding.strip().lower() in _GZIPPED:
        return _Gunzip().takes
    return lambda raw, _most: raw


class _Gunzip:
    """Decodes a body of one gzip member, as nearly all are."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_WINDOW)

    def takes(self, raw: bytes, most: int) -> bytes:
        """Return the decoded piece.

        Raises:
            zlib.error: it cannot be decoded, or another member follows.
        """
        decoded = self._member.decompress(raw, most)
        if self._member.unused_data:
            raise zlib.error("another member follows")
        return decoded
