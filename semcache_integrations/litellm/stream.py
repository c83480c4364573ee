"""A kept answer as the stream that the provider would have sent, for `for` and for `async for`.

LiteLLM's own replay costs about 300 µs a chunk, most of it one event loop per chunk for logging; this one
makes each chunk once and logs once, at the end. The sync and the async half differ by how they wait.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Iterator, Mapping
from typing import Any

from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.litellm_core_utils.thread_pool_executor import executor
from litellm.types.utils import Delta, ModelResponse, ModelResponseStream, StreamingChoices, Usage

from semcache_integrations.core.replay import Replay, split
from semcache_integrations.litellm.answers import Answer, new_call_id
from semcache_integrations.litellm.versions import Closing, log_success, note_first_chunk

_IN_PIECES = frozenset({"role", "content", "reasoning_content", "tool_calls", "function_call"})
_logging: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references to its tasks


def chunks(body: Mapping[str, Any], replay: Replay, *, usage: bool) -> Iterator[ModelResponseStream]:
    """Cut a chat completion into stream chunks, losing nothing: merged, they give the completion again.

    Args:
        body: The completion as JSON.
        replay: How to cut texts.
        usage: End with the chunk that carries the token counts, as `stream_options` asks for.
    """
    head = {name: body.get(name) for name in ("id", "created", "model", "system_fingerprint")}
    for choice in body["choices"]:
        index, logprobs = choice.get("index", 0), choice.get("logprobs")
        role = choice["message"].get("role") or "assistant"
        pattern = None
        for delta in _deltas(choice["message"], replay):
            if pattern is not None and delta.keys() == {"content"}:
                yield _like(pattern, delta)
                continue
            chunk = _chunk(head, index, Delta(role=role, **delta), logprobs=logprobs)
            if role is None and delta.keys() == {"content"}:
                pattern = chunk.model_copy()
            yield chunk
            role = logprobs = None
        yield _chunk(head, index, Delta(role=role), finish=choice.get("finish_reason"))
    if usage and body.get("usage"):
        last = _chunk(head, 0, Delta())
        last.usage = Usage(**body["usage"])
        yield last


def _chunk(
    head: Mapping[str, Any], index: int, delta: Delta, *, finish: str | None = None, logprobs: Any = None
) -> ModelResponseStream:
    choice = StreamingChoices(index=index, delta=delta, finish_reason=finish, logprobs=logprobs)
    return ModelResponseStream(choices=[choice], **head)


def _like(pattern: ModelResponseStream, delta: Mapping[str, Any]) -> ModelResponseStream:
    """Return the pattern with another delta: a copy takes half the time of LiteLLM's constructors."""
    choice = pattern.choices[0]
    piece = choice.model_copy(update={"delta": choice.delta.model_copy(update=delta)})
    chunk: ModelResponseStream = pattern.model_copy(update={"choices": [piece]})
    chunk._hidden_params = {}  # noqa: SLF001 - LiteLLM's name; a copy shares it otherwise
    return chunk


def _deltas(message: Mapping[str, Any], replay: Replay) -> Iterator[dict[str, Any]]:
    extras = {name: value for name, value in message.items() if name not in _IN_PIECES and value}
    if extras:
        yield extras
    if message.get("content") == "":
        yield {"content": ""}
    for piece in split(message.get("reasoning_content") or "", replay):
        yield {"reasoning_content": piece}
    for piece in split(message.get("content") or "", replay):
        yield {"content": piece}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield from _tool_call(index, call, replay)
    if message.get("function_call"):
        yield {"function_call": dict(message["function_call"])}


def _tool_call(index: int, call: Mapping[str, Any], replay: Replay) -> Iterator[dict[str, Any]]:
    """First who is called, then the arguments in pieces."""
    function = call.get("function")
    opening = {**call, "index": index, "id": new_call_id()}
    if not function:
        yield {"tool_calls": [opening]}
        return
    yield {"tool_calls": [{**opening, "function": {**function, "arguments": ""}}]}
    for piece in split(function.get("arguments") or "", replay):
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


class ReplayStream(CustomStreamWrapper, Closing):
    """Replays an answer. It is a `CustomStreamWrapper` because LiteLLM, its Router and its proxy ask for one.

    Args:
        answer: What to replay.
        model: The model that was asked.
        logging_obj: LiteLLM's record of this call; it is told once, at the end.
        replay: How to cut, and how fast to go.
        usage: Whether the caller asked for the chunk with the token counts.
    """

    def __init__(self, answer: Answer, *, model: str, logging_obj: Any, replay: Replay, usage: bool) -> None:
        super().__init__(
            completion_stream=None,
            model=model,
            custom_llm_provider="cached_response",
            logging_obj=logging_obj,
        )
        self._answer = answer
        self._source = chunks(answer.body, replay, usage=usage)
        self._pause_s = replay.delay_s
        self._ended = False

    def __contains__(self, _item: object) -> bool:
        return False  # LiteLLM asks `"detail" in answer`, which would read the whole stream

    def __next__(self) -> ModelResponseStream:
        if self._pause_s and self.chunks:
            time.sleep(self._pause_s)
        chunk = self._advance()
        if chunk is None:
            self._end(self._log)
            raise StopIteration
        return chunk

    async def __anext__(self) -> ModelResponseStream:
        await asyncio.sleep(self._pause_s if self.chunks else 0)  # 0 lets others run, as a socket would
        chunk = self._advance()
        if chunk is None:
            self._end(self._alog)
            raise StopAsyncIteration
        return chunk

    def _advance(self) -> ModelResponseStream | None:
        chunk = None if self._closed else next(self._source, None)
        if chunk is None:
            return None
        if not self.chunks:
            note_first_chunk(self.logging_obj)
        self.chunks.append(chunk)
        return chunk

    def _end(self, log: Any) -> None:
        if self._ended or self._closed:
            return
        self._ended = True
        whole = self._answer.fresh()
        whole._hidden_params = {"cache_hit": True}  # noqa: SLF001 - LiteLLM's name for an answer's metadata
        log(whole)
        self.close()

    def _log(self, whole: ModelResponse) -> None:
        run = contextvars.copy_context().run
        executor.submit(run, lambda: self.logging_obj.success_handler(whole, cache_hit=True))

    def _alog(self, whole: ModelResponse) -> None:
        if getattr(self.logging_obj, "_on_deferred_stream_complete", None) is not None:
            vars(self.logging_obj)["_deferred_stream_complete_args"] = (
                whole,
                True,
            )  # the proxy's guardrails log it
            return
        task = asyncio.ensure_future(log_success(self.logging_obj, whole))
        _logging.add(task)
        task.add_done_callback(_logging.discard)
