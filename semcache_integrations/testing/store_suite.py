"""`StoreSuite`: the contract of a `Store`, as tests. Subclass it and give it a fixture called `store`.

```python
import pytest
from semcache_integrations.testing import MemoryStore, StoreSuite


class TestMyStore(StoreSuite):
    @pytest.fixture
    def store(self):
        store = MemoryStore(dimension=StoreSuite.dimension)  # yours
        yield store
        store.close()
```
The law: it uses the protocol only, needs no plug-in of pytest, and every rule is tried from both sides.
"""
# ruff: noqa: S101 - a conformance suite is made of assertions
# ruff: noqa: D102 - the names of the tests are the rules

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import replace

from semcache_integrations.core.models import NEVER, UNKNOWN, CacheEntry, Namespace, Selector, Vector
from semcache_integrations.protocols import Store
from semcache_integrations.testing.entries import ABROAD, HOME, LEARNED, NOW, entry, refuses


class StoreSuite:
    """What every store must do. Set `dimension` if yours needs another one (at least 3)."""

    dimension = 4

    def axis(self, number: int, towards: int | None = None, cosine: float = 0.0) -> Vector:
        """Return a unit vector along an axis, or at this cosine from it, leaning towards another."""
        vector = [0.0] * self.dimension
        if towards is None:
            vector[number] = 1.0
        else:
            vector[number], vector[towards] = cosine, math.sqrt(1.0 - cosine**2)
        return vector

    def ids(self, store: Store, namespace: Namespace, vector: Vector, limit: int = 10) -> list[str]:
        return [found.entry.id for found in store.search(namespace, vector, limit)]

    def test_an_unknown_id_is_none(self, store: Store) -> None:
        assert store.get(HOME, entry().id) is None
        store.put(entry(), self.axis(0))
        assert store.get(HOME, entry(1).id) is None

    def test_an_id_that_no_point_could_have_is_none(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        assert store.get(HOME, "not a uuid") is None
        assert store.delete(Selector(ids=("not a uuid",))) == 0
        store.touch(entry(id="not a uuid", expires_at=NOW))
        assert store.count() == 1

    def test_what_was_put_is_got_back_whole(self, store: Store) -> None:
        written = entry(tags=("a", "b"), ttl_s=60.0, expires_at=NOW + 60.0, signature="5ea1")
        store.put(written, self.axis(0))
        assert store.get(HOME, written.id) == written

    def test_never_survives_the_round_trip(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        read = store.get(HOME, entry().id)
        assert read is not None
        assert read.expires_at == NEVER

    def test_any_text_survives_the_round_trip(self, store: Store) -> None:
        for number, text in enumerate(
            ("", "\r\n\t\0", "日本語 🎌 e\u0301 \u202e rtl", '"\\{}', "x" * 300_000)
        ):
            written = entry(number, text=text, payload=text, tags=(text[:50],))
            store.put(written, self.axis(0))
            assert store.get(HOME, written.id) == written

    def test_an_overwrite_keeps_one_entry(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        store.put(entry(payload="new"), self.axis(1))
        assert store.count() == 1
        assert store.get(HOME, entry().id) == entry(payload="new")
        best = store.search(HOME, self.axis(1), 1)[0]
        assert (best.entry.payload, round(best.similarity, 5)) == ("new", 1.0)

    def test_a_touch_leaves_an_overwritten_entry_alone(self, store: Store) -> None:
        """The renewal of the old answer would sign the new one wrongly, and so lose it."""
        store.put(entry(signature="old"), self.axis(0))
        newer = entry(payload="new", signature="new", created_at=entry().created_at + 1.0)
        store.put(newer, self.axis(0))
        store.touch(entry(signature="old", expires_at=NOW + 5.0))
        assert store.get(HOME, newer.id) == newer

    def test_an_id_opens_nothing_in_a_foreign_namespace(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        assert store.get(ABROAD, entry().id) is None

    def test_a_search_stays_in_its_namespace(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        store.put(entry(0, ABROAD), self.axis(0))
        assert self.ids(store, HOME, self.axis(0)) == [entry().id]
        assert self.ids(store, ABROAD, self.axis(0)) == [entry(0, ABROAD).id]
        assert self.ids(store, Namespace("c" * 32, model="gpt-5", tenant="acme"), self.axis(0)) == []

    def test_the_best_come_first_with_their_cosines(self, store: Store) -> None:
        cosines = [0.2, 0.95, -0.5, 0.7]
        for number, cosine in enumerate(cosines):
            store.put(entry(number), self.axis(0, towards=1, cosine=cosine))
        found = store.search(HOME, self.axis(0), 10)
        assert [candidate.entry for candidate in found] == [entry(n) for n in (1, 3, 0, 2)]
        for candidate, cosine in zip(found, sorted(cosines, reverse=True), strict=True):
            assert math.isclose(candidate.similarity, cosine, abs_tol=1e-5)
        assert self.ids(store, HOME, self.axis(0), limit=2) == [entry(1).id, entry(3).id]

    def test_an_entry_without_a_vector_is_found_by_id_only(self, store: Store) -> None:
        store.put(entry(), None)
        assert store.get(HOME, entry().id) == entry()
        assert self.ids(store, HOME, self.axis(0)) == []

    def test_an_overwrite_without_a_vector_forgets_the_vector(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        store.put(entry(), None)
        assert self.ids(store, HOME, self.axis(0)) == []

    def test_an_expired_entry_is_still_found(self, store: Store) -> None:
        """Whether it may be served is the engine's decision: its clock, not the store's."""
        old = entry(expires_at=1.0)
        store.put(old, self.axis(0))
        assert store.get(HOME, old.id) == old
        assert self.ids(store, HOME, self.axis(0)) == [old.id]

    def test_a_touch_changes_the_expiry_the_standing_and_the_signature_only(self, store: Store) -> None:
        store.put(entry(tags=("a",)), self.axis(0))
        changed = entry(tags=("a",), expires_at=NOW + 9.0, signature="new", standing=LEARNED)
        store.touch(replace(changed, tags=(), payload="ignored", text="ignored"))
        assert store.get(HOME, entry().id) == changed
        assert self.ids(store, HOME, self.axis(0)) == [entry().id]
        assert [found.entry.standing for found in store.search(HOME, self.axis(0), 5)] == [LEARNED]

    def test_a_standing_is_written_with_its_entry_and_goes_with_an_overwrite(self, store: Store) -> None:
        """A quarantine is about one answer: the next one has a clean record."""
        store.put(entry(standing=LEARNED), self.axis(0))
        assert store.get(HOME, entry().id) == entry(standing=LEARNED)
        store.put(entry(created_at=NOW + 1.0), self.axis(0))
        assert store.get(HOME, entry().id) == entry(created_at=NOW + 1.0)

    def test_a_touch_may_forget_what_was_learned(self, store: Store) -> None:
        store.put(entry(standing=LEARNED), self.axis(0))
        store.touch(entry(standing=UNKNOWN))
        assert store.get(HOME, entry().id) == entry()

    def test_an_id_alone_finds_the_entry_with_the_namespace_that_it_was_put_in(self, store: Store) -> None:
        assert store.find(entry().id) is None
        store.put(entry(), self.axis(0))
        store.put(entry(1, ABROAD, standing=LEARNED), None)
        assert store.find(entry().id) == entry()
        assert store.find(entry(1, ABROAD).id) == entry(1, ABROAD, standing=LEARNED)
        assert store.find(entry(2).id) is None
        assert store.find("not a uuid") is None

    def test_a_touch_of_what_is_gone_does_nothing(self, store: Store) -> None:
        store.touch(entry(expires_at=NOW))
        assert store.count() == 0

    def test_a_touch_reaches_no_foreign_namespace(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        store.touch(replace(entry(expires_at=NOW), namespace=ABROAD))
        assert store.get(HOME, entry().id) == entry()

    def test_each_condition_selects_what_meets_it(self, store: Store) -> None:
        old, tagged, stranger = (
            entry(1, created_at=NOW - 100.0, expires_at=NOW),
            entry(2, tags=("x", "y")),
            entry(3, ABROAD),
        )
        everything = [old, tagged, stranger]
        for selector in (
            Selector(ids=(old.id, stranger.id)),
            Selector(namespace=HOME.id),
            Selector(tag="y"),
            Selector(model="claude"),
            Selector(tenant="acme"),
            Selector(created_before=NOW),
            Selector(created_before=NOW - 100.0),
            Selector(expired_at=NOW),
            Selector(expired_at=NOW - 1.0),
            Selector(expired_at=math.inf),
            Selector(created_before=-math.inf),
            Selector(model="gpt-5", created_before=NOW, expired_at=NOW),
            Selector(tenant="acme", tag="x", ids=(tagged.id, old.id)),
            Selector(tenant="globex", tag="x"),
            Selector(ids=(old.id,), namespace=ABROAD.id),
            Selector(),
        ):
            self._check_deletion(store, everything, selector)

    def _check_deletion(self, store: Store, everything: list[CacheEntry], selector: Selector) -> None:
        for one in everything:
            store.put(one, self.axis(0))
        left = [one for one in everything if not selector.selects(one)]
        assert store.delete(selector) == len(everything) - len(left), selector
        assert store.count() == len(left), selector
        assert [one for one in everything if store.get(one.namespace, one.id) is not None] == left, selector

    def test_clearing_leaves_a_store_that_works(self, store: Store) -> None:
        for number in range(5):
            store.put(entry(number), self.axis(0))
        assert store.delete(Selector()) == 5  # noqa: PLR2004 - as many as were put
        assert store.delete(Selector()) == store.count() == 0
        store.put(entry(), self.axis(0))
        assert self.ids(store, HOME, self.axis(0)) == [entry().id]

    def test_a_vector_without_direction_is_refused(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        for bad in (math.nan, math.inf, -math.inf, 0.0):
            vector = [bad] + [0.0] * (self.dimension - 1)
            assert refuses(store.put, entry(1), vector)
            assert refuses(store.search, HOME, vector, 1)
        assert self.ids(store, HOME, self.axis(0)) == [entry().id]

    def test_a_vector_of_another_dimension_is_refused(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        for vector in ([1.0], [], [0.5] * (self.dimension + 1)):
            assert refuses(store.put, entry(1), vector)
            assert refuses(store.search, HOME, vector, 1)
        assert store.count() == 1

    def test_what_cannot_be_encoded_is_refused_or_kept_whole(self, store: Store) -> None:
        odd = entry(text="lone \ud800 surrogate")
        assert refuses(store.put, odd, self.axis(0)) or store.get(HOME, odd.id) == odd

    def test_flush_and_close_may_be_repeated(self, store: Store) -> None:
        store.put(entry(), self.axis(0))
        store.flush()
        store.flush()
        assert store.get(HOME, entry().id) == entry()
        store.close()
        store.close()
        assert refuses(store.get, HOME, entry().id)
        assert refuses(store.put, entry(), self.axis(0))

    def test_the_async_half_sees_what_the_sync_half_wrote(self, store: Store) -> None:
        async def both() -> None:
            store.put(entry(), self.axis(0))
            assert await store.aget(HOME, entry().id) == entry()
            assert [found.entry for found in await store.asearch(HOME, self.axis(0), 5)] == [entry()]
            await store.aput(entry(1), self.axis(1))
            assert store.get(HOME, entry(1).id) == await store.afind(entry(1).id) == entry(1)
            await store.atouch(entry(1, expires_at=NOW))
            assert store.get(HOME, entry(1).id) == entry(1, expires_at=NOW)
            assert await store.acount() == 2  # noqa: PLR2004 - the two above
            assert await store.adelete(Selector(expired_at=NOW)) == 1
            assert store.count() == 1

        asyncio.run(both())

    def test_threads_lose_nothing(self, store: Store) -> None:
        failures: list[BaseException] = []

        def work(worker: int) -> None:
            try:
                for number in range(worker * 10, worker * 10 + 10):
                    store.put(entry(number), self.axis(worker % self.dimension))
                    assert store.get(HOME, entry(number).id) == entry(number)
                    assert store.search(HOME, self.axis(worker % self.dimension), 3)
            except BaseException as error:  # noqa: BLE001 - whatever it was, the test must see it
                failures.append(error)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert store.count() == 80  # noqa: PLR2004 - 8 threads, 10 entries each

    def test_tasks_lose_nothing(self, store: Store) -> None:
        async def work(number: int) -> None:
            await store.aput(entry(number), self.axis(number % self.dimension))
            assert await store.aget(HOME, entry(number).id) == entry(number)

        async def together() -> None:
            await asyncio.gather(*(work(number) for number in range(40)))

        asyncio.run(together())
        assert store.count() == 40  # noqa: PLR2004 - as many as there were tasks

    async def _closed(self, store: Store) -> None:
        await store.aclose()
        await store.aclose()

    def test_an_async_close_may_be_repeated(self, store: Store) -> None:
        asyncio.run(self._closed(store))
        assert refuses(store.count)
