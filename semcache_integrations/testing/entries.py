"""Sample entries for the conformance suites, and nothing that tests anything by itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.models import CacheEntry, Namespace, Standing

HOME = Namespace("a" * 32, model="gpt-5", tenant="acme")
ABROAD = Namespace("b" * 32, model="claude", tenant="globex")
NOW = 1_700_000_000.0
LEARNED = Standing(group="a group", quarantined=True, seen=((0.871203, True), (1.0, False)))


def entry(number: int = 0, namespace: Namespace = HOME, **fields: object) -> CacheEntry:
    """Return an entry; equal numbers and namespaces make equal ids."""
    made = CacheEntry(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace.id}/{number}")),
        namespace=namespace,
        text=f"question {number}",
        payload=f'{{"answer": {number}}}',
        created_at=NOW,
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # the caller names fields of CacheEntry


def refuses(action: Callable[..., object], *arguments: object) -> bool:
    """Whether the call raises `StoreError`; any other exception goes through."""
    try:
        action(*arguments)
    except StoreError:
        return True
    return False
