"""Who asks, and with which headers: what of a call's head belongs to its key.

The law: a header that nobody listed here is part of the key, so one that nobody has heard of costs a miss and never
a false hit. No credential can be read from a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from semcache_integrations.http.calls import Call

# Whole names: "token" alone would take x-max-tokens out of the key of a shared cache.
_CREDENTIAL = re.compile(
    r"(proxy-)?authorization|cookie|(x-)?api-?key|x-goog-api-key|ocp-apim-subscription-key|x-functions-key"
    r"|x-(auth|access|id|csrf|xsrf|session)-token|x-amz-(security-token|date|content-sha256)|x-ms-token-.*"
    r"|x-amzn-(oidc|mtls)-.*|cf-access-.*"  # who a load balancer says that it is
)
# A client keeps them by itself, and has others in each process: whoever it is, they do not say.
_BALANCERS_COOKIE = re.compile(
    r"\s*(__cf_bm|__cflb|__cfruid|_cfuvid|awsalb(cors|tg|tgcors)?)\s*=.*", re.IGNORECASE
)
_CREDENTIAL_IN_QUERY = re.compile(
    r"key|api[-_]?key|(access_|id_)?token|sig(nature)?|subscription-key|x-(amz|goog)-.*"
)
_UNKEYED = re.compile(
    # how the call travels, and what is understood of the answer's form
    r"host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|via|forwarded|date|age|priority"
    r"|proxy-connection|content-(length|type|encoding)|accept(-encoding|-charset)?|user-agent|origin|referer|dnt"
    r"|x-forwarded-(for|proto|host|port|prefix|server|scheme)|x-real-ip|x-client-ip|sec-.*|cdn-loop"
    r"|cf-(ray|visitor|connecting-ip(v6)?|pseudo-ipv4|ew-via|worker|warp-tag-id|request-id)"
    r"|x-amzn-(trace-id|requestid|tls-.*)"
    # who traces, meters and tries again
    r"|traceparent|tracestate|baggage|sentry-trace|b3|x-b3-.*|x-datadog-.*|x-cloud-trace-context|newrelic"
    r"|x-request-id|x-correlation-id|x-client-request-id|x-trace-id|(x-)?idempotency-key|x-stainless-.*"
    # the cache's own
    r"|cache-control|pragma|if-.*|x-llm-.*|x-semcache-.*"
)


def keyed_headers(call: Call) -> dict[str, str]:
    """Return the headers that may change an answer."""
    return {
        name: value
        for name, value in call.named.items()
        if not _UNKEYED.fullmatch(name) and not _CREDENTIAL.fullmatch(name)
    }


def is_told_apart(name: str) -> bool:
    """Whether two calls of an unknown API that differ in this header never meet."""
    return name in {"accept", "accept-encoding"} or not _UNKEYED.fullmatch(name)


def credential_of(call: Call, secret: bytes = b"") -> str:
    """Return the digest of the call's credentials, wherever they stand; "" if it has none.

    Args:
        call: The request.
        secret: Keys the digest.
    """
    named = sorted(_in_headers(call)) + sorted(_in_query(call.url))
    if not named:
        return ""
    key = blake2b(secret, digest_size=32).digest() if secret else b""
    return blake2b(repr(named).encode(), digest_size=16, key=key, person=b"semcache-http").hexdigest()


def tenant_name(credential: str, *, share: bool) -> str:
    """Return the tenant of who has a credential: nobody's and everybody's entries have none."""
    return f"key-{credential}" if credential and not share else ""


def keyed_url(url: str) -> str:
    """Return the URL without the credentials in its query."""
    if "?" not in url and "#" not in url:
        return url
    parts = urlsplit(url)
    kept = [pair for pair in _pairs(parts.query) if not _CREDENTIAL_IN_QUERY.fullmatch(pair[0].lower())]
    query = urlencode(kept, errors="surrogateescape")
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _in_headers(call: Call) -> Iterable[tuple[str, str]]:
    for name, value in call.named.items():
        said = value
        if name == "cookie":
            said = ";".join(one for one in value.split(";") if not _BALANCERS_COOKIE.fullmatch(one))
        if said and _CREDENTIAL.fullmatch(name):
            yield name, said


def _in_query(url: str) -> Iterable[tuple[str, str]]:
    return (pair for pair in _pairs(urlsplit(url).query) if _CREDENTIAL_IN_QUERY.fullmatch(pair[0].lower()))


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
