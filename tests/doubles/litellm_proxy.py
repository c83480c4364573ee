"""LiteLLM's proxy as its users run it: a process of its own, a config.yaml, a port of this machine."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

STARTS_WITHIN_S = 180.0  # it imports for half a minute on a busy machine
ENDS_WITHIN_S = 60.0

AUTH = """
from fastapi import HTTPException
from litellm.proxy._types import UserAPIKeyAuth

TEAMS = {"sk-anna": "team-a", "sk-bert": "team-b"}


async def check(request, api_key):
    if api_key not in TEAMS:
        raise HTTPException(status_code=401, detail="who is this?")
    return UserAPIKeyAuth(api_key=api_key, team_id=TEAMS[api_key])
"""


class RunningProxy:
    """A proxy in front of one upstream, as long as its `with` block runs.

    Args:
        directory: Where its config, its custom_auth and its log are written.
        upstream: Address of an OpenAI-compatible provider, with /v1.
        settings: SEMCACHE_* variables; the tests' own are not passed on.
    """

    def __init__(self, directory: Path, upstream: str, **settings: str):
        self._directory, self._log = directory, directory / "proxy.log"
        self._settings = settings
        self._process: subprocess.Popen | None = None
        self.url = ""
        (directory / "keys.py").write_text(AUTH)
        (directory / "config.yaml").write_text(json.dumps(_config(upstream)))  # JSON is YAML

    def __enter__(self):
        self.start(wait=True)
        return self

    def __exit__(self, *error):
        self.stop()

    def start(self, *, wait: bool):
        """Start the process; `wait` until it answers."""
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "litellm.proxy.proxy_cli", "--config", "config.yaml"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"],
                cwd=self._directory,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        if wait:
            self._until_ready()

    def stop(self) -> int:
        """Ask it to end, as systemd and Kubernetes do, and return its exit code."""
        self._process.terminate()
        return self.ended()

    def ended(self) -> int:
        """Wait for its end and return its exit code."""
        try:
            return self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"the proxy did not end:\n{self.log}") from None

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def _until_ready(self):
        deadline = time.monotonic() + STARTS_WITHIN_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/health/liveliness", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)  # it does not listen yet
        self._process.kill()
        self._process.wait()
        raise AssertionError(f"the proxy did not start:\n{self.log}")

    def _environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SEMCACHE_")}
        path = str(Path(__file__).parents[2])
        return kept | self._settings | {"PYTHONPATH": path, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def _config(upstream):
    target = {"api_base": upstream, "api_key": "sk-upstream"}
    models = {
        "gpt": "openai/gpt-4o-mini",
        "vectors": "openai/text-embedding-3-small",
        "local": "hosted_vllm/llama",  # /v1/messages goes to its chat completions, and to OpenAI's responses
    }
    return {
        "model_list": [
            {"model_name": name, "litellm_params": {"model": model, **target}}
            for name, model in models.items()
        ],
        "litellm_settings": {"callbacks": ["semcache_integrations.litellm.proxy.handler"]},
        "general_settings": {"master_key": f"sk-{secrets.token_hex(24)}", "custom_auth": "keys.check"},
    }


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
