"""A model from a hub: downloaded by fastembed in a process of its own, copied whole, used without a network.

The hub is a server in this process that speaks as much of the Hugging Face protocol as fastembed uses.
"""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from semcache_integrations.backends.fastembed import FastEmbedEmbedder
from semcache_integrations.backends.model_files import status
from semcache_integrations.backends.model_install import install
from semcache_integrations.core.errors import ConfigurationError

pytestmark = pytest.mark.model

REVISION = "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"


class Hub(BaseHTTPRequestHandler):
    """Serves one repository, whatever its name, from `files`."""

    files: dict[str, bytes]

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0]
        if "/tree/" in path:
            listing = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.files.items()
            ]
            self._answer(json.dumps(listing).encode())
        elif path.startswith("/api/"):
            siblings = [{"rfilename": name} for name in self.files]
            self._answer(json.dumps({"id": "x/y", "sha": REVISION, "siblings": siblings}).encode())
        else:
            self._answer(self.files[path.partition(REVISION + "/")[2]])

    def _answer(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        """Keep the test's output clean."""


@pytest.fixture
def hub(minilm, monkeypatch):
    """A hub that has MiniLM under every name, its graph called as bge-small's is."""
    names = ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    Hub.files = {name: (minilm.folder / name).read_bytes() for name in names}
    Hub.files["model_optimized.onnx"] = (minilm.folder / "model.onnx").read_bytes()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield Hub
        server.shutdown()
        thread.join()


def test_a_hub_model_is_installed_whole_and_needs_the_hub_no_more(hub, minilm, model_home):
    model = install("BAAI/bge-small-en-v1.5")
    hub.files = {}
    assert install("BAAI/bge-small-en-v1.5") == model
    assert [(each.model, each.damage) for each in status()] == [(model, "")]
    assert [path.name for path in model_home.iterdir()] == ["BAAI%2Fbge-small-en-v1.5--hub"]
    assert not any(path.is_symlink() for path in model.folder.rglob("*"))
    embedder = FastEmbedEmbedder("BAAI/bge-small-en-v1.5")
    assert embedder.name.startswith("BAAI/bge-small-en-v1.5@hub-")
    assert (embedder.dimension, embedder.max_tokens) == (384, 256)
    assert len(embedder.embed("How do I reset my password?")) == 384
    assert embedder.embed("如何重置我的密码?") is None
    assert embedder.embed("word " * 255) is None


def test_a_hub_without_the_graph_leaves_nothing(hub, model_home):
    del hub.files["model_optimized.onnx"]
    with pytest.raises(ConfigurationError, match="cannot download"):
        install("BAAI/bge-small-en-v1.5")
    assert list(model_home.iterdir()) == []
