"""A call's bytes -> what the cache makes of it: `CacheRequest`, the form of its answer, its wishes.

The law: a body is read strictly. What two parsers could read in two ways (a name twice in one object, a number beyond
a double) is kept out of the cache, or one user could store an answer under another one's question.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from semcache_integrations.core.errors import ConfigurationError, UnkeyableError
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import Replay
from semcache_integrations.http.calls import Asked, Call, Dialect
from semcache_integrations.http.credentials import credential_of, keyed_headers, keyed_url, tenant_name
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.prompts import PromptPath
from semcache_integrations.http.providers import PROMPTS
from semcache_integrations.http.recording import acceptable
from semcache_integrations.http.wishes import controls, wishes
from semcache_integrations.wire.turns import LastTurn, is_one_line, last_turn

_SUBJECTS: Mapping[Dialect, str] = {"chat": "messages", "messages": "messages", "responses": "input"}
_UNKEYED = frozenset(
    {"stream", "stream_options", "metadata", "store", "prompt_cache_key", "prompt_cache_retention"}
)
_DEFAULTS: Mapping[str, object] = {"n": 1, "logprobs": False}
_CLEAR = (None, False, True)  # of a flag; some APIs take 1 and "true" for it, too, and others refuse them
_TOOLS = ("tools", "functions", "mcp_servers")
_USUAL = Replay()
_GOES_ON = ("conversation", "background")  # the provider keeps the conversation; or it answers later


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the calls of LLM APIs.

    Attributes:
        replay: How streams are cut.
        secret: Keys the digests of credentials.
        share: Whether entries are everybody's, whoever asks; otherwise those of one credential.
        tenant_of: Says whose a call is, instead of its credential.
        longest_ttl_s: Seconds that a call may ask its answer to be kept for.
    """

    replay: Replay = _USUAL
    secret: bytes = b""
    share: bool = False
    tenant_of: Callable[[Call], str] | None = None
    longest_ttl_s: float | None = None

    def __call__(self, call: Call) -> Asked | None:
        """Return what is asked, or None for a call that is not of an LLM API, or cannot be cached.

        Raises:
            ProblemError: the call is wrong in a way that its sender should hear of.
            UnkeyableError: something in it has no canonical form.
        """
        dialect = call.dialect
        if dialect is None or call.method != "POST" or not is_json(call):
            return None
        if dialect == "generic" and not call.prompt:
            return None
        asked_for, body = wishes(call, self.replay), object_of(call.body)
        if any(body.get(name) for name in _GOES_ON):
            return None
        stream, usage = _delivery(body, dialect)
        credential = credential_of(call, self.secret)
        request = self._request(call, dialect, body, credential)
        return Asked(request, dialect, stream, usage, asked_for, credential, carriage(call))

    def _request(self, call: Call, dialect: Dialect, body: dict[str, Any], credential: str) -> CacheRequest:
        named = call.prompt not in {"", PROMPTS[dialect]}
        turn, rest = _by_path(body, call.prompt, dialect) if named else _by_dialect(body, dialect)
        model = body.get("model")
        tools = dialect != "generic" and any(body.get(name) for name in _TOOLS)
        wished = controls(call, semantic=turn.embeddable and not tools)
        if wished.ttl_s is not None and self.longest_ttl_s is not None:
            wished = replace(wished, ttl_s=min(wished.ttl_s, self.longest_ttl_s))
        own = named_tenant(self.tenant_of(call)) if self.tenant_of else None
        return CacheRequest(
            text=turn.text,
            model=model if isinstance(model, str) else "",
            params=_keyed(rest, dialect),
            context=[*_way_of(call, dialect), turn.rest],
            tenant=tenant_name(credential, share=self.share) if own is None else own,
            dialect=f"http.{dialect}",
            controls=wished,
        )


def carriage(call: Call) -> str:
    """Return how an answer is to travel: equal calls that want it otherwise do not share it."""
    return acceptable(call.header("accept-encoding"))


def _way_of(call: Call, dialect: Dialect) -> list[object]:
    """Return what of a call's head must match exactly; of unknown APIs also the form that it asks for."""
    form = call.header("accept") if dialect == "generic" else ""
    return [keyed_url(call.url), keyed_headers(call), call.header("x-semcache-namespace"), form]


def _keyed(rest: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Return the parameters that may change an answer; the model has a place of its own, if it is a text."""
    return {
        name: value
        for name, value in rest.items()
        if not (name == "model" and isinstance(value, str)) and not _says_nothing(name, value, dialect)
    }


def _delivery(body: Mapping[str, Any], dialect: Dialect) -> tuple[bool, bool]:
    """Return whether a stream is wanted, and whether it is to end with the token counts.

    Raises:
        UnkeyableError: nobody knows.
    """
    if dialect == "generic":
        return False, False
    if not any(body.get("stream") is flag for flag in _CLEAR):
        raise UnkeyableError("whether a stream is wanted is unclear")
    options = body.get("stream_options")
    usage = isinstance(options, dict) and options.get("include_usage") is True
    return body.get("stream") is True, usage


def naming_tenants(tenant_of: object) -> None:
    """Refuse what cannot say whose a call is.

    Raises:
        ConfigurationError: it cannot be called.
    """
    if tenant_of is not None and not callable(tenant_of):
        raise ConfigurationError(
            f'tenant_of= is a function, such as lambda call: call.header("x-user"), not {tenant_of!r}'
        )


def named_tenant(name: object) -> str:
    """Return the tenant that a user's own function names.

    Raises:
        UnkeyableError: it names none.
    """
    if not isinstance(name, str):
        raise UnkeyableError("tenant_of named no tenant")
    return name


def is_json(call: Call) -> bool:
    """Whether a body is JSON that can be read as it stands."""
    kind, _, parameters = call.header("content-type").lower().partition(";")
    kind, charset = kind.strip(), parameters.replace(" ", "").partition("charset=")[2].strip('"')
    is_utf8 = charset in {"", "utf-8", "utf8"}
    return (
        is_utf8
        and (kind == "application/json" or kind.endswith("+json"))
        and not call.header("content-encoding")
    )


def object_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        ProblemError: it is none.
        UnkeyableError: two readers may read it differently.
    """
    try:
        text = body.decode()
        if text.startswith("\ufeff"):
            raise UnkeyableError("the body has a byte order mark")
        loaded = json.loads(
            text, object_pairs_hook=_unrepeated, parse_float=_finite, parse_constant=_no_constant
        )
    except RecursionError:
        raise ProblemError(400, "the body is nested too deeply") from None
    except ValueError as error:
        raise ProblemError(400, f"the body is not JSON: {_place(error)}") from None
    if not isinstance(loaded, dict):
        raise ProblemError(400, "the body is not a JSON object")
    return loaded


def _place(error: ValueError) -> str:
    """Say where it went wrong without quoting what stands there."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} in line {error.lineno}, column {error.colno}"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "a number in it is too long"


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise UnkeyableError("a name stands twice in one object")
    return named


def _finite(written: str) -> float:
    number = float(written)
    if math.isinf(number):
        raise UnkeyableError("a number is beyond a double")
    return number


def _no_constant(_written: str) -> None:
    raise UnkeyableError("a number is none")


def _says_nothing(name: str, value: object, dialect: Dialect) -> bool:
    """Whether a parameter cannot change what is answered; of other APIs nobody knows any."""
    if dialect == "generic" or (dialect == "responses" and name == "store" and value is False):
        return False  # what the provider did not keep, nobody can go on from
    return name in _UNKEYED or (
        name in _DEFAULTS and _DEFAULTS[name] == value and type(_DEFAULTS[name]) is type(value)
    )


def _by_dialect(body: dict[str, Any], dialect: Dialect) -> tuple[LastTurn, dict[str, Any]]:
    """Split the body at the last turn of its conversation."""
    subject = _SUBJECTS[dialect]
    asked = body.get(subject)
    if isinstance(asked, str) and dialect == "responses":
        asked = [{"role": "user", "content": asked}]
    if not isinstance(asked, list) or not asked:
        raise UnkeyableError("a conversation is a list of messages")
    last = asked[-1]
    if isinstance(last, dict) and last.get("type") == "message":
        last = {name: value for name, value in last.items() if name != "type"}
    turn = last_turn(last)
    rest = {name: value for name, value in body.items() if name != subject}
    return turn._replace(rest=[asked[:-1], turn.rest]), rest


def _by_path(body: dict[str, Any], path: str, dialect: Dialect) -> tuple[LastTurn, dict[str, Any]]:
    """Split the body at the prompt that a header points to."""
    prompt = PromptPath(path).find(body)
    if prompt is None:
        return LastTurn("", None, embeddable=False), body
    rest, holes = prompt.rest
    may = prompt.only_text and is_one_line(prompt.text) and _is_users(body, rest, dialect)
    return LastTurn(prompt.text, holes, may), rest


def _is_users(body: dict[str, Any], rest: Mapping[str, Any], dialect: Dialect) -> bool:
    """Whether the prompt stands in a last turn that a user wrote; of other APIs nobody knows what a turn is."""
    if dialect == "generic":
        return True
    before, after = body.get(_SUBJECTS[dialect]), rest.get(_SUBJECTS[dialect])
    if not isinstance(before, list) or not isinstance(after, list):
        return isinstance(before, str) and before != after  # the input of a response: one turn of the user's
    last = before[-1] if before else None
    return isinstance(last, dict) and last.get("role") == "user" and after[-1] is not last
