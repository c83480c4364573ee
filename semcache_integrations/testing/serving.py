"""An ASGI application on 127.0.0.1, served by uvicorn on a thread of its own. No route and no format here."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, Literal

import uvicorn

from semcache_integrations.core.errors import ConfigurationError

_START_TIMEOUT_S = 30.0
_NEVER_AGAIN_S = 10**9


class Serving:
    """Serves an application until it is closed.

    Args:
        app: The application. Any: ASGI's type is not a public one.
        name: Of the thread.
        lifespan: `on` where the application has something to begin and to end.
    """

    def __init__(self, app: Any, *, name: str, lifespan: Literal["on", "off"] = "off") -> None:
        self._app = app
        self._name = name
        self._lifespan = lifespan
        self._started = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.port = 0

    @property
    def origin(self) -> str:
        """Base URL, without a path.

        Raises:
            ConfigurationError: it has not been started.
        """
        if not self.port:
            raise ConfigurationError(f"this {self._name} has no address yet: start it, or use `with`")
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to serve on a free port. A closed one does not start again.

        Raises:
            ConfigurationError: it was started before, or does not start.
        """
        if self._thread is not None:
            raise ConfigurationError(f"a {self._name} starts once only: make another one")
        listener = _listener()
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(self._config())
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name=self._name, daemon=True
        )
        self._thread.start()
        if not self._started.wait(_START_TIMEOUT_S):
            raise ConfigurationError(f"the {self._name} did not start within {_START_TIMEOUT_S:.0f} s")

    def close(self, ending: Callable[[], object] | None = None) -> None:
        """Stop serving and wait for the thread; closing twice is fine.

        Args:
            ending: Is called on the server's loop first, to end what hangs.
        """
        if self._thread is None or self._server is None or not self._thread.is_alive():
            return
        if self._loop is not None and ending is not None:
            self._loop.call_soon_threadsafe(ending)
        self._server.should_exit = True
        self._thread.join()

    def _config(self) -> uvicorn.Config:
        """Configure the server so that it needs nothing beyond its base install and leaves logging alone."""
        return uvicorn.Config(
            self._app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan=self._lifespan,
            log_config=None,
            access_log=False,
            proxy_headers=False,  # they would change whom a request is from
            timeout_graceful_shutdown=1,
            callback_notify=self._note_start,  # called in the first turn of the server's loop, when it serves
            timeout_notify=_NEVER_AGAIN_S,
        )

    async def _note_start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()


def _listener() -> socket.socket:
    """Listen on a free port of this machine.

    asyncio switches Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener
