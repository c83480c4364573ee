"""What the tests of HTTP share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from semcache_integrations.testing.upstream import FakeUpstream


@pytest.fixture(scope="session")
def running_provider() -> Iterator[FakeUpstream]:
    """A provider on 127.0.0.1; to start and stop one takes longer than a test."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def provider(running_provider: FakeUpstream) -> FakeUpstream:
    """The provider, which has seen nothing yet."""
    running_provider.reset()
    return running_provider
