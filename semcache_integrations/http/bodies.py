"""The body of a request, read whole or refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from semcache_integrations.http.problems import ProblemError

LARGEST_REQUEST = 32 * 2**20
"""Bytes; long contexts and images in base64 fit well."""

_BAD_REQUEST, _TOO_LARGE = 400, 413


async def read(request: Request, most: int = LARGEST_REQUEST) -> bytes:
    """Return the body.

    Raises:
        ProblemError: it has more than `most` bytes, whatever its head says; or its sender hung up.
    """
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise _too_large(most)
    except ClientDisconnect:
        raise ProblemError(_BAD_REQUEST, "the request was cut short") from None
    return bytes(body)


def _too_large(most: int) -> ProblemError:
    return ProblemError(
        _TOO_LARGE,
        f"the request's body has more than {most:,} bytes: semcache serve --max-body raises the limit",
    )


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes.

    Raises:
        ProblemError: its sender hung up.
    """
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise ProblemError(_BAD_REQUEST, "the request was cut short") from None
