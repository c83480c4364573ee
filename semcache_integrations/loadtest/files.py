"""How many connections this process may have open.

The law: a limit that stands in the way of the users that were asked for is raised as far as we may, or refused in time.
"""

from __future__ import annotations

import sys

from semcache_integrations.core.errors import ConfigurationError

_OTHERS = 100  # files that are open for other reasons


def room_for(users: int) -> None:
    """Make room for so many connections, also in the processes that this one starts.

    Raises:
        ConfigurationError: this system does not allow it.
    """
    if sys.platform == "win32":
        return  # sockets do not count as files there
    import resource

    wanted = 2 * users + _OTHERS  # of a miss, the proxy has a connection on either side
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigurationError(
            f"{users} users need {wanted} open files, and this system allows {hard}: ulimit -n, or fewer users"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
