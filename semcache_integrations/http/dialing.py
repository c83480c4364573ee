"""How a connection to an upstream begins: its name is resolved here, its addresses are judged, one of them is called.

The law: what is connected to is what was judged, for nothing resolves the name a second time; and a connection serves
only the name for which it was made. (In httpx's own way, the address in the URL and `sni_hostname` beside it, two names
on one address share a connection, and the second is never compared with the certificate.)
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import TypeAlias

import anyio
import httpcore
from typing_extensions import override

from semcache_integrations.http.addresses import Allowed
from semcache_integrations.http.reach import Address, address_of

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host in the order in which to try them; raises `OSError` if it has none."""


class UnresolvedError(httpcore.ConnectError):
    """The name of the upstream has no address."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the operating system for the addresses of a host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Dialer(httpcore.AsyncNetworkBackend):
    """Connects to allowed addresses only.

    Args:
        allowed: Judges them.
        resolver: Finds them.
    """

    def __init__(self, allowed: Allowed, resolver: Resolver = resolve) -> None:
        self._allowed, self._resolver = allowed, resolver
        self._network = httpcore.AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore; `timeout` is for resolving and connecting together.

        Raises:
            ProblemError: 403, one of the addresses must not be asked.
        """
        ends = math.inf if timeout is None else anyio.current_time() + timeout
        addresses = await self._addresses(host, port, ends)
        self._allowed.check_addresses(host, port, addresses)
        return await self._first_of(addresses, port, ends, local_address, socket_options)

    async def _addresses(self, host: str, port: int, ends: float) -> Sequence[Address]:
        address = address_of(host)
        if address is not None:
            return [address]
        try:
            with anyio.fail_after(ends - anyio.current_time()):
                addresses = [ip_address(found) for found in await self._resolver(host, port)]
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from error
        except (OSError, ValueError) as error:
            raise UnresolvedError("the name was not resolved") from error
        if not addresses:
            raise UnresolvedError("the name has no address")
        return addresses

    async def _first_of(
        self,
        addresses: Sequence[Address],
        port: int,
        ends: float,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first that can be reached; each gets an equal share of the time that is left."""
        address, *others = addresses
        share = (ends - anyio.current_time()) / len(addresses)
        try:
            return await self._network.connect_tcp(str(address), port, share, local_address, socket_options)
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            if not others:
                raise
        return await self._first_of(others, port, ends, local_address, socket_options)
