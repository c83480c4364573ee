"""Which of LangChain's results are complete answers, and what must be taken off one before it is kept.

The law: an answer is kept only if replaying it to somebody else, later, is as good as asking again. No
handle to a provider's server-side state survives: with one, a stranger's next call would go on in the
conversation of whoever asked first (`use_previous_response_id`), or fail.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, Generation

MARK = "semcache"
"""Key of `response_metadata` under which a hit says that it is one."""

_FINISH_NAMES = ("finish_reason", "stop_reason", "stopReason", "done_reason", "status")
_COMPLETE = frozenset(
    {
        *("stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call", "completed"),
        *("complete", "eos", "eos_token", "finish", "finished", "normal", "success", "finish_reason_stop"),
    }
)
"""What providers call a regular end, in lower case; an end that is not in here is not trusted."""
_CLIENT_CALLS = frozenset({"tool_use", "tool_call", "function_call", "custom_tool_call"})
_SERVER_BLOCK = re.compile(r"(_call|_use|_result|_output|_list_tools|_request|_reference)$|^compaction$")
_HANDLES = ("id", "previous_response_id", "conversation", "container")
_HANDLE = re.compile(r"(resp|rs|msg|fc|ctc)_")
_CALL_IDS = "__openai_function_call_ids__"


def storable(generations: Sequence[Generation]) -> bool:
    """Whether every one of these is a complete answer of a kind that can be replayed."""
    return bool(generations) and all(map(_storable, generations))


def calls_tools(generations: Sequence[Generation]) -> bool:
    """Whether any of these asks for a tool; such an answer is served to the very same question only."""
    return any(
        isinstance(one, ChatGeneration)
        and isinstance(one.message, AIMessage)
        and bool(one.message.tool_calls)
        for one in generations
    )


def _storable(generation: Generation) -> bool:
    if not isinstance(generation, ChatGeneration):
        return bool(generation.text.strip()) and _finished(generation.generation_info or {})
    message = generation.message
    if type(message) not in (AIMessage, AIMessageChunk):  # a subclass could not be revived as what it was
        return False
    assert isinstance(message, AIMessage)  # noqa: S101 - the line above, for mypy
    return (
        MARK not in message.response_metadata
        and not message.invalid_tool_calls
        and not message.additional_kwargs.get("refusal")
        and (bool(message.text.strip()) or bool(message.tool_calls))
        and _finished({**(generation.generation_info or {}), **message.response_metadata})
        and not any(map(_made_by_server, message.content))
    )


def _finished(about: Mapping[str, Any]) -> bool:
    """Whether each reason given for the end, if any is, names a regular one."""
    reasons = (about.get(name) for name in _FINISH_NAMES)
    return all(str(reason).lower() in _COMPLETE for reason in reasons if reason is not None)


def _made_by_server(block: object) -> bool:
    """Whether a content block is a refusal, or came of a tool that the provider ran on the world of that moment."""
    kind = str(block.get("type", "")) if isinstance(block, dict) else ""
    return kind == "refusal" or (kind not in _CLIENT_CALLS and _SERVER_BLOCK.search(kind) is not None)


def without_handles(message: dict[str, Any]) -> dict[str, Any]:
    """Return a dumped message without what names something on the provider's servers.

    A reasoning item of OpenAI's Responses is nothing but such a name to the next call, so it goes altogether.
    """
    message = dict(message)
    message.pop("id", None)
    message["response_metadata"] = metadata_without_handles(message["response_metadata"])
    more = message["additional_kwargs"]
    message["additional_kwargs"] = {
        name: value
        for name, value in more.items()
        if name != _CALL_IDS and not (name == "reasoning" and _is_reasoning_item(value))
    }
    if isinstance(message["content"], list):
        blocks = (block for block in message["content"] if not _is_reasoning_item(block))
        message["content"] = [_without_handle(block) for block in blocks]
    return message


def metadata_without_handles(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return response metadata or generation info without the server's handles."""
    return {
        name: value
        for name, value in about.items()
        if name not in _HANDLES or (name == "id" and not _is_handle(value))
    }


def _is_handle(value: object) -> bool:
    return isinstance(value, str) and _HANDLE.match(value) is not None


def _is_reasoning_item(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "reasoning" and _is_handle(block.get("id"))


def _without_handle(block: object) -> object:
    if isinstance(block, dict) and _is_handle(block.get("id")):
        return {name: value for name, value in block.items() if name != "id"}
    return block
