"""What a load test does, checked before it begins: how many users come, how fast, for how long, and what they ask.

The law: a load is bounded in users, in time and in memory; what is beyond a bound is refused, never cut down in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from semcache_integrations.core.errors import ConfigurationError

MOST_USERS, FASTEST_SPAWN, LONGEST_S = 2_000, 500, 3_600
_UNITS = {"h": 3_600.0, "m": 60.0, "s": 1.0, "": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")
_PLAIN = re.compile(r"\d+(?:\.\d+)?")


def seconds_of(written: str) -> float:
    """Read a time: `5`, `5s`, `1m`, `1m30s`.

    Raises:
        ValueError: it is none.
    """
    text = written.strip().lower()
    if _PLAIN.fullmatch(text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{written!r} is no time: write 5s, 1m or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How the requests divide; what is left are new questions.

    Attributes:
        repeat: Questions that were asked before, to the letter.
        reword: Questions that were asked before in other words.
    """

    repeat: float
    reword: float

    def __post_init__(self) -> None:
        _require(0 <= self.repeat <= 1 and 0 <= self.reword <= 1, "a share is from 0 to 1")
        _require(
            self.repeat + self.reword <= 1 + 1e-9,
            "the shares of repeats and of rewordings are more than 1 together",
        )

    @property
    def new(self) -> float:
        """Share of the questions that nobody asked before."""
        return max(0.0, 1.0 - self.repeat - self.reword)

    def stated(self, repeat: float | None, reword: float | None) -> Shares:
        """Return these shares with one or both replaced; what is not stated keeps its proportions."""
        if repeat is not None and reword is not None:
            return Shares(repeat=repeat, reword=reword)
        if repeat is not None:
            return Shares(repeat=repeat, reword=_rest(repeat, self.reword, self.new))
        if reword is not None:
            return Shares(repeat=_rest(reword, self.repeat, self.new), reword=reword)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A load.

    Attributes:
        shares: How the requests divide.
        users: How many ask at once, each waiting for the answer before the next question.
        spawn_rate: How many of them come in a second.
        seconds: How long it takes.
        requests: Most requests; None for as many as there is time for.
        stream_share: Share of the requests that want a stream.
        pause_s: Seconds that a user waits between two questions, on average.
        timeout_s: Seconds after which an answer is an error.
        seed: Equal seeds ask the same questions in the same order.
        model: The model that is asked.
    """

    shares: Shares
    users: int = 5
    spawn_rate: float = 5.0
    seconds: float = 5.0
    requests: int | None = None
    stream_share: float = 0.25
    pause_s: float = 0.0
    timeout_s: float = 30.0
    seed: int = 0
    model: str = "gpt-4o-mini"

    def __post_init__(self) -> None:
        _require(1 <= self.users <= MOST_USERS, f"users: from 1 to {MOST_USERS:,}, not {self.users}")
        _require(
            0 < self.spawn_rate <= FASTEST_SPAWN,
            f"spawn rate: above 0 and at most {FASTEST_SPAWN} users a second, not {self.spawn_rate:g}",
        )
        _require(0 < self.seconds <= LONGEST_S, f"time: above 0 and at most an hour, not {self.seconds:g} s")
        _require(self.requests is None or self.requests >= 1, "requests: at least 1")
        _require(0 <= self.stream_share <= 1, "the share of streams is from 0 to 1")
        _require(self.pause_s >= 0, "a pause is at least 0 s")
        _require(self.timeout_s > 0, "a time limit is above 0 s")

    def comes_after_s(self, user: int) -> float:
        """Seconds after the start at which a user comes, the first one being user 0."""
        return user / self.spawn_rate

    @property
    def coming(self) -> int:
        """How many users come before the time is over."""
        return sum(self.comes_after_s(user) < self.seconds for user in range(self.users))


def _rest(stated: float, one: float, other: float) -> float:
    """Return the part of `one` in what a stated share leaves."""
    return (1 - stated) * (one / (one + other) if one + other else 0.0)


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise ConfigurationError(otherwise)
