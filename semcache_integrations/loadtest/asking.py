"""One request to a proxy, and what became of it. No counting here.

The law: the clock stops with the last byte of the answer, before anybody reads what it says; whatever goes wrong with
a request is its outcome, and ends nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any  # JSON

import httpx
import orjson

from semcache_integrations.loadtest.mix import Turn
from semcache_integrations.loadtest.tally import TIERS, Outcome
from semcache_integrations.wire import openai_chat, sse

PATH = "/v1/chat/completions"
_OK = 200
_SERVED = frozenset({"hit", "stale"})
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.TimeoutException, "timeout"),
    (httpx.ConnectError, "no connection"),
    (httpx.ProtocolError, "answer was cut"),
    (httpx.NetworkError, "connection lost"),
    (httpx.TransportError, "not sent"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a proxy is asked.

    Attributes:
        origin: Where it is, without a path.
        model: The model that is asked.
        tag: By which all that is stored can be deleted.
        ttl_s: Seconds after which it is forgotten in any case.
        timeout_s: Seconds that each step of a request may take.
        headers: Sent with every request; they carry the key, if there is one.
    """

    origin: str
    model: str
    tag: str
    ttl_s: int
    timeout_s: float
    headers: Mapping[str, str]

    async def ask(self, transport: httpx.AsyncBaseTransport, turn: Turn) -> Outcome:
        """Ask, and read the answer."""
        started = time.perf_counter()
        try:
            response = await transport.handle_async_request(self._request(turn))
            try:
                body = await response.aread()
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            return _failed(error, time.perf_counter() - started)
        return outcome(response, body, time.perf_counter() - started, stream=turn.stream)

    def _request(self, turn: Turn) -> httpx.Request:
        headers = {
            "content-type": "application/json",
            "x-semcache-namespace": turn.namespace,
            "x-semcache-tags": self.tag,
            "x-semcache-ttl": str(self.ttl_s),
            **self.headers,
        }
        return httpx.Request(
            "POST",
            f"{self.origin}{PATH}",
            headers=headers,
            content=orjson.dumps(body_of(turn, self.model)),
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self.timeout_s)},
        )


def body_of(turn: Turn, model: str) -> dict[str, Any]:
    """Return the body of a request.

    A stream asks for its token counts: without them its answer would be of no use to a later call that wants all of it.
    """
    asked = {"model": model, "messages": [{"role": "user", "content": turn.question.text}]}
    return {**asked, "stream": True, "stream_options": {"include_usage": True}} if turn.stream else asked


def outcome(response: httpx.Response, body: bytes, seconds: float, *, stream: bool) -> Outcome:
    """Return what an answer means.

    Args:
        response: Its head.
        body: All of it.
        seconds: How long it took.
        stream: Whether a stream was asked for.
    """
    if response.status_code != _OK:
        return Outcome(
            "", seconds, error=f"HTTP {response.status_code}", message=body[:1_000].decode("utf-8", "replace")
        )
    tier = tier_of(response.headers)
    if not tier:
        return Outcome("", seconds, error="no x-cache-status", message="is this a semcache proxy?")
    try:
        text = _text(body, stream=stream)
    except ValueError as error:
        return Outcome("", seconds, error="unreadable answer", message=str(error))
    return Outcome(tier, seconds, text, reason=response.headers.get("x-cache-reason", ""))


def tier_of(headers: Mapping[str, str]) -> str:
    """Return the tier that answered, `miss` or `bypass`; "" if the headers do not say one that is known."""
    status = headers.get("x-cache-status", "")
    tier = headers.get("x-cache-tier", "") if status in _SERVED else status
    return tier if tier in TIERS else ""


def _text(body: bytes, *, stream: bool) -> str:
    whole: Any = openai_chat.assembled(sse.decoded(body)) if stream else json.loads(body)
    if whole is None:
        raise ValueError("the stream is not whole")
    said: str = openai_chat.says(whole)
    if not said:
        raise ValueError("the answer says nothing")
    return said


def _failed(error: httpx.TransportError, seconds: float) -> Outcome:
    kind = next(name for base, name in _KINDS if isinstance(error, base))
    return Outcome("", seconds, error=kind, message=str(error) or type(error).__name__)
