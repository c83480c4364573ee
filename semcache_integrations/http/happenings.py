"""What became of one request, told to whoever watches: metrics, traces, the dashboard.

The law: told once, when the answer has ended or its reader has left, and never in the way: what a watcher raises is
counted, not raised.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from semcache_integrations import labels
from semcache_integrations.core.models import Hit
from semcache_integrations.http.answers import tokens
from semcache_integrations.http.calls import Asked, Call, Head, Part, fields
from semcache_integrations.troubles import Troubles

HIT = "semcache_hit"
"""Where the head of an answer from the cache holds the `Hit`, in its extensions."""


@dataclass(frozen=True, slots=True)
class Happening:
    """What became of one request.

    Attributes:
        at: When it began, in seconds since the epoch.
        method: Of the request.
        path: Of the upstream URL, without its query.
        host: Of the upstream.
        dialect: How its API speaks, "" for what is passed through.
        model: That was asked, "" where nobody knows.
        tenant: Whose it is, readable.
        question: What may be reworded; "" for none.
        http_status: That the caller got.
        status: `hit`, `miss`, `bypass`, `stale` or `error`.
        tier: Of a hit.
        reason: Of everything else.
        similarity: Of a hit, or of the nearest question of a miss.
        entry_id: Of a hit.
        head_s: Seconds until the answer began.
        total_s: Seconds until it ended.
        prompt_tokens: That a hit saved.
        answer_tokens: That a hit saved.
        complete: Whether the answer was read to its end.
    """

    at: float
    method: str
    path: str
    host: str
    dialect: str
    model: str
    tenant: str
    question: str
    http_status: int
    status: str
    tier: str
    reason: str
    similarity: float | None
    entry_id: str
    head_s: float
    total_s: float
    prompt_tokens: int
    answer_tokens: int
    complete: bool


Watcher: TypeAlias = Callable[[Happening], None]


class Watch:
    """Follows answers to their ends, and tells the watchers.

    Args:
        watchers: Whom to tell.
        troubles: Where what they raise is counted.
        clock: Seconds since the epoch.
        timer: Monotonic seconds.
    """

    def __init__(
        self,
        watchers: tuple[Watcher, ...],
        troubles: Troubles,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._watchers = watchers
        self._troubles = troubles
        self._clock = clock
        self._timer = timer

    async def follow(
        self, call: Call, asked: Asked | None, parts: AsyncGenerator[Part, None], said: Mapping[str, str]
    ) -> AsyncGenerator[Part, None]:
        """Yield the parts of an answer; the head says `said`, too."""
        at, started = self._clock(), self._timer()
        head, head_s, complete, count = None, 0.0, False, 0
        try:
            async for part in parts:
                if isinstance(part, bytes):
                    count += len(part)
                    complete = (
                        head is not None and count == head.length
                    )  # its reader may hang up at the last byte
                    yield part
                else:
                    head, head_s = part.labelled(said) if said else part, self._timer() - started
                    yield head
            complete = True
        finally:
            await parts.aclose()
            if head is not None:
                times = {"at": at, "head_s": head_s, "total_s": self._timer() - started}
                self._tell(call, asked, head, complete=complete, **times)

    def refused(self, call: Call, asked: Asked | None, http_status: int, reason: str) -> None:
        """Tell of a request that got an error of ours."""
        head = Head(http_status, fields(labels.other("error", reason)))
        self._tell(call, asked, head, complete=True, at=self._clock(), head_s=0.0, total_s=0.0)

    def _tell(self, call: Call, asked: Asked | None, head: Head, **how: Any) -> None:  # Any: of Happening
        with self._troubles.going_on("watching"):
            happening = Happening(**_what(call, asked, head), **how)
            for watcher in self._watchers:
                with self._troubles.going_on("watching"):
                    watcher(happening)


def _what(call: Call, asked: Asked | None, head: Head) -> dict[str, Any]:  # Any: as above
    host, path = call.place
    found = head.extensions.get(HIT)
    saved = tokens(found.payload) if isinstance(found, Hit) else (0, 0)
    similarity = head.header("x-cache-similarity")
    return {
        "method": call.method,
        "host": host,
        "path": path,
        "dialect": call.dialect or "",
        "model": asked.request.model if asked else "",
        "tenant": asked.request.tenant if asked else "",
        "question": asked.request.text if asked else "",
        "http_status": head.status,
        "status": head.header("x-cache-status"),
        "tier": head.header("x-cache-tier"),
        "reason": head.header("x-cache-reason"),
        "similarity": float(similarity) if similarity else None,
        "entry_id": head.header("x-cache-entry"),
        "prompt_tokens": saved[0],
        "answer_tokens": saved[1],
    }
