"""`FakeUpstream`: an LLM provider on this machine, over real HTTP, that counts what reaches it.

The law: it speaks the providers' wire formats closely enough for their own SDKs, its answers are a
function of the request alone, and it knows nothing of caches.
"""

from __future__ import annotations

try:
    import starlette  # noqa: F401 - asked for here once, so that the error names the extra
    import uvicorn  # noqa: F401 - as above
except ImportError as missing:
    raise ImportError(
        "FakeUpstream needs a web server: pip install 'semcache-integrations[server]'"
    ) from missing

from semcache_integrations.testing.upstream.latency import Latency
from semcache_integrations.testing.upstream.ledger import Call, Fault
from semcache_integrations.testing.upstream.server import FakeUpstream

__all__ = ["Call", "FakeUpstream", "Fault", "Latency"]
