"""A kept answer as the stream that the provider would have sent, for `for` and for `async for`.

The law: a replay loses nothing, and LiteLLM is told of it once, at its end. Its own replay costs about 300 µs a
chunk, most of it one event loop per chunk for logging; this one makes each chunk once.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.litellm_core_utils.thread_pool_executor import executor
from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices, Usage

from semcache_integrations.core.replay import Replay, split
from semcache_integrations.litellm.versions import Closing, log_success, note_first_chunk, note_hit
from semcache_integrations.wire.reading import new_id

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
    opening = {**call, "index": index, "id": new_id("call_")}
    if not function:
        yield {"tool_calls": [opening]}
        return
    yield {"tool_calls": [{**opening, "function": {**function, "arguments": ""}}]}
    for piece in split(function.get("arguments") or "", replay):
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a caller wants an answer.

    Attributes:
        model: The model that was asked.
        stream: Whether it wants a stream.
        replay: How to cut one, and how fast to go.
        usage: Whether the stream ends with the token counts.
        logging_obj: LiteLLM's record of this call, which is told of a stream once, at its end.
        arguments: Those of the call.
    """

    model: str
    stream: bool
    replay: Replay
    usage: bool
    logging_obj: Any  # LiteLLM's, and untyped
    arguments: Mapping[str, Any]  # as above


class Paced:
    """Waits before each step but the first: a thread where it is read by `for`, a task where by `async for`."""

    _pause_s: float = 0.0
    _begun: bool = False

    def __next__(self) -> Any:  # Any: whatever is replayed
        if self._pause_s and self._begun:
            time.sleep(self._pause_s)
        self._begun = True
        return super().__next__()  # type: ignore[misc]  # the class beside which this one is inherited has it

    async def __anext__(self) -> Any:  # Any: as above
        await asyncio.sleep(self._pause_s if self._begun else 0)  # 0 lets others run, as a socket would
        self._begun = True
        return await super().__anext__()  # type: ignore[misc]  # as above


class _Replaying(CustomStreamWrapper, Closing):
    """Yields what a source has, and tells LiteLLM once, at the end."""

    def __init__(self, source: Iterator[Any], whole: Callable[[], Any], wanted: Wanted) -> None:
        super().__init__(
            completion_stream=None,
            model=wanted.model,
            custom_llm_provider="cached_response",
            logging_obj=wanted.logging_obj,
        )
        note_hit(wanted.logging_obj)
        self._source = source
        self._whole = whole
        self._ended = False

    def __contains__(self, _item: object) -> bool:
        return False  # LiteLLM asks `"detail" in answer`, which would read the whole stream

    def __next__(self) -> Any:
        chunk = self._advance()
        if chunk is None:
            self._end(log_in_thread)
            raise StopIteration
        return chunk

    async def __anext__(self) -> Any:
        chunk = self._advance()
        if chunk is None:
            self._end(log_in_task)
            raise StopAsyncIteration
        return chunk

    def _advance(self) -> Any:
        chunk = None if self._closed else next(self._source, None)
        if chunk is None:
            return None
        if not self.chunks:
            note_first_chunk(self.logging_obj)
        self.chunks.append(chunk)
        return chunk

    def _end(self, log: Callable[[Any, Any], None]) -> None:
        if self._ended or self._closed:
            return
        self._ended = True
        whole = self._whole()
        mark(whole, cache_hit=True)
        log(self.logging_obj, whole)
        self.close()


class ReplayStream(Paced, _Replaying):
    """Replays an answer. It is a `CustomStreamWrapper` because LiteLLM, its Router and its proxy ask for one.

    Args:
        source: The chunks.
        whole: Makes the whole answer, for LiteLLM's records.
        wanted: How the caller wants it.
    """

    def __init__(self, source: Iterator[Any], whole: Callable[[], Any], wanted: Wanted) -> None:
        super().__init__(source, whole, wanted)
        self._pause_s = wanted.replay.delay_s


def mark(answer: Any, **about: object) -> None:
    """Write into an answer's metadata, as far as it has any; LiteLLM keeps it in a mapping or in a model."""
    hidden = getattr(answer, "_hidden_params", None)
    for name, value in about.items():
        if isinstance(hidden, dict):
            hidden[name] = value
        elif hidden is not None:
            setattr(hidden, name, value)


def log_in_thread(logging_obj: Any, whole: Any) -> None:
    """Tell LiteLLM, from a thread of its own, that a stream was read to its end."""
    run = contextvars.copy_context().run
    executor.submit(run, lambda: logging_obj.success_handler(whole, cache_hit=True))


def log_in_task(logging_obj: Any, whole: Any) -> None:
    """Tell LiteLLM, from a task of its own, that a stream was read to its end."""
    if getattr(logging_obj, "_on_deferred_stream_complete", None) is not None:
        vars(logging_obj)["_deferred_stream_complete_args"] = whole, True  # the proxy's guardrails log it
        return
    task = asyncio.ensure_future(log_success(logging_obj, whole))
    _logging.add(task)
    task.add_done_callback(_logging.discard)
