"""What is asked: a proxy that somebody else runs, or one of our own in a process of its own.

The law: our own proxy has a temporary store and a provider on this machine, and is gone afterwards; of somebody else's
nothing is deleted but what carries this run's tag, and nothing of that request ever goes upstream.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any  # JSON
from urllib.parse import urlsplit

import httpx

from semcache_integrations.core.errors import ConfigurationError

_START_S, _END_S, _DELETE_S = 60.0, 20.0, 30.0
_NOT_OURS = ("SEMCACHE_PATH", "SEMCACHE_URL", "SEMCACHE_API_KEY")  # where the user's own entries are
_OK, _DEFAULT_PORTS = 200, {"http": 80, "https": 443}
_NOWHERE = "none://"  # a proxy without /admin refuses this before anything goes upstream


@dataclass(slots=True)
class Target:
    """A proxy.

    Attributes:
        origin: Where it is.
        own: Whether it is ours.
        upstream_calls: How many calls reached the provider of our own one; known when it has ended.
    """

    origin: str
    own: bool
    upstream_calls: int | None = None


def origin_of(url: str) -> str:
    """Return the origin of a proxy's URL; a path such as the `/v1` of a base_url is dropped.

    Raises:
        ConfigurationError: it is no URL of a proxy.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        port = None
    if port is None or not parts.hostname or parts.username is not None:
        raise ConfigurationError(f"{url!r} is no URL of a proxy: write http://127.0.0.1:8080")
    return f"{parts.scheme}://{parts.netloc}"


@asynccontextmanager
async def own_proxy(latency_s: float) -> AsyncIterator[Target]:
    """Run a proxy and a provider; at the end, the target knows how many calls reached the provider.

    Args:
        latency_s: Seconds that the provider takes, in the median.

    Raises:
        ConfigurationError: one of them does not start.
    """
    for needed in ("starlette", "uvicorn"):
        if find_spec(needed) is None:
            raise ConfigurationError(
                f"its own proxy needs {needed}: pip install 'semcache-integrations[server]'"
            )
    async with _running("upstream", str(latency_s)) as upstream:
        target = Target("", own=True)
        async with _running("proxy", upstream["origin"]) as proxy:
            target.origin = proxy["origin"]
            yield target
    target.upstream_calls = upstream["calls"]


async def delete(origin: str, tag: str, token: str = "") -> int | None:
    """Delete the entries that carry a tag; return how many, or None if this proxy offers that to nobody, or not to us.

    Args:
        origin: The proxy.
        tag: Of the run.
        token: Of its administrator; without one, it must be on this machine.
    """
    said = {"origin": origin, "x-llm-proxy-upstream": _NOWHERE}
    if token:
        said["authorization"] = f"Bearer {token}"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_DELETE_S) as client:
            response = await client.post(f"{origin}/admin/delete", json={"tag": tag}, headers=said)
            told = response.json() if response.status_code == _OK else None
    except (httpx.HTTPError, ValueError):
        return None
    deleted = told.get("deleted") if isinstance(told, dict) else None
    return deleted if isinstance(deleted, int) else None


@asynccontextmanager
async def _running(role: str, argument: str) -> AsyncIterator[dict[str, Any]]:
    """Run a process of `host`; what it says at its end is added to what it said at its start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "semcache_integrations.loadtest.host", role, argument),
        stdin=PIPE,
        stdout=PIPE,
        env=_environment(os.environ),
        start_new_session=True,  # Ctrl-C is for us: it shall answer until we have what is under way
    )
    try:
        told = await _said(process, role, _START_S)
        yield told
        told.update(await _ending(process, role))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ending(process: Process, role: str) -> dict[str, Any]:
    if process.stdin is not None:
        process.stdin.close()
    told = await _said(process, role, _END_S)
    await asyncio.wait_for(process.wait(), _END_S)
    return told


async def _said(process: Process, role: str, seconds: float) -> dict[str, Any]:
    if process.stdout is None:
        raise ConfigurationError(f"the {role} cannot be heard")
    try:
        line = await asyncio.wait_for(process.stdout.readline(), seconds)
        told: dict[str, Any] = json.loads(line)
    except (asyncio.TimeoutError, ValueError):
        raise ConfigurationError(f"the {role}'s process ended, or said nothing for {seconds:.0f} s") from None
    if "error" in told:
        raise ConfigurationError(told["error"])
    return told


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return our environment without what would lead to the user's own entries."""
    return {name: value for name, value in ours.items() if name.upper() not in _NOT_OURS}
