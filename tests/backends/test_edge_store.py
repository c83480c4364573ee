"""The embedded store where it touches the world: disk, processes, forks, threads."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from semcache_integrations.backends.edge import MIN_FREE_BYTES, EdgeStore
from semcache_integrations.core.errors import ConfigurationError, StoreError
from semcache_integrations.core.models import CacheEntry, Namespace, Selector

HOME = Namespace("a" * 32, model="m")
ROOT = Path(__file__).parents[2]


def entry(number, **fields):
    made = {"payload": f"answer {number}", "created_at": 1.0, **fields}
    return CacheEntry(str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))), HOME, f"question {number}", **made)


def open_store(path, **settings):
    return EdgeStore(path, **{"embedder": "test", "dimension": 3, **settings})


def run(code, *arguments, **options):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, **options
    )


def wait_until(condition, seconds=20.0):
    """Give a background thread a generous while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_stored_is_there_after_a_restart(tmp_path):
    store = open_store(tmp_path)
    store.put(entry(1), [1.0, 0.0, 0.0])
    store.close()
    store = open_store(tmp_path)
    assert store.get(HOME, entry(1).id) == entry(1)
    assert [found.entry for found in store.search(HOME, [1.0, 0.0, 0.0], 1)] == [entry(1)]
    store.close()


def test_whatever_the_engine_raises_is_a_store_error(tmp_path):
    store = open_store(tmp_path)
    for odd in (
        entry(1, payload="lone \ud800 surrogate"),
        CacheEntry("no uuid", HOME, "q", "a", 1.0),
    ):
        with pytest.raises(StoreError, match="Qdrant Edge failed"):
            store.put(odd, None)
    assert store.count() == 0
    store.close()


def test_a_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    store = open_store("~/deep/cache")
    store.close()
    assert (tmp_path / "deep" / "cache").is_dir()


def test_a_temporary_store_leaves_nothing_behind(tmp_path):
    closed, forgotten = open_store(None), open_store(None)
    roots = [closed.root, forgotten.root]
    assert all(root.is_dir() for root in roots)
    closed.close()
    del forgotten
    gc.collect()
    wait_until(lambda: not any(root.exists() for root in roots))


def test_a_temporary_store_leaves_nothing_behind_when_the_interpreter_ends():
    code = """
from semcache_integrations.backends.edge import EdgeStore
store = EdgeStore(None, embedder="test", dimension=3)
print(store.root, flush=True)
"""
    with run(code) as process:
        root = process.stdout.readline().strip()
    assert process.returncode == 0
    assert root
    assert not Path(root).exists()


WRITER = """
import sys, uuid
from semcache_integrations.backends.edge import EdgeStore
from semcache_integrations.core.models import CacheEntry, Namespace
path, start = sys.argv[1], int(sys.argv[2])
store = EdgeStore(path, embedder="test", dimension=3, flush_every_s=0.05)
number = start
while True:
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
    home = Namespace("a" * 32, model="m")
    store.put(CacheEntry(name, home, f"question {number}", f"answer {number}", 1.0), [1.0, float(number), 0.0])
    print(number, flush=True)
    number += 1
"""


def test_killing_the_process_loses_no_acknowledged_entry(tmp_path):
    written = 0
    for round_number in range(3):
        process = run(WRITER, tmp_path, written)
        for line in process.stdout:
            written = int(line) + 1
            if written >= (round_number + 1) * 150:
                process.send_signal(signal.SIGKILL)
                break
        rest, _ = process.communicate()
        acknowledged = [int(word) for word in rest.split("\n")[:-1]]
        written = max([written, *(number + 1 for number in acknowledged)])
        store = open_store(tmp_path)
        assert [n for n in range(written) if store.get(HOME, entry(n).id) != entry(n)] == []
        assert len(store.search(HOME, [1.0, 0.0, 0.0], 50)) == 50
        store.close()


def test_a_second_store_on_the_same_path_is_told_the_way_out(tmp_path):
    store = open_store(tmp_path)
    with pytest.raises(ConfigurationError, match="url="):
        open_store(tmp_path)
    code = """
import sys
from semcache_integrations.backends.edge import EdgeStore
try:
    EdgeStore(sys.argv[1], embedder="test", dimension=3)
except Exception as error:
    print(type(error).__name__, "url=" in str(error))
"""
    with run(code, tmp_path) as process:
        assert process.stdout.read().strip() == "ConfigurationError True"
    store.put(entry(1), None)  # and the first one did not suffer
    store.close()
    open_store(tmp_path).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_refused_and_harms_nothing(tmp_path):
    store, temporary = open_store(tmp_path), open_store(None)
    store.put(entry(1), None)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        for call in (lambda: store.get(HOME, entry(1).id), lambda: store.put(entry(2), None), store.count):
            try:
                call()
            except StoreError as error:
                said.append("fork" in str(error))
        store.close()
        temporary.close()
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert json.loads(pipe.read()) == [True, True, True]
    assert os.waitpid(child, 0)[1] == 0
    assert temporary.root.is_dir()
    store.put(entry(3), None)
    assert store.count() == 2
    store.close()
    temporary.close()


def test_another_embedder_or_dimension_never_meets_the_old_vectors(tmp_path):
    for settings in ({}, {"embedder": "other"}, {"dimension": 4}, {"embedder": "TEST"}):
        store = open_store(tmp_path, **settings)
        dimension = settings.get("dimension", 3)
        assert store.count() == 0
        assert store.search(HOME, [1.0] * dimension, 1) == []
        store.put(entry(1), [1.0] * dimension)
        store.close()


def test_a_directory_that_says_it_holds_something_else_is_refused(tmp_path):
    open_store(tmp_path).close()
    (metadata,) = tmp_path.glob("*/semcache.json")
    metadata.write_text(json.dumps({"embedder": "other", "dimension": 3, "schema": 1}))
    with pytest.raises(ConfigurationError, match="delete it"):
        open_store(tmp_path)
    metadata.write_text("{")
    with pytest.raises(ConfigurationError, match="delete it"):
        open_store(tmp_path)


def test_a_damaged_shard_is_refused_with_what_to_do(tmp_path):
    open_store(tmp_path).close()
    (config,) = tmp_path.glob("*/shard/edge_config.json")
    config.write_text("{")
    with pytest.raises(ConfigurationError, match="delete it"):
        open_store(tmp_path)


def test_a_creation_that_was_cut_short_is_not_in_the_way(tmp_path):
    (tmp_path / ".edge-v1-test-3-0123456789-abandoned" / "shard").mkdir(parents=True)
    store = open_store(tmp_path)
    store.put(entry(1), None)
    assert store.count() == 1
    store.close()


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match="path="):
            open_store(path)


def test_a_short_disk_stops_writes_and_nothing_else(tmp_path):
    free = [MIN_FREE_BYTES]
    store = open_store(tmp_path, probe_free_bytes=lambda _: free[0])
    store.put(entry(1), [1.0, 0.0, 0.0])
    free[0], store._free_checked_at = MIN_FREE_BYTES - 1, float("-inf")
    for write in (lambda: store.put(entry(2), None), lambda: store.touch(entry(1)), store.compact):
        with pytest.raises(StoreError, match="disk"):
            write()
    assert store.get(HOME, entry(1).id) == entry(1)
    assert store.search(HOME, [1.0, 0.0, 0.0], 1)
    assert store.delete(Selector()) == 1  # frees space
    store.close()


def test_the_disk_is_asked_once_in_a_while_only(tmp_path):
    asked = []
    store = open_store(tmp_path, probe_free_bytes=lambda path: asked.append(path) or MIN_FREE_BYTES)
    for number in range(50):
        store.put(entry(number), None)
    assert 1 <= len(asked) < 50
    store.close()


def test_the_housekeeper_deletes_what_has_expired_and_keeps_the_rest(tmp_path):
    now = [100.0]
    store = open_store(tmp_path, flush_every_s=0.02, expire_every_s=0.02, clock=lambda: now[0])
    store.put(entry(1, expires_at=150.0), None)
    store.put(entry(2, expires_at=250.0), None)
    store.put(entry(3), None)
    now[0] = 200.0
    wait_until(lambda: store.count() == 2)
    assert store.get(HOME, entry(1).id) is None
    assert store.get(HOME, entry(2).id) is not None
    store.close()


def test_the_housekeeper_flushes_what_was_written(tmp_path):
    store = open_store(tmp_path, flush_every_s=0.02)
    store.put(entry(1), None)
    wait_until(lambda: store._unflushed == 0)
    store.close()


def test_many_writes_are_flushed_without_waiting(tmp_path):
    store = open_store(tmp_path, flush_every_s=3600.0)
    for number in range(1_000):
        store.put(entry(number % 10), None)
    wait_until(lambda: store._unflushed < 1_000)
    store.close()


def test_the_housekeeper_ends_with_the_store_and_does_not_keep_it(tmp_path):
    def keepers():
        return [thread for thread in threading.enumerate() if thread.name == "semcache-edge"]

    wait_until(lambda: not keepers())
    store, forgotten = open_store(tmp_path), open_store(None)
    assert len(keepers()) == 2
    assert all(thread.daemon for thread in keepers())
    store.close()
    del forgotten
    gc.collect()
    wait_until(lambda: not keepers())


def test_compacting_keeps_what_is_alive(tmp_path):
    store = open_store(tmp_path)
    for number in range(30):
        store.put(entry(number, tags=("odd",) if number % 2 else ()), [1.0, float(number), 0.0])
    store.delete(Selector(tag="odd"))
    store.compact()
    assert store.count() == 15
    assert store.get(HOME, entry(4).id) == entry(4)
    store.close()


def run_threads(number, work):
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(number)]
    for thread in threads:
        thread.start()
    return threads


def test_sixteen_threads_lose_nothing(tmp_path):
    store, wrong = open_store(tmp_path, flush_every_s=0.01), []

    def work(worker):
        for number in range(worker * 40, worker * 40 + 40):
            store.put(entry(number), [1.0, float(worker), 0.0])
            if store.get(HOME, entry(number).id) != entry(number):
                wrong.append(number)

    for thread in run_threads(16, work):
        thread.join()
    assert wrong == []
    assert store.count() == 640
    store.close()


def test_closing_under_way_stops_the_readers_and_frees_the_path(tmp_path):
    """The engine refuses to close while any thread is inside a call, and then keeps the directory locked."""
    store, stopped = open_store(tmp_path), []
    for number in range(50):
        store.put(entry(number, payload="x" * 2_000), [1.0, float(number), 0.0])

    def read(_):
        try:
            while True:
                store.search(HOME, [1.0, 0.0, 0.0], 50)
        except StoreError as error:
            stopped.append(error)

    readers = run_threads(8, read)
    closers = run_threads(4, lambda _: store.close())
    for thread in readers + closers:
        thread.join()
    assert len(stopped) == 8
    store = open_store(tmp_path)
    assert store.count() == 50
    store.close()
