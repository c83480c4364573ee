"""Thresholds for one's own data: labelled pairs or a request log in, curves, tables and a recommendation out.

Loads nothing heavy before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcache_integrations.lazy import lazily

if TYPE_CHECKING:
    from semcache_integrations.tuning.data import Pair, Pairs, Request, Stream, read_data
    from semcache_integrations.tuning.league import Quality
    from semcache_integrations.tuning.quality import measure_quality
    from semcache_integrations.tuning.run import tune
    from semcache_integrations.tuning.streams import load_stream
    from semcache_integrations.tuning.tuned import Tuning

__all__ = [
    "Pair",
    "Pairs",
    "Quality",
    "Request",
    "Stream",
    "Tuning",
    "load_stream",
    "measure_quality",
    "read_data",
    "tune",
]

_HOMES = {
    "data": ("Pair", "Pairs", "Request", "Stream", "read_data"),
    "league": ("Quality",),
    "quality": ("measure_quality",),
    "run": ("tune",),
    "streams": ("load_stream",),
    "tuned": ("Tuning",),
}


__getattr__ = lazily(__name__, _HOMES)
