"""The keyword arguments of a LiteLLM call -> `CacheRequest`. Pure: no litellm, no clock, no I/O.

The law: every argument is part of the key unless it is listed here as one that cannot change the answer,
so a parameter that nobody has heard of yet costs a miss and never a false hit. Secrets are kept as one
digest. What is returned shares no object with the arguments: callers append to their `messages` list
while an answer is still on its way to the cache.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import canonical
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.litellm.wishes import controls, mapping

CHAT_DIALECT = "litellm.chat"

_UNKEYED = frozenset(
    {
        # keyed elsewhere in this module
        *("messages", "input", "model", "args", "extra_headers", "headers", "metadata", "litellm_metadata"),
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


def chat_request(arguments: Mapping[str, object], *, tenant: str = "", secret: bytes = b"") -> CacheRequest:
    """Return the request behind a `completion` or `acompletion` call.

    Args:
        arguments: The call's keyword arguments, as LiteLLM passes them to its cache.
        tenant: Whose entries these are.
        secret: Keys the digest of the credentials.

    Raises:
        UnkeyableError: something in the arguments has no canonical form.
    """
    messages = arguments.get("messages")
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise UnkeyableError("a chat call needs a list of messages")
    turns = _canonical(messages)
    text, rest, embeddable = _last_turn(turns[-1])
    tools = any(arguments.get(name) for name in ("tools", "functions", "mcp_servers"))
    return CacheRequest(
        text=text,
        model=_model(arguments),
        context=_frozen([_call(arguments, secret), turns[:-1], rest]),
        tenant=tenant,
        dialect=CHAT_DIALECT,
        controls=controls(arguments, semantic=embeddable and not tools),
    )


def embedding_request(
    arguments: Mapping[str, object], *, tenant: str = "", secret: bytes = b"", one_of_many: bool = False
) -> CacheRequest:
    """Return the request behind an `embedding` call or behind one input of an `aembedding` call: exact only.

    Args:
        arguments: As for `chat_request`.
        tenant: As for `chat_request`.
        secret: As for `chat_request`.
        one_of_many: Whether a vector is kept, as `aembedding` does, or a whole response: they share no key.

    Raises:
        UnkeyableError: something in the arguments has no canonical form, or the input is a piece of one.
    """
    if "input" not in arguments:
        raise UnkeyableError("an embedding call needs an input")
    if one_of_many and isinstance(arguments["input"], int):
        raise UnkeyableError("a list of tokens is one input, and LiteLLM takes each token for one")
    return CacheRequest(
        text="",  # nothing may be reworded
        model=_model(arguments),
        context=_frozen([_call(arguments, secret), _canonical(arguments["input"])]),
        tenant=tenant,
        dialect="litellm.embedding.input" if one_of_many else "litellm.embedding",
        controls=controls(arguments, semantic=False),
    )


def _model(arguments: Mapping[str, object]) -> str:
    # `aembedding` is declared as (*args, **kwargs), so LiteLLM names a positional model "args"
    model = arguments.get("model") or arguments.get("args")
    if not isinstance(model, str) or not model:
        raise UnkeyableError("the call names no model")
    return model


def _call(arguments: Mapping[str, object], secret: bytes) -> object:
    """All that must match exactly besides the messages, in canonical form."""
    params: dict[str, object] = {}
    secrets: dict[str, object] = {}
    for name, value in arguments.items():
        role = _role(name)
        if role == "unkeyed" or value is None or _DEFAULTS.get(name) == value:
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
    return _canonical(call)


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
    named = _dump(_canonical(secrets))
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


def _last_turn(turn: object) -> tuple[str, object, bool]:
    """Split the last message into the text that may be reworded and the rest, which may not.

    Of several text parts the last one is the question; a document before it must match exactly.

    Returns:
        The text, the rest, and whether the text may be embedded at all.
    """
    if not isinstance(turn, dict) or turn.get("role") != "user":
        return "", turn, False
    content = turn.get("content")
    rest = {name: value for name, value in turn.items() if name not in {"content", "role"}}
    if isinstance(content, str):
        return content, rest or None, _is_one_line(content)
    if not isinstance(content, list) or not content:
        return "", turn, False
    *before, last = content
    if not _is_text(last):
        return "", turn, False
    if before:
        rest["before"] = before
    marks = {name: value for name, value in last.items() if name not in {"type", "text"}}
    if marks:
        rest["marks"] = marks
    return last["text"], rest or None, _is_one_line(last["text"]) and all(_is_text(part) for part in before)


def _is_one_line(text: str) -> bool:
    """Whether the text is neither blank nor several lines.

    Several lines are a template that was filled in, or a document: embedded, one looks like the other.
    """
    return len(text.strip().splitlines()) == 1


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _canonical(value: object) -> Any:  # Any: JSON-like, and its shape is the caller's business
    try:
        return canonical(value)
    except RecursionError:
        raise UnkeyableError("the request is nested too deeply") from None


def _dump(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:  # a lone surrogate, or deeper than orjson goes
        raise UnkeyableError(f"the request has no canonical form: {type(error).__name__}") from None


def _frozen(value: object) -> str:
    """Return canonical JSON, or its digest: a snapshot that keeps neither the caller's objects nor images alive."""
    dumped = _dump(value)
    return (
        dumped if len(dumped) <= _LONGEST_CONTEXT else blake2b(dumped, digest_size=32).hexdigest().encode()
    ).decode()
