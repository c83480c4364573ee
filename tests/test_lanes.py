"""Lanes: bounded workers that never hold the caller or the interpreter."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading

import pytest

from semcache_integrations.lanes import Lane


def test_results_and_exceptions_travel_in_the_future():
    lane = Lane("test")
    assert lane.submit(lambda a, b: a + b, 1, 2).result(5) == 3
    with pytest.raises(ZeroDivisionError):
        lane.submit(lambda: 1 / 0).result(5)
    assert lane.submit(threading.current_thread).result(5).name == "semcache-test"
    lane.close()


def test_one_worker_keeps_the_order():
    lane, seen = Lane("test", 1), []
    for number in range(100):
        lane.submit(seen.append, number)
    assert lane.drain(5)
    assert seen == list(range(100))
    lane.close()


def test_no_more_threads_than_workers_and_none_without_work():
    lane, gate = Lane("bounded", 3), threading.Event()
    assert _threads("semcache-bounded") == 0
    futures = [lane.submit(gate.wait) for _ in range(10)]
    assert _threads("semcache-bounded") == 3
    gate.set()
    for future in futures:
        assert future.result(5)
    lane.close()


def _threads(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


def test_a_full_lane_says_so_at_once():
    lane, gate = Lane("test", 1, limit=2), threading.Event()
    started = threading.Event()
    lane.submit(lambda: (started.set(), gate.wait()))
    assert started.wait(5)
    lane.submit(int)
    lane.submit(int)
    with pytest.raises(queue.Full):
        lane.submit(int)
    assert not lane.drain(0.01)
    gate.set()
    assert lane.drain(5)
    lane.close()


def test_a_cancelled_job_does_not_run():
    lane, gate, ran = Lane("test", 1), threading.Event(), []
    lane.submit(gate.wait)
    future = lane.submit(ran.append, 1)
    assert future.cancel()
    gate.set()
    assert lane.drain(5)
    assert ran == []
    lane.close()


def test_closing_ends_the_threads():
    lane = Lane("closing", 2)
    lane.submit(int).result(5)
    thread = next(thread for thread in threading.enumerate() if thread.name == "semcache-closing")
    lane.close()
    thread.join(5)
    assert not thread.is_alive()


def test_a_hung_job_does_not_keep_the_interpreter_alive():
    code = (
        "import threading; from semcache_integrations.lanes import Lane\n"
        "lane = Lane('hung'); lane.submit(threading.Event().wait); lane.close(); print('done')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "done\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # Python 3.12 warns of forking with threads: the point here
def test_a_forked_child_gets_threads_of_its_own():
    lane = Lane("fork")
    lane.submit(int).result(5)
    child = os.fork()
    if child == 0:
        os._exit(0 if lane.submit(lambda: 7).result(5) == 7 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    lane.close()
