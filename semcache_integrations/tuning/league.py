"""`Quality`: how the policies did on the same requests, as a table, a chart and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from semcache_integrations.core.wilson import Rate
from semcache_integrations.tuning.policies import Contender
from semcache_integrations.tuning.shown import Shown

if TYPE_CHECKING:
    from rich.table import Table

    from semcache_integrations.tuning.plots import Chart

_COLUMNS: Final = (
    "policy",
    "hits",
    "wrong per hit",
    "/request",
    "entries",
    "extra",
    "kept",
)


@dataclass(frozen=True, slots=True)
class Played:
    """One policy on one order of the requests.

    Attributes:
        requests: How many there were.
        hits: How many of them the cache answered.
        wrong: How many of these answers were another class's.
        entries: What the store held in the end.
        explored: Requests that could have been answered and were asked anew, to learn.
    """

    requests: int
    hits: int
    wrong: int
    entries: int
    explored: int


@dataclass(frozen=True, slots=True)
class Row:
    """One policy on all orders.

    Attributes:
        runs: One an order.
    """

    contender: Contender
    runs: tuple[Played, ...]

    @property
    def hit_rate(self) -> Rate:
        """Hits per request, over all orders."""
        return Rate(self._sum("hits"), self._sum("requests"))

    @property
    def wrong_per_hit(self) -> Rate:
        """Wrong hits per hit, over all orders."""
        return Rate(self._sum("wrong"), self._sum("hits"))

    @property
    def wrong_per_request(self) -> Rate:
        """Wrong hits per request, over all orders."""
        return Rate(self._sum("wrong"), self._sum("requests"))

    @property
    def kept(self) -> int | None:
        """In how many orders the promised share was kept; None if none was promised."""
        target, delta = self.contender.target, self.contender.delta
        if target is not None:
            return sum(run.wrong <= target * run.hits for run in self.runs)
        if delta is not None:
            return sum(run.wrong <= delta * run.requests for run in self.runs)
        return None

    def mean(self, name: str) -> float:
        """Return the mean over the orders of one of `Played`'s counts."""
        return self._sum(name) / len(self.runs)

    def _sum(self, name: str) -> int:
        return sum(getattr(run, name) for run in self.runs)


@dataclass(frozen=True, slots=True)
class Quality:
    """How all policies did.

    Attributes:
        stream: Its name.
        target: Most wrong hits per hit, for the best static threshold and the chart.
        noise: Share of answer comparisons that were wrong.
        embedder: The vector space's name.
        rows: One a policy.
    """

    stream: str
    target: float
    noise: float
    embedder: str
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """Return the row of one policy.

        Raises:
            KeyError: there is no policy of this name.
        """
        for row in self.rows:
            if row.contender.name == name:
                return row
        raise KeyError(name)

    @property
    def _title(self) -> str:
        runs: Sequence[Played] = self.rows[0].runs if self.rows else ()
        times = "" if len(runs) == 1 else f" in {len(runs)} orders"
        return f"{self.stream}: {runs[0].requests if runs else 0:,} requests{times}"

    def table(self) -> Shown:
        """Return one row a policy; intervals take all orders for one sample, which makes them a little narrow."""
        return Shown(
            self._title,
            _COLUMNS,
            [_cells(row) for row in self.rows],
            f"* the best for {self.target:.1%} on these very requests: nobody knows it beforehand\n"
            "extra: calls of the LLM made to learn · kept: orders in which the promise was kept\n"
            f"in brackets: 95 % interval · {self.noise:.0%} of the answer comparisons are wrong",
            frozenset(at for at, row in enumerate(self.rows) if row.contender.ours),
        )

    def plot(self) -> Chart:
        """Return the chart of hits against wrong hits per hit.

        Raises:
            ConfigurationError: matplotlib is not installed; it names the extra.
        """
        from semcache_integrations.tuning.plots import plot_policies

        places = [
            (row.contender.name, row.hit_rate, row.wrong_per_hit, row.contender.ours) for row in self.rows
        ]
        return plot_policies(self._title, places, self.target)

    def to_json(self) -> str:
        """Return everything that was counted, as JSON."""
        return json.dumps(
            {
                "stream": self.stream,
                "target": self.target,
                "noise": self.noise,
                "embedder": self.embedder,
                "policies": [_as_dict(row) for row in self.rows],
            },
            indent=2,
        )

    def __rich__(self) -> Table:
        return self.table().__rich__()

    def _repr_html_(self) -> str:
        return self.table().to_html()


def _cells(row: Row) -> tuple[str, ...]:
    kept = "" if row.kept is None else f"{row.kept} of {len(row.runs)}"
    return (
        row.contender.name,
        f"{row.hit_rate.value:.1%}",
        str(row.wrong_per_hit),
        f"{row.wrong_per_request.value:.2%}" if row.wrong_per_request.trials else "",
        f"{row.mean('entries'):,.0f}",
        f"{row.mean('explored'):,.0f}",
        kept,
    )


def _as_dict(row: Row) -> dict[str, object]:
    return {
        "policy": row.contender.name,
        "settings": dict(row.contender.settings),
        "hit_rate": row.hit_rate.to_dict(),
        "wrong_per_hit": row.wrong_per_hit.to_dict(),
        "wrong_per_request": row.wrong_per_request.to_dict(),
        "entries": row.mean("entries"),
        "extra_calls": row.mean("explored"),
        "target_kept": row.kept,
        "orders": [
            {
                "requests": run.requests,
                "hits": run.hits,
                "wrong": run.wrong,
                "entries": run.entries,
                "extra_calls": run.explored,
            }
            for run in row.runs
        ],
    }
