"""The border to Qdrant Edge: its exceptions become ours, our conditions become its filters. No state.

The law: no exception of the engine's gets past here, whatever its type.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final

import qdrant_edge as qe

from semcache_integrations.backends.points import Condition, HasId, Match
from semcache_integrations.core.errors import StoreError


class _Engine:
    """Turns what the engine raises into `StoreError`: bare `Exception`, `ValueError`, and Rust's panics."""

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, StoreError):
            return
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise StoreError(f"Qdrant Edge failed: {str(error)[:200]}") from error


ENGINE: Final = _Engine()
"""`with ENGINE:` around every call."""


def filter_of(conditions: Sequence[Condition]) -> qe.Filter:
    """Return the engine's filter for these conditions; none of them selects everything."""
    return qe.Filter(must=[_condition(condition) for condition in conditions])


def _condition(condition: Condition) -> qe.FieldCondition | qe.HasIdCondition:
    if isinstance(condition, Match):
        return qe.FieldCondition(key=condition.field, match=qe.MatchValue(condition.value))
    if isinstance(condition, HasId):
        return qe.HasIdCondition(set(condition.ids))
    return qe.FieldCondition(
        key=condition.field, range=qe.RangeFloat(**{condition.operator: condition.value})
    )
