"""Families of metrics in one registry, and where the histograms' buckets end.

The law: buckets are fine where decisions fall: in the microseconds of memory, in the milliseconds of a hit, in the seconds of a
model, and in the hundredths below similarity 1.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LOOKUP_S = (
    *(5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4),
    *(1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
REQUEST_S = (
    *(1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
)
SIMILARITY = (
    *(0.0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.825, 0.85, 0.875),
    *(0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0),
)


class Families:
    """Makes families of metrics.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, says: str, *labels: str) -> Counter:
        """Return a counter; its samples are called `<name>_total`."""
        return Counter(name, says, labels, registry=self._registry)

    def gauge(self, name: str, says: str, *labels: str) -> Gauge:
        """Return a gauge."""
        return Gauge(name, says, labels, registry=self._registry)

    def histogram(self, name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        """Return a histogram with these upper ends."""
        return Histogram(name, says, labels, buckets=buckets, registry=self._registry)
