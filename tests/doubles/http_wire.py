"""An upstream that answers just the bytes that a test gives it, over a real socket, and clients of both HTTP libraries."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WireUpstream:
    """Answers every request with the same status, headers and pieces, and notes what reached it.

    Attributes:
        pieces: Of the body; what is an event is waited for instead, as long as somebody listens.
        seen: (method, path, headers, body) of every request.
    """

    def __init__(self, *pieces, status=200, headers=None):
        self.pieces = pieces
        self.status = status
        self.headers = {"content-type": "application/json", **(headers or {})}
        self.seen = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"upstream": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def count(self):
        return len(self.seen)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """Hang up, and listen no more; closing twice is fine."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def note(self, *request):
        with self._lock:
            self.seen.append(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def do_PUT(self):
        self._answer()

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.upstream.note(self.command, self.path, self.headers, body)
        self.send_response(self.upstream.status)
        for name, value in self.upstream.headers.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for piece in self.upstream.pieces:
                self._send(piece)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # the client hung up
            self.close_connection = True

    def _send(self, piece):
        if isinstance(piece, threading.Event):
            piece.wait(10)
        else:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def log_message(self, *args):
        return
