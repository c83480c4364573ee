"""How long an LLM takes: a seeded distribution, no clock and no sleeping."""

from __future__ import annotations

import math
import random

from semcache_integrations.core.errors import ConfigurationError


class Latency:
    """Log-normal seconds, as measured times to an LLM's answer are: mostly near the median, a few far above.

    Args:
        median_s: Half of the calls take less, in seconds.
        sigma: Spread of the logarithm; at 0.35 one call in twenty takes longer than 1.8 medians.
        seed: Equal seeds give equal sequences.

    Raises:
        ConfigurationError: the median is not positive, or sigma is negative.
    """

    def __init__(self, median_s: float = 0.8, sigma: float = 0.35, *, seed: int = 0) -> None:
        if not (0 < median_s < math.inf and 0 <= sigma < math.inf):
            raise ConfigurationError(
                f"a latency needs median_s > 0 and sigma >= 0, not {median_s!r} and {sigma!r}"
            )
        self._mu = math.log(median_s)
        self._sigma = sigma
        self._random = random.Random(seed)  # noqa: S311 - a simulation, repeatable on purpose

    def __call__(self) -> float:
        """Draw the next latency, in seconds."""
        return self._random.lognormvariate(self._mu, self._sigma)
