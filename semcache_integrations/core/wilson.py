"""How sure one may be of a rate that was counted: Wilson's interval, and how much counting a bound needs.

The law: nothing here knows what was counted. A rate without a single trial is unknown: its interval is 0 to 1.

Source: E. B. Wilson, *Probable Inference, the Law of Succession, and Statistical Inference*, Journal of the
American Statistical Association 22 (158), 1927, pp. 209-212.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

Z: Final = 1.959963984540054
"""Standard normal quantile of 97.5 %: intervals of 95 %, each side of which fails in 2.5 % of cases."""


def interval(count: int, trials: int, *, z: float = Z) -> tuple[float, float]:
    """Return Wilson's score interval of a rate.

    With p = count / trials and n = trials, its ends are the two solutions π of the score test
    (p - π)² = z² π (1 - π) / n:

        (p + z²/2n ± z √(p (1 - p)/n + z²/4n²)) / (1 + z²/n)

    Args:
        count: How often it happened, 0 to `trials`.
        trials: How often it could have happened.
        z: Standard normal quantile: how sure.

    Raises:
        ValueError: there are fewer trials than counts, or less than none of either.
    """
    if not 0 <= count <= trials:
        raise ValueError(f"{count} of {trials} is no rate")
    if trials == 0:
        return 0.0, 1.0
    rate, spread = count / trials, z * z / trials
    middle = rate + spread / 2
    reach = math.sqrt(rate * (1 - rate) * spread + spread * spread / 4)
    low = 0.0 if count == 0 else max(0.0, (middle - reach) / (1 + spread))
    high = 1.0 if count == trials else min(1.0, (middle + reach) / (1 + spread))
    return low, high


def trials_needed(rate: float, bound: float, *, z: float = Z) -> int | None:
    """Return how many trials at this rate put the upper end of the interval at or below `bound`.

    The score test above, solved for n: n = z² π (1 - π) / (π - p)², with π = bound and p = rate.

    Returns:
        The number of trials, or None if no number is enough because the rate itself reaches the bound.
    """
    if rate >= bound:
        return None
    return math.ceil(z * z * bound * (1 - bound) / (bound - rate) ** 2)


@dataclass(frozen=True, slots=True)
class Rate:
    """A counted rate.

    Attributes:
        count: How often it happened.
        trials: How often it could have happened.
    """

    count: int
    trials: int

    @property
    def value(self) -> float:
        """The rate as counted, 0-1; 0 if nothing was tried."""
        return self.count / self.trials if self.trials else 0.0

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return interval(self.count, self.trials)[0]

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return interval(self.count, self.trials)[1]

    def __str__(self) -> str:
        return f"{self.value:.1%} ({100 * self.low:.1f}-{100 * self.high:.1f})" if self.trials else ""

    def to_dict(self) -> dict[str, float]:
        """Return what JSON shows of it."""
        low, high = interval(self.count, self.trials)
        return {"count": self.count, "of": self.trials, "rate": self.value, "low": low, "high": high}
