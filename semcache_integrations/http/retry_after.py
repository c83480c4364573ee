"""When an upstream says that it may be asked again.

The law: what cannot be read is as if it had not been said; a time in the past is now.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

_NUMBER: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")


def retry_after_s(headers: Mapping[str, str], *, wall_clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds until then, from `retry-after-ms` or `Retry-After` (seconds or a date); None if unsaid.

    Args:
        headers: With names in lower case, or blind to case as httpx's are.
        wall_clock: Seconds since the epoch.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    said = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(said):
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - wall_clock())
    except (ValueError, OverflowError):
        return None
