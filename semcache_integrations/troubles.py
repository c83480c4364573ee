"""What goes wrong with the cache while a user's call goes on without it.

The law: nothing of the cache raises into the user's call. Each kind of trouble is counted, and logged once; what was
asked is in no message.
"""

from __future__ import annotations

import logging
from collections import Counter

from semcache_integrations.core.errors import UnkeyableError


class Troubles(Counter[str]):
    """How often each kind of trouble was met.

    Args:
        log: Where the first of each kind is told.
    """

    def __init__(self, log: logging.Logger) -> None:
        super().__init__()
        self._log = log

    def complain(self, step: str, error: Exception, told: str = "") -> None:
        """Count the trouble, and log its first time.

        Args:
            step: In which it was met.
            error: What was raised.
            told: What the log says beside its kind; nothing that was asked.
        """
        unkeyable = isinstance(error, UnkeyableError)
        kind = f"unkeyable: {error}" if unkeyable else f"{step} failed: {type(error).__name__}"
        self[kind] += 1
        if self[kind] == 1:
            level = logging.INFO if unkeyable else logging.WARNING
            said = f"{kind}: {told}" if told else kind
            self._log.log(level, "the call goes on without the cache: %s", said)

    def going_on(self, step: str) -> _GoingOn:
        """Return a block that ends, counted as trouble in `step`, where something in it raises."""
        return _GoingOn(self, step)


class _GoingOn:
    """Lets the user's call go on, whatever is raised in the block.

    An interruption (Ctrl-C, a cancelled task) is no trouble of the cache, and goes through.
    """

    __slots__ = ("_step", "_troubles")

    def __init__(self, troubles: Troubles, step: str) -> None:
        self._troubles, self._step = troubles, step

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self._troubles.complain(self._step, error)
        return True
