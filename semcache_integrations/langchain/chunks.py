"""A finished answer -> the chunks of a stream that adds up to it again. Pure: no waiting, no callbacks.

The law: the sum of the chunks is the answer, its text byte for byte. What must not be added up (counts, reasons,
whatever else a provider said about the call) comes once, in the last chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    BaseMessageChunk,
    ChatMessage,
    ChatMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    SystemMessageChunk,
)
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks

from semcache_integrations.core.replay import Replay, split

_NOTHING: Mapping[str, Any] = {}  # Any: JSON
_IN_CHUNKS: Mapping[type[BaseMessage], type[BaseMessageChunk]] = {
    ChatMessage: ChatMessageChunk,
    HumanMessage: HumanMessageChunk,
    SystemMessage: SystemMessageChunk,
}
_Json = dict[str, Any]  # Any: JSON


def chunks_of(answer: ChatGeneration, replay: Replay) -> Iterator[ChatGenerationChunk]:
    """Yield the answer in chunks, each the caller's own.

    Args:
        answer: A whole answer, the caller's own too.
        replay: Into what its texts are cut.
    """
    message = answer.message
    if not isinstance(message, AIMessage):
        raise TypeError(f"an answer is an AIMessage, not a {type(message).__name__}")
    for content in _contents(message.content, replay):
        yield ChatGenerationChunk(message=AIMessageChunk(content=content))
    nothing: str | list[str | _Json] = "" if isinstance(message.content, str) else []
    for at, call in enumerate(message.tool_calls):
        arguments = orjson.dumps(call["args"]).decode()
        asked = tool_call_chunk(name=call["name"], args=arguments, id=call["id"], index=at)
        yield ChatGenerationChunk(message=AIMessageChunk(content=nothing, tool_call_chunks=[asked]))
    last = AIMessageChunk(
        content=nothing,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        usage_metadata=message.usage_metadata,
        chunk_position="last",
    )
    yield ChatGenerationChunk(message=last, generation_info=answer.generation_info)


def in_one_piece(answer: ChatGeneration) -> ChatGenerationChunk:
    """Return the answer as the only chunk of a stream: nothing is added up, so all of it stays as it is."""
    said = answer.message
    fields = {**vars(said), **(said.__pydantic_extra__ or {})}
    del fields["type"]
    if isinstance(said, AIMessage):
        fields["chunk_position"] = "last"
    kind = next((chunk for message, chunk in _IN_CHUNKS.items() if isinstance(said, message)), AIMessageChunk)
    return ChatGenerationChunk(message=kind(**fields), generation_info=answer.generation_info)


def _contents(content: str | list[str | _Json], replay: Replay) -> Iterator[str | list[str | _Json]]:
    if isinstance(content, str):
        yield from split(content, replay)
        return
    numbered = any(isinstance(block, dict) and "index" in block for block in content)
    for at, block in enumerate(content):
        if isinstance(block, str) or (numbered and "index" not in block):
            yield [block]  # added to the list as it is; a number could be that of another block
            continue
        for part in _parts({"index": at, **block}, replay):
            yield [part]


def _parts(block: _Json, replay: Replay) -> Iterator[_Json]:
    """Cut a text block; its parts are added up by their index, so only the first says all else."""
    text = block.get("text")
    if block.get("type") != "text" or not isinstance(text, str) or not text:
        yield block
        return
    first, *others = split(text, replay)
    yield {**block, "text": first}
    for part in others:
        yield {"type": "text", "text": part, "index": block["index"]}


def own_copy(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    """Return a chunk that may be edited: LangChain writes ids and metadata into those that it is given."""
    message = chunk.message.model_copy()
    vars(message).update({name: _copied(value) for name, value in vars(message).items() if value})
    return chunk.model_copy(update={"message": message, "generation_info": _copied(chunk.generation_info)})


def _copied(value: Any) -> Any:  # Any: whatever messages hold
    if type(value) is dict:
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if type(value) is list else value


def sum_of(chunks: list[ChatGenerationChunk]) -> list[ChatGeneration]:
    """Return the answer that the chunks of a whole stream add up to; nothing if there were none."""
    whole = merge_chat_generation_chunks(chunks)
    if whole is None:
        return []
    return [told(message_chunk_to_message(whole.message), whole.generation_info)]


def told(
    message: BaseMessage, info: dict[str, Any] | None, about: Mapping[str, Any] = _NOTHING
) -> ChatGeneration:  # Any: JSON
    """Return an answer whose message says what was told with it, as LangChain makes it say after the call.

    Args:
        message: The answer.
        info: Told about it: `generation_info`.
        about: Told about the call: `llm_output`.
    """
    said = {**about, **(info or {}), **message.response_metadata}
    return ChatGeneration(
        message=message.model_copy(update={"response_metadata": said}), generation_info=info
    )
