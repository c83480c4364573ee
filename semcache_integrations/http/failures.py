"""What goes wrong between us and an upstream: in httpx's terms for who reads an answer, as a problem before there is one.

The law: a problem names the upstream as it was asked for, never an address, and says who can mend it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpcore
import httpx

from semcache_integrations.http.addresses import Upstream
from semcache_integrations.http.dialing import UnresolvedError
from semcache_integrations.http.problems import ProblemError

_BAD_REQUEST, _BAD_GATEWAY, _UNAVAILABLE, _GATEWAY_TIMEOUT = 400, 502, 503, 504
_BUSY_S: Final = 1.0

_HTTPX: Final[tuple[tuple[type[Exception], type[httpx.TransportError]], ...]] = (
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.TimeoutException, httpx.ReadTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.NetworkError, httpx.ReadError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.ProtocolError, httpx.RemoteProtocolError),
)
_HTTPCORE: Final = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


@contextmanager
def in_httpx_terms() -> Iterator[None]:
    """Raise httpx's errors for httpcore's, as httpx's own transport does."""
    try:
        yield
    except _HTTPCORE as error:
        kind = next(ours for theirs, ours in _HTTPX if isinstance(error, theirs))
        raise kind(str(error)) from error


def is_our_own(error: Exception) -> bool:
    """Whether the upstream is not to blame: our pool was full, or the request cannot be written as HTTP."""
    return isinstance(error, (httpx.PoolTimeout, httpx.LocalProtocolError))


def problem_with(upstream: Upstream, error: Exception) -> ProblemError:
    """Return what to tell the client about a request that got no answer."""
    if isinstance(error, httpx.PoolTimeout):
        message = (
            "all connections to upstreams are in use: try again, or let semcache serve have more of them"
        )
        return ProblemError(_UNAVAILABLE, message, retry_after_s=_BUSY_S)
    if isinstance(error, httpx.LocalProtocolError):
        return ProblemError(_BAD_REQUEST, "this request cannot be sent on as HTTP/1.1: look at its headers")
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return ProblemError(_GATEWAY_TIMEOUT, f"{upstream} did not answer in time")
    if isinstance(error, httpx.ConnectError):
        return ProblemError(_BAD_GATEWAY, f"{upstream} could not be reached: {_reason(error)}")
    return ProblemError(_BAD_GATEWAY, f"{upstream} broke off before it answered")


def _reason(error: httpx.ConnectError) -> str:
    causes = tuple(_causes(error))
    if any(isinstance(cause, UnresolvedError) for cause in causes):
        return "its name was not found"
    refusals = [cause.verify_message for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)]
    if refusals:
        return f"its certificate was refused ({refusals[0]})"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "it does not speak TLS as we do"
    return "it takes no connection"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__  # httpcore raises some of them `from None`
