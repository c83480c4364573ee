"""Worker threads for calls that may block: bounded, daemonic, and never in the way of the interpreter's exit.

`concurrent.futures.ThreadPoolExecutor` joins its threads at exit, so one hung store would keep the user's
program from ending; that is why these few lines exist. Results still travel in its `Future`.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]  # Any: a lane carries every type of job


class Lane:
    """A queue with up to `workers` threads behind it, started when first needed.

    Args:
        name: Of the threads, for people who look at a stack dump.
        workers: Most threads.
        limit: Most waiting jobs, 0 for no limit.
    """

    def __init__(self, name: str, workers: int = 1, limit: int = 0) -> None:
        self._name = name
        self._workers = workers
        self._limit = limit
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._jobs: queue.Queue[_Job | None] = queue.Queue(self._limit)
        self._threads = 0
        self._busy = 0
        self._own: set[int] = set()

    def is_mine(self) -> bool:
        """Whether this very thread is one of the lane's, so that waiting for the lane would be for ever."""
        return threading.get_ident() in self._own

    def submit(self, function: Callable[..., T], *args: object) -> Future[T]:
        """Queue a call.

        Raises:
            queue.Full: `limit` jobs are waiting already.
        """
        future: Future[T] = Future()
        if self._pid != os.getpid():  # threads do not survive a fork, and the lock may have been held
            self._reset()
        with self._lock:
            self._jobs.put_nowait((future, function, args))
            self._busy += 1
            if self._threads < min(self._workers, self._busy):
                self._threads += 1
                threading.Thread(target=self._work, name=f"semcache-{self._name}", daemon=True).start()
        return future

    def drain(self, timeout_s: float) -> bool:
        """Wait until no job waits or runs, `timeout_s` at most; return whether it came to that."""
        deadline = time.monotonic() + timeout_s
        while self._busy > self.is_mine() and self._pid == os.getpid():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.002)
        return True

    def close(self) -> None:
        """Let the idle threads end; a running job is left to finish by itself."""
        if self._pid != os.getpid():  # no thread of ours is here, and the lock may have been held
            return
        with self._lock:
            for _ in range(self._threads):
                try:
                    self._jobs.put_nowait(None)
                except queue.Full:  # hung behind a dead store: daemon threads end with the process
                    return
            self._threads = 0

    def _work(self) -> None:
        jobs, own = self._jobs, self._own
        own.add(threading.get_ident())
        while (job := jobs.get()) is not None:
            self._run(*job)
            del job  # an idle thread must not keep a prompt alive
            with self._lock:
                self._busy -= 1
        own.discard(threading.get_ident())

    @staticmethod
    def _run(future: Future[Any], function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001 - belongs to whoever waits for the future
            future.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - a Rust panic, an inner cancellation, sys.exit()
            # In the waiting thread it would look like a Ctrl-C or a cancellation of its own.
            died = RuntimeError(f"the call died of {type(error).__name__}")
            died.__cause__ = error
            future.set_exception(died)
