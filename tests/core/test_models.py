"""Values: what they say of themselves."""

from __future__ import annotations

import pytest

from semcache_integrations.core.models import CacheEntry, Hit, Miss, Namespace, Selector

ENTRY = CacheEntry(
    "id1",
    Namespace("ns", "gpt", "acme", "chat"),
    "q",
    "p",
    created_at=100.0,
    expires_at=200.0,
    tags=("a", "b"),
)


def test_a_hit_is_true_and_a_miss_is_false():
    assert Hit(ENTRY, 1.0, "hash")
    assert not Miss("not_found")


@pytest.mark.parametrize(
    ("selects", "passes"),
    [
        (Selector(), None),
        (Selector(ids=("id1", "x")), Selector(ids=("x",))),
        (Selector(namespace="ns"), Selector(namespace="other")),
        (Selector(tag="b"), Selector(tag="c")),
        (Selector(model="gpt"), Selector(model="claude")),
        (Selector(tenant="acme"), Selector(tenant="other")),
        (Selector(created_before=100.5), Selector(created_before=100.0)),
        (Selector(expired_at=200.0), Selector(expired_at=199.0)),
        (Selector(tag="a", model="gpt"), Selector(tag="a", model="claude")),
    ],
)
def test_a_selector_selects_what_meets_every_condition(selects, passes):
    assert selects.selects(ENTRY)
    assert passes is None or not passes.selects(ENTRY)
