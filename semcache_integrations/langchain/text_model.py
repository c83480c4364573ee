"""Text-completion models (`BaseLLM`) that ask the cache by themselves.

The law: as for chat models. LangChain leaves the arguments of a call out of a text model's key and makes no callback
for a hit; here they are in it, and LangChain makes its callbacks as for any answer. Tokens are announced by whoever
streams, so each reader of a shared stream announces its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from langchain_core.language_models.llms import BaseLLM
from langchain_core.outputs import Generation, GenerationChunk, LLMResult

from semcache_integrations.context import Surroundings, as_it_was, surroundings
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import split
from semcache_integrations.langchain.asking import Desk, accepted, wants_several
from semcache_integrations.langchain.identity import as_its_base, text_model_string

TextDesk = Desk[LLMResult, GenerationChunk]
Stop = list[str] | None


class CachingText:
    """What a caching text model does otherwise than its own class; a mixin.

    Attributes:
        semcache_base: The model's own class.
        semcache_desk: The cache, and how answers are replayed.
    """

    semcache_base: ClassVar[type[BaseLLM]]
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
        found = {prompt: self._found(request) for prompt, request in asking.items()}
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
        found = {prompt: await self._afound(request) for prompt, request in asking.items()}
        missing = [prompt for prompt, answer in found.items() if answer is None]
        result = await ask(missing) if missing else LLMResult(generations=[])
        return _for_all(prompts, {**found, **dict(zip(missing, result.generations, strict=True))}, result)

    def _stream(
        self, prompt: str, stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> Iterator[GenerationChunk]:  # Any: as above
        desk, request = self.semcache_desk, self._asked(prompt, stop, arguments)
        found = self._found(request)
        if found is not None:
            chunks: Iterator[GenerationChunk] = self._replayed(found[0])
        else:
            key = None if request is None else desk.answers.cache.identity(request)
            kept_as = None if wants_several(self, arguments) else request
            source = partial(self._upstream, kept_as, surroundings.get(), prompt, {"stop": stop, **arguments})
            chunks = desk.shared(key, source)
        for chunk in chunks:
            mine = _own(chunk)
            if run_manager is not None:
                run_manager.on_llm_new_token(mine.text, chunk=mine)
            yield mine

    async def _astream(
        self, prompt: str, stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> AsyncIterator[GenerationChunk]:  # Any: as above
        """Async twin of `_stream`."""
        desk, request = self.semcache_desk, self._asked(prompt, stop, arguments)
        found = await self._afound(request)
        if found is not None:
            chunks: AsyncIterator[GenerationChunk] = self._areplayed(found[0])
        else:
            key = None if request is None else desk.answers.cache.identity(request)
            kept_as = None if wants_several(self, arguments) else request
            source = partial(
                self._aupstream, kept_as, surroundings.get(), prompt, {"stop": stop, **arguments}
            )
            chunks = desk.ashared(key, source)
        async for chunk in chunks:
            mine = _own(chunk)
            if run_manager is not None:
                await run_manager.on_llm_new_token(mine.text, chunk=mine)
            yield mine

    def _replayed(self, answer: Generation) -> Iterator[GenerationChunk]:
        replay = self.semcache_desk.replay
        for at, chunk in enumerate(_chunks(answer, list(split(answer.text, replay)))):
            if at and replay.delay_s:
                time.sleep(replay.delay_s)
            yield chunk

    async def _areplayed(self, answer: Generation) -> AsyncIterator[GenerationChunk]:
        """Async twin of `_replayed`."""
        replay = self.semcache_desk.replay
        for at, chunk in enumerate(_chunks(answer, list(split(answer.text, replay)))):
            if at and replay.delay_s:
                await asyncio.sleep(replay.delay_s)
            yield chunk

    def _upstream(
        self, request: CacheRequest | None, said: Surroundings, prompt: str, arguments: dict[str, Any]
    ) -> Iterator[GenerationChunk]:
        """Yield what the model streams, the whole answer of one that cannot, and keep it once it is whole."""
        inner, whole = self._inner(), None
        if type(inner)._stream is BaseLLM._stream:
            (answers,) = inner._generate([prompt], **arguments).generations
            chunks: Iterator[GenerationChunk] = _chunks(answers[0], [answers[0].text])
        else:
            chunks = inner._stream(prompt, **arguments)
        for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            yield chunk
        if request is not None and whole is not None:
            with as_it_was(said):
                self.semcache_desk.answers.keep(request, [_plain(whole)])

    async def _aupstream(
        self, request: CacheRequest | None, said: Surroundings, prompt: str, arguments: dict[str, Any]
    ) -> AsyncIterator[GenerationChunk]:
        """Async twin of `_upstream`."""
        inner, whole = self._inner(), None
        if (type(inner)._stream, type(inner)._astream) == (BaseLLM._stream, BaseLLM._astream):
            (answers,) = (await inner._agenerate([prompt], **arguments)).generations
            chunks: AsyncIterator[GenerationChunk] = _one_by_one(_chunks(answers[0], [answers[0].text]))
        else:
            chunks = inner._astream(prompt, **arguments)
        async for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            yield chunk
        if request is not None and whole is not None:
            with as_it_was(said):
                await self.semcache_desk.answers.akeep(request, [_plain(whole)])

    def _found(self, request: CacheRequest | None) -> Sequence[Generation] | None:
        return None if request is None else self.semcache_desk.answers.find(request)

    async def _afound(self, request: CacheRequest | None) -> Sequence[Generation] | None:
        """Async twin of `_found`."""
        return None if request is None else await self.semcache_desk.answers.afind(request)

    def _asked(self, prompt: str, stop: Stop, arguments: dict[str, Any]) -> CacheRequest | None:
        model = self._inner()
        return self.semcache_desk.asked(lambda: (prompt, text_model_string(model, stop, arguments)))

    def _inner(self) -> Any:
        """Return this model as one of its own class: what that calls of itself is not cached a second time."""
        return as_its_base(self, self.semcache_base)


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


def _chunks(answer: Any, texts: Sequence[str]) -> Iterator[GenerationChunk]:  # Any: as above
    """Yield the texts as chunks, the last of which says what was told about the answer."""
    for at, text in enumerate(texts, start=1):
        yield GenerationChunk(text=text, generation_info=answer.generation_info if at == len(texts) else None)


async def _one_by_one(chunks: Iterator[GenerationChunk]) -> AsyncIterator[GenerationChunk]:
    for chunk in chunks:
        yield chunk
