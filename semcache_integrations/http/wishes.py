"""How one call asks to be treated: HTTP's own `Cache-Control`, and `x-semcache-…` -> controls. Nothing here is keyed.

The law: a wish that means nothing is refused, with the header's name; it is never guessed at.

| header | what it asks for |
|---|---|
| `cache-control: no-cache` | no answer from the cache; this one is kept |
| `cache-control: no-store` | this answer is not kept |
| `cache-control: max-age=60` | nothing older than so many seconds |
| `cache-control: only-if-cached` | nothing from upstream: 504 where the cache has no answer (RFC 9111 §5.2.1.7) |
| `x-semcache-ttl: 3600` | seconds that the answer is kept |
| `x-semcache-threshold: 0.95` | a higher similarity than the cache's own |
| `x-semcache-semantic: false` | nothing but the very same question |
| `x-semcache-tags: a, b` | labels of the entry |
| `x-semcache-replay: sentences` | how a stored answer is streamed |
| `x-semcache-namespace: name` | entries of this name only (keyed: `requests.py`) |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast, get_args

from semcache_integrations.core.models import DEFAULT_CONTROLS, Controls
from semcache_integrations.core.replay import Replay, Strategy
from semcache_integrations.http.calls import Call, Wishes
from semcache_integrations.http.problems import ProblemError

T = TypeVar("T")
D = TypeVar("D")
_STRATEGIES = frozenset(get_args(Strategy))
_BOOLEANS = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


def wishes(call: Call, usual: Replay) -> Wishes:
    """Return whether the call wants to be looked up and kept, and how it wants to be streamed.

    Args:
        call: The request.
        usual: How streams are cut for those who do not ask for another strategy.

    Raises:
        ProblemError: a wish means nothing.
    """
    directives = _directives(call)
    strategy = call.header("x-semcache-replay").strip().lower()
    if strategy and strategy not in _STRATEGIES:
        raise ProblemError(400, f"x-semcache-replay is one of {', '.join(sorted(_STRATEGIES))}")
    return Wishes(
        looks="no-cache" not in directives,
        keeps="no-store" not in directives,
        only_if_cached="only-if-cached" in directives,
        replay=Replay(cast("Strategy", strategy), usual.size, delay_s=usual.delay_s) if strategy else None,
    )


def controls(call: Call, *, semantic: bool) -> Controls:
    """Return how the engine is to treat the call.

    Args:
        call: The request.
        semantic: Whether its question may be reworded at all.

    Raises:
        ProblemError: a wish means nothing.
    """
    if semantic and not any(
        name.startswith("x-semcache-") or name in {"cache-control", "pragma"} for name in call.named
    ):
        return DEFAULT_CONTROLS  # the engine's fast path
    age = _age_s(_directives(call).get("max-age"))
    asked = Controls(
        semantic=semantic and _read(call, "x-semcache-semantic", _boolean, None) is not False,
        similarity_threshold=_read(call, "x-semcache-threshold", _share, 0.0),
        ttl_s=_read(call, "x-semcache-ttl", _seconds, None),
        max_age_s=age,
        tags=tuple(tag.strip() for tag in call.header("x-semcache-tags").split(",") if tag.strip()),
    )
    return DEFAULT_CONTROLS if asked == DEFAULT_CONTROLS else asked


def _age_s(written: str | None) -> float:
    """Return the age that is still served; one that cannot be read is none, as HTTP has it."""
    if written is None:
        return math.inf
    age = _number(written)
    return age if age >= 0 else 0.0


def _directives(call: Call) -> dict[str, str]:
    if "cache-control" not in call.named and call.header("pragma").strip().lower() == "no-cache":
        return {"no-cache": ""}
    stated = (directive.partition("=") for directive in call.header("cache-control").lower().split(","))
    return {name.strip(): value.strip().strip('"') for name, _, value in stated}


def _read(call: Call, name: str, read: Callable[[str], T], otherwise: D) -> T | D:
    written = call.header(name).strip()
    return _stated(name, written, read) if written else otherwise


def _stated(name: str, written: str, read: Callable[[str], T]) -> T:
    try:
        return read(written)
    except ValueError as error:
        raise ProblemError(400, f"{name} {error}") from None


def _boolean(written: str) -> bool:
    if written.lower() not in _BOOLEANS:
        raise ValueError("is true or false")
    return _BOOLEANS[written.lower()]


def _share(written: str) -> float:
    if not 0 <= (share := _number(written)) <= 1:
        raise ValueError("is a number from 0 to 1")
    return share


def _seconds(written: str) -> float:
    if not 0 <= (seconds := _number(written)) < math.inf:
        raise ValueError("is a number of seconds, at least 0")
    return seconds


def _number(written: str) -> float:
    try:
        return float(written)
    except ValueError:
        return math.nan
