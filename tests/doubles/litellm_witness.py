"""What LiteLLM tells its callbacks of the calls that succeed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from litellm.integrations.custom_logger import CustomLogger


@dataclass(frozen=True)
class Told:
    """One success event: by which half of LiteLLM, whether it was a hit, what it cost, and what it saved."""

    way: str
    cache_hit: bool | None
    cost: float | None
    saved: float | None

    @property
    def short(self):
        return self.way, self.cache_hit, self.cost


class Witness(CustomLogger):
    """Collects success events; an async call's count once, by its async half."""

    def __init__(self):
        super().__init__()
        self.events = []

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        self._note("sync", kwargs)

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self._note("async", kwargs)

    def _note(self, way, kwargs):
        payload = kwargs.get("standard_logging_object") or {}
        told = Told(
            way, kwargs.get("cache_hit"), kwargs.get("response_cost"), payload.get("saved_cache_cost")
        )
        self.events.append(told)

    async def settled(self, count):
        """Return the events once there are `count`, and a moment later: there must be no more."""
        for _ in range(200):
            if len(self.events) >= count:
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        return self.events
