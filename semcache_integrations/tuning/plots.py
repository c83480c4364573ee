"""Charts of hits against wrong hits. The only file that knows matplotlib; no global state of it is touched."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from semcache_integrations.core.errors import ConfigurationError

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as exc:
    raise ConfigurationError("plots need matplotlib: pip install 'semcache-integrations[notebook]'") from exc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from semcache_integrations.tuning.curves import Curve, Point
    from semcache_integrations.tuning.tuned import Tuning
    from semcache_integrations.tuning.wilson import Rate

_PLAIN, _VETOED, _OTHER = "#c0504d", "#1f6f8b", "#8a8d91"
_LABELLED: Final = frozenset({70, 75, 80, 85, 90, 95})
"""Thresholds in hundredths that are written beside the line."""

_LEAST_TOP: Final = 8.0
_TOP_PER_TARGET: Final = 6.0
_LEAST_HITS: Final = 20  # with fewer the band is the whole picture
_SIZE_INCH: Final = (8.0, 4.8)


class Chart(Figure):
    """A matplotlib figure that shows itself in every notebook; `savefig` writes it to a file."""

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=110)
        return png.getvalue()


def plot_tuning(tuning: Tuning) -> Chart:
    """Return hit rate against wrong hits per hit, with and without vetoes; without labels, hit rate by threshold."""
    chart = Chart(figsize=_SIZE_INCH, layout="constrained")
    axes = chart.subplots()
    plain, vetoed = tuning.curves
    if tuning.labels == "none":
        _draw_hit_rates(axes, plain, vetoed)
        axes.set_title(f"{tuning.name}: what would hit, right or wrong")
        return chart
    highest = max(
        _draw_curve(axes, plain, "without vetoes", _PLAIN),
        _draw_curve(axes, vetoed, "with vetoes", _VETOED),
    )
    _draw_target(axes, tuning.target, highest)
    best = tuning.recommendation
    if best.threshold is not None and best.point is not None:
        x, y = _place(best.point)
        axes.plot(
            x,
            y,
            marker="*",
            markersize=17,
            color="#e2a100",
            markeredgecolor="black",
            linestyle="none",
            zorder=5,
            label=f"recommended: {best.threshold:.2f} {'with' if best.vetoes else 'without'} vetoes",
        )
    axes.set_xlim(0, _right(tuning))
    axes.set_title(
        f"{tuning.name}: {tuning.evidence.requests:,} {'requests' if tuning.is_stream else 'pairs'}"
    )
    axes.set_xlabel("hits, % of " + ("requests" if tuning.is_stream else "pairs"))
    axes.legend(loc="upper left", framealpha=0.9, edgecolor="none")
    return chart


def _right(tuning: Tuning) -> float:
    """Return the right end of the axis: what more hits there were, were all wrong beyond use."""
    drawn = [100 * point.hit_rate.value for curve in tuning.curves for point in curve.points]
    return min(100.0, max(drawn, default=0.0) * 1.06 + 1)


def _draw_curve(axes: Axes, curve: Curve, name: str, color: str) -> float:
    """Draw one curve with its band; return its highest rate, in per cent."""
    drawn = [
        (point, rate) for point in curve.points if point.hits >= _LEAST_HITS and (rate := point.wrong_per_hit)
    ]
    xs = [100 * point.hit_rate.value for point, _ in drawn]
    ys = [100 * rate.value for _, rate in drawn]
    axes.plot(xs, ys, color=color, linewidth=2, label=name)
    low, high = _band(rate for _, rate in drawn)
    axes.fill_between(xs, low, high, color=color, alpha=0.15, linewidth=0)
    for point, _ in drawn:
        if round(100 * point.threshold) in _LABELLED:
            _write_threshold(axes, point, color)
    return max(ys, default=0.0)


def _band(rates: Iterable[Rate]) -> tuple[list[float], list[float]]:
    both = [(100 * rate.low, 100 * rate.high) for rate in rates]
    return [low for low, _ in both], [high for _, high in both]


def _write_threshold(axes: Axes, point: Point, color: str) -> None:
    x, y = _place(point)
    axes.plot(x, y, marker="o", markersize=4, color=color)
    axes.annotate(
        f"{point.threshold:.2f}",
        (x, y),
        xytext=(4, 5),
        textcoords="offset points",
        color=color,
        fontsize=8,
        annotation_clip=True,
    )


def _place(point: Point) -> tuple[float, float]:
    rate = point.wrong_per_hit
    return 100 * point.hit_rate.value, 100 * rate.value if rate else 0.0


def _draw_target(axes: Axes, target: float, highest: float) -> None:
    """Draw the target, and zoom to its neighbourhood: what is far above it decides nothing."""
    percent = 100 * target
    top = max(_TOP_PER_TARGET * percent, _LEAST_TOP)
    axes.axhline(percent, color="black", linestyle=":", linewidth=1.2, label=f"target {percent:g} %")
    axes.set_ylim(0, min(top, max(highest * 1.1, 2 * percent)))
    axes.set_ylabel("wrong hits, % of hits (band: 95 % interval)")
    _tidy(axes)


def _draw_hit_rates(axes: Axes, plain: Curve, vetoed: Curve) -> None:
    for curve, name, color in ((plain, "without vetoes", _PLAIN), (vetoed, "with vetoes", _VETOED)):
        xs = [point.threshold for point in curve.points]
        axes.plot(
            xs, [100 * point.hit_rate.value for point in curve.points], color=color, linewidth=2, label=name
        )
        axes.fill_between(
            xs, *_band(point.hit_rate for point in curve.points), color=color, alpha=0.15, linewidth=0
        )
    axes.set_xlabel("similarity_threshold")
    axes.set_ylabel("hits, % of requests (band: 95 % interval)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right", frameon=False)
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)


def plot_policies(title: str, rows: Sequence[tuple[str, Rate, Rate, bool]], target: float) -> Chart:
    """Return one mark a policy: hits against wrong hits per hit.

    Args:
        title: Of the chart.
        rows: Name, hits per request, wrong hits per hit, and whether the policy is one of ours.
        target: Most wrong hits per hit, 0-1.
    """
    chart = Chart(figsize=(9.5, 5.8), layout="constrained")
    axes = chart.subplots()
    highest = 0.0
    for name, hits, wrong, ours in rows:
        if not wrong.trials:
            continue
        x, y = 100 * hits.value, 100 * wrong.value
        color = _VETOED if ours else _PLAIN
        errors = [[y - 100 * wrong.low], [100 * wrong.high - y]]
        axes.errorbar(x, y, yerr=errors, fmt="o" if ours else "s", color=color, capsize=2, elinewidth=0.8)
        axes.annotate(name, (x, y), xytext=(6, 3), textcoords="offset points", fontsize=8, color=color)
        highest = max(highest, y)
    percent = 100 * target
    axes.axhline(percent, color="black", linestyle=":", linewidth=1.2, label=f"target {percent:g} %")
    axes.set_yscale("symlog", linthresh=max(percent, 1.0))  # shows 0 % and 35 % in one picture
    ticks = [tick for tick in (0, 0.5, 1, 2, 5, 10, 20, 40) if tick <= max(highest * 1.6, 2 * percent)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(bottom=-0.05 * percent)
    axes.set_xlim(right=axes.get_xlim()[1] * 1.12)
    axes.set_title(title)
    axes.set_xlabel("hits, % of requests")
    axes.set_ylabel("wrong hits, % of hits (bars: 95 % interval)")
    axes.legend(loc="lower right", frameon=False)
    _tidy(axes)
    return chart
