"""What the proxy has done lately, in memory: a watcher of its requests. Nothing of HTTP in here.

The law: bounded in whatever callers send, how much and how long; what is shown is JSON, whatever they wrote.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any  # JSON

from semcache_integrations.http.dashboard.leaders import Leader, Leaders
from semcache_integrations.http.dashboard.series import Series, percentiles
from semcache_integrations.http.happenings import Happening

STATUSES = ("hit", "miss", "bypass", "stale", "error", "other")
TIERS = ("hash", "exact", "semantic", "flight")
MOST_FOUND = 50
"""Of requests and of entries, in one search."""

_KEPT = 500
_SHOWN = 100  # of the kept ones, in each snapshot; a search sees all
_TOP = 20
_TIMES = 1_024  # per status and tier
_LONGEST = 500  # characters of a question
_NAME = 200  # characters of everything else
_ANSWERED = ("hit", "stale")
_SEARCHED = ("question", "model", "tenant", "entry_id")
_MS = 1_000


class Recent:
    """Remembers the latest requests, counts them all, and knows which entries answered most.

    Args:
        most: Requests that are kept.
        clock: Seconds since the epoch.
    """

    def __init__(self, most: int = _KEPT, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._started_at = clock()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._requests: deque[dict[str, Any]] = deque(maxlen=most)
        self._statuses: Counter[str] = Counter()
        self._tiers: Counter[str] = Counter()
        self._saved: Counter[str] = Counter()
        self._times: dict[str, deque[float]] = {name: deque(maxlen=_TIMES) for name in (*STATUSES, *TIERS)}
        self._series = Series()
        self._leaders = Leaders()

    def __call__(self, happening: Happening) -> None:
        """Take note of what became of one request."""
        request = _request(happening)
        with self._lock:
            request["number"] = next(self._numbers)
            self._requests.append(request)
            self._count(happening, request["status"], request["tier"])
            if request["status"] in _ANSWERED and request["entry_id"]:
                self._leaders.note(_leader(happening, request))

    def snapshot(self) -> dict[str, Any]:
        """Return everything that is shown, as JSON; the latest request first."""
        now = self._clock()
        with self._lock:
            return {
                "now": now,
                "started_at": self._started_at,
                "uptime_s": max(0.0, now - self._started_at),
                "requests": sum(self._statuses.values()),
                "hit_rate": self._hit_rate(),
                "statuses": {name: self._statuses[name] for name in STATUSES},
                "tiers": {name: self._tiers[name] for name in TIERS},
                "saved": {name: self._saved[name] for name in ("prompt_tokens", "answer_tokens")},
                "latency": {name: percentiles(times) for name, times in self._times.items()},
                "series": self._series.snapshot(now),
                "top": self._leaders.top(_TOP),
                "recent": list(itertools.islice(reversed(self._requests), _SHOWN)),
            }

    def search(self, text: str = "", status: str = "") -> dict[str, list[dict[str, Any]]]:
        """Return the latest requests and entries whose question, model, tenant or entry id contains a text.

        Args:
            text: In whatever case; "" for all.
            status: Of the requests; "" for whatever.
        """
        wanted = text.casefold()
        with self._lock:
            return {
                "requests": list(itertools.islice(self._matching(wanted, status), MOST_FOUND)),
                "entries": list(itertools.islice(self._leaders.search(wanted), MOST_FOUND)),
            }

    def forget(self, *, entry_id: str = "", model: str = "", tenant: str = "") -> None:
        """Drop entries that were deleted; requests stay, they did happen."""
        with self._lock:
            self._leaders.forget(entry_id=entry_id, model=model, tenant=tenant)

    def _matching(self, text: str, status: str) -> Iterator[dict[str, Any]]:
        for request in reversed(self._requests):
            named = not status or request["status"] == status
            if named and any(text in request[name].casefold() for name in _SEARCHED):
                yield request

    def _count(self, happening: Happening, status: str, tier: str) -> None:
        self._statuses[status] += 1
        self._saved["prompt_tokens"] += happening.prompt_tokens
        self._saved["answer_tokens"] += happening.answer_tokens
        # What waited for an equal call took as long as the upstream: among the hits it would hide how fast they are.
        kind = "flight" if tier == "flight" else status
        for name in {kind, tier} - {""}:
            self._times[name].append(happening.total_s)
        if tier:
            self._tiers[tier] += 1
        outcome = tier or ("other" if status in _ANSWERED else status)
        self._series.note(self._clock(), outcome, "hit" if kind == "stale" else kind, happening.total_s)

    def _hit_rate(self) -> float | None:
        """Return the share of answered requests, of those that could have been answered."""
        answered = sum(self._statuses[name] for name in _ANSWERED)
        asked = answered + self._statuses["miss"]
        return answered / asked if asked else None


def _request(happening: Happening) -> dict[str, Any]:
    """Return a request as it is shown; an upstream may have sent cache headers of its own, of any content."""
    status = happening.status if happening.status in STATUSES else "other"
    tier = happening.tier if happening.tier in TIERS and status in _ANSWERED else ""
    return {
        "at": happening.at,
        "method": _text(happening.method),
        "host": _text(happening.host),
        "path": _text(happening.path),
        "model": _text(happening.model),
        "tenant": _text(happening.tenant),
        "question": _text(happening.question, _LONGEST),
        "http_status": happening.http_status,
        "status": status,
        "tier": tier,
        "reason": _text(happening.reason),
        "similarity": _number(happening.similarity),
        "entry_id": _text(happening.entry_id),
        "head_ms": round(happening.head_s * _MS, 3),
        "total_ms": round(happening.total_s * _MS, 3),
        "complete": happening.complete,
    }


def _leader(happening: Happening, request: dict[str, Any]) -> Leader:
    return Leader(
        entry_id=request["entry_id"],
        question=request["question"],
        nearness=request["similarity"] or 0.0,
        model=request["model"],
        tenant=request["tenant"],
        hits=1,
        tokens=happening.prompt_tokens + happening.answer_tokens,
        last_at=happening.at,
    )


def _text(text: str, most: int = _NAME) -> str:
    """Return the beginning of a text; halves of surrogate pairs, which JSON may hold and UTF-8 cannot, as `?`."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return short.encode("utf-8", "replace").decode()


def _number(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
