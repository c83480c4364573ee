"""`tune`: the data, the embedder and the target in, a `Tuning` out. The only place where they meet."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Final

from semcache_integrations.assembly import open_embedder
from semcache_integrations.config import load_config
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.tuning.curves import THRESHOLDS, curve_of, recommend
from semcache_integrations.tuning.data import Data, LabelKind, Pairs, Stream, read_data
from semcache_integrations.tuning.evidence import Evidence, Progress, count_pairs, replay_stream
from semcache_integrations.tuning.tuned import Tuning

if TYPE_CHECKING:
    from semcache_integrations.backends.embedders import EmbedderLike
    from semcache_integrations.protocols import Embedder

DEFAULT_TARGET: Final = 0.02
"""Of a hundred answers from the cache two may be wrong: what `policy="balanced"` states, too."""


def tune(
    data: Data | str | PathLike[str],
    *,
    target: float = DEFAULT_TARGET,
    embedder: EmbedderLike | None = None,
    limit: int | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Tuning:
    """Find the threshold for a wanted share of wrong hits on data of one's own.

    Args:
        data: Labelled pairs, a stream of requests, or the file that holds them (see `read_data`).
        target: Most wrong hits per hit, between 0 and 1.
        embedder: As for `SemanticCache`; None takes the configured model.
        limit: Most rows, the first ones; None for all.
        thresholds: Cosines to try, each above 0 and up to 1.
        progress: Is told the stage, how much of it is done and how much there is.

    Raises:
        ConfigurationError: the data, the target or the embedder cannot be used; the message says what to do.
        EmbeddingError: the encoder failed.
    """
    grid = _checked(target, thresholds)
    if isinstance(data, (str, PathLike)):
        data = read_data(data, limit=limit)
    config = load_config()
    encoder = open_embedder(config, embedder)
    try:
        evidence = _count(data, limit, encoder, grid, progress, config.top_k)
    finally:
        if encoder is not embedder:
            encoder.close()
    labels: LabelKind = data.labels if isinstance(data, Stream) else "class"
    plain, vetoed = (
        curve_of(counts, grid, requests=evidence.requests, vetoes=vetoes, labelled=labels != "none")
        for vetoes, counts in ((False, evidence.plain), (True, evidence.vetoed))
    )
    return Tuning(
        name=data.name,
        is_stream=isinstance(data, Stream),
        labels=labels,
        embedding_model=config.embedding_model if embedder is None else _name_of(embedder),
        embedder=encoder.name,
        target=target,
        evidence=evidence,
        curves=(plain, vetoed),
        recommendations=(recommend(plain, target), recommend(vetoed, target)),
    )


def _checked(target: float, thresholds: Sequence[float]) -> Sequence[float]:
    if not 0 < target < 1:
        raise ConfigurationError(f"a target of {target} is no share of hits: give one like 0.02, for 2 %")
    grid = sorted(set(thresholds))
    if not grid or not 0 < grid[0] <= grid[-1] <= 1:
        raise ConfigurationError("thresholds= are cosines above 0 and up to 1: give at least one")
    return grid


def _count(
    data: Data, limit: int | None, encoder: Embedder, grid: Sequence[float], progress: Progress, top_k: int
) -> Evidence:
    if isinstance(data, Pairs):
        return count_pairs(data.rows[:limit], encoder.embed, grid, progress)
    return replay_stream(data.rows[:limit], encoder.embed, grid, progress, top_k=top_k)


def _name_of(embedder: EmbedderLike) -> str:
    return embedder if isinstance(embedder, str) else ""
