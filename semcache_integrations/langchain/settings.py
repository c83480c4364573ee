"""LangChain's `llm_string` -> which model, how it is set, and whether tools are bound. Pure, but for one variable.

The law: every setting is part of the key unless it is listed here as one that cannot change the answer, so
a setting that nobody has heard of yet costs a miss and never a false hit. No secret and no header outlives
the reading: what is returned holds a digest.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import canonical_json
from semcache_integrations.core.models import NO_PARAMS
from semcache_integrations.langchain.literals import Opaque, read_items
from semcache_integrations.langchain.objects import ADDRESS, class_name, find_class, telling

_UNKEYED = frozenset(
    {
        # how an answer is delivered, not what it says
        *(
            "stream",
            "streaming",
            "stream_usage",
            "stream_options",
            "stream_chunk_timeout",
            "disable_streaming",
        ),
        # how hard the client tries, and over what
        *("timeout", "request_timeout", "default_request_timeout", "max_retries", "retries", "rate_limiter"),
        *("client", "async_client", "root_client", "root_async_client", "http_client", "http_async_client"),
        *("http_socket_options", "client_kwargs", "async_client_kwargs", "sync_client_kwargs"),
        *("openai_proxy", "anthropic_proxy", "proxies", "bedrock_client", "session", "transport"),
        # who called, and how that is logged
        *("callbacks", "callback_manager", "verbose", "metadata", "tags", "cache", "profile"),
        # names of the model, keyed under `model`; `custom_get_token_ids` counts, and asks nobody
        *("name", "custom_get_token_ids"),
    }
)
_MODEL_NAMES = (
    *("model", "model_name", "model_id", "azure_deployment", "deployment_name", "deployment"),
    *("endpoint_name", "repo_id"),
)
_BASE_URLS = (
    "base_url",
    "openai_api_base",
    "anthropic_api_url",
    "azure_endpoint",
    "endpoint_url",
    "endpoint",
)
_HEADERS = frozenset({"default_headers", "extra_headers", "headers", "additional_headers"})
_SECRET = re.compile(
    r"api_?key|api_token|auth_token|access_token|session_token|ad_token|secret|password|credential|access_key",
    re.IGNORECASE,
)
_SECRET_HEADER = re.compile(r"auth|cookie|token|secret|api-?key", re.IGNORECASE)
_TRACE_HEADERS = frozenset(
    {"traceparent", "tracestate", "baggage", "user-agent", "x-request-id", "idempotency-key"}
)
_TOOLS = frozenset(
    {
        "tools",
        "functions",
        "mcp_servers",
        "web_search_options",
        "search_parameters",
        "tool_config",
        "toolConfig",
    }
)
_STATE_ELSEWHERE = ("conversation", "container", "reuse_last_container")
_JSON = json.JSONDecoder()
# a chat model's key shows the first, a text model's neither; the second is the OpenAI SDK's
_SDK_BASE_URLS = ("OPENAI_API_BASE", "OPENAI_BASE_URL")


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The model behind an `llm_string`; one object for as long as the string means the same.

    Attributes:
        name: Readable, or empty.
        params: All else that must match exactly.
        tools: Whether tools are bound; None if the settings could not be read.
    """

    name: str = ""
    params: Mapping[str, object] = field(default_factory=lambda: NO_PARAMS)
    tools: bool | None = None


_UNKNOWN = Model()


@dataclass(frozen=True, slots=True)
class _Reading:
    """What can be said of an `llm_string` once and for all.

    Attributes:
        model: The model, unless there are classes to find or the reading was refused.
        classes: Dotted names of the classes in it; what they are can change.
        follows_environment: Whether an environment variable says where the model is.
        refusal: Why it has no key, or empty.
    """

    model: Model = _UNKNOWN
    classes: tuple[str, ...] = ()
    follows_environment: bool = False
    refusal: str = ""


def read_model(llm_string: str) -> Model:
    """Return the model that LangChain describes.

    Raises:
        UnkeyableError: it holds an object of which nothing is known but its address, or a class that
            cannot be found.
    """
    reading = _read(llm_string)
    if reading.refusal:
        raise UnkeyableError(reading.refusal)
    model = reading.model
    if reading.classes:
        model = _with_schemas(llm_string, tuple(find_class(name) for name in reading.classes))
    base_url = (
        next(filter(None, map(os.environ.get, _SDK_BASE_URLS)), "") if reading.follows_environment else ""
    )
    return _redirected(model, base_url) if base_url else model


@lru_cache(maxsize=512)
def _read(llm_string: str) -> _Reading:
    try:
        settings = _settings(llm_string)
        if settings is None:
            return _unread(llm_string)
        classes = tuple(dict.fromkeys(_classes(settings)))
        model = _UNKNOWN if classes else _model(settings, {})
        return _Reading(model, classes, _follows_environment(settings))
    except UnkeyableError as error:
        return _Reading(refusal=str(error))
    except (TypeError, RecursionError) as error:  # invalid Unicode, deep nesting
        return _Reading(refusal=f"the model's settings have no canonical form: {type(error).__name__}")


@lru_cache(maxsize=128)
def _with_schemas(llm_string: str, classes: tuple[type, ...]) -> Model:
    """Return the model with each class replaced by its schema: another class of that name is another key."""
    settings = _settings(llm_string) or {}
    return _model(settings, dict(zip(dict.fromkeys(_classes(settings)), classes, strict=True)))


@lru_cache(maxsize=512)
def _redirected(model: Model, base_url: str) -> Model:
    return replace(model, params={**model.params, "base_url": base_url})


def _unread(llm_string: str) -> _Reading:
    """Key an unknown form as it stands."""
    if ADDRESS.search(llm_string):
        raise UnkeyableError("the model's settings hold an object of which only the address is known")
    return _Reading(Model(params={"unread": _digest(llm_string)}))


def _settings(llm_string: str) -> dict[str, object] | None:
    """Return the settings by the place they come from, or None if the form is unknown.

    A chat model that LangChain can serialise is JSON, three dashes and the call's arguments; every other
    model is a list of pairs. A call's argument is not merged into the constructor's: whether it wins is
    the provider's business.
    """
    if not llm_string.startswith("{"):
        call = read_items(llm_string)
        return None if call is None else {"call": _kept(call)}
    try:
        made, end = _JSON.raw_decode(llm_string)
    except ValueError:
        return None
    call = read_items(llm_string[end + 3 :]) if llm_string[end : end + 3] == "---" else None
    kwargs = made["kwargs"] if isinstance(made, dict) else None
    if call is None or not isinstance(kwargs, dict):
        return None
    return {"class": made.get("id"), "made": _kept(kwargs), "call": {**_kept(call), **_unset(call)}}


def _kept(settings: Mapping[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, value in settings.items():
        if name in _HEADERS and isinstance(value, Mapping):
            kept[name] = _headers(value) or None
        elif (
            value is not None and name not in _UNKEYED and not _SECRET.search(name) and not _is_secret(value)
        ):
            kept[name] = value
    return kept


def _unset(call: Mapping[str, object]) -> dict[str, object]:
    """Keep what a call sets to None: it may undo the constructor's setting. `stop=None` stands in every call."""
    names = (
        name for name, value in call.items() if value is None and name != "stop" and name not in _UNKEYED
    )
    return {name: Opaque("None") for name in names}


def _is_secret(value: object) -> bool:
    if isinstance(value, Opaque):
        return value.text.startswith(("SecretStr(", "SecretBytes("))
    return isinstance(value, dict) and value.get("type") == "secret" and value.get("lc") == 1


def _headers(headers: Mapping[object, object]) -> dict[str, object]:
    """Return the headers that may matter: neither credentials nor tracing."""
    named = {str(name).lower(): value for name, value in headers.items()}
    return {
        name: value
        for name, value in named.items()
        if not _SECRET_HEADER.search(name) and name not in _TRACE_HEADERS
    }


def _model(settings: Mapping[str, object], schemas: Mapping[str, type]) -> Model:
    for section in settings.values():
        if isinstance(section, dict) and any(section.get(name) for name in _STATE_ELSEWHERE):
            raise UnkeyableError("the provider answers from a state that changes with every call")
    params: dict[str, object] = {"settings": _digest(canonical_json(_shown(settings, schemas)))}
    base_url = _first(settings, _BASE_URLS)
    if base_url:
        params["base_url"] = base_url
    return Model(_first(settings, _MODEL_NAMES), params, _binds_tools(settings))


def _first(settings: Mapping[str, object], names: tuple[str, ...]) -> str:
    for place in ("call", "made"):
        section = settings.get(place)
        found = [section.get(name) for name in names] if isinstance(section, dict) else []
        for value in found:
            if isinstance(value, str) and value:
                return value
    return ""


def _follows_environment(settings: Mapping[str, object]) -> bool:
    origin = settings["class"] if "class" in settings else [_first(settings, ("_type",))]
    return isinstance(origin, list) and "openai" in origin and not _first(settings, _BASE_URLS)


def _binds_tools(value: object) -> bool:
    if isinstance(value, dict):
        return any((name in _TOOLS and item) or _binds_tools(item) for name, item in value.items())
    return isinstance(value, (list, tuple)) and any(_binds_tools(item) for item in value)


def _classes(value: object) -> Iterator[str]:
    if isinstance(value, Opaque):
        name = class_name(value.text)
        if name is not None and "." in name:  # one without a dot is a built-in type: its name says it all
            yield name
    elif isinstance(value, dict):
        for item in value.values():
            yield from _classes(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _classes(item)


def _shown(value: object, schemas: Mapping[str, type], name: str = "") -> object:
    """Return a JSON-like value in which every object is shown by what tells it from others.

    Raises:
        UnkeyableError: there is an object of which that is not known.
    """
    if isinstance(value, Opaque):
        schema = schemas.get(class_name(value.text) or "")
        return schema or {"repr": telling(value.text, name)}
    if isinstance(value, dict):
        if value.get("type") == "not_implemented" and value.get("lc") == 1:
            telling(value.get("repr"), name)
        return {key: _shown(item, schemas, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(item, schemas, name) for item in value]
    return value


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
