"""`llm_string` -> which model is asked, how: the half of the key that is not the prompt. Pure parsing.

The law: every setting is keyed unless it is known not to change the answer; what cannot be read is keyed
as it stands; what has no stable form makes the request unkeyable. Nothing is loaded or instantiated.

Two API keys cannot be told apart in here, because LangChain replaces them by a placeholder before the
cache sees them: use `scope(tenant=…)` where answers must not be shared.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import canonical_json
from semcache_integrations.langchain.opaque import ADDRESS, Unkeyable, form_of_repr, without_objects

_DECODER = json.JSONDecoder()
_REMEMBERED = 256  # an application has few models and tool sets, but repeats their strings on every call
_NOT_READABLE = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)
"""What parsers do to arbitrary text."""
_OBJECT = "\x00object:"
# String literals are matched so that what looks like an object inside one stays text.
_NOT_LITERAL = re.compile(
    r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|<(?:[^<>]|<[^<>]*>)*>|-?\b(?:nan|inf)\b""", re.DOTALL
)
_UNSTABLE = re.compile(ADDRESS.pattern + "|<class ")
_NAMES_TOOLS = re.compile(r"'(?:tools|functions)'")

_MODEL_NAMES = ("model", "model_id", "azure_deployment", "deployment_name", "endpoint_name", "repo_id")
_SECRETS = frozenset(
    {
        *("api_key", "azure_ad_token", "credentials"),
        *("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    }
)
_TRANSPORT = frozenset(
    {
        *("http_client", "http_async_client", "http_socket_options", "openai_proxy", "anthropic_proxy"),
        *("max_retries", "timeout", "request_timeout", "default_request_timeout", "stream_chunk_timeout"),
        "rate_limiter",
    }
)
_DELIVERY = frozenset({"stream", "streaming", "stream_usage", "stream_options", "disable_streaming"})
"""A stream and a plain call share an entry."""
_BOOKKEEPING = frozenset(
    ("_type", "cache", "callbacks", "tags", "metadata", "verbose", "profile", "custom_get_token_ids")
)
_NOT_KEYED = _SECRETS | _TRANSPORT | _DELIVERY | _BOOKKEEPING
_HEADERS = frozenset({"default_headers", "extra_headers"})
_UNKEYED_HEADER = re.compile(  # credentials, and what tells one call from another
    r"authorization|api-?key|(^|-)(auth|token|secret|cookie)$|trace|^baggage$|^x-b3-|^b3$|^x-datadog-"
    r"|request-id$|correlation-id$|^idempotency-key$|^user-agent$|^x-stainless-"
)
_TOOLS = ("tools", "functions", "mcp_servers", "web_search_options")
_HOLD_SETTINGS = ("model_kwargs", "extra_body")  # settings that are passed on as they are
_SERVER_STATE = ("conversation", "container", "reuse_last_container")
"""Settings under which the provider answers from a state that changes with every call."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What an `llm_string` says.

    Attributes:
        model: The LLM's name, empty if none was found.
        params: Everything else that must match: the provider's class and a digest of the canonical settings,
            because they are keyed on every call and may hold long tool descriptions.
        tools: Whether tools are bound.
    """

    model: str
    params: Mapping[str, object]
    tools: bool


@lru_cache(maxsize=_REMEMBERED)
def parse_llm_string(llm_string: str) -> Identity:
    """Read what LangChain says about a model and its call-time arguments. Never raises."""
    try:
        provider, init, call = _read(llm_string)
        settings, overridden = _merged(_kept(init), _kept(call))
    except _NOT_READABLE:
        return _as_it_stands(llm_string)
    tools = _binds_tools(settings)
    model = next((found for name in _MODEL_NAMES if isinstance(found := settings.get(name), str)), "")
    if any(settings.get(name) for name in _SERVER_STATE):
        return Identity(model, _refused("the provider keeps a state that changes with every call"), tools)
    try:
        params = {"provider": provider, "settings": _digest(canonical_json((settings, overridden)))}
    except (UnkeyableError, TypeError, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, UnkeyableError) else "a setting has no canonical form"
        return Identity(model, _refused(reason), tools)
    return Identity(model, params, tools)


def _binds_tools(settings: Mapping[str, object]) -> bool:
    held = (settings.get(name) for name in _HOLD_SETTINGS)
    return any(one.get(name) for one in (settings, *held) if isinstance(one, dict) for name in _TOOLS)


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=32).hexdigest()


def _read(llm_string: str) -> tuple[str, dict[str, object], dict[str, object]]:
    """Return the provider's class, the constructor's settings and those of the call.

    Raises:
        ValueError, TypeError, SyntaxError, MemoryError, RecursionError: it is neither of LangChain's two forms.
    """
    if not llm_string.startswith("{"):  # str(sorted(params.items()))
        call = dict(_literal(llm_string))
        return str(call.get("_type", "")), {}, call
    shown, end = _DECODER.raw_decode(llm_string)  # JSON, "---", str(sorted(call.items()))
    if not llm_string.startswith("---", end):
        raise ValueError("no call-time arguments")
    return ".".join(shown["id"]), dict(shown.get("kwargs") or {}), dict(_literal(llm_string[end + 3 :]))


def _literal(text: str) -> list[tuple[str, object]]:
    if not text.startswith("["):
        raise ValueError("not a list")
    try:
        pairs = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        pairs = ast.literal_eval(_NOT_LITERAL.sub(_quoted, text))
    if not all(isinstance(name, str) for name, _ in pairs):
        raise ValueError("not named settings")
    return list(pairs)


def _quoted(match: re.Match[str]) -> str:
    found = match.group()
    return found if found[0] in "'\"" else repr(_OBJECT + found)


def _as_it_stands(llm_string: str) -> Identity:
    tools = _NAMES_TOOLS.search(llm_string) is not None
    if _UNSTABLE.search(llm_string):
        return Identity(
            "", _refused("a parameter is a Python object that LangChain shows by its name only"), tools
        )
    return Identity("", {"raw": _digest(llm_string)}, tools)


def _refused(reason: str) -> Mapping[str, object]:
    return {"unkeyable": Unkeyable(reason)}


def _kept(given: Mapping[str, object]) -> dict[str, object]:
    """Return the settings that may change the answer."""
    kept: dict[str, object] = {}
    for name, value in given.items():
        if name in _NOT_KEYED or name.endswith(("api_key", "api_token")):
            continue
        kept[name] = _headers(value) if name in _HEADERS else _restored(without_objects(value))
    if "model_name" in kept:
        kept.setdefault("model", kept["model_name"])
        if kept["model"] == kept["model_name"]:
            del kept["model_name"]
    return kept


def _headers(value: object) -> object:
    """Return the headers that may change the answer, e.g. a beta switch; names are case-insensitive."""
    if not isinstance(value, dict):
        return value
    lowered = {str(name).lower(): item for name, item in value.items()}
    return {name: item for name, item in lowered.items() if not _UNKEYED_HEADER.search(name)} or None


def _restored(value: object) -> object:
    """Return a literal with the objects in it (see `_quoted`) in their keyable form."""
    if isinstance(value, str) and value.startswith(_OBJECT):
        shown = value.removeprefix(_OBJECT)
        return form_of_repr(shown) if shown.startswith("<") else shown
    if isinstance(value, (list, tuple)):
        return [_restored(item) for item in value]
    if isinstance(value, dict):
        return {name: _restored(item) for name, item in value.items()}
    return value


def _merged(init: dict[str, object], call: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Let the call's settings win, and return beside them what they may not have replaced altogether.

    Integrations disagree on whether a list or a mapping replaces the constructor's or is merged into it,
    and on what None means; so those are keyed as well. `stop=None` stands in every call and says nothing.
    """
    settings, overridden = dict(init), dict[str, object]()
    if isinstance(call.get("model"), str):
        settings.pop("model_name", None)
    for name, value in call.items():
        before = settings.get(name)
        if value is None and before is not None and name != "stop":
            overridden[name] = "None"
        elif value is not None:
            if isinstance(before, (list, dict)):
                overridden[name] = [before]
            settings[name] = value
    return settings, overridden
