"""FAKES AND CONFORMANCE: what a third party needs to test its own plug-in, or its application, without a network.

Everything in here keeps the protocols' promises in full; nothing in here is used by the package itself.
"""

from semcache_integrations.testing.faults import FaultyStore
from semcache_integrations.testing.store_suite import StoreSuite
from semcache_integrations.testing.stores import MemoryStore

__all__ = ["FaultyStore", "MemoryStore", "StoreSuite"]
