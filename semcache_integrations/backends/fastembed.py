"""The default embedder: fastembed on a model that is already on this machine. Never touches the network.

Building one only looks at file names, so a missing model is reported in milliseconds; fastembed itself would
ask a hub for 39 to 72 seconds. The model is loaded by the first `embed`, once.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from semcache_integrations.backends.hub_cache import find_in_fastembed_cache
from semcache_integrations.backends.model_files import InstalledModel, Variant, find_installed, read_model
from semcache_integrations.backends.vectors import DEFAULT_MEMO_ENTRIES, NotRemembered, VectorMemo
from semcache_integrations.config import DEFAULT_EMBEDDING_MODEL
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.protocols import Embedder

if TYPE_CHECKING:
    from semcache_integrations.backends.encoder import Encoder

MAX_WORKERS: Final = 4
"""Most embeddings of the async half at once: each uses one core, and more threads than cores only queue."""


class FastEmbedEmbedder(Embedder):
    """Embeds with a model that `semcache model install` or fastembed itself put on this machine.

    Args:
        model: The model's name.
        variant: `int8`, `fp32` or `hub`; None takes the first of them that is installed.
        path: Folder of an installed model, wherever it is; `model` and `variant` are then not read.
        memo_entries: How many recent texts keep their vectors.

    Attributes:
        max_tokens: The window; a longer text has no vector.

    Raises:
        ConfigurationError: The model is not on this machine; the message names the command that installs it.
    """

    in_process = True

    def __init__(
        self,
        model: str = DEFAULT_EMBEDDING_MODEL,
        *,
        variant: Variant | None = None,
        path: str | os.PathLike[str] | None = None,
        memo_entries: int = DEFAULT_MEMO_ENTRIES,
    ) -> None:
        self._model = _locate(model, variant) if path is None else read_model(Path(path))
        self.name = self._model.manifest.identity
        self.dimension = self._model.manifest.dimension
        self.max_tokens = self._model.manifest.max_tokens
        self._memo = VectorMemo(memo_entries)
        self._loading = threading.Lock()
        self._encoder: Encoder | None = None
        self._workers: ThreadPoolExecutor | None = None
        self._workers_pid = 0

    def load(self) -> Encoder:
        """Load the model now rather than at the first `embed`; return it. Loading twice is free.

        Raises:
            EmbeddingError: Its files cannot be loaded.
        """
        if self._encoder is None:
            with self._loading:
                if self._encoder is None:
                    from semcache_integrations.backends.encoder import Encoder

                    self._encoder = Encoder(self._model)
        return self._encoder

    def embed(self, text: str) -> list[float] | None:
        """Return the unit vector of `text`, or None where the encoder is blind.

        Blind: blank, longer than `max_tokens`, a token outside the vocabulary, or words of a script that
        the vocabulary spells letter by letter.

        Raises:
            EmbeddingError: The model cannot be loaded, failed, or returned something that is not finite.
        """
        known = self._memo.get(text)
        if not isinstance(known, NotRemembered):
            return known
        vector = self.load().embed(text)
        self._memo.put(text, vector)
        return vector

    def recall(self, text: str) -> list[float] | None:
        """Return the vector of a text that was embedded lately, or None."""
        known = self._memo.get(text)
        return None if isinstance(known, NotRemembered) else known

    async def aembed(self, text: str) -> list[float] | None:
        """Async twin of `embed`: what is remembered at once, the rest on a few threads of its own."""
        known = self._memo.get(text)
        if not isinstance(known, NotRemembered):
            return known
        return await asyncio.get_running_loop().run_in_executor(self._executor(), self.embed, text)

    def close(self) -> None:
        """Free the model and the threads; a later `embed` would load them again."""
        workers, self._workers, self._encoder = self._workers, None, None
        if workers is not None and self._workers_pid == os.getpid():
            workers.shutdown(wait=False)
        self._memo.clear()

    def _executor(self) -> ThreadPoolExecutor:
        with self._loading:
            if (
                self._workers is None or self._workers_pid != os.getpid()
            ):  # a fork does not take threads along
                size = min(MAX_WORKERS, os.cpu_count() or 1)
                self._workers = ThreadPoolExecutor(size, thread_name_prefix="semcache-embed")
                self._workers_pid = os.getpid()
            return self._workers


def _locate(name: str, variant: Variant | None) -> InstalledModel:
    model = find_installed(name, variant)
    if model is None and variant in (None, "hub"):
        model = find_in_fastembed_cache(name)
    if model is None:
        raise ConfigurationError(_how_to_install(name, variant))
    return model


def _how_to_install(name: str, variant: Variant | None) -> str:
    command = "semcache model install"
    if variant not in (None, "hub"):
        command += f" --variant {variant}"
    if name != DEFAULT_EMBEDDING_MODEL:
        command += f" {name}"
    return (
        f"the embedding model {name} is not installed on this machine; run: {command}\n"
        "(it needs: pip install 'semcache-integrations[offline]'; or do without a model: hash_only=True)"
    )
