"""`FakeUpstream`: the server's life on a thread of its own, and what a test may ask it. No wire format here."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from types import TracebackType

import uvicorn
from typing_extensions import Self

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.testing.upstream.endpoints import Endpoints
from semcache_integrations.testing.upstream.ledger import Call, Fault, FinishReason, Ledger

_START_TIMEOUT_S = 30.0
_NEVER_AGAIN_S = 10**9


class FakeUpstream:
    """An LLM provider on 127.0.0.1 that counts what reaches it.

    Serves `/v1/chat/completions`, `/v1/responses`, `/v1/completions`, `/v1/messages` (each as JSON and as a
    stream), `/v1/embeddings` and `/v1/models`; the same without `/v1`. What it answers is told in
    `semcache_integrations.testing.upstream.answers`.

        with FakeUpstream() as upstream:
            client = OpenAI(base_url=upstream.url, api_key="none-needed")
            ...
            assert upstream.count == 1

    Args:
        answer: Gives the answer's text for the text of the last user message.
        latency: Gives the seconds before each answer begins, as `Latency` does; None for none.
        token_s: Seconds between two events of a stream.
    """

    def __init__(
        self,
        answer: Callable[[str], str] | None = None,
        *,
        latency: Callable[[], float] | None = None,
        token_s: float = 0.0,
    ) -> None:
        self._ledger = Ledger()
        self._endpoints = Endpoints(self._ledger, answer, latency=latency or _at_once, token_s=token_s)
        self._port = 0
        self._started = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Base URL for the OpenAI SDK, LiteLLM and LangChain: ends in `/v1`."""
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        """Base URL for SDKs that add `/v1` themselves, as Anthropic's does.

        Raises:
            ConfigurationError: it has not been started.
        """
        if not self._port:
            raise ConfigurationError(
                "this FakeUpstream has no address yet: `with FakeUpstream() as upstream:`"
            )
        return f"http://127.0.0.1:{self._port}"

    @property
    def calls(self) -> list[Call]:
        """What reached it since the start or the last `reset`, in order; models listings are not counted."""
        return self._ledger.calls()

    @property
    def count(self) -> int:
        """How many calls reached it."""
        return len(self.calls)

    def reset(self) -> None:
        """Forget the calls and the faults still planned."""
        self._ledger.reset()

    def fail(
        self,
        status: int = 200,
        times: int = 1,
        *,
        hang: bool = False,
        cut: bool = False,
        garbled: bool = False,
        finish_reason: FinishReason = "stop",
        refusal: bool = False,
    ) -> None:
        """Plan a fault for the next `times` calls, after those planned before; `Fault` tells what each does."""
        fault = Fault(
            status=status, hang=hang, cut=cut, garbled=garbled, finish_reason=finish_reason, refusal=refusal
        )
        self._ledger.plan(fault, times)

    def start(self) -> Self:
        """Begin to serve on a free port; return itself. A closed one does not start again.

        Raises:
            ConfigurationError: it was started before.
        """
        if self._thread is not None:
            raise ConfigurationError("a FakeUpstream starts once only: make another one")
        listener = _listener()
        self._port = listener.getsockname()[1]
        self._server = uvicorn.Server(self._config())
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="fake-upstream", daemon=True
        )
        self._thread.start()
        if not self._started.wait(_START_TIMEOUT_S):
            raise ConfigurationError(f"the FakeUpstream did not start within {_START_TIMEOUT_S:.0f} s")
        return self

    def close(self) -> None:
        """Stop serving, end what hangs, and wait for the thread; closing twice is fine."""
        if self._thread is None or self._server is None or not self._thread.is_alive():
            return
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._endpoints.closing.set)
        self._server.should_exit = True
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _config(self) -> uvicorn.Config:
        """Configure the server so that it needs nothing beyond its base install and leaves logging alone."""
        return uvicorn.Config(
            self._endpoints.app(),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            callback_notify=self._note_start,  # called in the first turn of the server's loop, when it serves
            timeout_notify=_NEVER_AGAIN_S,
        )

    async def _note_start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()


def _listener() -> socket.socket:
    """Listen on a free port of this machine.

    asyncio switches Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def _at_once() -> float:
    return 0.0
