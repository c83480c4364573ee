"""What every test may use, and the belt: nothing in here may reach beyond this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

from semcache_integrations import SemanticCache
from semcache_integrations.backends.model_files import InstalledModel, find_installed
from semcache_integrations.config import DEFAULT_EMBEDDING_MODEL
from semcache_integrations.testing import FakeClock, HashingEmbedder, MemoryStore

os.environ.setdefault(
    "LITELLM_LOCAL_MODEL_COST_MAP", "True"
)  # its import would ask the network, for a minute

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable" if os.environ.get("CI") else "patient")

_connect = socket.socket.connect
_LOCAL = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""

    def connect(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else address
        if isinstance(address, tuple) and not str(host).startswith(_LOCAL):
            raise AssertionError(f"a test tried to reach {host}")
        _connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def cache(embedder: HashingEmbedder, store: MemoryStore, clock: FakeClock) -> Iterator[SemanticCache]:
    """A cache without weights or files; words in common make its texts similar."""
    with SemanticCache(embedder=embedder, store=store, clock=clock, similarity_threshold=0.75) as one:
        yield one


@pytest.fixture(scope="session")
def minilm() -> InstalledModel:
    """The default model in the user's own model directory; installed by the real installer if it is not there."""
    from semcache_integrations.backends.model_install import install

    return find_installed(DEFAULT_EMBEDDING_MODEL, "int8") or install()
