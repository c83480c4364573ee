"""A chat model whose streams stop and fail when a test says so, and a hook that knows when all have missed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from doubles.langchain_calls import CountingChat
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

WORDS = ["One ", "two ", "three."]
MANY = 20
LONG_S = 30  # nobody waits so long but for a deadlock


class Scripted(CountingChat):
    """Streams three words; stops before each for as long as its gate is shut, and fails when it is told to.

    All state is in `script`, which the wrapped model and this one share.
    """

    script: Any = None

    def _begin(self):
        self.script.calls += 1
        return self.script.calls in self.script.failing

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        fails = self._begin()
        assert self.script.gate.wait(LONG_S)
        if fails:
            raise ValueError("the provider failed")
        return super()._generate(messages, stop, run_manager, **kwargs)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        fails = self._begin()
        for word in WORDS:
            self.script.sent += 1
            yield chunk(word)
            assert self.script.gate.wait(LONG_S)
            if fails:
                raise ValueError("the provider failed")
        yield chunk("", finish_reason="stop")

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        fails = self._begin()
        for word in WORDS:
            self.script.sent += 1
            yield chunk(word)
            assert await asyncio.to_thread(self.script.gate.wait, LONG_S)
            if fails:
                raise ValueError("the provider failed")
        yield chunk("", finish_reason="stop")


class Script:
    def __init__(self):
        self.calls = self.sent = 0
        self.failing = ()
        self.gate = threading.Event()
        self.gate.set()

    def __repr__(self):
        return "a script"  # what it holds is no setting of the model


def chunk(text, **info):
    return ChatGenerationChunk(message=AIMessageChunk(text), generation_info=info or None)


class Misses:
    """A hook that knows when so many look-ups have missed."""

    def __init__(self, number):
        self.all = threading.Event()
        self._left = number
        self._lock = threading.Lock()

    def __call__(self, event):
        with self._lock:
            self._left -= event.kind == "miss"
            if not self._left:
                self.all.set()


def text(chunks):
    """The text of chunks that came one by one."""
    return "".join(each.text for each in chunks)


async def heard(model):
    """The text that a model streams."""
    return text([each async for each in model.astream("q")])
