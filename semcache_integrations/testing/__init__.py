"""PUBLIC FAKES AND SUITES for people who test against this package or write plug-ins for it.

Everything here is loaded when first used: the suites need pytest, the upstream needs the extra `server`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcache_integrations.lazy import lazily

if TYPE_CHECKING:
    from semcache_integrations.testing.clock import FakeClock
    from semcache_integrations.testing.embedders import EmbedderSuite, HashingEmbedder
    from semcache_integrations.testing.faults import FaultyStore
    from semcache_integrations.testing.store_suite import StoreSuite
    from semcache_integrations.testing.stores import MemoryStore
    from semcache_integrations.testing.upstream import FakeUpstream, Latency

__all__ = [
    "EmbedderSuite",
    "FakeClock",
    "FakeUpstream",
    "FaultyStore",
    "HashingEmbedder",
    "Latency",
    "MemoryStore",
    "StoreSuite",
]

_HOMES = {
    "clock": ("FakeClock",),
    "embedders": ("EmbedderSuite", "HashingEmbedder"),
    "faults": ("FaultyStore",),
    "store_suite": ("StoreSuite",),
    "stores": ("MemoryStore",),
    "upstream": ("FakeUpstream", "Latency"),
}


__getattr__ = lazily(__name__, _HOMES)
