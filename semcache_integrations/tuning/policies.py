"""The policies that `semcache bench quality` compares: what others do by default, and ours. Settings, no logic.

A rival's row is its threshold on the same embedding, store and requests, without vetoes: what its users get, not its
code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Contender:
    """One policy.

    Attributes:
        name: In the table.
        settings: Of the `SemanticCache`.
        ours: Whether it is one of ours.
        target: The share of wrong hits that it promises to keep, per hit; None if it promises none.
        delta: The share of wrong answers that it promises to keep, per request; None if it promises none.
    """

    name: str
    settings: Mapping[str, object]
    ours: bool = False
    target: float | None = None
    delta: float | None = None

    @property
    def learns(self) -> bool:
        """Whether it compares answers in the background."""
        return self.settings["policy"] != "static"


def static(name: str, threshold: float) -> Contender:
    """Return a bare similarity threshold."""
    return Contender(name, {"policy": "static", "similarity_threshold": threshold, "vetoes": False})


def oracle(threshold: float) -> Contender:
    """Return the static threshold that was best on these very requests, which nobody can know beforehand."""
    return static(f"best static {threshold:.2f} *", threshold)


def _vcache(delta: float) -> Contender:
    settings = {"policy": "verified", "delta": delta, "vetoes": False}
    return Contender(f"vCache delta {delta:.0%}", settings, delta=delta)


def _balanced(target: float) -> Contender:
    settings = {"policy": "balanced", "target_wrong_hits": target}
    return Contender(f"balanced, target {target:.0%}", settings, ours=True, target=target)


RIVALS: Final = (
    static("GPTCache 0.60", 0.60),  # its evaluator's range makes 0.8 of squared distances 0.60 cosine
    static("LiteLLM docs 0.80", 0.80),
    static("RedisVL 0.90", 0.90),
    static("OneLLM/Portkey 0.95", 0.95),
)
OURS: Final = (
    Contender(
        "static 0.90 + vetoes", {"policy": "static", "similarity_threshold": 0.90, "vetoes": True}, ours=True
    ),
    *map(_vcache, (0.01, 0.02, 0.05)),
    Contender("balanced, target 2%", {"policy": "balanced"}, ours=True, target=0.02),
    Contender("strict, target 1%", {"policy": "strict"}, ours=True, target=0.01),
    _balanced(0.05),
)
