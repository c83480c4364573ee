"""Text-completion models (`BaseLLM`) that ask the cache by themselves.

The law: as for chat models. LangChain leaves the arguments of a call out of a text model's key and makes no callback
for a hit; here they are in it, and LangChain makes its callbacks as for any answer. Tokens are announced by whoever
streams, so each reader of a shared stream announces its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from langchain_core.language_models.llms import BaseLLM
from langchain_core.outputs import Generation, GenerationChunk, LLMResult

from semcache_integrations.context import surroundings
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import Replay, split
from semcache_integrations.langchain.asking import Caching, Call, Desk, accepted
from semcache_integrations.langchain.identity import text_model_string
from semcache_integrations.langchain.streams import whose
from semcache_integrations.pacing import apaced, paced

TextDesk = Desk[LLMResult, GenerationChunk]
Stop = list[str] | None


class CachingText(Caching):
    """What a caching text model does otherwise than its own class; a mixin."""

    semcache_desk: ClassVar[TextDesk]

    def _generate(
        self, prompts: list[str], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> LLMResult:  # Any: as LangChain types them
        asking = {prompt: self._asked(prompt, stop, arguments) for prompt in prompts}

        def ask(missing: list[str]) -> LLMResult:
            inner = self._inner()
            about = accepted(inner._generate, run_manager)
            result: LLMResult = inner._generate(missing, stop=stop, **about, **arguments)
            for request, answer in _worth_keeping(missing, asking, result):
                self.semcache_desk.answers.keep(request, answer)
            return result

        if _unknown(asking):
            return ask(prompts)
        only = asking[prompts[0]] if len(asking) == 1 else None
        if only is not None:
            result = self.semcache_desk.once(only, _result, lambda: ask(prompts[:1]))
            return _for_all(prompts, {prompts[0]: result.generations[0]}, result)
        found = {prompt: self.semcache_desk.answers.find(request) for prompt, request in asking.items()}
        missing = [prompt for prompt, answer in found.items() if answer is None]
        result = ask(missing) if missing else LLMResult(generations=[])
        return _for_all(prompts, {**found, **dict(zip(missing, result.generations, strict=True))}, result)

    async def _agenerate(
        self, prompts: list[str], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> LLMResult:  # Any: as above
        """Async twin of `_generate`."""
        asking = {prompt: self._asked(prompt, stop, arguments) for prompt in prompts}

        async def ask(missing: list[str]) -> LLMResult:
            inner = self._inner()
            about = accepted(inner._agenerate, run_manager)
            result: LLMResult = await inner._agenerate(missing, stop=stop, **about, **arguments)
            for request, answer in _worth_keeping(missing, asking, result):
                await self.semcache_desk.answers.akeep(request, answer)
            return result

        if _unknown(asking):
            return await ask(prompts)
        only = asking[prompts[0]] if len(asking) == 1 else None
        if only is not None:
            result = await self.semcache_desk.aonce(only, _result, lambda: ask(prompts[:1]))
            return _for_all(prompts, {prompts[0]: result.generations[0]}, result)
        found = {
            prompt: await self.semcache_desk.answers.afind(request) for prompt, request in asking.items()
        }
        missing = [prompt for prompt, answer in found.items() if answer is None]
        result = await ask(missing) if missing else LLMResult(generations=[])
        return _for_all(prompts, {**found, **dict(zip(missing, result.generations, strict=True))}, result)

    def _stream(
        self, prompt: str, stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> Iterator[GenerationChunk]:  # Any: as above
        desk = self.semcache_desk
        with whose(self):
            request = self._asked(prompt, stop, arguments)
            found = desk.answers.find(request)
        if found is None:
            with whose(self):
                call = desk.call(self, request, prompt, {"stop": stop, **arguments})
            chunks = desk.shared(call, self._upstream)
        else:
            chunks = paced(_replayed(found, desk.replay), desk.replay.delay_s)
        for chunk in chunks:
            mine = _own(chunk)
            if run_manager is not None:
                run_manager.on_llm_new_token(mine.text, chunk=mine)
            yield mine

    async def _astream(
        self, prompt: str, stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> AsyncIterator[GenerationChunk]:  # Any: as above
        """Async twin of `_stream`."""
        desk = self.semcache_desk
        with whose(self):
            request = self._asked(prompt, stop, arguments)
            found = await desk.answers.afind(request)
        if found is None:
            with whose(self):
                call = desk.call(self, request, prompt, {"stop": stop, **arguments})
            chunks = desk.ashared(call, self._aupstream)
        else:
            chunks = apaced(_replayed(found, desk.replay), desk.replay.delay_s)
        async for chunk in chunks:
            mine = _own(chunk)
            if run_manager is not None:
                await run_manager.on_llm_new_token(mine.text, chunk=mine)
            yield mine

    def _upstream(self, call: Call) -> Iterator[GenerationChunk]:
        """Yield what the model streams, the whole answer of one that cannot, and keep it once it is whole."""
        desk, inner, whole = self.semcache_desk, self._inner(), None
        late = desk.late(call)
        if late is not None:
            yield from _replayed(late, desk.replay)
            return
        if type(inner)._stream is BaseLLM._stream:
            (answers,) = inner._generate([call.asked], **call.arguments).generations
            chunks: Iterator[GenerationChunk] = _chunks(answers[0], [answers[0].text])
        else:
            chunks = inner._stream(call.asked, **call.arguments)
        for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            yield chunk
        desk.keep(call, [] if whole is None else [_plain(whole)])

    async def _aupstream(self, call: Call) -> AsyncIterator[GenerationChunk]:
        """Async twin of `_upstream`."""
        desk, inner, whole = self.semcache_desk, self._inner(), None
        late = desk.late(call)
        if late is not None:
            for chunk in _replayed(late, desk.replay):
                yield chunk
            return
        if (type(inner)._stream, type(inner)._astream) == (BaseLLM._stream, BaseLLM._astream):
            (answers,) = (await inner._agenerate([call.asked], **call.arguments)).generations
            chunks: AsyncIterator[GenerationChunk] = apaced(_chunks(answers[0], [answers[0].text]), 0.0)
        else:
            chunks = inner._astream(call.asked, **call.arguments)
        async for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            yield chunk
        await desk.akeep(call, [] if whole is None else [_plain(whole)])

    def _asked(self, prompt: str, stop: Stop, arguments: dict[str, Any]) -> CacheRequest | None:
        model = self._inner()
        return self.semcache_desk.answers.asked(lambda: (prompt, text_model_string(model, stop, arguments)))


def _unknown(asking: Mapping[str, CacheRequest | None]) -> bool:
    """Whether the cache has no say in any of it: then equal prompts are asked as often as they are there."""
    return surroundings.get().mode == "bypass" or not any(asking.values())


def _result(answer: Sequence[Generation]) -> LLMResult:
    return LLMResult(generations=[list(answer)])


def _for_all(
    prompts: Sequence[str], answers: Mapping[str, Sequence[Generation] | None], told: LLMResult
) -> LLMResult:
    """Return one answer for each prompt; what was told about the call is about those that were asked."""
    generations = [[_own(one) for one in answers[prompt] or ()] for prompt in prompts]
    return LLMResult(generations=generations, llm_output=told.llm_output or {})


def _worth_keeping(
    prompts: Sequence[str], asking: Mapping[str, CacheRequest | None], result: LLMResult
) -> Iterator[tuple[CacheRequest, list[Generation]]]:
    for prompt, answer in zip(prompts, result.generations, strict=True):
        request = asking[prompt]
        if request is not None:
            yield request, [_plain(one) for one in answer]


def _own(said: Any) -> Any:  # Any: a Generation or a chunk, as LangChain types what an LLMResult holds
    """Return a copy for one of several who were answered the same: what is done to it is done to no other."""
    info = said.generation_info
    return said.model_copy(update={"generation_info": dict(info)}) if info else said.model_copy()


def _plain(answer: Any) -> Generation:  # Any: as LangChain types what an LLMResult holds
    return Generation(text=answer.text, generation_info=answer.generation_info)


def _replayed(answer: Sequence[Generation], replay: Replay) -> Iterator[GenerationChunk]:
    return _chunks(answer[0], list(split(answer[0].text, replay)))


def _chunks(answer: Any, texts: Sequence[str]) -> Iterator[GenerationChunk]:  # Any: as above
    """Yield the texts as chunks, the last of which says what was told about the answer."""
    for at, text in enumerate(texts, start=1):
        yield GenerationChunk(text=text, generation_info=answer.generation_info if at == len(texts) else None)
