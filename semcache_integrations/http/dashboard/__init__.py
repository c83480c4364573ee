"""`/admin`: what the proxy does and has done, for whoever runs it.

The law: nothing of it leaves this machine, and what callers wrote is text wherever it is shown.
"""

from semcache_integrations.http.dashboard.admin import Admin
from semcache_integrations.http.dashboard.guard import Guard
from semcache_integrations.http.dashboard.recent import Recent

__all__ = ["Admin", "Guard", "Recent"]
