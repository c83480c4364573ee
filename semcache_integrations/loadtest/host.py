"""A process of its own: the provider that costs nothing, or the proxy before it.

The law: it ends when its standard input does, so it never outlives whoever started it; it says one line of JSON when
it can be asked, and one when it ends. The proxy keeps its entries in a temporary folder, whatever the environment says.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any  # JSON

import uvicorn

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.demo.traffic import answer_of, load_traffic
from semcache_integrations.http.providers import DEFAULT, OPENAI
from semcache_integrations.http.proxy import ProxySettings, create_proxy_app
from semcache_integrations.testing import FakeUpstream, Latency

_NEVER_AGAIN_S = 10**9
_FORGET_EVERY = 1_000  # calls
_WAITING = 2_048  # connections that nobody has accepted yet


class Answers:
    """Gives each labelled question the answer of its label, and counts.

    Attributes:
        calls: How many answers it gave.
        forget: Is called every thousand of them, so that an upstream's notes do not grow.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.forget: Callable[[], None] = lambda: None
        self._labels = {question.text: question.label for question in load_traffic()}

    def __call__(self, question: str) -> str:
        """Return the answer."""
        self.calls += 1
        if self.calls % _FORGET_EVERY == 0:
            self.forget()
        label = self._labels.get(question)
        return answer_of(label) if label else f"Nobody knows: {question}"


def upstream(latency_s: float) -> None:
    """Be the provider.

    Args:
        latency_s: Seconds that it takes, in the median.
    """
    answers = Answers()
    latency = Latency(latency_s, seed=7) if latency_s else None
    with FakeUpstream(answers, latency=latency) as running:
        answers.forget = running.reset
        _say(origin=running.origin)
        sys.stdin.read()
    _say(calls=answers.calls)


def proxy(origin: str) -> None:
    """Be the proxy.

    Args:
        origin: Of the upstream that OpenAI's calls go to.
    """
    settings = ProxySettings(
        hosts=("127.0.0.1",), providers=DEFAULT.with_provider(replace(OPENAI, base=origin))
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=_WAITING)
    with SemanticCache() as cache:
        app = create_proxy_app(cache, settings)

        async def serves() -> None:  # called in the first turn of the server's loop, when it serves
            _say(origin=f"http://127.0.0.1:{listener.getsockname()[1]}")
            threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()

        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            lifespan="on",
            callback_notify=serves,
            timeout_notify=_NEVER_AGAIN_S,
        )
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
    _say()


def _end_with_input(server: uvicorn.Server) -> None:
    """End the server when the standard input ends."""
    sys.stdin.read()
    server.should_exit = True


def _say(**told: Any) -> None:  # Any: JSON
    with suppress(BrokenPipeError):  # whoever started us is gone, and so are we
        os.write(sys.stdout.fileno(), f"{json.dumps(told)}\n".encode())


def main(role: str, told: str) -> None:
    """Be one or the other.

    Args:
        role: `upstream` or `proxy`.
        told: Its argument: seconds, or an origin.
    """
    try:
        if role == "upstream":
            upstream(float(told))
        else:
            proxy(told)
    except ConfigurationError as error:
        _say(error=str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
