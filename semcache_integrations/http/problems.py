"""What this package refuses, in the shape in which the provider itself would have said so.

The law: an SDK finds the message where it looks for it, and no message quotes a prompt, a credential or another tenant.
"""

from __future__ import annotations

from typing import Any  # JSON

_BAD_REQUEST, _FORBIDDEN, _TOO_LARGE = 400, 403, 413
_SERVER_ERROR = 500

_ANTHROPIC_KINDS = {
    _BAD_REQUEST: "invalid_request_error",
    401: "authentication_error",
    _FORBIDDEN: "permission_error",
    404: "not_found_error",
    _TOO_LARGE: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}


class ProblemError(Exception):
    """A request that is refused, or an upstream that could not be asked.

    Args:
        status: The HTTP status to answer with.
        message: What is wrong and how to mend it.
        retry_after_s: Seconds after which trying again makes sense; None if nobody knows.
        final: Whether trying again makes no sense, though the status is one at which SDKs do.
    """

    def __init__(
        self, status: int, message: str, *, retry_after_s: float | None = None, final: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s
        self.final = final

    def headers(self) -> dict[str, str]:
        """Return what tells an SDK when to try again; `x-should-retry` is known to OpenAI's and Anthropic's."""
        if self.final:
            return {"x-should-retry": "false"}
        return {} if self.retry_after_s is None else {"retry-after": str(max(1, round(self.retry_after_s)))}

    def body(self, *, anthropic: bool = False) -> dict[str, Any]:
        """Return the JSON that says so: Anthropic's shape, or OpenAI's, which the other providers share."""
        if anthropic:
            otherwise = "api_error" if self.status >= _SERVER_ERROR else "invalid_request_error"
            kind = _ANTHROPIC_KINDS.get(self.status, otherwise)
            return {"type": "error", "error": {"type": kind, "message": self.message}}
        kind = "server_error" if self.status >= _SERVER_ERROR else "invalid_request_error"
        return {"error": {"message": self.message, "type": kind, "param": None, "code": None}}
