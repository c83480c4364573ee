"""The two pages, as they are sent: one file each, with its style and its script inside.

The law: a page asks nobody but its own server, runs nothing but the script it came with, and cannot make markup of a
text: its Content-Security-Policy names the hashes of both, and Trusted Types forbid every way from text to HTML.

The charts are drawn by a hundred lines of our own: a library would be a third party's code in a page that deletes
things, and several times as large as all the rest.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from starlette.responses import HTMLResponse, Response

_PAGES = files("semcache_integrations.http.dashboard") / "pages"
_STYLE, _SCRIPT, _COMPLAINT = "/* style */", "/* script */", "<!-- complaint -->"
_WRONG = '<p class="complaint" role="alert">That is not the token.</p>'
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page and what it may do.

    Attributes:
        text: Its HTML.
        policy: Its Content-Security-Policy.
        referrer: Its Referrer-Policy.
    """

    text: str
    policy: str
    referrer: str = "no-referrer"

    def response(self, status: int = 200) -> Response:
        """Return it as a response."""
        said = {"content-security-policy": self.policy, "referrer-policy": self.referrer}
        return HTMLResponse(self.text, status, headers={**_HEADERS, **said})


def safe(response: Response) -> Response:
    """Say of a response that no other site may read, frame, store or reinterpret it."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@lru_cache(maxsize=1)
def dashboard() -> Page:
    """Return the dashboard."""
    style, script = _read("admin.css"), _read("charts.js") + _read("admin.js")
    text = _read("admin.html").replace(_STYLE, style).replace(_SCRIPT, script)
    return Page(text, f"{_policy(style)}; script-src '{_hash(script)}'; connect-src 'self'")


@lru_cache(maxsize=2)
def login(*, wrong: bool = False) -> Page:
    """Return the page that asks for the token.

    It may tell its own server where a form was sent from: a browser that tells nobody sends `Origin: null`.
    """
    style = _read("admin.css")
    text = _read("login.html").replace(_STYLE, style).replace(_COMPLAINT, _WRONG if wrong else "")
    return Page(text, f"{_policy(style)}; form-action 'self'", "same-origin")


def _policy(style: str) -> str:
    return (
        f"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; img-src data:; style-src '{_hash(style)}'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(name: str) -> str:
    return (_PAGES / name).read_text(encoding="utf-8")
