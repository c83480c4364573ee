"""Which of LangChain's answers are worth keeping: complete ones, that mean the same to whoever gets them.

The law: what is known to be complete is kept; what merely does not look broken is not. An answer that
points at something on the provider's side (a search that it made, a container, a file) is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

_REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason")
_UNFINISHED = frozenset(
    {"incomplete", "failed", "cancelled", "in_progress", "queued"}
)  # a Responses API `status`
_COMPLETE = frozenset(
    {
        *("stop", "stop_sequence", "end_turn", "eos", "eos_token", "complete", "completed", "finished"),
        *("tool_calls", "tool_call", "tool_use", "function_call"),
    }
)
_BLOCKS = frozenset(
    {
        *("text", "output_text", "reasoning", "thinking", "redacted_thinking"),
        *("tool_use", "tool_call", "function_call", "custom_tool_call"),
    }
)


def is_storable(generations: Sequence[Generation]) -> bool:
    """Whether the answer may be kept."""
    return bool(generations) and all(_is_complete(generation) for generation in generations)


def calls_tools(generations: Sequence[Generation]) -> bool:
    """Whether the answer asks for tools: only the very same question may get it again."""
    return any(_called(generation) for generation in generations)


def _called(generation: Generation) -> bool:
    message = getattr(generation, "message", None)
    return bool(getattr(message, "tool_calls", None)) or "function_call" in getattr(
        message, "additional_kwargs", {}
    )


def _is_complete(generation: Generation) -> bool:
    if type(generation) in (Generation, GenerationChunk):
        return bool(generation.text) and _ended_well(generation.generation_info or {})
    if type(generation) not in (ChatGeneration, ChatGenerationChunk):
        return False  # a kind that would come back as another one
    message = getattr(generation, "message", None)
    if not isinstance(message, AIMessage) or type(message) not in (AIMessage, AIMessageChunk):
        return False
    return (
        _ended_well(generation.generation_info or {})
        and _ended_well(message.response_metadata)
        and not message.invalid_tool_calls
        and not message.additional_kwargs.get("refusal")
        and "semcache" not in message.response_metadata
        and _is_self_contained(message)
        and bool(message.text.strip() or _called(generation))
    )


def _ended_well(about: Mapping[str, object]) -> bool:
    """Whether no reason that is given is anything but a good one; many local models give none."""
    good = all(_is_good(about[name]) for name in _REASONS if about.get(name) is not None)
    return good and str(about.get("status")) not in _UNFINISHED


def _is_good(reason: object) -> bool:
    return str(reason).rpartition(".")[2].lower() in _COMPLETE  # `FinishReason.STOP`, `STOP`, `stop`


def _is_self_contained(message: AIMessage) -> bool:
    if isinstance(message.content, str):
        return True
    return all(isinstance(block, str) or block.get("type") in _BLOCKS for block in message.content)
