"""Other people's embedding models as an `Embedder`: LangChain's, LiteLLM's, or a function of yours.

Each adapter says how its model is asked and what its vector space is called. Blank texts, unit length, the
memo and the translation of errors are in `_Adapter`, once. LiteLLM is imported when it is used.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeAlias, TypeGuard

from semcache_integrations.backends.fastembed import FastEmbedEmbedder
from semcache_integrations.backends.vectors import NotRemembered, VectorMemo, has_text, to_unit
from semcache_integrations.core.errors import ConfigurationError, EmbeddingError
from semcache_integrations.protocols import Embedder

PROBE: Final = "How many numbers are in this vector?"

LITELLM_PREFIX: Final = "litellm:"

IDENTIFYING: Final = (
    "model",
    "model_name",
    "model_id",
    "model_path",
    "repo_id",
    "deployment",
    "deployment_name",
    "azure_deployment",
    "endpoint_name",
    "dimensions",
    "output_dimensionality",
    "input_type",
    "task_type",
    "api_base",
    "base_url",
)
"""Settings that select a vector space, as LangChain's classes and LiteLLM's arguments call them. No secrets."""

UNCACHED: Final = {"caching": False, "cache": {"no-cache": True, "no-store": True}}
"""All three are needed: with `caching=False` alone, LiteLLM's sync half still writes to `litellm.cache`."""

EmbeddingFunction: TypeAlias = Callable[[str], Sequence[float]]


class QueryEmbeddings(Protocol):
    """What is used of a LangChain `Embeddings`; its `aembed_query` is used too if it has one."""

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of `text`."""
        ...


class _Adapter(Embedder):
    """Asks somebody else's model; subclasses say how, once sync and once async."""

    def __init__(self, name: str, dimension: int | None) -> None:
        self.name = name
        self._memo = VectorMemo()
        self.dimension = self._probe() if dimension is None else dimension

    @abstractmethod
    def _ask(self, text: str) -> Sequence[float]: ...

    async def _aask(self, text: str) -> Sequence[float]:
        return await asyncio.to_thread(self._ask, text)

    def embed(self, text: str) -> list[float] | None:
        """Return the unit vector of `text`, or None if it is blank.

        Raises:
            EmbeddingError: The model failed, or its answer is no vector of `dimension` finite numbers.
        """
        known = self._known(text)
        if not isinstance(known, NotRemembered):
            return known
        with _embedding_errors(self.name):
            answer = self._ask(text)
        return self._keep(text, answer)

    def recall(self, text: str) -> list[float] | None:
        """Return the vector of a text that was embedded lately, or None."""
        known = self._memo.get(text)
        return None if isinstance(known, NotRemembered) else known

    async def aembed(self, text: str) -> list[float] | None:
        """Async twin of `embed`."""
        known = self._known(text)
        if not isinstance(known, NotRemembered):
            return known
        with _embedding_errors(self.name):
            answer = await self._aask(text)
        return self._keep(text, answer)

    def close(self) -> None:
        """Forget the remembered vectors; the model belongs to whoever gave it."""
        self._memo.clear()

    def _known(self, text: str) -> list[float] | NotRemembered | None:
        return self._memo.get(text) if has_text(text) else None

    def _keep(self, text: str, answer: Sequence[float]) -> list[float]:
        vector = to_unit(answer, self.dimension, name=self.name)
        self._memo.put(text, vector)
        return vector

    def _probe(self) -> int:
        try:
            with _embedding_errors(self.name):
                return len(self._ask(PROBE))
        except EmbeddingError as exc:
            raise ConfigurationError(
                f"{self.name} did not answer when it was asked how long its vectors are ({exc}): "
                "mend that, or say it with dimension="
            ) from exc


class LangChainEmbedder(_Adapter):
    """Embeds with a LangChain `Embeddings`, through its `embed_query` and `aembed_query`.

    Args:
        embeddings: Any LangChain embedding model.
        name: Identity of the vector space; None makes one of the class and the settings that select a model.
        dimension: Length of the vectors; None asks the model once, now.

    Raises:
        ConfigurationError: The model did not answer when it was asked for its dimension.
    """

    def __init__(
        self, embeddings: QueryEmbeddings, *, name: str | None = None, dimension: int | None = None
    ) -> None:
        self._embeddings = embeddings
        self._aembed_query = getattr(embeddings, "aembed_query", None)
        kind = type(embeddings)
        settings = {key: getattr(embeddings, key, None) for key in IDENTIFYING}
        super().__init__(name or _name(f"{kind.__module__}.{kind.__qualname__}", settings), dimension)

    def _ask(self, text: str) -> Sequence[float]:
        return self._embeddings.embed_query(text)

    async def _aask(self, text: str) -> Sequence[float]:
        if self._aembed_query is None:
            return await super()._aask(text)
        answer: Sequence[float] = await self._aembed_query(text)
        return answer


class LiteLLMEmbedder(_Adapter):
    """Embeds with any of LiteLLM's embedding models; never through LiteLLM's own cache, which may be us.

    Args:
        model: LiteLLM's name of the model, with its provider: `openai/text-embedding-3-small`.
        dimension: Length of the vectors; None asks the model once, now.
        **options: Arguments of `litellm.embedding`: `api_key`, `api_base`, `dimensions`, `timeout`…

    Raises:
        ConfigurationError: LiteLLM is not installed, or the model did not answer.
    """

    def __init__(self, model: str, *, dimension: int | None = None, **options: Any) -> None:  # Any: LiteLLM's
        try:
            import litellm
        except ImportError as exc:
            raise ConfigurationError(
                "this embedder needs LiteLLM: pip install 'semcache-integrations[litellm]'"
            ) from exc
        self._litellm = litellm
        self._options = {**options, **UNCACHED, "model": model}
        super().__init__(_name("litellm", {**options, "model": model}), dimension)

    def _ask(self, text: str) -> Sequence[float]:
        return _first_vector(self._litellm.embedding(input=[text], **self._options))

    async def _aask(self, text: str) -> Sequence[float]:
        return _first_vector(await self._litellm.aembedding(input=[text], **self._options))


class CallableEmbedder(_Adapter):
    """Embeds with a function that takes a text and returns numbers.

    Args:
        function: Called on a worker thread, from several at once. For an async one implement `Embedder`.
        name: Identity of the vector space: change it whenever the function's vectors change.
        dimension: Length of the vectors; None calls the function once, now.

    Raises:
        ConfigurationError: The function is async, or failed when it was asked for its dimension.
    """

    def __init__(self, function: EmbeddingFunction, *, name: str, dimension: int | None = None) -> None:
        if inspect.iscoroutinefunction(function):
            raise ConfigurationError(f"{name} is async: subclass Embedder and implement embed and aembed")
        self._function = function
        super().__init__(name, dimension)

    def _ask(self, text: str) -> Sequence[float]:
        return self._function(text)


EmbedderLike: TypeAlias = Embedder | QueryEmbeddings | EmbeddingFunction | str
"""What `as_embedder` takes."""


def as_embedder(source: EmbedderLike) -> Embedder:
    """Return an `Embedder` for whatever embeds.

    Args:
        source: An `Embedder`, which is returned as it is; a LangChain `Embeddings`; a named function from a
            text to numbers; the name of a fastembed model, or `litellm:` and the name of one of LiteLLM's.

    Raises:
        ConfigurationError: It is none of these, or the embedder cannot be set up.
    """
    if isinstance(source, str):
        model = source.removeprefix(LITELLM_PREFIX)
        return FastEmbedEmbedder(source) if model == source else LiteLLMEmbedder(model)
    if _is_embedder(source):
        return source
    if _has_query_embeddings(source):
        return LangChainEmbedder(source)
    if callable(source):
        return CallableEmbedder(source, name=_name_of_function(source))
    raise ConfigurationError(
        f"a {type(source).__name__} does not embed: give an Embedder, a LangChain Embeddings, a function, "
        "or the name of a model"
    )


def _is_embedder(source: object) -> TypeGuard[Embedder]:
    return all(hasattr(source, part) for part in ("name", "dimension", "embed", "aembed", "close"))


def _has_query_embeddings(source: object) -> TypeGuard[QueryEmbeddings]:
    return callable(getattr(source, "embed_query", None))


def _name_of_function(function: EmbeddingFunction) -> str:
    name = getattr(function, "__qualname__", "<unnamed>")
    if "<" in name:  # a lambda, a closure or a partial: two of them would share one vector space
        raise ConfigurationError(f"{name} has no name of its own: use CallableEmbedder(function, name=…)")
    return f"{function.__module__}.{name}"


def _name(kind: str, settings: dict[str, Any]) -> str:  # Any: a stranger's attributes
    chosen = (settings.get(key) for key in IDENTIFYING)
    return ":".join([kind, *(str(value) for value in chosen if isinstance(value, str | int) and value != "")])


def _first_vector(response: Any) -> Sequence[float]:  # Any: LiteLLM's EmbeddingResponse is untyped
    vector: Sequence[float] = response.data[0]["embedding"]
    return vector


@contextmanager
def _embedding_errors(name: str) -> Iterator[None]:
    try:
        yield
    # Every provider raises errors of its own. Their texts stay out of ours: they may quote the prompt.
    except Exception as exc:
        raise EmbeddingError(f"{name} failed: {type(exc).__name__}") from exc
