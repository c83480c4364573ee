"""LangChain's two strings, prompt and `llm_string`, -> `CacheRequest`. Pure: no langchain, no I/O.

The law: when unsure, miss. The last thing that a user wrote is the text; all else is context or parameters
and must match exactly. Nobody's `loads` is called.
"""

from __future__ import annotations

from functools import lru_cache

from semcache_integrations.core.models import DEFAULT_CONTROLS, CacheRequest, Controls
from semcache_integrations.langchain.prompts import read_prompt
from semcache_integrations.langchain.settings import Model, read_model

EXACT = Controls(semantic=False)
_LONGEST_REMEMBERED = 4_000  # characters: what repeats is short, and the memory of it stays below some MB


def request_for(
    prompt: str, llm_string: str, *, tenant: str = "", semantic_with_tools: bool = False
) -> CacheRequest:
    """Return the request behind a look-up.

    Args:
        prompt: The prompt of a text model, or a chat model's messages as LangChain's JSON.
        llm_string: The model and its settings, as LangChain writes them.
        tenant: Whose entries these are.
        semantic_with_tools: Whether questions may be reworded although tools are bound.

    Raises:
        UnkeyableError: something in the strings has no stable form.
    """
    model = read_model(llm_string)
    build = _remembered if len(prompt) <= _LONGEST_REMEMBERED else _request
    return build(prompt, model, tenant, semantic_with_tools)


def _request(prompt: str, model: Model, tenant: str, semantic_with_tools: bool) -> CacheRequest:  # noqa: FBT001 - private, and lru_cache hashes positions faster
    asked = read_prompt(prompt)
    rewordable = model.tools is False or (model.tools is True and semantic_with_tools)
    return CacheRequest(
        text=asked.text,
        model=model.name,
        params=model.params,
        context=asked.context,
        tenant=tenant,
        dialect=asked.dialect,
        controls=DEFAULT_CONTROLS if asked.semantic and rewordable else EXACT,
    )


_remembered = lru_cache(maxsize=512)(_request)
