"""What the tests of the load test share: a proxy on this machine whose cache is at hand, and a provider behind it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from semcache_integrations import SemanticCache
from semcache_integrations.http.providers import DEFAULT, OPENAI
from semcache_integrations.http.proxy import ProxySettings, create_proxy_app
from semcache_integrations.loadtest.host import Answers
from semcache_integrations.testing import FakeUpstream, HashingEmbedder
from semcache_integrations.testing.serving import Serving


@pytest.fixture
def provider():
    with FakeUpstream(Answers()) as upstream:
        yield upstream


@pytest.fixture
def proxied(provider):
    """Return what runs a proxy before the provider: give it its token, a cache's settings, and what wraps it."""

    @contextmanager
    def running(wrapped=lambda app: app, token="", **settings):
        home = DEFAULT.with_provider(replace(OPENAI, base=provider.origin))
        with SemanticCache(embedder=HashingEmbedder(), **settings) as cache:
            chosen = ProxySettings(hosts=("127.0.0.1",), providers=home, admin_token=token)
            serving = Serving(wrapped(create_proxy_app(cache, chosen)), name="proxy", lifespan="on")
            serving.start()
            try:
                yield serving.origin, cache
            finally:
                serving.close()

    return running
