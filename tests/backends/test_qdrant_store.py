"""The server store against a server that fails in every way we know of, and the bodies that it sends."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
import uuid

import grpc
import pytest
from doubles.fake_qdrant import FakeQdrant
from doubles.fake_qdrant_grpc import FakeQdrantGrpc

from semcache_integrations.backends.qdrant import QdrantStore
from semcache_integrations.backends.qdrant_errors import QdrantError, qdrant_error
from semcache_integrations.backends.qdrant_layout import Layout
from semcache_integrations.core.errors import ConfigurationError, StoreError
from semcache_integrations.core.models import CacheEntry, Namespace, Selector

HOME = Namespace("a" * 32, model="gpt-5", tenant="acme")
UP = [1.0, 0.0, 0.0]
GENEROUS_S = 4.0  # for budgets of a fraction of a second, on a machine that is busy elsewhere


def entry(number=1, namespace=HOME):
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{namespace.id}{number}"))
    return CacheEntry(name, namespace, f"question {number}", f"answer {number}", 1.0)


@pytest.fixture
def server():
    with FakeQdrant() as server:
        yield server


@pytest.fixture
def make(server):
    stores = []

    def make(url=None, **settings):
        store = QdrantStore(
            url or server.url, **{"embedder": "test", "dimension": 3, "budget_s": 2.0, **settings}
        )
        stores.append(store)
        return store

    yield make
    server.heal()
    for store in stores:
        store.close()


@pytest.fixture
def store(make):
    store = make()
    store.put(entry(), UP)
    return store


def both(store):
    """The look-ups of both halves, by name."""
    return {
        "get": lambda: store.get(HOME, entry().id),
        "search": lambda: store.search(HOME, UP, 5),
        "aget": lambda: asyncio.run(store.aget(HOME, entry().id)),
        "asearch": lambda: asyncio.run(store.asearch(HOME, UP, 5)),
    }


LOOKUPS = ["get", "search", "aget", "asearch"]


class TestFaultsOfLookups:
    @pytest.mark.parametrize("lookup", LOOKUPS)
    @pytest.mark.parametrize("fault", ["429", "500", "502", "503", "504", "reset"])
    def test_a_passing_fault_is_tried_once_more(self, server, store, lookup, fault):
        server.fail(fault, "/points", times=1)
        before = len(server.requests)
        assert both(store)[lookup]()
        assert len(server.requests) - before == 2

    @pytest.mark.parametrize("lookup", LOOKUPS)
    @pytest.mark.parametrize("fault", ["429", "500", "503", "reset"])
    def test_a_lasting_fault_is_tried_twice_in_all(self, server, store, lookup, fault):
        server.fail(fault, "/points", times=100)
        before = len(server.requests)
        with pytest.raises(StoreError):
            both(store)[lookup]()
        assert len(server.requests) - before == 2

    @pytest.mark.parametrize("lookup", LOOKUPS)
    @pytest.mark.parametrize("fault", ["400", "401", "403", "413", "422", "garbage", "html", "shape"])
    def test_a_fault_that_stays_is_not_tried_again(self, server, store, lookup, fault):
        server.fail(fault, "/points", times=1)
        before = len(server.requests)
        with pytest.raises(StoreError):
            both(store)[lookup]()
        assert len(server.requests) - before == 1
        assert both(store)[lookup]()

    @pytest.mark.parametrize("lookup", LOOKUPS)
    def test_a_pause_that_the_budget_cannot_pay_is_not_waited_for(self, server, store, lookup):
        server.fail("429", "/points", times=1, retry_after="30")
        before = len(server.requests)
        with pytest.raises(StoreError, match="30"):
            both(store)[lookup]()
        assert len(server.requests) - before == 1

    def test_a_pause_that_the_budget_can_pay_is_waited_for(self, server, store):
        server.fail("429", "/points", times=1, retry_after="1")
        began = time.monotonic()
        assert store.get(HOME, entry().id) == entry()
        assert time.monotonic() - began >= 1.0

    @pytest.mark.parametrize("retry_after", ["soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
    def test_a_pause_that_is_no_number_is_a_store_error(self, server, store, retry_after):
        server.fail("429", "/points", times=1, retry_after=retry_after)
        with pytest.raises(StoreError):
            store.get(HOME, entry().id)

    @pytest.mark.parametrize("lookup", LOOKUPS)
    def test_a_server_that_hangs_costs_the_budget_and_no_more(self, server, make, lookup):
        store = make(budget_s=0.25)
        server.fail("hang", times=100)
        began = time.monotonic()
        with pytest.raises(StoreError):
            both(store)[lookup]()
        assert time.monotonic() - began < GENEROUS_S
        assert len(server.requests) <= 2

    @pytest.mark.parametrize("lookup", LOOKUPS)
    def test_a_server_that_is_not_there_is_a_store_error(self, make, lookup):
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            store = make(f"http://127.0.0.1:{bound.getsockname()[1]}")
            with pytest.raises(StoreError, match="ConnectError"):
                both(store)[lookup]()

    def test_a_server_that_comes_back_is_used_again(self, server, store):
        port = server.port
        server.stop()
        with pytest.raises(StoreError):
            store.get(HOME, entry().id)
        server.start(port)
        assert store.get(HOME, entry().id) == entry()

    @pytest.mark.parametrize("lookup", LOOKUPS)
    def test_a_missing_collection_is_empty(self, server, make, lookup):
        assert not both(make())[lookup]()
        assert server.database.get_collections().collections == []

    def test_no_answer_and_no_question_shows_in_a_message(self, server, store):
        server.fail("shape", "/points", times=1)
        with pytest.raises(StoreError) as caught:
            store.get(HOME, entry().id)
        assert "nope" not in str(caught.value)


class TestWrites:
    @pytest.mark.parametrize("fault", ["429", "503", "reset"])
    def test_a_write_is_tried_three_times(self, server, store, fault):
        server.fail(fault, "/points", times=2)
        store.put(entry(2), UP)
        assert store.get(HOME, entry(2).id) == entry(2)
        server.fail(fault, "/points", times=100)
        before = len(server.requests)
        with pytest.raises(StoreError):
            store.put(entry(3), UP)
        assert len(server.requests) - before == 3

    def test_an_internal_error_is_tried_once_more_only(self, server, store):
        server.fail("500", "/points", times=100)
        before = len(server.requests)
        with pytest.raises(StoreError):
            store.put(entry(2), UP)
        assert len(server.requests) - before == 2

    def test_writes_do_not_wait_unless_asked_and_deletions_do(self, server, make):
        make().put(entry(), UP)
        make(wait_for_writes=True).put(entry(), UP)
        waits = [one.query["wait"] for one in server.asked("/points", "PUT")]
        assert waits == [["false"], ["true"]]
        make().delete(Selector())
        assert server.asked("/points/delete")[0].query["wait"] == ["true"]

    def test_a_collection_that_was_deleted_is_created_again(self, server, store):
        server.database.delete_collection(Layout("semcache", "test", 3).name_for("gpt-5"))
        store.put(entry(2), UP)
        assert store.get(HOME, entry(2).id) == entry(2)
        asyncio.run(store.aput(entry(3), UP))
        assert store.count() == 2

    def test_a_collection_is_looked_at_once_per_store(self, server, store):
        store.put(entry(2), UP)
        asyncio.run(store.aput(entry(3), UP))
        assert len(server.asked("/collections/", "GET")) == 2  # before and after its creation

    def test_losing_the_race_to_create_is_fine(self, server, make):
        server.fail("404", "/collections/semcache", times=1)
        first, second = make(), make()
        first.put(entry(), UP)
        server.fail("404", "/collections/semcache", times=1)  # the second does not see it yet
        second.put(entry(2), UP)
        assert first.count() == 2

    def test_touching_and_deleting_what_never_was_creates_nothing(self, server, make):
        store = make()
        store.touch(entry())
        assert store.delete(Selector()) == 0
        assert store.count() == 0
        assert server.asked("", "PUT") == []

    def test_deleting_nothing_sends_no_deletion(self, server, store):
        assert store.delete(Selector(tag="none")) == 0
        assert server.asked("/points/delete") == []

    def test_deletions_walk_all_pages(self, server, store, monkeypatch):
        monkeypatch.setattr("semcache_integrations.backends.qdrant_steps.PAGE", 3)
        for number in range(10):
            store.put(entry(number), None)
        assert store.delete(Selector()) == 10
        assert len(server.asked("/points/scroll")) == 4
        assert store.count() == 0


class TestBodies:
    """No real server runs here: what it would act on is read in the requests."""

    def test_a_collection_is_created_so_that_it_demands_a_namespace(self, server, store):
        (body,) = server.created.values()
        assert body["vectors"]["text"]["size"] == 3
        assert body["vectors"]["text"]["distance"] == "Cosine"
        assert body["hnsw_config"]["m"] == 0
        assert body["hnsw_config"]["payload_m"] == 16
        strict = {key: value for key, value in body["strict_mode_config"].items() if value is not None}
        assert strict == {
            "enabled": True,
            "unindexed_filtering_retrieve": False,
            "unindexed_filtering_update": False,
            "max_query_limit": 1000,
            "upsert_max_batchsize": 256,
            "search_allow_exact": False,
        }
        assert body["metadata"] == {"semcache_schema": 1, "embedder": "test", "dimension": 3}

    def test_the_indexes_come_before_the_first_point(self, server, store):
        paths = [(one.path.rsplit("/", 1)[-1], one.method) for one in server.requests]
        assert paths.count(("index", "PUT")) == 6
        assert max(i for i, one in enumerate(paths) if one[0] == "index") < paths.index(("points", "PUT"))
        (indexes,) = server.indexes.values()
        assert {name: schema["type"] for name, schema in indexes.items()} == {
            "ns": "keyword",
            "tags": "keyword",
            "model": "keyword",
            "tenant": "keyword",
            "expires_at": "float",
            "created_at": "float",
        }
        assert [name for name, schema in indexes.items() if schema.get("is_tenant")] == ["ns"]
        assert [name for name, schema in indexes.items() if schema.get("enable_hnsw") is not False] == ["ns"]

    def test_every_vector_query_filters_on_the_namespace_and_on_nothing_else(self, server, store):
        store.search(HOME, UP, 5)
        asyncio.run(store.asearch(HOME, UP, 5))
        bodies = [one.body for one in server.asked("/points/query")]
        for body in bodies:
            (condition,) = body["filter"]["must"]
            assert (condition["key"], condition["match"]["value"]) == ("ns", HOME.id)
            assert (body["using"], body["limit"], body["query"]) == ("text", 5, {"nearest": UP})
        assert len(bodies) == 2

    def test_a_touch_is_bound_to_the_namespace(self, server, store):
        store.touch(entry())
        (request,) = server.asked("/points/payload")
        has_id, namespace, same_answer = request.body["filter"]["must"]
        assert same_answer["range"]["lte"] == entry().created_at
        assert has_id["has_id"] == [entry().id]
        assert namespace["match"]["value"] == HOME.id
        assert set(request.body["payload"]) == {"expires_at", "standing", "signature"}

    def test_never_travels_as_a_number(self, server, store):
        (request,) = server.asked("/points", "PUT")
        assert request.body["points"][0]["payload"]["expires_at"] == 1e18
        assert request.body["points"][0]["vector"] == {"text": UP}


class TestLayout:
    def test_two_models_never_share_a_collection(self):
        layout = Layout("semcache", "test", 3)
        names = [layout.name_for(model) for model in ("gpt-5", "GPT-5", "gpt.5", "gpt 5", "", "any", "日本")]
        assert len(set(names)) == len(names)

    def test_a_shared_collection_serves_all_models(self):
        layout = Layout("semcache", "test", 3, "shared")
        assert layout.name_for("a") == layout.name_for("b")
        assert layout.owns(layout.name_for("a"))

    def test_another_space_or_prefix_is_never_owned(self):
        spaces = [
            Layout("semcache", "test", 3),
            Layout("semcache", "test", 38),
            Layout("semcache", "Test", 3),
            Layout("semcache_v1", "test", 3),
            Layout("sem", "test", 3),
        ]
        for one in spaces:
            assert [other for other in spaces if one.owns(other.name_for("m"))] == [one]

    def test_names_are_short_and_legal(self):
        name = Layout("p" * 40, "org/model:" * 50, 65_536).name_for("x" * 500 + '/\\?*<>|"')
        assert len(name) <= 255
        assert name.replace("-", "").replace("_", "").isalnum()

    def test_stores_of_other_prefixes_and_embedders_are_left_alone(self, make):
        mine, others = make(), [make(prefix="other"), make(embedder="other")]
        for store in [mine, *others]:
            store.put(entry(), UP)
        assert mine.delete(Selector()) == 1
        assert [store.count() for store in others] == [1, 1]

    def test_both_layouts_are_cleared_together(self, make):
        per_model, shared = make(), make(collections="shared")
        per_model.put(entry(), UP)
        shared.put(entry(), UP)
        assert per_model.count() == 2
        assert shared.delete(Selector(model="gpt-5")) == 2


class TestConstruction:
    @pytest.mark.parametrize(
        "url", ["", "localhost:6333", "ftp://host", "http://", "http://host:port", "http://[::1"]
    )
    def test_what_is_no_address_is_refused(self, url):
        with pytest.raises(ConfigurationError, match="url="):
            QdrantStore(url, embedder="test", dimension=3)

    def test_an_empty_key_is_refused(self, server):
        with pytest.raises(ConfigurationError, match="api_key"):
            QdrantStore(server.url, embedder="test", dimension=3, api_key="")

    def test_an_unknown_option_is_refused(self, server):
        with pytest.raises(ConfigurationError, match="no_such_option"):
            QdrantStore(server.url, embedder="test", dimension=3, no_such_option=1)

    def test_the_constructor_connects_to_nothing(self, server, make):
        make()
        assert server.requests == []

    def test_a_rejected_key_is_a_configuration_error(self, make):
        with FakeQdrant(api_key="right") as guarded:
            for key in (None, "wrong"):
                with pytest.raises(ConfigurationError, match="api_key"):
                    make(guarded.url, api_key=key).check()
            store = make(guarded.url, api_key="right")
            store.check()
            store.put(entry(), UP)
            assert asyncio.run(store.aget(HOME, entry().id)) == entry()
            with pytest.raises(StoreError):
                make(guarded.url, api_key="wrong").get(HOME, entry().id)

    def test_a_server_that_is_down_is_only_logged(self, server, make, caplog):
        store = make()
        server.fail("503", times=1)
        store.check()
        assert "does not answer" in caplog.text

    def test_a_key_in_clear_text_is_logged(self, make, caplog):
        make("http://qdrant.example:6333", api_key="secret")
        assert "clear text" in caplog.text
        assert "secret" not in caplog.text

    def test_a_collection_that_holds_something_else_is_refused(self, server, make):
        from qdrant_client import models as m  # the double's own client makes the stranger

        stranger = Layout("semcache", "test", 3).name_for("gpt-5")
        for settings in (
            {"vectors_config": m.VectorParams(size=3, distance=m.Distance.COSINE)},
            {"vectors_config": {"text": m.VectorParams(size=4, distance=m.Distance.COSINE)}},
            {"vectors_config": {"text": m.VectorParams(size=3, distance=m.Distance.DOT)}},
            {
                "vectors_config": {"text": m.VectorParams(size=3, distance=m.Distance.COSINE)},
                "metadata": {"embedder": "other"},
            },
        ):
            server.database.create_collection(stranger, **settings)
            server.indexes[stranger] = {}
            with pytest.raises(ConfigurationError, match="collection_prefix"):
                make().check()
            with pytest.raises(StoreError, match="collection_prefix"):
                make().put(entry(), UP)
            server.database.delete_collection(stranger)


class TestClients:
    def test_event_loops_come_and_go(self, server, store):
        """A client of a loop that has ended would raise "Event loop is closed", or leave sockets open."""
        for number in range(5):
            asyncio.run(store.aput(entry(number), UP))
            assert asyncio.run(store.aget(HOME, entry(number).id)) == entry(number)
        gc.collect()
        assert len(store._clients._of_loops) <= 1

    async def test_one_loop_keeps_one_client(self, server, store):
        await asyncio.gather(*(store.aget(HOME, entry().id) for _ in range(20)))
        assert len(store._clients._of_loops) == 1
        await store.aclose()
        with pytest.raises(StoreError, match="closed"):
            await store.aget(HOME, entry().id)

    async def test_a_cancelled_lookup_leaves_a_store_that_works(self, server, store):
        server.fail("hang", "/points", times=1)
        lookup = asyncio.ensure_future(store.aget(HOME, entry().id))
        await asyncio.sleep(0.1)
        lookup.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lookup
        assert await store.aget(HOME, entry().id) == entry()
        await store.aclose()

    def test_an_async_client_alone_is_refused(self):
        with pytest.raises(ConfigurationError, match="client="):
            QdrantStore(embedder="test", dimension=3, async_client=object())

    @pytest.mark.parametrize("lookup", LOOKUPS)
    def test_grpc_keeps_to_the_budget_too(self, lookup):
        """A listener that accepts and never speaks: the client's own timeouts are whole seconds."""
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            store = QdrantStore(
                "http://127.0.0.1:1",
                embedder="test",
                dimension=3,
                prefer_grpc=True,
                grpc_port=silent.getsockname()[1],
                budget_s=0.25,
            )
            began = time.monotonic()
            with pytest.raises(QdrantError, match=r"DEADLINE|UNAVAILABLE|budget") as caught:
                both(store)[lookup]()
            assert time.monotonic() - began < GENEROUS_S
            assert caught.value.kind == "transient"
            store.close()

    def test_grpc_creates_the_same_collection(self):
        with FakeQdrantGrpc() as server:
            store = QdrantStore(
                "http://127.0.0.1:1", embedder="test", dimension=3, prefer_grpc=True, grpc_port=server.port
            )
            store.put(entry(), UP)
            store.close()
        (created,) = [request for name, request in server.calls if name == "Create"]
        strict = created.strict_mode_config
        assert (strict.enabled, strict.search_allow_exact, strict.unindexed_filtering_retrieve) == (
            True,
            False,
            False,
        )
        assert (created.hnsw_config.m, created.hnsw_config.payload_m) == (0, 16)
        assert [name for name, _ in server.calls].count("CreateFieldIndex") == 6


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, "", "transient"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", "transient"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "", "throttled"),
        (grpc.StatusCode.NOT_FOUND, "", "missing"),
        (grpc.StatusCode.ALREADY_EXISTS, "", "conflict"),
        (grpc.StatusCode.INVALID_ARGUMENT, "Collection `x` already exists!", "conflict"),
        (grpc.StatusCode.INVALID_ARGUMENT, "Wrong input", "permanent"),
        (grpc.StatusCode.PERMISSION_DENIED, "", "refused"),
        (grpc.StatusCode.UNAUTHENTICATED, "", "refused"),
        (grpc.StatusCode.INTERNAL, "", "internal"),
    ],
)
def test_grpc_statuses_have_the_kinds_of_http_statuses(code, details, kind):
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
    assert qdrant_error(error, "upsert").kind == kind
