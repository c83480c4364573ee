"""A clock that stands still until it is told to move."""

from __future__ import annotations


class FakeClock:
    """Callable like `time.time`.

    Args:
        now: Seconds that it shows at first.
    """

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the seconds that it shows."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self.now += seconds
