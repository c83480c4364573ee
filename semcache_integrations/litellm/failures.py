"""The calls that fail, of which LiteLLM tells its callbacks and not its cache.

The law: one watch serves all caches, and it stays. LiteLLM takes no second callback of a class, keeps the first for
ever, and whoever sets `litellm.failure_callback` throws out all that were there.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable, Mapping
from typing import Any, Final, Protocol

import litellm
from litellm.integrations.custom_logger import CustomLogger


class Told(Protocol):
    """Whoever wants to know of failures."""

    def failed(self, call: Hashable) -> None:
        """Hear of a call that failed, one's own or not, by LiteLLM's id of it."""


class FailureWatch(CustomLogger):
    """Passes on what it is told; it keeps nobody alive."""

    def __init__(self) -> None:
        super().__init__()
        self._told: weakref.WeakSet[Told] = weakref.WeakSet()
        self._lock = threading.Lock()

    def tell(self, whom: Told) -> None:
        """Tell one more of every failure from now on."""
        with self._lock:
            self._told.add(whom)
        self.stay()

    def stay(self) -> None:
        """Be among LiteLLM's callbacks, whatever has been set since."""
        for callbacks in (litellm.failure_callback, litellm._async_failure_callback):  # noqa: SLF001 - its public way takes no more than 30, and warns at each call
            if isinstance(callbacks, list) and not any(one is self for one in callbacks):
                callbacks.append(self)

    def log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Pass on the failure of a sync call; LiteLLM names the arguments, and all but the first are unused."""
        del response_obj, start_time, end_time
        with self._lock:
            told = list(self._told)
        for one in told:
            one.failed(kwargs.get("litellm_call_id"))

    async def async_log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Pass on the failure of an async call."""
        self.log_failure_event(kwargs, response_obj, start_time, end_time)


FAILURES: Final = FailureWatch()
"""The one of this process."""
