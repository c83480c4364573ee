"""All of a LiteLLM call that must match exactly, from its keyword arguments. Pure: no litellm, no clock, no I/O.

The law: every argument is part of the key unless it is listed here as one that cannot change the answer,
so a parameter that nobody has heard of yet costs a miss and never a false hit. Secrets are kept as one
digest. What is returned shares no object with the arguments: callers append to their `messages` list
while an answer is still on its way to the cache.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import canonical
from semcache_integrations.litellm.wishes import mapping

_UNKEYED = frozenset(
    {
        # keyed elsewhere in this module
        *("model", "args", "extra_headers", "headers", "metadata", "litellm_metadata"),
        # controls of the cache itself
        *(
            "cache",
            "cache_key",
            "preset_cache_key",
            "caching",
            "caching_groups",
            "ttl",
            "dynamic_cache_object",
        ),
        # how an answer is delivered, not what it says
        *("stream", "stream_options", "stream_timeout", "stream_chunk_size", "complete_response"),
        # the proxy asked for the usage of a stream, and takes it out again itself; it says so by two names
        *("_litellm_strip_stream_usage", "_litellm_stream_usage_injected"),
        # how hard LiteLLM tries
        *("timeout", "request_timeout", "force_timeout", "client_side_timeout", "mock_timeout", "ssl_verify"),
        *(
            "timeout_by_service_tier",
            "stream_timeout_by_service_tier",
            "max_parallel_requests",
            "cooldown_time",
        ),
        *("max_retries", "num_retries", "retry_policy", "retry_strategy", "client", "shared_session"),
        # who called, and how that is logged, metered and priced
        *("litellm_call_id", "litellm_trace_id", "litellm_session_id", "completion_call_id", "id", "tags"),
        *(
            "litellm_logging_obj",
            "logger_fn",
            "verbose",
            "no-log",
            "parent_otel_span",
            "proxy_server_request",
        ),
        *("log_client_error_tracebacks", "litellm_request_debug", "litellm_disabled_callbacks"),
        *("model_info", "tpm", "rpm", "itpm", "otpm", "weight", "order", "max_budget", "budget_duration"),
        *("turn_off_message_logging", "tiered_pricing", "attempted_targets", "routing_strategy"),
        *("default_api_key_tpm_limit", "default_api_key_rpm_limit", "original_function"),
        *("store", "prompt_cache_key", "prompt_cache_retention"),
        # which of LiteLLM's own functions is running
        *("acompletion", "aembedding", "atext_completion", "async_call", "use_in_pass_through"),
        *("mock_delay", "stream_response", "fastest_response", "secret_fields", "user_api_key_dict"),
        # the Router's own state
        *("_context_compaction_state", "_router_weights", "allow_client_keepalive_override"),
        *("fallback_depth", "max_fallbacks"),
    }
)
_DEFAULTS: Mapping[str, object] = {"n": 1, "extra_body": {}, "logprobs": False}
_PRICE = "_cost_per_"
_LONGEST_CONTEXT = 1_024  # bytes; a longer one is kept as its digest (hashlib gives up the GIL beyond 2,047)
_SECRET = re.compile(
    r"api_?key|secret|password|credential|access_key|session_token|ad_token|identity_token|signing_key",
    re.IGNORECASE,
)
_SECRET_HEADER = re.compile(r"auth|cookie|token|secret|api-?key", re.IGNORECASE)
_TRACE_HEADERS = frozenset(
    {
        "traceparent",
        "tracestate",
        "baggage",
        "user-agent",
        "x-request-id",
        "idempotency-key",
        "x-idempotency-key",
    }
)
_CALLER = ("user_api_key", "user_api_key_hash", "user_api_key_team_id", "user_api_key_org_id")


def model_of(arguments: Mapping[str, object]) -> str:
    """Return the model that is asked.

    Raises:
        UnkeyableError: the call names none.
    """
    # `aembedding` is declared as (*args, **kwargs), so LiteLLM names a positional model "args"
    model = arguments.get("model") or arguments.get("args")
    if not isinstance(model, str) or not model:
        raise UnkeyableError("the call names no model")
    return model


def call_of(arguments: Mapping[str, object], secret: bytes, *, besides: str) -> object:
    """Return all that must match exactly besides one argument, in canonical form.

    Args:
        arguments: The call's keyword arguments, as LiteLLM passes them to its cache.
        secret: Keys the digest of the credentials.
        besides: The argument that says what is asked; whoever calls has its own way to key it.

    Raises:
        UnkeyableError: something in the arguments has no canonical form.
    """
    params: dict[str, object] = {}
    secrets: dict[str, object] = {}
    for name, value in arguments.items():
        role = _role(name)
        if role == "unkeyed" or name == besides or value is None or _DEFAULTS.get(name) == value:
            continue
        if role == "refused" and value:
            raise UnkeyableError(f"a call with {name} is answered in a form of its own")
        (secrets if role == "secret" else params)[name] = value
    call: dict[str, object] = {"params": params, "cache_key": _own_key(arguments)}
    if "headers" in arguments or "extra_headers" in arguments:
        call["headers"] = _headers(arguments, secrets)
    if "cache" in arguments or "metadata" in arguments or "litellm_metadata" in arguments:
        call["namespace"] = _namespace(arguments)
        call["caller"] = _caller(arguments)
    call["credential"] = _credential(secrets, secret)
    return canonical_form(call)


@lru_cache(maxsize=4_096)
def _role(name: str) -> str:
    if name in _UNKEYED or _PRICE in name:
        return "unkeyed"
    if name == "text_completion" or name.endswith("_converted_stream"):
        return "refused"
    return "secret" if _SECRET.search(name) else "param"


def _headers(arguments: Mapping[str, object], secrets: dict[str, object]) -> object:
    """Return the headers that may matter, and move the secret ones to the secrets."""
    kept = {}
    for name, value in {**mapping(arguments, "headers"), **mapping(arguments, "extra_headers")}.items():
        lower = str(name).lower()
        if _SECRET_HEADER.search(lower):
            secrets[f"header {lower}"] = value
        elif lower not in _TRACE_HEADERS:
            kept[lower] = value
    return kept or None


def _credential(secrets: Mapping[str, object], secret: bytes) -> str | None:
    """Another key never meets these entries, and no key can be read from them."""
    if not secrets:
        return None
    named = _dump(canonical_form(secrets))
    key = blake2b(secret, digest_size=32).digest() if secret else b""  # a secret of any length makes a key
    return blake2b(named, digest_size=16, key=key, person=b"semcache-litellm").hexdigest()


def _namespace(arguments: Mapping[str, object]) -> object:
    return mapping(arguments, "cache").get("namespace") or mapping(arguments, "metadata").get(
        "redis_namespace"
    )


def _caller(arguments: Mapping[str, object]) -> object:
    """Whose virtual key the proxy saw: two of them never share an entry.

    The proxy writes it into one of the two places, and the other one is the client's: whoever claims there to
    be somebody else is neither of them.
    """
    callers: list[dict[str, object]] = []
    for place in ("litellm_metadata", "metadata"):
        known = mapping(arguments, place)
        caller = {name: known[name] for name in _CALLER if known.get(name) is not None}
        if caller and caller not in callers:
            callers.append(caller)
    return callers if len(callers) > 1 else next(iter(callers), None)


def _own_key(arguments: Mapping[str, object]) -> str | None:
    """A `cache_key=` that the user gave narrows the key; alone, as in LiteLLM, it would ignore the messages."""
    given = arguments.get("cache_key")
    return given if type(given) is str else None  # a subclass is the key that this package gave to LiteLLM


def canonical_form(value: object) -> Any:  # Any: JSON-like, and its shape is the caller's business
    """Return the value in canonical form.

    Raises:
        UnkeyableError: it has none.
    """
    try:
        return canonical(value)
    except RecursionError:
        raise UnkeyableError("the request is nested too deeply") from None


def _dump(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:  # a lone surrogate, or deeper than orjson goes
        raise UnkeyableError(f"the request has no canonical form: {type(error).__name__}") from None


def frozen(value: object) -> str:
    """Return canonical JSON, or its digest: a snapshot that keeps neither the caller's objects nor images alive."""
    dumped = _dump(value)
    return (
        dumped if len(dumped) <= _LONGEST_CONTEXT else blake2b(dumped, digest_size=32).hexdigest().encode()
    ).decode()
