"""Every kind of call that LiteLLM knows, however it was asked when its answer was kept and when it is asked again."""

from __future__ import annotations

import pytest
from doubles.litellm_calls import KINDS
from doubles.litellm_writes import written

from semcache_integrations.testing import FakeUpstream

PAIRS = [
    pytest.param(kind, stored, read, id=f"{kind.name}: {stored}, then {read}")
    for kind in KINDS.values()
    for stored in kind.ways
    for read in kind.ways
]


@pytest.fixture
def provider():
    """One for each test: LiteLLM keeps clients by address, and an async one dies with its test's loop."""
    with FakeUpstream() as running:
        yield running


@pytest.mark.parametrize(("kind", "stored", "read"), PAIRS)
async def test_one_entry_serves_every_way_to_ask(cache, provider, kind, stored, read):
    first, _ = await kind.call(stored, "What is the capital of France?", provider)
    await written()
    again, _ = await kind.call(read, "What is the capital of France?", provider)
    assert first.startswith("Answer to: What is the capital of France?")
    assert (again, provider.count) == (first, 1)
    other, _ = await kind.call(read, "How do I bake sourdough bread at home?", provider)
    assert (other != first, provider.count) == (True, 2)
