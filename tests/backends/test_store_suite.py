"""The contract of a store, held against every store that we ship."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid

import pytest
from doubles.fake_qdrant import FakeQdrant
from doubles.fake_qdrant_grpc import FakeQdrantGrpc
from qdrant_client import QdrantClient

from semcache_integrations.backends.edge import EdgeStore
from semcache_integrations.backends.qdrant import QdrantStore
from semcache_integrations.protocols import Store
from semcache_integrations.testing import FaultyStore, MemoryStore, StoreSuite


class DrivenAsync(Store):
    """Calls the async twin of whatever is called, in an event loop of its own."""

    in_process = False

    def __init__(self, inner):
        self.inner = inner
        self.aget, self.asearch, self.aput = inner.aget, inner.asearch, inner.aput
        self.afind = inner.afind
        self.atouch, self.adelete, self.acount, self.aclose = (
            inner.atouch,
            inner.adelete,
            inner.acount,
            inner.aclose,
        )

    def get(self, *arguments):
        return self._run(self.inner.aget(*arguments))

    def find(self, *arguments):
        return self._run(self.inner.afind(*arguments))

    def search(self, *arguments):
        return self._run(self.inner.asearch(*arguments))

    def put(self, *arguments):
        self._run(self.inner.aput(*arguments))

    def touch(self, *arguments):
        self._run(self.inner.atouch(*arguments))

    def delete(self, *arguments):
        return self._run(self.inner.adelete(*arguments))

    def count(self):
        return self._run(self.inner.acount())

    def close(self):
        self._run(self.inner.aclose())

    def _run(self, coroutine):
        """Run it on a thread: the suite's async tests call the sync half from inside a loop."""
        answers = []

        def run():
            try:
                answers.append((asyncio.run(coroutine), None))
            except BaseException as error:  # noqa: BLE001 - raised again below
                answers.append((None, error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        answer, error = answers[0]
        if error is not None:
            raise error
        return answer


class Locked:
    """Local mode is not thread-safe: one call at a time."""

    def __init__(self, client):
        self._client, self._lock = client, threading.Lock()

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(**arguments):
            with self._lock:
                return method(**arguments)

        return call


def drop_collections(store, url, api_key):
    """Leave the real server as it was; the test may have closed the store."""
    store.close()
    client = QdrantClient(
        url=url, headers={"api-key": api_key} if api_key else None, check_compatibility=False
    )
    for found in client.get_collections().collections:
        if store._operations.layout.owns(found.name):
            client.delete_collection(found.name)
    client.close()


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def store(self):
        store = MemoryStore(self.dimension)
        yield store
        store.close()


class TestFaultyStoreWithoutFaults(StoreSuite):
    @pytest.fixture
    def store(self):
        store = FaultyStore(MemoryStore(self.dimension))
        yield store
        store.close()


class TestEphemeralEdgeStore(StoreSuite):
    @pytest.fixture
    def store(self):
        store = EdgeStore(None, embedder="test", dimension=self.dimension)
        yield store
        store.close()


class TestEdgeStoreOnDisk(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        store = EdgeStore(str(tmp_path / "deep" / "cache"), embedder="test", dimension=self.dimension)
        yield store
        store.close()


class TestQdrantStoreOverRest(StoreSuite):
    @pytest.fixture
    def store(self):
        with FakeQdrant() as server:
            store = QdrantStore(server.url, embedder="test", dimension=self.dimension, budget_s=5.0)
            yield store
            store.close()


class TestQdrantStoreOverRestSharedCollection(StoreSuite):
    @pytest.fixture
    def store(self):
        with FakeQdrant() as server:
            store = QdrantStore(
                server.url, embedder="test", dimension=self.dimension, collections="shared", budget_s=5.0
            )
            yield store
            store.close()


class TestQdrantStoreOverAsyncRest(StoreSuite):
    """The whole suite through the async half, a new event loop for every call."""

    @pytest.fixture
    def store(self):
        with FakeQdrant() as server:
            store = QdrantStore(server.url, embedder="test", dimension=self.dimension, budget_s=5.0)
            yield DrivenAsync(store)
            store.close()


class TestQdrantStoreOverGrpc(StoreSuite):
    @pytest.fixture(params=["sync", "async"])
    def store(self, request):
        with FakeQdrantGrpc() as server:
            store = QdrantStore(
                "http://127.0.0.1:1",  # nothing may go over REST
                embedder="test",
                dimension=self.dimension,
                prefer_grpc=True,
                grpc_port=server.port,
                budget_s=5.0,
            )
            yield DrivenAsync(store) if request.param == "async" else store
            store.close()


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
class TestQdrantStoreOverLocalMode(StoreSuite):
    @pytest.fixture
    def store(self):
        client = QdrantClient(":memory:")
        store = QdrantStore(client=Locked(client), embedder="test", dimension=self.dimension)
        yield store
        store.close()
        client.close()


if "SEMCACHE_TEST_QDRANT_URL" in os.environ:
    # A server was promised: its absence fails these tests, it does not skip them.

    class TestQdrantStoreOnRealServer(StoreSuite):
        @pytest.fixture(params=["rest", "grpc", "async rest", "async grpc"])
        def store(self, request):
            url, api_key = (
                os.environ["SEMCACHE_TEST_QDRANT_URL"],
                os.environ.get("SEMCACHE_TEST_QDRANT_API_KEY"),
            )
            store = QdrantStore(
                url,
                api_key=api_key,
                embedder="test",
                dimension=self.dimension,
                prefix=f"semcachetest{uuid.uuid4().hex[:12]}",
                prefer_grpc="grpc" in request.param,
                wait_for_writes=True,
                budget_s=5.0,
            )
            yield DrivenAsync(store) if "async" in request.param else store
            drop_collections(store, url, api_key)
