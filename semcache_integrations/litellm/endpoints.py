"""LiteLLM's endpoints: how each is asked, what of it is kept, and how it is answered.

The law: entries of one endpoint never answer another, because each has a dialect of its own. A look-up knows its
endpoint by the function that looks; a write only by its arguments and by the shape of what it brings: calls that
LiteLLM nests share one record, and that names the innermost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from litellm.types.rerank import RerankResponse
from litellm.types.utils import EmbeddingResponse, TranscriptionResponse

from semcache_integrations.core.models import CacheRequest
from semcache_integrations.litellm import chat, messages, plain, requests, responses, text
from semcache_integrations.litellm.envelope import body_of
from semcache_integrations.litellm.plain import Packer, Presenter
from semcache_integrations.litellm.versions import (
    CACHES_MESSAGES,
    CACHES_RESPONSES,
    handler_of,
    mixes_vectors_up,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of call.

    Attributes:
        subject: The argument that says what is asked; LiteLLM hands over the same object with the write.
        request: Makes the request behind a call.
        pack: Makes a payload of an answer that is worth keeping.
        present: Makes the answer for a caller out of a payload.
    """

    subject: str
    request: Callable[..., CacheRequest]
    pack: Packer
    present: Presenter


CHAT: Final = Endpoint("messages", requests.chat_request, chat.pack, chat.present)
MESSAGES: Final = Endpoint("messages", requests.messages_request, messages.pack, messages.present)
TEXT: Final = Endpoint("prompt", requests.text_request, text.pack, text.present)
RESPONSES: Final = Endpoint("input", requests.responses_request, responses.pack, responses.present)
EMBEDDING: Final = Endpoint(
    "input",
    requests.embedding_request,
    plain.packer("data"),
    plain.presenter("embedding", EmbeddingResponse),
)
ONE_INPUT: Final = replace(EMBEDDING, request=partial(requests.embedding_request, one_of_many=True))
"""One of the inputs of an `aembedding` call; LiteLLM keeps and joins them by itself, through `ExactTier`."""
RERANK: Final = Endpoint(
    "documents", requests.rerank_request, plain.packer("results"), plain.presenter("rerank", RerankResponse)
)
TRANSCRIPTION: Final = Endpoint(
    "file",
    requests.transcription_request,
    plain.packer("text"),
    plain.presenter("audio_transcription", TranscriptionResponse),
)

FUNCTIONS: Final[Mapping[str, Endpoint]] = {
    "completion": CHAT,
    "acompletion": CHAT,
    "text_completion": TEXT,
    "atext_completion": TEXT,
    **({"responses": RESPONSES, "aresponses": RESPONSES} if CACHES_RESPONSES else {}),
    **({"anthropic_messages": MESSAGES} if CACHES_MESSAGES else {}),
    "embedding": EMBEDDING,
    "aembedding": ONE_INPUT,
    "rerank": RERANK,
    "arerank": RERANK,
    "transcription": TRANSCRIPTION,
    "atranscription": TRANSCRIPTION,
}
"""The functions of LiteLLM that look into the cache."""

CALL_TYPES: Final[list[Any]] = list(FUNCTIONS)
"""Their names; every other endpoint passes by, uncached. Any: LiteLLM lists them as literals."""

CHANGEABLE: Final = (TEXT, MESSAGES, EMBEDDING)
"""Of these LiteLLM hands over to an async write the very object that the caller has by then."""

_BY_SUBJECT: Final = {
    "messages": CHAT,
    "input": EMBEDDING,  # before `prompt`, which names a template where it stands beside an input
    "file": TRANSCRIPTION,  # before `prompt`, which helps with the names in a recording
    "prompt": TEXT,
    "documents": RERANK,
}


def looking(arguments: Mapping[str, Any]) -> Endpoint | None:
    """Return the endpoint that looks up a call; None if it is none that is cached."""
    handler = handler_of(arguments.get("litellm_logging_obj"))
    name = getattr(getattr(handler, "original_function", None), "__name__", None)
    if name is None:
        return _by_subject(arguments)
    return None if name == "aembedding" and mixes_vectors_up(arguments) else FUNCTIONS.get(name)


def writing(result: object, arguments: Mapping[str, Any]) -> Endpoint | None:
    """Return the endpoint that an answer belongs to."""
    if arguments.get("text_completion") is True:
        return TEXT
    endpoint = _by_subject(arguments)
    if endpoint is CHAT and _is_anthropic(result):
        return MESSAGES
    return RESPONSES if endpoint is EMBEDDING and _is_response(result) else endpoint


def _by_subject(arguments: Mapping[str, Any]) -> Endpoint | None:
    return next((endpoint for name, endpoint in _BY_SUBJECT.items() if name in arguments), None)


def _is_anthropic(result: object) -> bool:
    return isinstance(result, Mapping) and "choices" not in result


def _is_response(result: object) -> bool:
    said = body_of(result) if isinstance(result, (str, Mapping)) else vars(result)
    return (said or {}).get("object") == "response"
