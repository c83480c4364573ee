"""A circuit breaker per upstream: what fails again and again rests, then one request at a time finds out if it lives.

The law: a request is refused only while its upstream rests or is being probed; whatever becomes of a probe (answered,
failed, cancelled, never heard of again), another one can follow.

`semcache_integrations.breaker` guards the cache's own store: there one call per rest may try and nobody waits for what
becomes of it. Here the upstream itself says how long to rest, and a probe has a place that it must give back; the two
share no step.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, TypeAlias

from typing_extensions import Self

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.problems import ProblemError

State: TypeAlias = Literal["closed", "open", "half-open"]

_TOO_MANY, _SERVER_ERROR, _UNAVAILABLE = 429, 500, 503
_PROBED_S: Final = 1.0  # what to wait while somebody else is finding out


@dataclass(frozen=True, slots=True, kw_only=True)
class Rests:
    """When an upstream rests, and for how long.

    Attributes:
        failures: Failures in a row after which it rests.
        rest_s: Seconds of rest if the upstream names none.
        longest_s: Seconds of rest at most, whatever it names.
        probe_s: Seconds after which a probe that was not heard of again gives its place to another.
    """

    failures: int = 5
    rest_s: float = 10.0
    longest_s: float = 300.0
    probe_s: float = 60.0

    def __post_init__(self) -> None:
        if self.failures < 1 or min(self.rest_s, self.longest_s, self.probe_s) <= 0:
            raise ConfigurationError("a breaker needs at least 1 failure to open, and seconds above 0")


_RESTS: Final = Rests()


class UpstreamBreaker:
    """The circuits of all upstreams. Safe with threads.

    Args:
        rests: When they open, and for how long.
        remembered: Upstreams at most; those that work are forgotten first.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        rests: Rests = _RESTS,
        *,
        remembered: int = 256,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if remembered < 1:
            raise ConfigurationError("a breaker must remember at least 1 upstream: remembered=1 or more")
        self._rests, self._remembered, self._clock = rests, remembered, clock
        self._circuits: OrderedDict[str, _Circuit] = OrderedDict()
        self._lock = threading.Lock()

    def another(self) -> UpstreamBreaker:
        """Return one with the same rules that has seen nothing."""
        return UpstreamBreaker(self._rests, remembered=self._remembered, clock=self._clock)

    def permit(self, upstream: str) -> Permit:
        """Let one request through; use what is returned in a `with` statement.

        Raises:
            ProblemError: 503, the upstream rests.
        """
        return self._circuit(upstream).admit()

    def states(self) -> Mapping[str, State]:
        """Return how each upstream that is remembered stands now."""
        with self._lock:
            circuits = dict(self._circuits)
        return {upstream: circuit.state for upstream, circuit in circuits.items()}

    def _circuit(self, upstream: str) -> _Circuit:
        with self._lock:
            circuit = self._circuits.get(upstream)
            if circuit is None:
                circuit = self._circuits[upstream] = _Circuit(upstream, self._rests, self._clock)
                self._forget_one_too_many(upstream)
            self._circuits.move_to_end(upstream)
            return circuit

    def _forget_one_too_many(self, newest: str) -> None:
        if len(self._circuits) <= self._remembered:
            return
        others = [name for name in self._circuits if name != newest]
        working = (name for name in others if self._circuits[name].state == "closed")
        del self._circuits[next(working, others[0])]


class Permit:
    """One request that was let through, until the end of its `with` block."""

    __slots__ = ("_circuit",)

    def __init__(self, circuit: _Circuit) -> None:
        self._circuit = circuit

    def answered(self, status: int, retry_after_s: float | None = None) -> None:
        """Take note of an answer: 429 and 5xx are failures, anything else shows that the upstream lives."""
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            self.failed(retry_after_s)
        else:
            self._circuit.succeeded(self)

    def failed(self, retry_after_s: float | None = None) -> None:
        """Take note of a failure, and of how long the upstream asks to be left alone."""
        self._circuit.failed(self, retry_after_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._circuit.released(self)


class _Circuit:
    """The circuit of one upstream: closed while `_rests_until` is None."""

    def __init__(self, upstream: str, rests: Rests, clock: Callable[[], float]) -> None:
        self._upstream, self._rests, self._clock = upstream, rests, clock
        self._lock = threading.Lock()
        self._failures = 0
        self._rests_until: float | None = None
        self._probe: Permit | None = None
        self._probe_ends = 0.0

    @property
    def state(self) -> State:
        rests_until = self._rests_until
        if rests_until is None:
            return "closed"
        return "open" if self._clock() < rests_until else "half-open"

    def admit(self) -> Permit:
        permit = Permit(self)
        with self._lock:
            if self._rests_until is None:
                return permit
            now = self._clock()
            if now < self._rests_until:
                raise self._refusal(self._rests_until - now)
            if self._probe is not None and now < self._probe_ends:
                raise self._refusal(min(_PROBED_S, self._probe_ends - now))
            self._probe, self._probe_ends = permit, now + self._rests.probe_s
            return permit

    def succeeded(self, permit: Permit) -> None:
        """Close; what was sent before the failures began proves nothing about now."""
        with self._lock:
            if self._rests_until is None or self._probe is permit:
                self._failures, self._rests_until, self._probe = 0, None, None

    def failed(self, permit: Permit, retry_after_s: float | None) -> None:
        """Count and perhaps open; a failure that comes late can only prolong the rest."""
        with self._lock:
            self._failures += 1
            until = self._clock() + self._rest_s(retry_after_s)
            if self._rests_until is None:
                self._rests_until = until if self._failures >= self._rests.failures else None
            elif self._probe is permit:
                self._rests_until, self._probe = until, None
            elif retry_after_s is not None:
                self._rests_until = max(self._rests_until, until)

    def released(self, permit: Permit) -> None:
        """Free the place of a probe of which nothing was learned."""
        with self._lock:
            if self._probe is permit:
                self._probe = None

    def _rest_s(self, asked_s: float | None) -> float:
        return min(self._rests.longest_s, self._rests.rest_s if asked_s is None else asked_s)

    def _refusal(self, seconds: float) -> ProblemError:
        return ProblemError(
            _UNAVAILABLE,
            f"{self._upstream.partition(' ')[0]} failed {self._rests.failures} times in a row and is left alone for a while: "
            f"try again in {seconds:.0f} s",
            retry_after_s=seconds,
        )
