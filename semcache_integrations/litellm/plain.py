"""Answers without text of their own <-> payloads: embeddings, reranked documents, transcripts. Exact repeats only.

The law: an answer that holds nothing is not kept, and LiteLLM's own conversion makes the objects that callers get.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import orjson
from litellm.litellm_core_utils.llm_response_utils.convert_dict_to_response import (
    convert_to_model_response_object,
)
from litellm.types.utils import EmbeddingResponse

from semcache_integrations.litellm.envelope import body_of, opened, sealed
from semcache_integrations.litellm.stream import Wanted

Packer = Callable[..., "str | None"]
Presenter = Callable[[str, Wanted], Any]


def packer(holds: str) -> Packer:
    """Return what packs the answers whose content is the field `holds`."""

    def pack(answer: object, *, streamed: object = None, **_about: Any) -> str | None:
        body = body_of(answer)
        return sealed(body) if body is not None and body.get(holds) and streamed is None else None

    return pack


def print_of(answer: EmbeddingResponse) -> str:
    """Return a digest of the vectors: a quarter of the time that packing them takes."""
    vectors = [item["embedding"] for item in answer.data]
    return blake2b(orjson.dumps(vectors), digest_size=16).hexdigest()


def presenter(kind: Any, empty: Callable[[], Any]) -> Presenter:  # Any: literals and classes of LiteLLM
    """Return what makes the answers of a kind by LiteLLM's own conversion, out of an empty one."""

    def present(payload: str, _wanted: Wanted) -> Any:  # Any: as LiteLLM types it
        body = opened(payload)
        if body is None:
            return None
        return convert_to_model_response_object(
            response_object=body, model_response_object=empty(), response_type=kind, hidden_params={}
        )

    return present
