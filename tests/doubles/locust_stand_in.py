"""As much of locust as our locustfile needs, over real HTTP: for where locust is not installed.

`module(origin)` is what `import locust` gives; users' failures are in its `failures`, what they asked in its `asked`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx


class _Response:
    """An answer that can be called a failure, as with `catch_response=True`."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status_code, self.headers, self.json = answer.status_code, answer.headers, answer.json
        self.failed: list[str] = []

    def failure(self, why: str) -> None:
        self.failed.append(why)


class _Client:
    def __init__(self, known: Any) -> None:
        self._known = known

    @contextmanager
    def post(self, path: str, *, name: str, catch_response: bool, **more: Any) -> Iterator[_Response]:
        assert catch_response
        with httpx.Client(base_url=self._known.origin, timeout=30, verify=False) as client:
            response = _Response(client.post(path, **more))
        yield response
        self._known.asked.append(name)
        self._known.failures += [(name, why) for why in response.failed]


def module(origin: str) -> Any:
    """Return the module; its `HttpUser` asks the proxy at `origin`."""
    known: Any = ModuleType("locust")
    known.origin, known.asked, known.failures = origin, [], []

    class HttpUser:
        abstract = True

        def __init__(self) -> None:
            self.client = _Client(known)
            events = SimpleNamespace(request=SimpleNamespace(fire=self._fire))
            self.environment = SimpleNamespace(events=events)

        def _fire(self, *, name: str, exception: Exception, **_more: Any) -> None:
            known.failures.append((name, str(exception)))

    known.HttpUser = HttpUser
    known.constant = lambda seconds: lambda _user: seconds
    known.task = lambda method: method
    return known
