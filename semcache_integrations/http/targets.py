"""A URL that a header or a table names, read strictly and joined without loss.

The law: what is returned means the same to every reader: ASCII host, checked port, no credentials, no fragment, no
control characters. A path and a query are kept as they were written; whatever is unclear is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, unquote_plus

from semcache_integrations.http.problems import ProblemError

_PARTS = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<at>[^/?]*)(?P<path>[^?]*)(?:\?(?P<query>.*))?", re.IGNORECASE
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
_ADDRESS_LIKE = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_VERSION = re.compile(r"v\d+[a-z0-9]*")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_LONGEST_NAME, _LAST_PORT = 253, 65_535


@dataclass(frozen=True, slots=True)
class Target:
    """An absolute URL in its parts.

    Args:
        origin: Scheme, host and port: `https://api.openai.com`.
        path: Empty, or what follows the origin, as it was written.
        query: What follows the question mark, as it was written.
    """

    origin: str
    path: str = ""
    query: str = ""

    def __str__(self) -> str:
        return f"{self.origin}{self.path or '/'}" + (f"?{self.query}" if self.query else "")

    def joined(self, path: str) -> Target:
        """Return the URL of a path below this one; a version that both name (`/v1` + `/v1/models`) is named once."""
        base = self.path.rstrip("/")
        first, slash, below = path[1:].partition("/")
        if slash and _VERSION.fullmatch(first) and base.endswith("/" + first):
            path = "/" + below
        return Target(self.origin, base + path, self.query)

    def asked(self, query: str) -> Target:
        """Return the URL with the request's parameters, too; those that it names itself stay as they are."""
        if not self.query or not query:
            return Target(self.origin, self.path, self.query or query)
        named = {_parameter(pair) for pair in self.query.split("&")}
        added = [pair for pair in query.split("&") if _parameter(pair) not in named]
        return Target(self.origin, self.path, "&".join([self.query, *added]))


def target(url: str, *, said_by: str) -> Target:
    """Read a URL; without a scheme it is https.

    Args:
        url: What was written.
        said_by: Who wrote it, for the message.

    Raises:
        ProblemError: 400, it is no http(s) URL, or it says what a URL of an upstream must not say.
    """
    url = printable(url, said_by=said_by)
    parts = _PARTS.fullmatch(url)
    if parts is None or "#" in url:
        raise ProblemError(400, f"{said_by} must be a URL without a fragment")
    scheme = (parts["scheme"] or "https").lower()
    if scheme not in {"http", "https"}:
        raise ProblemError(400, f"{said_by} must be an http or https URL")
    origin = f"{scheme}://{_authority(parts['at'], said_by)}"
    return Target(origin, quoted(parts["path"], said_by), quoted(parts["query"] or "", said_by))


def printable(text: str, *, said_by: str) -> str:
    """Return the text if it holds neither spaces nor control characters.

    Raises:
        ProblemError: 400, it does.
    """
    if not text.isprintable() or any(character.isspace() for character in text):
        raise ProblemError(400, f"{said_by} must not contain spaces or control characters")
    return text


def quoted(text: str, said_by: str) -> str:
    """Return a path or a query in ASCII; what is ASCII stays as it was written.

    Raises:
        ProblemError: 400, it is not valid Unicode.
    """
    try:
        return quote(text, safe=_PRINTABLE)
    except UnicodeEncodeError:
        raise ProblemError(400, f"{said_by} is not valid Unicode") from None


def _authority(written: str, said_by: str) -> str:
    if "@" in written:
        raise ProblemError(400, f"{said_by} must not carry credentials: send them in a header of their own")
    parts = _AUTHORITY.fullmatch(written)
    host = _host(parts["host"]) if parts else ""
    if parts is None or not host:
        raise ProblemError(400, f"{said_by} must name a host, and a port only as a number")
    if parts["port"] is None:
        return host
    port = int(parts["port"])
    if not 0 < port <= _LAST_PORT:
        raise ProblemError(400, f"{said_by} names a port that does not exist")
    return f"{host}:{port}"


def _host(written: str) -> str:
    """Return a host in the form that every reader understands in the same way; empty if there is none."""
    try:
        if written.startswith("["):
            return f"[{IPv6Address(written[1:-1])}]"
        name = _ascii(written).lower()
        if _ADDRESS_LIKE.fullmatch(name):  # 127.1 and 0x7f000001 are addresses to some readers
            return str(IPv4Address(name))
    except (AddressValueError, UnicodeError):
        return ""
    return name if _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME else ""


def _ascii(name: str) -> str:
    if name.isascii() or len(name) > _LONGEST_NAME:
        return name
    return name.encode("idna").decode("ascii")


def _parameter(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])
