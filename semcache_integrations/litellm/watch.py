"""What LiteLLM tells its callbacks and not its cache: which calls failed, and what an answer is before its caller has it.

The law: one watch serves all caches, and it stays. LiteLLM takes no second callback of a class, keeps the first for
ever, and whoever sets one of its lists of callbacks throws out all that were there.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable, Mapping
from typing import Any, Final, Protocol

import litellm
from litellm.integrations.custom_logger import CustomLogger


class Told(Protocol):
    """Whoever wants to know."""

    def failed(self, call: Hashable) -> None:
        """Hear of a call that failed, one's own or not, by LiteLLM's id of it."""

    def answered(self, arguments: Mapping[str, Any], answer: object) -> None:
        """Hear of an answer to an async call; nobody has had a chance to change it yet."""


class Watch(CustomLogger):
    """Passes on what it is told; it keeps nobody alive."""

    def __init__(self) -> None:
        super().__init__()
        self._told: weakref.WeakSet[Told] = weakref.WeakSet()
        self._lock = threading.Lock()

    def tell(self, whom: Told) -> None:
        """Tell one more of everything from now on."""
        with self._lock:
            self._told.add(whom)
        self.stay(for_answers=True)  # a call that is not looked up (`no-cache`) may be the first one

    def stay(self, *, for_answers: bool = False) -> None:
        """Be among LiteLLM's callbacks, whatever has been set since.

        Args:
            for_answers: Be told of answers, too: for this one has to be among those that are told of everything.
        """
        lists = [litellm.failure_callback, litellm._async_failure_callback]  # noqa: SLF001 - its public way takes no more than 30, and warns at each call
        if for_answers:
            lists.append(litellm.callbacks)
        for callbacks in lists:
            if isinstance(callbacks, list) and not any(one is self for one in callbacks):
                callbacks.append(self)

    def log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Pass on the failure of a sync call; LiteLLM names the arguments, and all but the first are unused."""
        del response_obj, start_time, end_time
        for one in self._everybody():
            one.failed(kwargs.get("litellm_call_id"))

    async def async_log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Pass on the failure of an async call."""
        self.log_failure_event(kwargs, response_obj, start_time, end_time)

    async def async_post_call_success_deployment_hook(
        self, request_data: Mapping[str, Any], response: object, call_type: object
    ) -> None:
        """Pass on an answer, and leave it as it is."""
        del call_type
        for one in self._everybody():
            one.answered(request_data, response)

    def _everybody(self) -> list[Told]:
        with self._lock:
            return list(self._told)


WATCH: Final = Watch()
"""The one of this process."""
