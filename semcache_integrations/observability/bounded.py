"""Label values: how text that others wrote becomes one of few values.

The law: each label has a number of values that is known beforehand, whatever callers and upstreams send.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Set as AbstractSet

from semcache_integrations.core.errors import ConfigurationError

OTHER = "other"
UNKNOWN = "unknown"
NONE = "none"
LONGEST = 80

_UNFIT = re.compile(r"[^\w.:/@+\[\]-]", re.ASCII)


def one_of(value: str, known: AbstractSet[str]) -> str:
    """Return the value if it is one of the known ones, `none` if it is empty, else `other`."""
    return value if value in known else OTHER if value else NONE


def cleaned(name: str) -> str:
    """Return a name as a label can hold it: short, and of plain letters, digits and a few signs."""
    return _UNFIT.sub("_", name[:LONGEST]) or UNKNOWN


class Names:
    """Lets the first few names through, and calls every later one `other`.

    Args:
        most: How many.

    Raises:
        ConfigurationError: that is none.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ConfigurationError(f"there must be room for one name at least, not for {most}")
        self._most = most
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def label(self, name: str) -> str:
        """Return the label of a name."""
        clean = cleaned(name)
        if clean in self._seen:
            return clean
        with self._lock:
            if len(self._seen) < self._most:
                self._seen.add(clean)
            return clean if clean in self._seen else OTHER
