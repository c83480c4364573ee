"""An embedder and a store for `hash_only`: no model, no files, no entries. The in-process tier does it all."""

from __future__ import annotations

from collections.abc import Sequence

from semcache_integrations.core.models import CacheEntry, Candidate, Namespace, Selector, Vector
from semcache_integrations.protocols import Embedder, Store


class NoEmbedder(Embedder):
    """Is blind to every text."""

    name = "none"
    dimension = 0
    in_process = True

    def embed(self, text: str) -> Vector | None:
        """Return None."""
        del text
        return None


class NoStore(Store):
    """Keeps nothing."""

    in_process = True

    def get(self, namespace: Namespace, entry_id: str) -> CacheEntry | None:
        """Return None."""
        del namespace, entry_id
        return None

    def find(self, entry_id: str) -> CacheEntry | None:
        """Return None."""
        del entry_id
        return None

    def search(self, namespace: Namespace, vector: Vector, limit: int) -> Sequence[Candidate]:
        """Return nothing."""
        del namespace, vector, limit
        return ()

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Forget the entry."""

    def touch(self, entry: CacheEntry) -> None:
        """Do nothing."""

    def delete(self, selector: Selector) -> int:
        """Return 0."""
        del selector
        return 0

    def count(self) -> int:
        """Return 0."""
        return 0
