"""A wrapped model's streams belong to the block in which they are asked for, wherever they are read.

The law: who says `with cache.scope(tenant=…): return model.astream(…)` means that tenant. LangChain's streams begin when
they are first read, and that is behind the block; so they are asked of the model as it is in this block.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from semcache_integrations.context import Holding, Surroundings, surroundings
from semcache_integrations.langchain.identity import as_its_base

SAID = "__semcache_said__"
"""The slot that holds what was said around a stream, beside the state that the model and its views share."""

_STREAMS = ("stream", "astream", "stream_events", "astream_events")


def belonging_streams(base: type[Any]) -> dict[str, Callable[..., Any]]:  # Any: of chat or of text models
    """Return the streaming methods of a class of models, by name, each for what is said where it is called."""
    return {name: _belonging(getattr(base, name)) for name in _STREAMS if hasattr(base, name)}


def whose(model: object) -> Holding:
    """Return the block to which a call of the model belongs: that of its stream, else the one around it."""
    said: Surroundings | None = getattr(model, SAID, None)
    return Holding(surroundings.get() if said is None else said)


def _belonging(method: Callable[..., Any]) -> Callable[..., Any]:  # Any: as LangChain types streams
    @wraps(method)
    def begin(self: Any, *asked: Any, **about: Any) -> Any:  # Any: as above
        if getattr(self, SAID, None) is not None:  # one way to stream calls another
            return method(self, *asked, **about)
        here = as_its_base(self, type(self))
        object.__setattr__(here, SAID, surroundings.get())
        return method(here, *asked, **about)

    return begin
