"""`semcache bench quality`: labelled streams through the public API, one fresh cache a policy, on the real store.

The law: every policy sees the same requests in the same order, the same vectors, the same LLM, the same errors of
the comparer and the same draws; only its settings differ. Correctness is judged by the label of the answer that
came back, nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any, Final

from semcache_integrations.assembly import open_embedder
from semcache_integrations.backends.edge import EdgeStore
from semcache_integrations.cache import SemanticCache
from semcache_integrations.config import load_config
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.tuning.curves import THRESHOLDS
from semcache_integrations.tuning.data import Stream
from semcache_integrations.tuning.evidence import Progress, replay_stream
from semcache_integrations.tuning.league import Played, Quality, Row
from semcache_integrations.tuning.llm import LabelledLLM, NoisyComparer, Remembering
from semcache_integrations.tuning.policies import OURS, RIVALS, Contender, oracle
from semcache_integrations.tuning.run import DEFAULT_TARGET
from semcache_integrations.tuning.streams import load_stream

if TYPE_CHECKING:
    from semcache_integrations.backends.embedders import EmbedderLike
    from semcache_integrations.protocols import Embedder

COMPARER_NOISE: Final = 0.05
"""Share of answer comparisons that are wrong: what a cheap judge gets wrong."""


def measure_quality(
    stream: str = "mixed",
    *,
    limit: int | None = None,
    orders: int = 1,
    target: float = DEFAULT_TARGET,
    noise: float = COMPARER_NOISE,
    embedder: EmbedderLike | None = None,
    contenders: Sequence[Contender] = (*RIVALS, *OURS),
    progress: Progress = lambda _stage, _done, _total: None,
) -> Quality:
    """Play a shipped stream to every policy, and count hits and wrong hits.

    After each answer of the LLM the cache is flushed for the policies that learn: its background work is then done.
    A real caller has just waited a second for that answer, in which it would have been done anyway.

    Args:
        stream: `slot`, `banking77` or `mixed`.
        limit: Most requests, None for all.
        orders: In how many orders the requests come.
        target: Most wrong hits per hit, for the best static threshold and the chart.
        noise: Share of answer comparisons that are wrong.
        embedder: As for `SemanticCache`; None takes the configured model.
        contenders: The policies; the best static threshold is found and added.
        progress: Is told the stage, how much of it is done and how much there is.

    Raises:
        ConfigurationError: there is no such stream, or no embedding model.
        EmbeddingError: the encoder failed.
    """
    encoder = open_embedder(load_config(), embedder)
    remembering = Remembering(encoder)
    try:
        requests = [load_stream(stream, limit=limit, order=order) for order in range(orders)]
        if not requests or not requests[0].rows:
            raise ConfigurationError("nothing to play: give a limit and orders of at least 1")
        best = _best_static(requests[0], remembering, target, progress)
        rows = tuple(
            Row(each, tuple(_play_all(each, requests, remembering, noise, progress)))
            for each in (*best, *contenders)
        )
    finally:
        if encoder is not embedder:
            encoder.close()
    return Quality(stream, target, noise, encoder.name, rows)


def _best_static(
    stream: Stream, embedder: Embedder, target: float, progress: Progress
) -> Sequence[Contender]:
    """Find the static threshold with the most hits among those that keep the target on these very requests."""
    counts = replay_stream(stream.rows, embedder.embed, THRESHOLDS, progress).plain
    kept = [
        threshold
        for threshold, count in zip(THRESHOLDS, counts, strict=True)
        if count.hits and count.wrong <= target * count.hits
    ]
    return [oracle(min(kept))] if kept else []


def _play_all(
    contender: Contender, streams: Sequence[Stream], embedder: Embedder, noise: float, progress: Progress
) -> Iterator[Played]:
    total = sum(len(stream.rows) for stream in streams)
    done = itertools.count(1)
    for order, stream in enumerate(streams):
        llm = LabelledLLM()
        comparer = NoisyComparer(llm, noise=noise, seed=order)
        yield _play(
            contender,
            stream,
            embedder,
            (llm, comparer, Random(order)),  # noqa: S311 - draws which hits are checked, the same ones every time
            lambda: progress(contender.name, next(done), total),
        )


def _play(
    contender: Contender,
    stream: Stream,
    embedder: Embedder,
    world: tuple[LabelledLLM, NoisyComparer, Random],
    tick: Callable[[], None],
) -> Played:
    llm, comparer, draws = world
    settings: dict[str, Any] = dict(contender.settings)  # Any: CacheConfig checks them
    if contender.learns:
        settings["comparer"] = comparer
    hits = wrong = 0
    with (
        closing(EdgeStore(None, embedder=embedder.name, dimension=embedder.dimension)) as store,
        SemanticCache(embedder=embedder, store=store, rng=draws, **settings) as cache,
    ):
        for row in stream.rows:
            label = row.label or ""
            answer = cache.get(row.text)
            if answer is None:
                cache.put(row.text, llm.answer(row.text, label))
                if contender.learns:
                    cache.flush()
            else:
                hits += 1
                wrong += llm.label_of(answer) != label
            tick()
        explored = cache.stats().misses.get("explored", 0)
        return Played(len(stream.rows), hits, wrong, entries=store.count(), explored=explored)
