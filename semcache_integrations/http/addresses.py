"""Which upstreams may be asked: by the name in the URL, and by every address that the name stands for.

The law: nobody reaches through the proxy what its operator did not list. How a host is listed says which addresses it
may have: under a wildcard, and as a provider that we know, public ones; as a name that the operator wrote, those of his
own network, too; and where no provider lives (metadata services, link-local, multicast, reserved), none but the very
address that is listed. A refusal never says what a name stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import httpx
from typing_extensions import Self

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.reach import Address, Reach, address_of, reach_of

DEFAULT_HOSTS: Final = (
    "api.ai21.com",
    "api.anthropic.com",
    "api.cerebras.ai",
    "api.cohere.com",
    "api.deepinfra.com",
    "api.deepseek.com",
    "api.fireworks.ai",
    "api.groq.com",
    "api.mistral.ai",
    "api.moonshot.ai",
    "api.openai.com",
    "api.perplexity.ai",
    "api.sambanova.ai",
    "api.together.xyz",
    "api.voyageai.com",
    "api.x.ai",
    "dashscope.aliyuncs.com",
    "generativelanguage.googleapis.com",
    "integrate.api.nvidia.com",
    "openrouter.ai",
    "router.huggingface.co",
    "*.openai.azure.com",
)

_BAD_REQUEST, _FORBIDDEN = 400, 403
_PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT, _LONGEST_NAME, _OCTETS = 65535, 253, 4

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATTERN: Final = re.compile(
    r"(?P<star>\*\.)?(?P<host>\[[^\]]*\]|[^\s:\[\]/@?#\\]+)(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server that can be asked, each spelling of it the same.

    Attributes:
        scheme: `http` or `https`.
        host: A name in ASCII and lower case without a final dot, or an IP address in its usual spelling.
        port: Always given.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL | str) -> Self:
        """Read it from a URL.

        Raises:
            ProblemError: 400, the URL names no server that HTTP can reach, or has credentials in it.
        """
        try:
            url = httpx.URL(url)
            host = _canonical(url.raw_host.decode("ascii"))
        except (httpx.InvalidURL, ValueError) as error:
            raise ProblemError(_BAD_REQUEST, "the upstream's URL names no host") from error
        if url.userinfo:
            raise ProblemError(_BAD_REQUEST, "credentials belong into a header, not into the upstream's URL")
        port = _PORTS.get(url.scheme, 0) if url.port is None else url.port
        if url.scheme not in _PORTS or not 0 < port <= _LAST_PORT:
            raise ProblemError(
                _BAD_REQUEST, "the upstream's URL must be like https://host or http://host:port"
            )
        return cls(url.scheme, host, port)

    @property
    def authority(self) -> str:
        """The host as it stands in a URL, with its port unless that is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


class Allowed:
    """The upstreams that may be asked.

    Args:
        hosts: `api.openai.com`, `*.openai.azure.com` (names below it), `127.0.0.1:8000`, `[::1]:8080`, or `*` for every
            public host. Without a port, every port is meant. The names of `DEFAULT_HOSTS` are public ones, listed or not.

    Raises:
        ConfigurationError: A pattern cannot be read.
    """

    def __init__(self, hosts: Iterable[str] = DEFAULT_HOSTS) -> None:
        self._patterns = tuple(_Pattern.of(host) for host in hosts)

    def check(self, upstream: Upstream) -> None:
        """Judge by the host as it is written, without asking anybody for its address.

        Raises:
            ProblemError: 403, it is not listed.
        """
        trust = self._trust(upstream.host, upstream.port)
        address = address_of(upstream.host)
        if trust is None or (address is not None and reach_of(address) > trust):
            raise _refusal(upstream.host, upstream.port)

    def check_addresses(self, host: str, port: int, addresses: Iterable[Address]) -> None:
        """Judge by what the host stands for; one address that must not be asked refuses them all.

        Raises:
            ProblemError: 403, it is not listed, or not with such an address.
        """
        trust = self._trust(host, port)
        if trust is None:
            raise _refusal(host, port)
        for address in addresses:
            own = self._trust(str(address), port) or Reach.PUBLIC
            if reach_of(address) > max(trust, own):
                raise _refusal(host, port, by_name=trust > Reach.PUBLIC)

    def _trust(self, host: str, port: int) -> Reach | None:
        matching = [pattern.trust for pattern in self._patterns if pattern.matches(host, port)]
        return max(matching, default=None)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line of the list; an empty host is every host."""

    host: str
    port: int | None
    below: bool

    @classmethod
    def of(cls, text: str) -> Self:
        found = _PATTERN.fullmatch(text)
        if found is None:
            raise _unreadable(text)
        star, host, port = found["star"], found["host"], found["port"]
        if host == "*" and not star:
            return cls("", int(port) if port else None, below=True)
        try:
            name = _canonical(httpx.URL(f"http://{host}").raw_host.decode("ascii"))
        except (httpx.InvalidURL, ValueError) as error:
            raise _unreadable(text) from error
        if (star and address_of(name)) or (port and not 0 < int(port) <= _LAST_PORT):
            raise _unreadable(text)
        return cls(name, int(port) if port else None, below=bool(star))

    @property
    def trust(self) -> Reach:
        if self.below:
            return Reach.PUBLIC
        if address_of(self.host):
            return Reach.NEVER
        return Reach.WRAPPED if self.port is None and self.host in DEFAULT_HOSTS else Reach.OWN

    def matches(self, host: str, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if not self.below:
            return host == self.host
        return not self.host or host.endswith(f".{self.host}")


def _canonical(host: str) -> str:
    """Return the one spelling of a host as the URL has it; a last label that is a number makes it an address.

    Raises:
        ValueError: It is neither a name nor an address.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("an address with a zone")
        return str(IPv6Address(host))
    name = host.lower().removesuffix(".")
    if _NUMERIC.fullmatch(name.rpartition(".")[2]):
        return str(_ipv4(name))
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError("no host name")
    return name


def _ipv4(name: str) -> IPv4Address:
    """Read an address as `inet_aton` does: 127.1, 0x7f000001, 017700000001 and 2130706433 are 127.0.0.1."""
    *octets, rest = (_number(part) for part in name.split("."))
    if len(octets) >= _OCTETS:
        raise ValueError("no IPv4 address")
    try:
        return IPv4Address(bytes(octets) + rest.to_bytes(_OCTETS - len(octets), "big"))
    except OverflowError as error:
        raise ValueError("no IPv4 address") from error


def _number(part: str) -> int:
    if not _NUMERIC.fullmatch(part):
        raise ValueError("no number")
    if part.startswith("0x"):
        return int(part, 16)
    return int(part, 8 if part.startswith("0") else 10)


def _refusal(host: str, port: int, *, by_name: bool = False) -> ProblemError:
    shown = f"[{host}]" if ":" in host else host
    if by_name:
        return ProblemError(
            _FORBIDDEN,
            f"{shown} has no address that may be asked: list the address, too: semcache serve --upstream ADDRESS",
        )
    listing = shown if port in _PORTS.values() else f"{shown}:{port}"
    return ProblemError(
        _FORBIDDEN, f"{shown} is not among the allowed upstreams: semcache serve --upstream {listing}"
    )


def _unreadable(text: str) -> ConfigurationError:
    return ConfigurationError(f"{text!r} is no upstream: write host, host:port, [IPv6]:port, *.domain or *")
