"""Who may see what is about the proxy: who has the token or, where there is none, who sits at this machine.

The law: a web page that the administrator visits gains nothing. Neither by a name of its own that resolves to this
machine (the Host must be this machine's), nor by posting here (the Origin must be ours). What a forwarding proxy says
of its client proves nothing: without a token, who comes through one is not at this machine.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

from semcache_integrations.http.problems import ProblemError

COOKIE = "semcache_admin"
SESSION_S = 12 * 3_600

_FORBIDDEN = 403
_SAFE = ("GET", "HEAD")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9.-]+)(?::\d{1,5})?")
_FORWARDING = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
_MEND = "start it with `semcache serve --admin-token …` or SEMCACHE_ADMIN_TOKEN, and show that token"
_LOG_IN = "this needs the token of --admin-token or SEMCACHE_ADMIN_TOKEN: log in at /admin/login, or send `Authorization: Bearer …`"
_REMOTE = f"without a token this is for the machine that the proxy runs on: {_MEND}"
_FORWARDED = f"without a token this is for this machine, not for whom a forwarding proxy brings: {_MEND}"
_REBOUND = (
    f"without a token this is at http://localhost and http://127.0.0.1 only, not under another name: {_MEND}"
)
_CROSS = "this is for the dashboard's own page (the Origin header must name this very host); elsewhere send `Authorization: Bearer …` with the token of --admin-token or SEMCACHE_ADMIN_TOKEN"


class Guard:
    """Decides who may see the dashboard, the metrics and whatever else is about the proxy.

    Args:
        token: What whoever may has to show; "" for whoever sits at this machine.
        clock: Seconds since the epoch.
    """

    def __init__(self, token: str = "", *, clock: Callable[[], float] = time.time) -> None:
        self._token = token.encode()
        self._clock = clock

    @property
    def wants_token(self) -> bool:
        """Whether there is a token to show."""
        return bool(self._token)

    def check(self, request: Request) -> None:
        """Let a request through, or not.

        Raises:
            ProblemError: 403, and how to mend it.
        """
        if not self._token:
            _check_local(request)
        elif self._bears(request):
            return
        elif not self._is_session(request.cookies.get(COOKIE, "")):
            raise ProblemError(_FORBIDDEN, _LOG_IN)
        self.check_origin(request)

    def check_origin(self, request: Request) -> None:
        """Let a request through that changes nothing, or that a page of ours made.

        SameSite cookies alone do not do it: other ports of this host are the same site.

        Raises:
            ProblemError: 403, and how to mend it.
        """
        if request.method in _SAFE:
            return
        host = request.headers.get("host", "").lower()
        if request.headers.get("origin", "").lower() not in {f"http://{host}", f"https://{host}"}:
            raise ProblemError(_FORBIDDEN, _CROSS)

    def admits(self, token: str) -> bool:
        """Whether this is the token."""
        return bool(self._token) and hmac.compare_digest(token.encode("utf-8", "replace"), self._token)

    def session(self) -> str:
        """Return what a cookie holds for whoever has shown the token: not the token, and good for some hours."""
        until = str(int(self._clock()) + SESSION_S)
        return f"{until}.{self._seal(until)}"

    def _bears(self, request: Request) -> bool:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            shown.strip().encode("latin-1"), self._token
        )

    def _is_session(self, cookie: str) -> bool:
        until, _, seal = cookie.partition(".")
        sealed = hmac.compare_digest(seal.encode("utf-8", "replace"), self._seal(until).encode())
        return sealed and int(until) > self._clock()

    def _seal(self, until: str) -> str:
        return hmac.new(
            self._token, f"{COOKIE} {until}".encode("utf-8", "replace"), hashlib.sha256
        ).hexdigest()


def _check_local(request: Request) -> None:
    client = request.client
    if client is None or not _is_loopback(client.host):
        raise ProblemError(_FORBIDDEN, _REMOTE)
    if any(name in request.headers for name in _FORWARDING):
        raise ProblemError(_FORBIDDEN, _FORWARDED)
    hosts = request.headers.getlist("host")
    named = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if named is None or not _is_ours(named[1].strip("[]").lower()):
        raise ProblemError(_FORBIDDEN, _REBOUND)


def _is_ours(name: str) -> bool:
    return name == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None  # of a socket for both versions
    return (mapped or parsed).is_loopback
