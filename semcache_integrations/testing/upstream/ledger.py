"""What reached the upstream, and what shall go wrong next: the state that tests and server share, under one lock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived.

    Attributes:
        path: `/v1/chat/completions`…
        body: The decoded JSON: values are what the client sent, hence untyped.
        headers: Names in lower case.
    """

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        status: Answer with this HTTP status and an error body, if it is not 200.
        hang: Answer nothing until the client or the upstream goes away.
        cut: Close the connection in the middle of the body or the stream.
        garbled: Answer 200 with JSON that does not parse; a stream turns bad in the middle.
        finish_reason: Stop half-way and say why.
        refusal: Decline politely, in the field that the format has for it.
    """

    status: int = 200
    hang: bool = False
    cut: bool = False
    garbled: bool = False
    finish_reason: FinishReason = "stop"
    refusal: bool = False


NO_FAULT = Fault()


class Ledger:
    """Calls in their order of arrival, and faults waiting for the next ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._faults: deque[Fault] = deque()
        self._serial = 0

    def record(self, call: Call) -> tuple[int, Fault]:
        """Note a call; return its serial number, never used twice, and what shall go wrong with it."""
        with self._lock:
            self._calls.append(call)
            self._serial += 1
            return self._serial, self._faults.popleft() if self._faults else NO_FAULT

    def plan(self, fault: Fault, times: int) -> None:
        """Let `fault` befall the next `times` calls that have no fault planned yet."""
        with self._lock:
            self._faults.extend([fault] * times)

    def calls(self) -> list[Call]:
        """Return a copy of the calls so far."""
        with self._lock:
            return list(self._calls)

    def reset(self) -> None:
        """Forget calls and faults."""
        with self._lock:
            self._calls.clear()
            self._faults.clear()
