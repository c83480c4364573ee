"""Asking through the way out: names that stand for what a test says, and the answer or the problem that comes of it."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager

import httpx
import pytest

from semcache_integrations.http.addresses import Allowed
from semcache_integrations.http.egress import Upstreams
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.resending import Retries

AT_ONCE = Retries(first_s=0.001)
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


class Names:
    """A resolver that counts; each call for a name takes the next of its answers, the last one again and again."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        name = host.partition(".")[0]
        if name not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        later = self.answers[name]
        return later.pop(0) if len(later) > 1 else later[0]


@asynccontextmanager
async def upstreams(*listed: str, **settings):
    settings.setdefault("retries", AT_ONCE)
    async with Upstreams(Allowed(listed or ("127.0.0.1", "*.test")), **settings) as transport:
        yield transport


async def ask(transport: Upstreams, url: str, **request) -> httpx.Response:
    """Ask and read the whole answer."""
    answer = await transport.handle_async_request(
        httpx.Request(request.pop("method", "POST"), url, **request)
    )
    await answer.aread()
    await answer.aclose()
    return answer


async def problem(transport: Upstreams, url: str, status: int, **request) -> str:
    """Ask what cannot be answered; return what is said."""
    with pytest.raises(ProblemError) as refused:
        await ask(transport, url, **request)
    assert refused.value.status == status, refused.value.message
    return refused.value.message


def nobody() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
