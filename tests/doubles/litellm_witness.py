"""What LiteLLM tells its callbacks of the calls that succeed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from doubles.litellm_loops import until
from litellm.integrations.custom_logger import CustomLogger


@dataclass(frozen=True)
class Told:
    """One success event: by which half of LiteLLM, whether it was a hit, what it cost, and what it saved."""

    way: str
    cache_hit: bool | None
    cost: float | None
    saved: float | None
    call_id: str

    @property
    def short(self):
        return self.way, self.cache_hit, self.cost


class Witness(CustomLogger):
    """Collects success events; an async call's count once, by its async half."""

    def __init__(self):
        super().__init__()
        self._events = []
        self._settled = set()

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        self._note("sync", kwargs)

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self._note("async", kwargs)

    def _note(self, way, kwargs):
        payload = kwargs.get("standard_logging_object") or {}
        told = Told(
            way,
            kwargs.get("cache_hit"),
            kwargs.get("response_cost"),
            payload.get("saved_cache_cost"),
            kwargs["litellm_call_id"],
        )
        self._events.append(told)

    def _unsettled(self):
        return [event for event in self._events if event.call_id not in self._settled]

    async def settled(self):
        """Return what is told of the calls since the last time, and wait a moment: there must be no more.

        LiteLLM tells of some calls twice, the second time late: that is never taken for a later call's.
        """
        await until(self._unsettled)
        await asyncio.sleep(0.05)
        events = self._unsettled()
        self._settled |= {event.call_id for event in events}
        return events
