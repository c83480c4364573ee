"""The requests of an application of which only the question is known -> what the cache makes of them.

The law: whatever is not the question must match exactly; a request without one is not cached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias  # Any: JSON

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import Replay
from semcache_integrations.http.calls import Asked, Call
from semcache_integrations.http.credentials import credential_of, keyed_headers, keyed_url, tenant_name
from semcache_integrations.http.requests import carriage, is_json, named_tenant, naming_tenants, object_of
from semcache_integrations.http.wishes import controls, wishes
from semcache_integrations.wire.turns import is_one_line

Extract: TypeAlias = Callable[[dict[str, Any]], str | None]
"""Finds a text in the JSON of a body."""

_QUESTIONS = ("query", "question", "prompt", "input", "message")
_APPLICATIONS = ("host", "x-forwarded-host", "x-forwarded-prefix", "accept")  # many answer by them
_USUAL = Replay()


@dataclass(frozen=True, slots=True)
class QuestionReader:
    """Reads requests.

    Attributes:
        extract_query: Finds the question.
        extract_model: Finds the model.
        secret: Keys the digests of credentials.
        share: Whether entries are everybody's.
        tenant_of: Says whose a request is, instead of its credentials.
    """

    extract_query: Extract
    extract_model: Extract
    secret: bytes = b""
    share: bool = False
    tenant_of: Callable[[Call], str] | None = None

    @classmethod
    def of(
        cls,
        cache: SemanticCache,
        *,
        extract_query: Extract | None,
        extract_model: Extract | None,
        share: bool,
        tenant_of: Callable[[Call], str] | None,
    ) -> QuestionReader:
        """Return a reader for a cache.

        Raises:
            ConfigurationError: an extractor, or `tenant_of`, cannot be called.
        """
        for name, given in (("extract_query", extract_query), ("extract_model", extract_model)):
            if given is not None and not callable(given):
                raise ConfigurationError(f"{name}= is a function of the body's JSON, not {given!r}")
        naming_tenants(tenant_of)
        return cls(
            extract_query or question_in,
            extract_model or model_in,
            cache.config.secret_bytes,
            share,
            tenant_of,
        )

    def __call__(self, call: Call) -> Asked | None:
        """Return what is asked, or None for a request without a question.

        Raises:
            ProblemError: it is no JSON, or a wish in its headers means nothing.
            UnkeyableError: something in it has no canonical form.
        """
        if not is_json(call):
            return None
        asked_for, theirs = wishes(call, _USUAL), object_of(call.body)
        text = self.extract_query(theirs)
        if not isinstance(text, str) or not text.strip():
            return None
        credential = credential_of(call, self.secret)
        model, body = self.extract_model(theirs), object_of(call.body)  # they may have taken things out
        request = CacheRequest(
            text=text,
            model=model if isinstance(model, str) else "",
            context=[
                without(body, text),
                call.method,
                keyed_url(call.url),
                keyed_headers(call),
                call.header("x-semcache-namespace"),
                [call.header(name) for name in _APPLICATIONS],
                credential_of(
                    replace(call, headers=()), self.secret
                ),  # "?key=" may be any parameter of theirs
            ],
            tenant=named_tenant(self.tenant_of(call))
            if self.tenant_of
            else tenant_name(credential, share=self.share),
            dialect="http.app",
            controls=controls(call, semantic=is_one_line(text)),
        )
        return Asked(
            request,
            "generic",
            wishes=asked_for,
            credential=credential,
            carriage=carriage(call),
        )


def question_in(body: dict[str, Any]) -> str | None:
    """Return the text of the first usual name that has one."""
    return next((body[name] for name in _QUESTIONS if isinstance(body.get(name), str)), None)


def model_in(body: dict[str, Any]) -> str | None:
    """Return the text of `model`."""
    model = body.get("model")
    return model if isinstance(model, str) else None


def without(value: Any, text: str) -> list[Any]:
    """Return JSON with an empty text wherever the question stands, and these places: nothing else is lost."""
    holes: list[list[str | int]] = []
    return [_hollow(value, text, (), holes), holes]


def _hollow(value: Any, text: str, at: tuple[str | int, ...], holes: list[list[str | int]]) -> Any:
    if isinstance(value, dict):
        return {name: _hollow(item, text, (*at, name), holes) for name, item in value.items()}
    if isinstance(value, list):
        return [_hollow(item, text, (*at, index), holes) for index, item in enumerate(value)]
    if value != text:
        return value
    holes.append(list(at))
    return ""
