"""A LiteLLM call -> `CacheRequest`, for each kind of endpoint: what may be reworded, and what must match.

The law: only the text of a last turn that a user wrote may be reworded, and only if nothing but text came with it;
whatever else is asked must match exactly. A call whose question cannot be read is kept out of the cache.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.litellm.keys import call_of, canonical_form, frozen, model_of
from semcache_integrations.litellm.wishes import controls
from semcache_integrations.wire.turns import is_one_line, last_turn

CHAT, TEXT, RESPONSES = "litellm.chat", "litellm.text", "litellm.responses"
MESSAGES, EMBEDDING, RERANK = "litellm.messages", "litellm.embedding", "litellm.rerank"
TRANSCRIPTION, ONE_INPUT = "litellm.transcription", "litellm.embedding.input"

_TOOLS = ("tools", "functions", "mcp_servers")


def chat_request(
    arguments: Mapping[str, object], *, tenant: str = "", secret: bytes = b"", dialect: str = CHAT
) -> CacheRequest:
    """Return the request behind a call with `messages`.

    Args:
        arguments: The call's keyword arguments, as LiteLLM passes them to its cache.
        tenant: Whose entries these are.
        secret: Keys the digest of the credentials.
        dialect: The form of its answers; chat completions and Anthropic's messages never meet.

    Raises:
        UnkeyableError: something in the arguments has no canonical form.
    """
    turns = _turns(arguments.get("messages"))
    return _conversation(arguments, turns, "messages", tenant=tenant, secret=secret, dialect=dialect)


def messages_request(
    arguments: Mapping[str, object], *, tenant: str = "", secret: bytes = b""
) -> CacheRequest:
    """Return the request behind an `anthropic_messages` call; see `chat_request`."""
    return chat_request(arguments, tenant=tenant, secret=secret, dialect=MESSAGES)


def responses_request(
    arguments: Mapping[str, object], *, tenant: str = "", secret: bytes = b""
) -> CacheRequest:
    """Return the request behind a `responses` call; a string is one turn of the user. See `chat_request`."""
    if arguments.get("conversation") or arguments.get("background"):
        raise UnkeyableError("the provider keeps the conversation, and it goes on; or it answers later")
    asked = arguments.get("input")
    turns = _turns([{"role": "user", "content": asked}] if isinstance(asked, str) else asked)
    last = turns[-1]
    if isinstance(last, dict) and last.get("type") == "message":
        turns = [*turns[:-1], {name: value for name, value in last.items() if name != "type"}]
    return _conversation(arguments, turns, "input", tenant=tenant, secret=secret, dialect=RESPONSES)


def text_request(arguments: Mapping[str, object], *, tenant: str = "", secret: bytes = b"") -> CacheRequest:
    """Return the request behind a `text_completion` call; several prompts, or tokens, must match exactly."""
    prompt = arguments.get("prompt")
    if not isinstance(prompt, (str, list)) or not prompt:
        raise UnkeyableError("a text completion needs a prompt")
    reworded = isinstance(prompt, str) and not arguments.get("suffix")
    rest = None if reworded else canonical_form(prompt)
    return CacheRequest(
        text=str(prompt) if reworded else "",
        model=model_of(arguments),
        context=frozen([call_of(arguments, secret, besides="prompt"), rest]),
        tenant=tenant,
        dialect=TEXT,
        controls=controls(arguments, semantic=reworded and is_one_line(str(prompt))),
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
    asked = canonical_form(arguments["input"])
    dialect = ONE_INPUT if one_of_many else EMBEDDING
    return _exact(arguments, "input", asked, tenant=tenant, secret=secret, dialect=dialect)


def rerank_request(arguments: Mapping[str, object], *, tenant: str = "", secret: bytes = b"") -> CacheRequest:
    """Return the request behind a `rerank` call: exact only."""
    if not arguments.get("documents"):
        raise UnkeyableError("a rerank call needs documents")
    asked = canonical_form(arguments["documents"])
    return _exact(arguments, "documents", asked, tenant=tenant, secret=secret, dialect=RERANK)


def transcription_request(
    arguments: Mapping[str, object], *, tenant: str = "", secret: bytes = b""
) -> CacheRequest:
    """Return the request behind a `transcription` call: the same bytes, whatever the file is called.

    LiteLLM's own checksum is that of the file's *name* where it cannot read the content; ours does without the cache.
    """
    asked = blake2b(_bytes_of(arguments.get("file")), digest_size=32).hexdigest()
    return _exact(arguments, "file", asked, tenant=tenant, secret=secret, dialect=TRANSCRIPTION)


def _exact(
    arguments: Mapping[str, object], subject: str, asked: object, *, tenant: str, secret: bytes, dialect: str
) -> CacheRequest:
    return CacheRequest(
        text="",  # nothing may be reworded
        model=model_of(arguments),
        context=frozen([call_of(arguments, secret, besides=subject), asked]),
        tenant=tenant,
        dialect=dialect,
        controls=controls(arguments, semantic=False),
    )


def _turns(messages: object) -> list[Any]:  # Any: JSON-like, whatever the caller wrote
    turns = canonical_form(messages) if isinstance(messages, Sequence) else None
    if not isinstance(turns, list) or not turns:  # texts and bytes are sequences, too
        raise UnkeyableError("a conversation is a list of messages")
    return turns


def _conversation(
    arguments: Mapping[str, object],
    turns: list[Any],
    subject: str,
    *,
    tenant: str,
    secret: bytes,
    dialect: str,
) -> CacheRequest:
    text, rest, embeddable = last_turn(turns[-1])
    tools = any(arguments.get(name) for name in _TOOLS)
    return CacheRequest(
        text=text,
        model=model_of(arguments),
        context=frozen([call_of(arguments, secret, besides=subject), turns[:-1], rest]),
        tenant=tenant,
        dialect=dialect,
        controls=controls(arguments, semantic=embeddable and not tools),
    )


def _bytes_of(file: object) -> bytes:
    """Return a file's content, and leave an open one where it stood."""
    if isinstance(file, tuple):
        return _bytes_of(file[1] if len(file) > 1 else None)
    if isinstance(file, (bytes, bytearray)):
        return bytes(file)
    try:
        if isinstance(file, os.PathLike):
            return Path(os.fsdecode(file)).read_bytes()
        return _read_through(file)
    except (OSError, AttributeError, ValueError) as error:  # gone, no file, closed
        raise UnkeyableError(f"the file cannot be read twice: {type(error).__name__}") from None


def _read_through(file: Any) -> bytes:  # Any: whatever httpx would upload
    position = file.tell()
    file.seek(0)
    try:
        content = file.read()
    finally:
        file.seek(position)
    if not isinstance(content, bytes) or position not in {0, len(content)}:
        raise UnkeyableError("the file was opened as text, or a part of it has been read")
    return content
