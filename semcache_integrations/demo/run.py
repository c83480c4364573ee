"""The demonstration: real questions through LangChain and LiteLLM to a local upstream that is as slow as a real one.

The law: nothing is pretended. The model, the store and both frameworks are the real ones, the labels say
which hits were wrong, and the upstream counts what reached it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from semcache_integrations.cache import SemanticCache
from semcache_integrations.demo.traffic import Question, answer_of, load_traffic
from semcache_integrations.testing import FakeUpstream, Latency

MODEL = "gpt-4o-mini"
MISS = "miss"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one question.

    Attributes:
        text: The answer.
        tier: The tier that gave it, or `miss` if the upstream did.
        seconds: How long the caller waited.
    """

    question: Question
    text: str
    tier: str
    seconds: float

    @property
    def is_wrong(self) -> bool:
        """Whether the cache gave another question's answer."""
        return self.tier != MISS and self.text != answer_of(self.question.label)


@dataclass(frozen=True, slots=True)
class Result:
    """One framework's run.

    Attributes:
        framework: Its name.
        answers: One per question, in no particular order.
        upstream_calls: How many requests reached the upstream.
        seconds: How long the whole run took.
    """

    framework: str
    answers: Sequence[Answer]
    upstream_calls: int
    seconds: float

    @property
    def hits(self) -> list[Answer]:
        """The answers that the cache gave."""
        return [answer for answer in self.answers if answer.tier != MISS]

    @property
    def wrong_hits(self) -> list[Answer]:
        """The hits that were another question's answer."""
        return [answer for answer in self.hits if answer.is_wrong]

    def of_tier(self, tier: str) -> list[Answer]:
        """The answers of one tier."""
        return [answer for answer in self.answers if answer.tier == tier]


Ask = Callable[[str], tuple[str, str]]
"""Asks one question; returns the answer's text and its tier."""


def run(
    framework: str,
    *,
    limit: int | None = None,
    workers: int = 8,
    latency_s: float = 0.7,
    progress: Callable[[], None] = lambda: None,
) -> Result:
    """Send the traffic through one framework with a fresh cache on disk, which restarts half-way.

    Args:
        framework: `LangChain` or `LiteLLM`.
        limit: Most questions, None for all.
        workers: How many questions are under way at once.
        latency_s: Median time that the upstream takes, in seconds.
        progress: Called after each question.

    Raises:
        ConfigurationError: The embedding model is not installed.
    """
    traffic = load_traffic(limit)
    label_of = {question.text: question.label for question in traffic}
    latency = Latency(median_s=latency_s, sigma=0.35, seed=7) if latency_s else None
    half = (len(traffic) + 1) // 2
    answers: list[Answer] = []
    with (
        TemporaryDirectory(prefix="semcache-demo-") as folder,
        FakeUpstream(answer=lambda text: answer_of(label_of[text]), latency=latency) as upstream,
    ):
        started = time.perf_counter()
        for part in (traffic[:half], traffic[half:]):  # the restart between them shows what is on disk
            with SemanticCache(path=folder) as cache:
                cache.get("warm up")  # loads the model, which a service does before it takes traffic
                answers += _ask_all(_FRAMEWORKS[framework](cache, upstream.url), part, workers, progress)
        return Result(framework, answers, upstream.count, time.perf_counter() - started)


def _ask_all(
    ask: Ask, traffic: Iterable[Question], workers: int, progress: Callable[[], None]
) -> list[Answer]:
    def one(question: Question) -> Answer:
        started = time.perf_counter()
        text, tier = ask(question.text)
        answer = Answer(question, text, tier, time.perf_counter() - started)
        progress()
        return answer

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, traffic))


def _langchain(cache: SemanticCache, url: str) -> Ask:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    from semcache_integrations.langchain import LangChainSemanticCache

    model = ChatOpenAI(
        model=MODEL,
        base_url=url,
        api_key=SecretStr("none-needed"),
        cache=LangChainSemanticCache(cache),
        max_retries=0,
    )

    def ask(text: str) -> tuple[str, str]:
        message = model.invoke(text)
        return str(message.content), message.response_metadata.get("semcache", {}).get("tier", MISS)

    return ask


def _litellm(cache: SemanticCache, url: str) -> Ask:
    os.environ.setdefault(
        "LITELLM_LOCAL_MODEL_COST_MAP", "True"
    )  # its import would ask the network for prices
    import litellm

    from semcache_integrations.litellm import LiteLLMSemanticCache

    vars(litellm).update(cache=LiteLLMSemanticCache(cache), suppress_debug_info=True)

    def ask(text: str) -> tuple[str, str]:
        messages = [{"role": "user", "content": text}]
        response = litellm.completion(f"openai/{MODEL}", messages, api_base=url, api_key="none-needed")
        tier = response._hidden_params.get("semcache", {}).get("tier", MISS)  # noqa: SLF001 - LiteLLM's own name for it
        return response.choices[0].message.content, tier

    return ask


_FRAMEWORKS: dict[str, Callable[[SemanticCache, str], Ask]] = {"LangChain": _langchain, "LiteLLM": _litellm}
FRAMEWORKS = tuple(_FRAMEWORKS)
