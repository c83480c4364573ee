"""What the tests of HTTP share: a provider on this machine, a cache in memory, and the clients of both libraries."""

from __future__ import annotations

import httpx
import httpx2
import pytest
from doubles.dashboard import TOKEN, caller, proxy_with_dashboard

from semcache_integrations import httpx as ours
from semcache_integrations import httpx2 as ours2
from semcache_integrations.testing import FakeUpstream

LIBRARIES = {"httpx": (httpx, ours), "httpx2": (httpx2, ours2)}


@pytest.fixture(scope="session")
def running_provider():
    """A provider on 127.0.0.1; to start and stop one takes longer than a test."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def provider(running_provider):
    """The provider, to which nothing has been said yet."""
    running_provider.reset()
    return running_provider


@pytest.fixture(params=list(LIBRARIES))
def library(request):
    return LIBRARIES[request.param][0]


@pytest.fixture
def client(library, cache):
    """A plain client whose calls go through the cache."""
    with library.Client(transport=_ours(library).SemanticCacheTransport(cache)) as one:
        yield one


@pytest.fixture
async def aclient(library, cache):
    async with library.AsyncClient(transport=_ours(library).AsyncSemanticCacheTransport(cache)) as one:
        yield one


def _ours(library):
    return LIBRARIES[library.__name__][1]


@pytest.fixture
def app(cache, provider):
    """A proxy with its dashboard and without a token."""
    return proxy_with_dashboard(cache, provider)[0]


@pytest.fixture
async def here(app):
    """Whoever sits at this machine."""
    async with caller(app) as client:
        yield client


@pytest.fixture
def guarded(cache, provider):
    """The same with a token."""
    return proxy_with_dashboard(cache, provider, token=TOKEN)[0]
