"""One line of the log for each request; no question, no answer and no credential in it."""

from __future__ import annotations

import logging

from semcache_integrations.http.happenings import Happening

log = logging.getLogger("semcache_integrations.access")
_MS = 1_000


def write(happening: Happening) -> None:
    """Write the line: a watcher of the proxy."""
    what = happening.tier or happening.reason
    log.info(
        "%s %s %d %s%s %.1f ms%s %s",
        happening.method,
        _printable(happening.path),
        happening.http_status,
        happening.status,
        f" ({_printable(what)})" if what else "",
        happening.total_s * _MS,
        "" if happening.complete else ", its reader left",
        _printable(happening.model) or "-",
    )


def _printable(text: str) -> str:
    """Return a text of a caller's on one line, and not for ever."""
    return "".join(one if one.isprintable() else "?" for one in text[:200])
