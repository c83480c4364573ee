"""Where a call goes, and on whose credential, if the call itself does not say: LiteLLM's globals and the environment.

The law: what an argument may say is keyed wherever else it is said. One kept directory serves a process that
asks a gateway and one that asks a local model, and the arguments of their calls are equal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

import litellm

_PLACES = ("api_base", "api_version", "organization")
_ENV_PLACES = ("API_BASE", "BASE_URL", "API_VERSION", "ORGANIZATION")


def ambient(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return what holds for the call besides its arguments, named so that `keys` tells the credentials.

    An argument of the call's own hides what it overrides.
    """
    found: dict[str, object] = {}
    provider = _provider(arguments)
    settings = vars(litellm)
    if not (arguments.get("api_base") or arguments.get("base_url")):
        said = (*map(settings.get, _PLACES), *map(os.environ.get, _names(provider, _ENV_PLACES)))
        if any(said):
            found["ambient_place"] = said
    if not arguments.get("api_key"):
        own = settings.get("api_key"), settings.get(f"{provider}_key")
        keys = (*own, *map(os.environ.get, _names(provider, ("API_KEY",))))
        if any(keys):
            found["ambient_api_key"] = keys
    return found


def _provider(arguments: Mapping[str, object]) -> str:
    """Return the provider as LiteLLM's own tables name it; they know most models that name none."""
    named = arguments.get("custom_llm_provider")
    if isinstance(named, str) and named:
        return named
    model = arguments.get("model") or arguments.get("args")
    if not isinstance(model, str):
        return "openai"
    head, slash, _ = model.partition("/")
    known = litellm.model_cost.get(model)
    return head if slash else str((known or {}).get("litellm_provider") or "openai")


@lru_cache(maxsize=256)
def _names(provider: str, suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the variables by which LiteLLM configures a provider; `ollama_chat` reads those of `ollama`."""
    stem = provider.upper().replace("-", "_")
    stems = dict.fromkeys((stem, stem.removesuffix("_CHAT")))
    return tuple(f"{one}_{suffix}" for one in stems for suffix in suffixes)
