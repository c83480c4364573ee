"""Text models that count their calls, a handler that counts its own, and every way to call a text model."""

from __future__ import annotations

import itertools

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.llms import LLM
from langchain_core.outputs import GenerationChunk

ASKED = []
"""The prompts that the models were asked; emptied before each test."""
_numbers = itertools.count(1)


class CountingText(LLM):
    """Answers every call with a numbered answer; cannot stream."""

    temperature: float = 0.0
    gate: object = None

    @property
    def _llm_type(self):
        return "counting-text"

    @property
    def _identifying_params(self):
        return {"model": "m1", "temperature": self.temperature}

    def _call(self, prompt, stop=None, run_manager=None, **arguments):
        ASKED.append(prompt)
        if self.gate is not None:
            self.gate(prompt)
        return f"answer {next(_numbers)} to {prompt}\n\n  with two paragraphs. "


class StreamingText(CountingText):
    """Streams its answer word by word, and announces each as the models of LangChain do."""

    def _stream(self, prompt, stop=None, run_manager=None, **arguments):
        for word in self._call(prompt).split(" "):
            chunk = GenerationChunk(text=word + " ")
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class AsyncText(StreamingText):
    """Does all of it on the event loop as well."""

    async def _acall(self, prompt, stop=None, run_manager=None, **arguments):
        return self._call(prompt)

    async def _astream(self, prompt, stop=None, run_manager=None, **arguments):
        for chunk in self._stream(prompt):
            yield chunk


class Counting(BaseCallbackHandler):
    """Writes down the events of text models."""

    def __init__(self):
        self.seen = []
        self.tokens = []

    def on_llm_start(self, serialized, prompts, **about):
        self.seen += ["start"] * len(prompts)

    def on_llm_new_token(self, token, **about):
        self.tokens.append(token)

    def on_llm_end(self, response, **about):
        self.seen.append("end")

    def on_llm_error(self, error, **about):
        self.seen.append("error")


async def _invoke(model, prompt, **arguments):
    return model.invoke(prompt, **arguments)


async def _ainvoke(model, prompt, **arguments):
    return await model.ainvoke(prompt, **arguments)


async def _batch(model, prompt, **arguments):
    return model.batch([prompt], **arguments)[0]


async def _abatch(model, prompt, **arguments):
    return (await model.abatch([prompt], **arguments))[0]


async def _stream(model, prompt, **arguments):
    return "".join(model.stream(prompt, **arguments))


async def _astream(model, prompt, **arguments):
    return "".join([text async for text in model.astream(prompt, **arguments)])


WAYS = {
    "invoke": _invoke,
    "ainvoke": _ainvoke,
    "batch": _batch,
    "abatch": _abatch,
    "stream": _stream,
    "astream": _astream,
}
