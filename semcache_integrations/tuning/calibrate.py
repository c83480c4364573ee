"""CALIBRATE: an embedder in, the file that `CacheConfig.calibration` reads out. What `semcache tune --fit` runs.

The law: the shipped calibration is this, run on the shipped streams, for each build of the default model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from semcache_integrations.assembly import open_embedder
from semcache_integrations.config import load_config
from semcache_integrations.core.calibration import Calibration, calibration_key
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.tuning import data
from semcache_integrations.tuning.evidence import Progress, embedded
from semcache_integrations.tuning.fit import fit
from semcache_integrations.tuning.rehearsal import Stream
from semcache_integrations.tuning.streams import load_stream

if TYPE_CHECKING:
    from semcache_integrations.backends.embedders import EmbedderLike
    from semcache_integrations.protocols import Embedder

SHIPPED = ("slot", "banking77")
"""The streams that the shipped calibration was fitted to."""


def calibrate(
    *streams: data.Stream,
    embedder: EmbedderLike | None = None,
    limit: int | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> dict[str, Calibration]:
    """Fit the score of `balanced` and `strict` to an embedder; takes minutes.

    Args:
        streams: Labelled requests of one's own, used together with the shipped ones.
        embedder: As for `SemanticCache`; None takes the configured model.
        limit: Most requests of each stream, the first ones; None for all.
        progress: Is told the stage, how much of it is done and how much there is.

    Returns:
        The calibration, by the embedder's `calibration_key`: what `core.calibration.write` takes.

    Raises:
        ConfigurationError: a stream has no labels, or too few to keep any target.
        EmbeddingError: the encoder failed.
    """
    chosen = [*(load_stream(name) for name in SHIPPED), *streams]
    for stream in chosen:
        if stream.labels == "none":
            raise ConfigurationError(f"{stream.name} has no labels: add a column `class` or `response`")
    encoder = open_embedder(load_config(), embedder)
    try:
        vectors = {stream.name: _with_vectors(stream, encoder, limit, progress) for stream in chosen}
    finally:
        if encoder is not embedder:
            encoder.close()
    fitted = fit(vectors, progress)
    if not fitted.thresholds:
        raise ConfigurationError(
            "no score keeps any target on these streams: the embedder cannot tell them apart"
        )
    return {calibration_key(encoder.name): replace(fitted, trained_on=", ".join(vectors))}


def _with_vectors(stream: data.Stream, encoder: Embedder, limit: int | None, progress: Progress) -> Stream:
    """Embed the requests of a stream; leave out those that the encoder is blind for."""
    rows = stream.rows[:limit]
    vectors = embedded([row.text for row in rows], encoder.embed, progress)
    seen = np.flatnonzero(vectors.any(axis=1))
    kept = [rows[at] for at in seen]
    return Stream([row.text for row in kept], [row.label or row.text for row in kept], vectors[seen])
