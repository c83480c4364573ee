"""What happened in one cache: counted, timed, told to the hooks, logged once per change. No prompt and no answer in it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from semcache_integrations.breaker import State
from semcache_integrations.context import surroundings
from semcache_integrations.core.models import CacheEntry, CacheEvent, CacheRequest, Hit, Lookup
from semcache_integrations.protocols import EventHook
from semcache_integrations.stats import Recorder

log = logging.getLogger("semcache_integrations")


class Journal:
    """Takes note of what a cache does.

    Args:
        hooks: Are told every event; what they raise is logged.
        tenant: Of requests that name none.
    """

    def __init__(self, hooks: Sequence[EventHook] = (), tenant: str = "") -> None:
        self.recorder = Recorder()
        self._tenant = tenant
        self._hooks = tuple(hooks)

    def looked_up(self, found: Lookup, request: CacheRequest, seconds: float) -> None:
        """Take note of a look-up; this is on the hot path."""
        self.recorder.looked_up(found, seconds)
        if self._hooks:
            tenant = surroundings.get().readable(request.tenant or self._tenant)
            about = CacheEvent("miss", "", "", found.similarity, seconds, request.model, tenant)
            if isinstance(found, Hit):
                self._tell(replace(about, kind="hit", tier=found.tier, entry_id=found.entry.id))
            else:
                self._tell(replace(about, reason=found.reason))

    def stored(self, entry: CacheEntry) -> None:
        """Take note of an entry that the store has accepted."""
        self.recorder.counted("stored")
        space = entry.namespace
        self._tell(CacheEvent("store", model=space.model, tenant=space.tenant, entry_id=entry.id))

    def not_stored(self, entry: CacheEntry, why: str) -> None:
        """Take note of an entry that the store could not write."""
        self.recorder.counted("store_failed")
        space = entry.namespace
        self._tell(
            CacheEvent("store_failed", reason=why, model=space.model, tenant=space.tenant, entry_id=entry.id)
        )

    def unkeyable(self) -> None:
        """Take note of an answer that could not be keyed, and so was not stored."""
        self.recorder.counted("unkeyable")

    def dropped(self) -> None:
        """Take note of a write that found the queue full."""
        self.recorder.counted("dropped")
        self._tell(CacheEvent("dropped", reason="too many writes are waiting"))

    def settled(self, *, joined: bool) -> None:
        """Take note of an answer that was compared with its neighbours', and whether it was one of theirs."""
        self.recorder.counted("settled")
        self.recorder.counted("joined" if joined else "opened")

    def unsettled(self) -> None:
        """Take note of an answer that could not be compared: too many are waiting, or somebody failed."""
        self.recorder.counted("unsettled")

    def checked(self, *, right: bool) -> None:
        """Take note of an answer that could have been served, and whether it would have been right."""
        self.recorder.counted("checked_right" if right else "checked_wrong")

    def braked(self, why: str) -> None:
        """Take note of a policy that is stricter, or less strict, from now on."""
        log.warning("the brake has %s", why)
        self.recorder.counted("braked")
        self._tell(CacheEvent("brake", reason=why))

    def quarantined(self, entry_id: str) -> None:
        """Take note of an answer that somebody said was wrong."""
        self.recorder.counted("quarantined")
        self._tell(CacheEvent("quarantined", entry_id=entry_id))

    def breaker_changed(self, name: str, state: State) -> None:
        """Take note of a backend that is left alone from now on, or asked again."""
        if state == "open":
            log.warning("the %s keeps failing; look-ups go on without it until it answers again", name)
        else:
            log.warning("the %s answers again", name)
        self.recorder.counted(f"{name}_{state}")
        self._tell(CacheEvent(f"breaker_{state}", reason=name))

    def _tell(self, event: CacheEvent) -> None:
        for hook in self._hooks:
            try:
                hook(event)
            except Exception as error:  # noqa: BLE001 - a user's hook must not break a user's LLM call
                log.warning("an event hook failed: %s", type(error).__name__)
