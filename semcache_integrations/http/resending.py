"""Which requests are sent again, and when.

The law: what may have reached the upstream is sent once, unless the upstream itself declined it and we are told to
insist; nobody is asked sooner than it wants to be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from tenacity import AsyncRetrying, RetryCallState
from tenacity.wait import wait_random_exponential

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.retry_after import retry_after_s

_DECLINED = frozenset({429, 502, 503, 504})
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often to send again.

    Attributes:
        connect: Times after no connection came about.
        answers: Times after a 429, 502, 503 or 504; a 502 or 504 may stand for work that was done, and paid.
        first_s: Seconds within which the first of them comes; the time doubles with each.
        longest_s: Seconds to wait at most; an upstream that asks for more is not asked again.
    """

    connect: int = 1
    answers: int = 0
    first_s: float = 0.25
    longest_s: float = 10.0

    def __post_init__(self) -> None:
        if min(self.connect, self.answers) < 0 or min(self.first_s, self.longest_s) <= 0:
            raise ConfigurationError("retries are counted from 0, and their waits are above 0 seconds")


class Resending:
    """Sends one request until there is something to say.

    Args:
        retries: How often.
        send: Sends it once.
    """

    def __init__(self, retries: Retries, send: Callable[[], Awaitable[httpx.Response]]) -> None:
        self._retries, self._send = retries, send
        self._sent = 0
        self._backoff = wait_random_exponential(multiplier=retries.first_s, max=retries.longest_s)

    async def run(self) -> httpx.Response:
        """Return the answer, or raise what the last attempt raised."""
        return await AsyncRetrying(retry=self._again, wait=self._pause)(self._attempt)

    async def _attempt(self) -> httpx.Response:
        self._sent += 1
        answer = await self._send()
        if self._insists_after(answer):
            # Its connection is not held while we wait; and closed means: not the last word.
            await answer.aclose()
        return answer

    def _insists_after(self, answer: httpx.Response) -> bool:
        if answer.status_code not in _DECLINED or self._sent > self._retries.answers:
            return False
        return (retry_after_s(answer.headers) or 0.0) <= self._retries.longest_s

    def _again(self, state: RetryCallState) -> bool:
        result = state.outcome
        if result is None or isinstance(result.exception(), _UNSENT):
            return self._sent <= self._retries.connect
        return not result.failed and result.result().is_closed

    def _pause(self, state: RetryCallState) -> float:
        result = state.outcome
        told_s = None if result is None or result.failed else retry_after_s(result.result().headers)
        return self._backoff(state) if told_s is None else told_s
