"""`FakeUpstream`: what a test may ask it, and plan. No wire format here."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from typing_extensions import Self

from semcache_integrations.testing.serving import Serving
from semcache_integrations.testing.upstream.endpoints import Endpoints
from semcache_integrations.testing.upstream.ledger import Call, Fault, FinishReason, Ledger


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
        self._serving = Serving(self._endpoints.app(), name="FakeUpstream")

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
        return self._serving.origin

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
        self._serving.start()
        return self

    def close(self) -> None:
        """Stop serving, end what hangs, and wait for the thread; closing twice is fine."""
        self._serving.close(self._endpoints.closing.set)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _at_once() -> float:
    return 0.0
