"""How one call asks to be treated: LiteLLM's `cache={…}` argument -> `Controls`. Nothing in here is keyed.

The law: a wish that means nothing keeps the call out of the cache; it is never guessed at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast, get_args

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.models import DEFAULT_CONTROLS, Controls
from semcache_integrations.core.replay import Replay, Strategy

_STRATEGIES = frozenset(get_args(Strategy))


def controls(arguments: Mapping[str, object], *, semantic: bool) -> Controls:
    """Return how this one call asks to be treated: its `cache={…}` argument.

    Raises:
        UnkeyableError: a control has a value that means nothing.
    """
    asked = mapping(arguments, "cache")
    ages = [_number(asked[name]) for name in ("s-maxage", "s-max-age") if asked.get(name) is not None]
    threshold = asked.get("similarity_threshold")
    tags = asked.get("tags") or ()
    if isinstance(tags, str) or not isinstance(tags, Sequence):
        raise UnkeyableError("tags must be a list of strings")
    if semantic and not asked:
        return DEFAULT_CONTROLS  # the engine's fast path
    return Controls(
        semantic=semantic and asked.get("semantic") is not False,
        similarity_threshold=0.0 if threshold is None else _number(threshold),
        ttl_s=None if asked.get("ttl") is None else _number(asked["ttl"]),
        max_age_s=min(ages, default=math.inf),
        tags=tuple(str(tag) for tag in tags),
    )


def replay_of(arguments: Mapping[str, object], usual: Replay) -> Replay:
    """Return how this one call asks to be streamed: its `cache={"replay": …}`, a `Replay` or the name of a strategy.

    Args:
        arguments: Of the call.
        usual: How others are streamed, and this one too if it asks for nothing that is known.
    """
    asked = mapping(arguments, "cache").get("replay")
    if isinstance(asked, Replay):
        return asked
    if not isinstance(asked, str) or asked not in _STRATEGIES:
        return usual
    return replace(usual, strategy=cast("Strategy", asked))


def mapping(arguments: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return the argument `name`, which must be a mapping; absent and None are an empty one.

    Raises:
        UnkeyableError: it is something else.
    """
    value = arguments.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UnkeyableError(f"{name} must be a mapping")
    return value


def _number(value: object) -> float:
    """Read a control's number; LiteLLM's proxy passes on what stood in a JSON body."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise UnkeyableError("a cache control must be a number")
    try:
        number = float(value)
    except ValueError:
        raise UnkeyableError("a cache control must be a number") from None
    if math.isnan(number) or number < 0:
        raise UnkeyableError("a cache control must not be negative")
    return number
